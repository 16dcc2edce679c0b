"""The function that stands in for TensorFlow's `restore_v2`."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow.python.eager import context
from tensorflow.python.framework import errors_impl, ops
from tensorflow.python.ops import gen_io_ops

from .. import _files
from .._client import Client
from .._connection import log
from .._errors import CODES, WarmstartError
from .._tensors import Tensor
from . import _failures, _graphs
from ._keys import Key, cut_of, keys_of
from ._sources import ALIGNMENT, Array, Group, sources

# These reasons are about the service, not about the checkpoint or the request, so TensorFlow's own
# way may succeed.
_OF_SERVICE = frozenset(
    ("CONNECTION", "DRAINING", "QUOTA", "BUDGET", "DEADLINE", "NOT_ALLOWED", "SYSTEM")
)

own_restore: Any = gen_io_ops.restore_v2


class Settings(NamedTuple):
    """Which client asks, and whether TensorFlow restores by its own means if the daemon cannot."""

    client: Client | None
    fallback: bool

    def falls_back(self, error: WarmstartError) -> bool:
        """Returns whether TensorFlow is to restore by its own means; logs that once for each
        reason.
        """
        if not self.fallback or error.reason not in _OF_SERVICE:
            return False
        if error.reason not in _said:
            _said.add(error.reason)
            log.warning("restoring without the daemon, by TensorFlow's own means: %s", error)
        return True


_said: set[str] = set()


def restores_itself(prefix: str) -> bool:
    """Returns whether only TensorFlow can read the files, as those of object stores."""
    return _files.is_remote(_files.without_scheme(prefix))


class _Local(threading.local):
    group: Group | None = None
    # The next restored tensor, if it was restored already with others.
    given: Any = None
    count = 0


_local = _Local()


@contextmanager
def expecting(keys: Sequence[Key]) -> Iterator[None]:
    """Declares what this thread will ask for in eager mode, so that one call resolves it all."""
    outer, _local.group = _local.group, Group(keys)
    try:
        yield
    finally:
        _local.group = outer


@contextmanager
def giving(tensor: Any) -> Iterator[None]:
    """Makes this thread's next call return a tensor that was restored together with others."""
    _local.given = tensor
    try:
        yield
    finally:
        _local.given = None


def restored_count() -> int:
    """Counts the tensors that this thread has ever asked for or made graphs ask for."""
    return _local.count


def count(tensors: int) -> None:
    _local.count += tensors


