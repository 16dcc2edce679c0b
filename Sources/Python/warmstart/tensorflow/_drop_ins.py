"""TensorFlow's functions that read checkpoints, done by Warmstart."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from typing import Any

import tensorflow as tf
from tensorflow.python.ops import io_ops
from tensorflow.python.training import checkpoint_utils

from .._client import Client
from .._errors import WarmstartWarning
from ._init import nearest_variable, unmatched
from ._install import temporarily
from ._restore import restored_count


def init_from_checkpoint(
    ckpt_dir_or_file: Any,
    assignment_map: Any,
    *,
    client: Client | None = None,
    fallback: bool = False,
) -> None:
    """Initializes variables from a checkpoint, as `tf.compat.v1.train.init_from_checkpoint`.

    In a graph, variables get their values from the daemon when their initializers run, and resource
    variables share its memory; the graph holds no values. In eager mode variables get their values
    at once, and share the memory too. An update copies the memory, and no other job sees it. The
    map is a mapping or a list of pairs: from a tensor's name to a variable, its name or the list of
    its partitions, or from "scope/" to "other/". `install` describes the options.

    Raises what TensorFlow's function raises: ValueError for a tensor that the checkpoint lacks, for
    other shapes and for unknown names; `tf.errors.OpError` for a damaged checkpoint. Warns
    (`WarmstartWarning`) of pairs that matched no variable.
    """
    if isinstance(assignment_map, Iterator):
        assignment_map = list(assignment_map)
    with temporarily(client, fallback):
        tf.compat.v1.train.init_from_checkpoint(ckpt_dir_or_file, assignment_map)
    useless = unmatched(assignment_map)
    if not useless and assignment_map:
        return
    if len(useless) == len(assignment_map):
        _warn(f"init_from_checkpoint({ckpt_dir_or_file!r}) assigned nothing{_hint(useless)}")
        return
    for index, (key, target) in enumerate(useless):
        near = nearest_variable(target) if index < _MAXIMUM_HINTS else ""
        _warn(f"init_from_checkpoint: the pair {key!r}: {target!r} matched no variable{near}")


def warm_start(
    ckpt_to_initialize_from: Any,
    vars_to_warm_start: Any = ".*",
    var_name_to_vocab_info: Any = None,
    var_name_to_prev_var_name: Any = None,
    *,
    client: Client | None = None,
    fallback: bool = False,
) -> None:
    """Warm-starts the variables of a graph, as `tf.compat.v1.train.warm_start`.

    Takes and raises what TensorFlow's function does. Warns (`WarmstartWarning`) if it finds no
    variable: eager mode has no collections to find any in. `install` describes the options.
    """
    before = restored_count()
    with temporarily(client, fallback):
        tf.compat.v1.train.warm_start(
            ckpt_to_initialize_from,
            vars_to_warm_start,
            var_name_to_vocab_info,
            var_name_to_prev_var_name,
        )
    if restored_count() == before:
        _warn(
            f"warm_start({ckpt_to_initialize_from!r}, {vars_to_warm_start!r}) found no variable"
            + ("; in eager mode it finds none by name" if tf.executing_eagerly() else "")
        )


def load_checkpoint(
    ckpt_dir_or_file: Any, *, client: Client | None = None, fallback: bool = False
) -> Any:
    """Returns a reader of a checkpoint, as `tf.train.load_checkpoint`.

    Its arrays are in memory that all jobs share; pages that this process writes become its own
    copies. Raises ValueError for a directory without a checkpoint, and `tf.errors.OpError`.
    """
    with temporarily(client, fallback):
        return tf.train.load_checkpoint(ckpt_dir_or_file)


def load_variable(
    ckpt_dir_or_file: Any, name: str, *, client: Client | None = None, fallback: bool = False
) -> Any:
    """Returns a tensor of a checkpoint as an array, as `tf.train.load_variable`."""
    with temporarily(client, fallback):
        return tf.train.load_variable(ckpt_dir_or_file, name)


def list_variables(
    ckpt_dir_or_file: Any, *, client: Client | None = None, fallback: bool = False
) -> list[tuple[str, list[int]]]:
    """Returns the sorted names and shapes of the tensors, as `tf.train.list_variables`."""
    with temporarily(client, fallback):
        listed: list[tuple[str, list[int]]] = tf.train.list_variables(ckpt_dir_or_file)
        return listed


def load_tensors(
    ckpt_dir_or_file: Any,
    names: Iterable[str] | None = None,
    *,
    client: Client | None = None,
    fallback: bool = False,
) -> dict[str, tf.Tensor]:
    """Returns tensors of a checkpoint by name, for eager mode; `names` selects some.

    The tensors are in memory that all jobs share. A variable that is made from one shares it too,
    until it is updated: `tf.Variable(tensors["kernel"])` is the cheapest way to a variable, because
    it needs no other initial value. Tensors that have no array (variants, resources) are left out.
    Raises as `load_checkpoint`, and `tf.errors.NotFoundError` for a name that the checkpoint lacks.
    """
    if isinstance(names, str):
        raise TypeError(f"names: expected several names, got the string {names!r}")
    with temporarily(client, fallback):
        dtypes = tf.train.load_checkpoint(ckpt_dir_or_file).get_variable_to_dtype_map()
        chosen = list(names) if names is not None else sorted(dtypes)
        chosen = [name for name in chosen if dtypes.get(name) not in (tf.variant, tf.resource)]
        if not chosen:
            return {}
        # TensorFlow accepts any dtype here, because the error is about the missing tensor.
        types = [dtypes.get(name, tf.float32) for name in chosen]
        path = checkpoint_utils._get_checkpoint_filename(ckpt_dir_or_file)
        with tf.device("/device:CPU:0"):
            tensors = io_ops.restore_v2(path, chosen, [""] * len(chosen), types)
        return dict(zip(chosen, tensors))


checkpoints_iterator = tf.train.checkpoints_iterator
"""TensorFlow's own function, which reads no tensors."""


# How many targets get hints, each of which takes a search through all variables.
_MAXIMUM_HINTS = 3


def _hint(useless: list[tuple[Any, Any]]) -> str:
    if not useless:
        return ": the map is empty"
    if tf.executing_eagerly():
        return ": in eager mode names and scopes match nothing, only variables do"
    targets = [
        repr(target) + (nearest_variable(target) if index < _MAXIMUM_HINTS else "")
        for index, (_, target) in enumerate(useless)
    ]
    return f": no variable matches {', and '.join(targets)}"


def _warn(message: str) -> None:
    warnings.warn(message, WarmstartWarning, stacklevel=3)
