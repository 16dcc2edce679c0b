"""Puts Warmstart in place of the three functions by which TensorFlow reads checkpoints."""

from __future__ import annotations

import os
import sys
import threading
from typing import Any, Callable, TypeVar

import tensorflow as tf
from tensorflow.python.ops import gen_checkpoint_ops, gen_io_ops
from tensorflow.python.training import checkpoint_utils, py_checkpoint_reader

from .._client import Client
from .._errors import WarmstartError
from . import _failures, _init
from ._reader import CheckpointReader
from ._remap import Remap
from ._restore import Restore, Settings, restores_itself
from ._sources import sources

_Function = TypeVar("_Function", bound=Callable[..., Any])

_own_restore: Any = gen_io_ops.restore_v2
_own_remap: Any = gen_checkpoint_ops.load_and_remap_matrix
_own_reader: Any = py_checkpoint_reader.NewCheckpointReader
_own_init: Any = checkpoint_utils._init_from_checkpoint
_own_set: Any = checkpoint_utils._set_checkpoint_initializer

_lock = threading.RLock()
_installed: list[Installation] = []


class Installation:
    """What `install` replaced; `uninstall` or the end of a `with` block restores it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.restore = Restore(settings)
        self.remap = Remap(settings)

    def uninstall(self) -> None:
        """Undoes this installation, once, and none that encloses it."""
        with _lock:
            if self in _installed:
                _installed.remove(self)
                if not _installed:
                    _put_back()

    def __enter__(self) -> Installation:
        return self

    def __exit__(self, *error: object) -> None:
        self.uninstall()


def install(*, client: Client | None = None, fallback: bool = False) -> Installation:
    """Makes TensorFlow restore from the daemon, whichever functions the program calls.

    Through `client`, or this process's client, TensorFlow then reads the checkpoints of
    `tf.train.Checkpoint`, `tf.compat.v1.train.Saver`, `init_from_checkpoint`, `warm_start`,
    `load_checkpoint`, Keras, and everything else that restores variables or reads a checkpoint from
    Python: in eager mode, in graphs and in functions. Operations that were put into a graph keep
    asking the daemon when they run, even after `uninstall`. Errors have the classes that TensorFlow
    raises.

    If no daemon listens, restoring raises `tf.errors.UnavailableError`, which says how to start
    one. With `fallback`, TensorFlow then restores by its own means, and the log ("warmstart") says
    so once. TensorFlow always reads what Warmstart cannot share: variants (the state of iterators),
    remote paths such as gs://, operations that are placed on another machine, and graphs that were
    imported with their operations.

    The result is a context manager; without `with`, `uninstall` undoes the installation.
    """
    installation = Installation(Settings(client, fallback))
    with _lock:
        _installed.append(installation)
        if len(_installed) == 1:
            _replace(_own_restore, restore_v2)
            _replace(_own_remap, load_and_remap_matrix)
            _replace(_own_reader, NewCheckpointReader)
            checkpoint_utils._init_from_checkpoint = _init_from_checkpoint
            checkpoint_utils._set_checkpoint_initializer = _init.set_initializer
    return installation


def uninstall() -> None:
    """Undoes the latest `install`, if there is one."""
    with _lock:
        if _installed:
            _installed[-1].uninstall()


def temporarily(client: Client | None, fallback: bool) -> Installation:
    """Installs for one call, with the settings of the latest `install` if the call has none."""
    latest = _latest()
    if client is None and not fallback and latest is not None:
        client, fallback = latest.settings
    return install(client=client, fallback=fallback)


def _put_back() -> None:
    _replace(restore_v2, _own_restore)
    _replace(load_and_remap_matrix, _own_remap)
    _replace(NewCheckpointReader, _own_reader)
    if checkpoint_utils._init_from_checkpoint is _init_from_checkpoint:
        checkpoint_utils._init_from_checkpoint = _own_init
    if checkpoint_utils._set_checkpoint_initializer is _init.set_initializer:
        checkpoint_utils._set_checkpoint_initializer = _own_set
    sources.clear()


def _replace(old: Any, new: Any) -> None:
    """Replaces a function in every module that has it under its name, as by `from … import`."""
    name = old.__name__
    for names in _modules(name):
        if names.get(name) is old:
            names[name] = new


# By name: how many modules there were, the last module, and the modules that have the name. A
# search costs milliseconds.
_found: dict[str, tuple[tuple[int, str], list[dict[str, Any]]]] = {}


def _modules(name: str) -> list[dict[str, Any]]:
    """Returns the names of all other modules that have a name."""
    state = len(sys.modules), next(reversed(sys.modules))
    known, places = _found.get(name, (None, []))
    if known != state:
        # Some modules have no names, and some answer to every name.
        every = [getattr(module, "__dict__", {}) for module in list(sys.modules.values())]
        places = [names for names in every if name in names and names is not globals()]
        _found[name] = (state, places)
    return places


def _latest() -> Installation | None:
    with _lock:
        return _installed[-1] if _installed else None


# While a `tf.function` is traced, AutoGraph would rewrite these functions, and all that they call.
_unconverted: Callable[[_Function], _Function] = tf.autograph.experimental.do_not_convert


@_unconverted
def restore_v2(
    prefix: Any, tensor_names: Any, shape_and_slices: Any, dtypes: Any, name: str | None = None
) -> Any:
    """Restores tensors from a checkpoint, through the daemon."""
    latest = _latest()
    call = _own_restore if latest is None else latest.restore
    return call(prefix, tensor_names, shape_and_slices, dtypes, name)


@_unconverted
def load_and_remap_matrix(*arguments: Any, **options: Any) -> Any:
    """Restores a matrix whose rows or columns vocabularies choose, through the daemon."""
    latest = _latest()
    call = _own_remap if latest is None else latest.remap
    return call(*arguments, **options)


@_unconverted
def NewCheckpointReader(filepattern: Any) -> Any:
    """Opens a checkpoint, through the daemon."""
    latest = _latest()
    path = os.fsdecode(filepattern)
    if latest is None or restores_itself(path):
        return _own_reader(filepattern)
    try:
        source = sources.open(latest.settings.client, path)
        return CheckpointReader(source, latest.settings)
    except WarmstartError as error:
        if latest.settings.falls_back(error):
            return _own_reader(filepattern)
        raise _failures.of_reader(error) from error


def _init_from_checkpoint(ckpt_dir_or_file: Any, assignment_map: Any) -> Any:
    latest = _latest()
    if latest is None:
        return _own_init(ckpt_dir_or_file, assignment_map)
    return _init.init_all(_own_init, latest.restore, ckpt_dir_or_file, assignment_map)