class Restore:
    """A `restore_v2` that asks Warmstart, with the settings of one installation."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def __call__(
        self,
        prefix: Any,
        tensor_names: Any,
        shape_and_slices: Any,
        dtypes: Any,
        name: str | None = None,
    ) -> list[Any]:
        """Restores tensors from a checkpoint, as TensorFlow's function of this name does."""
        if _local.given is not None:
            given, _local.given = _local.given, None
            return [given]
        types = [tf.dtypes.as_dtype(dtype).base_dtype for dtype in dtypes]
        count(len(types))
        names, specs = _texts(tensor_names), _texts(shape_and_slices)
        paths = _texts([prefix])
        path = paths[0] if paths else None
        keys = None
        if names is not None and specs is not None:
            keys = keys_of(names, specs, [dtype.name for dtype in types])
            # TensorFlow reports the error.
            if keys is None:
                return _own(prefix, tensor_names, shape_and_slices, dtypes, name)
        served = [dtype not in (tf.variant, tf.resource) for dtype in types]
        if not any(served) or (path is not None and restores_itself(path)):
            return _own(prefix, tensor_names, shape_and_slices, dtypes, name)
        if not all(served):
            if names is None or specs is None:
                return _own(prefix, tensor_names, shape_and_slices, dtypes, name)
            return self._split(prefix, names, specs, types, served, name)
        if not context.executing_eagerly():
            return self._symbolic(prefix, path, tensor_names, shape_and_slices, types, keys, name)
        if path is None or keys is None or not is_local(context.context().device_name):
            return _own(prefix, tensor_names, shape_and_slices, dtypes, name)
        return self._eager(path, keys, types, name)

    def tensors(self, path: str | bytes) -> Mapping[str, Tensor]:
        """Returns the tensors of a checkpoint; none if the daemon cannot list them."""
        path = os.fsdecode(path)
        if restores_itself(path):
            return {}
        try:
            return sources.open(self._settings.client, path).checkpoint.tensors
        except WarmstartError:
            return {}

    def _split(
        self,
        prefix: Any,
        names: Sequence[str],
        specs: Sequence[str],
        types: Sequence[Any],
        served: Sequence[bool],
        name: str | None,
    ) -> list[Any]:
        """Reads by TensorFlow's own operation what only that can read."""
        found: dict[int, Any] = {}
        calls: tuple[tuple[Any, bool], ...] = ((self, True), (_own, False))
        for call, wanted in calls:
            chosen = [at for at, is_served in enumerate(served) if is_served is wanted]
            columns = [[column[at] for at in chosen] for column in (names, specs, types)]
            found.update(zip(chosen, call(prefix, *columns, name)))
        return [found[at] for at in range(len(types))]

    def _eager(
        self, path: str, keys: Sequence[Key], types: Sequence[Any], name: str | None
    ) -> list[Any]:
        try:
            arrays = sources.open(self._settings.client, path).fetch(keys, _local.group)
        except WarmstartError as error:
            if self._settings.falls_back(error):
                names, specs = [key.tensor for key in keys], [key.spec for key in keys]
                return _own(path, names, specs, types, name)
            raise _failures.in_eager_mode(error) from error
        with ops.device("/device:CPU:0"):
            return [tensor_of(array, dtype) for array, dtype in zip(arrays, types)]

    def _symbolic(
        self,
        prefix: Any,
        path: str | None,
        names: Any,
        specs: Any,
        types: Sequence[Any],
        keys: Sequence[Key] | None,
        name: str | None,
    ) -> list[Any]:
        graph = ops.get_default_graph()
        made = _MadeFor.of(graph)
        with ops.name_scope(name, "RestoreV2") as scope:
            names = tf.convert_to_tensor(names, tf.string, name="tensor_names")
            if not is_local(names.device):
                return _own(prefix, names, specs, types, scope)
            inputs = [
                made.constant(path, names.device) if path is not None else prefix,
                names,
                made.constant(tuple(key.spec for key in keys), names.device) if keys else specs,
            ]
        group = None if path is None or keys is None else made.group(path)
        if group is not None:
            group.add(keys or ())
        token = made.token(self._settings, group, tuple(dtype.name for dtype in types))
        outputs = _graphs.add(token, inputs, types, scope)
        for key, output in zip(keys or (), outputs):
            cut = cut_of(key.spec) if key.spec else None
            if cut is not None:
                output.set_shape(cut.shape)
        return outputs


def tensor_of(array: Array, dtype: Any) -> Any:
    """Returns an eager tensor of an array, which shares its memory if that is aligned."""
    if dtype == tf.string:
        return tf.constant(array, tf.string)
    if not _is_ready:
        # The first operation of a process copies its input.
        tf.stop_gradient(np.zeros(ALIGNMENT, np.uint8))
        _is_ready.append(True)
    tensor = tf.stop_gradient(array)
    return tensor if tensor.dtype == dtype else tf.bitcast(tensor, dtype)


_is_ready: list[bool] = []


def _serve(
    settings: Settings,
    group: Group | None,
    prefix: bytes,
    names: Sequence[str],
    specs: Sequence[str],
    dtypes: Sequence[str],
) -> list[Array]:
    """Runs when an operation of a graph runs."""
    path = prefix.decode("utf-8", "surrogateescape")
    keys = keys_of(names, specs, dtypes)
    if keys is None or restores_itself(path):
        return own_arrays(path, names, specs, dtypes)
    try:
        arrays = sources.open(settings.client, path).fetch(keys, group)
    except WarmstartError as error:
        if settings.falls_back(error):
            return own_arrays(path, names, specs, dtypes)
        raise _failures.in_graph(error) from None
    # TensorFlow's quantized types are structured types of numpy.
    types = [tf.dtypes.as_dtype(dtype) for dtype in dtypes]
    return [
        array.view(dtype.as_numpy_dtype) if dtype.is_quantized else array
        for array, dtype in zip(arrays, types)
    ]


def own_arrays(
    path: str, names: Sequence[str], specs: Sequence[str], dtypes: Sequence[str]
) -> list[Array]:
    """Restores by TensorFlow's own operation, within a Python function of a graph."""
    try:
        with context.eager_mode(), ops.device("/device:CPU:0"):
            tensors = own_restore(path, list(names), list(specs), list(dtypes))
            return [tensor.numpy() for tensor in tensors]
    except errors_impl.OpError as error:
        raise _failures.in_graph(
            WarmstartError(CODES[error.error_code], "", error.message)
        ) from None


def _own(prefix: Any, names: Any, specs: Any, dtypes: Any, name: str | None) -> list[Any]:
    restored: list[Any] = own_restore(prefix, names, specs, dtypes, name)
    return restored


def is_local(device: str | None) -> bool:
    """Returns whether operations on a device run in this process."""
    if not device:
        return True
    if context.executing_eagerly() and context.is_custom_device(device):
        return False
    return tf.DeviceSpec.from_string(device).job in (None, "localhost")


def _texts(values: Any) -> list[str] | None:
    """Returns the strings of a list or a tensor, if they are known before anything runs."""
    if isinstance(values, (list, tuple)):
        texts = []
        for value in values:
            if not isinstance(value, (str, bytes)):
                value = _constant(value)
                if not isinstance(value, (str, bytes)):
                    return None
            texts.append(value if isinstance(value, str) else _decode(value))
        return texts
    array = _constant(values)
    return None if array is None else _decoded(np.asarray(array))


def _constant(value: Any) -> Any:
    if hasattr(value, "__fspath__"):
        return value.__fspath__()
    if isinstance(value, np.ndarray):
        return value if value.shape else value[()]
    # A constant of a graph may be fed another value, as tf.train.Checkpoint does with the prefix.
    return value.numpy() if isinstance(value, ops.EagerTensor) else None


def _decoded(names: Any) -> list[str]:
    return [name if isinstance(name, str) else _decode(name) for name in names.reshape(-1)]


def _decode(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


class _MadeFor:
    """What the operations of one graph have in common.

    Only the graph refers to it: its constants refer to the graph, which otherwise would never end.
    """

    @classmethod
    def of(cls, graph: Any) -> _MadeFor:
        made: _MadeFor | None = getattr(graph, "_made_by_warmstart", None)
        if made is None:
            made = graph._made_by_warmstart = cls(graph)
        return made

    def __init__(self, graph: Any) -> None:
        self._graph = weakref.ref(graph)
        self._groups: dict[str, Group] = {}
        self._tokens: dict[tuple[Settings, Group | None, tuple[str, ...]], str] = {}
        self._constants: dict[tuple[Any, str], Any] = {}

    def group(self, path: str) -> Group:
        """Returns what the graph asks for of a checkpoint."""
        return self._groups.setdefault(path, Group())

    def token(self, settings: Settings, group: Group | None, dtypes: tuple[str, ...]) -> str:
        """Returns the token of the function that restores tensors of these dtypes."""
        key = (settings, group, dtypes)
        if key not in self._tokens:

            def restore(prefix: bytes, names: Any, specs: Any) -> list[Array]:
                return _serve(settings, group, prefix, _decoded(names), _decoded(specs), dtypes)

            self._tokens[key] = _graphs.register(self._graph(), restore, _graphs.RESTORE)
        return self._tokens[key]

    def constant(self, value: Any, device: str) -> Any:
        """Returns a constant that all operations on a device share; this keeps a graph of 300
        small.
        """
        graph: Any = self._graph()
        if graph._get_control_flow_context() is not None:
            return tf.constant(value, tf.string)
        if (value, device) not in self._constants:
            with ops.control_dependencies(None):
                self._constants[value, device] = tf.constant(value, tf.string)
        return self._constants[value, device]
