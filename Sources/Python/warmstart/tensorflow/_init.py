"""Handles a call of `init_from_checkpoint` as a whole.

In a graph, TensorFlow makes a restore operation for each variable, and making and preparing these
takes most of a start. This module makes one operation that restores all variables; the rest of
TensorFlow's own code runs as always.
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow as tf
from tensorflow.python.framework import ops
from tensorflow.python.ops import (
    gen_resource_variable_ops,
    ref_variable,
    resource_variable_ops,
    variable_scope,
)
from tensorflow.python.training import checkpoint_utils

from .._neighbours import nearest_hint
from ._keys import Key, cut_of
from ._restore import Restore, expecting, giving, is_local


def expected(assignment_map: Any) -> contextlib.AbstractContextManager[None]:
    """Returns a context in which one call resolves all that an assignment map names.

    It is for eager mode, where names and scopes match nothing. Graphs collect what they need by
    themselves.
    """
    if not tf.executing_eagerly() or not isinstance(assignment_map, (Mapping, list, tuple)):
        return contextlib.nullcontext()
    keys = []
    for pair in _pairs(assignment_map):
        if not isinstance(pair, tuple) or len(pair) != 2 or not isinstance(pair[0], str):
            return contextlib.nullcontext()
        for variable in pair[1] if isinstance(pair[1], list) else [pair[1]]:
            if not checkpoint_utils._is_variable(variable):
                return contextlib.nullcontext()
            info = variable._get_save_slice_info() if isinstance(pair[1], list) else None
            spec = "" if info is None else info.spec
            keys.append(Key(pair[0], spec, variable.dtype.base_dtype.name))
    return expecting(keys)


class _Initializer(NamedTuple):
    """The arguments of `_set_checkpoint_initializer`."""

    variable: Any
    path: str
    tensor: str
    spec: str
    name: str = "checkpoint_initializer"

    @property
    def key(self) -> Key:
        return Key(self.tensor, self.spec, self.variable.dtype.base_dtype.name)


class _Local(threading.local):
    # What this thread's call of `init_from_checkpoint`, if any, has set so far.
    noted: list[_Initializer] | None = None


_local = _Local()

_own_set: Any = checkpoint_utils._set_checkpoint_initializer


def set_initializer(*arguments: Any, **options: Any) -> None:
    """Stands in for `_set_checkpoint_initializer`."""
    if _local.noted is None:
        _own_set(*arguments, **options)
    else:
        _local.noted.append(_Initializer(*arguments, **options))


def init_all(own_init: Any, restore: Restore, ckpt_dir_or_file: Any, assignment_map: Any) -> None:
    """Runs TensorFlow's function, in a graph with one operation for all variables.

    TensorFlow's error about an unknown name gets the nearest name.
    """
    try:
        _init_all(own_init, restore, ckpt_dir_or_file, assignment_map)
    except ValueError as error:
        hint = ""
        if lost := _NO_TENSOR.match(str(error)):
            path = checkpoint_utils._get_checkpoint_filename(ckpt_dir_or_file)
            hint = nearest_hint(lost[1], restore.tensors(path))
        elif lost := _NO_VARIABLE.match(str(error)):
            targets = [target for key, target in _pairs(assignment_map) if key == lost[1]]
            if len(targets) == 1 and not targets[0].endswith("/"):
                hint = f"; no variable is named {targets[0]}{nearest_variable(targets[0])}"
        if hint:
            error.args = (f"{error}{hint}",)
        raise


# How TensorFlow's errors about unknown names begin.
_NO_TENSOR = re.compile(r"Tensor (\S+) (?:\(.*\) )?is not found in ")
_NO_VARIABLE = re.compile(
    r"Assignment map with scope only name .* should map to scope only (.*)\. Should be"
)


def nearest_variable(target: Any) -> str:
    """Returns the end of a message about a target that matches no variable or scope."""
    if not isinstance(target, str):
        return ""
    names = [name.partition("/part_")[0] for name in _stored()]
    if target.endswith("/"):
        names = [name[: slash.end()] for name in names for slash in re.finditer("/", name)]
    return nearest_hint(target, dict.fromkeys(names))


def _init_all(own_init: Any, restore: Restore, ckpt_dir_or_file: Any, assignment_map: Any) -> None:
    if tf.executing_eagerly():
        with expected(assignment_map):
            own_init(ckpt_dir_or_file, assignment_map)
        return
    noted = _local.noted = []
    try:
        own_init(ckpt_dir_or_file, assignment_map)
    finally:
        # Also after an error: TensorFlow has set these variables before it.
        _local.noted = None
        _set_all(noted, restore)


def _set_all(noted: Sequence[_Initializer], restore: Restore) -> None:
    together: dict[tuple[str, str, str], list[int]] = {}
    for at, each in enumerate(noted):
        if _can_be_together(each, restore):
            place = (each.path, each.variable.device, each.name)
            together.setdefault(place, []).append(at)
    restored: dict[int, Any] = {}
    for (path, device, name), chosen in together.items():
        names, specs, dtypes = map(list, zip(*(noted[at].key for at in chosen)))
        # The devices are nested as in TensorFlow's function.
        with ops.device(device), ops.device("/cpu:0"):
            restored.update(zip(chosen, restore(path, names, specs, dtypes, name)))
    for at, each in enumerate(noted):
        tensor = restored.get(at)
        if tensor is not None and type(each.variable) is resource_variable_ops.ResourceVariable:
            _set(each.variable, tensor)
        else:
            with giving(tensor):
                _own_set(*each)


def _set(variable: Any, tensor: Any) -> None:
    """Makes a tensor the initial value of a variable, by one operation."""
    with ops.device(variable.device):
        variable._initializer_op = gen_resource_variable_ops.assign_variable_op(
            variable.handle, tensor
        )
    tensor.set_shape(variable.shape)
    variable._initial_value = tensor


def _can_be_together(each: _Initializer, restore: Restore) -> bool:
    """Returns whether restoring a variable is likely to succeed and costs nothing unused.

    Otherwise one variable's error would become an error of the others.
    """
    if type(each.variable) not in _PLAIN or not is_local(each.variable.device):
        return False
    tensor = restore.tensors(each.path).get(each.tensor)
    if tensor is None or tensor.dtype != each.key.dtype or tensor.dtype in _COSTLY:
        return False
    cut = cut_of(each.spec) if each.spec else None
    return not each.spec or (cut is not None and cut.full_shape == tensor.shape)


_PLAIN = (resource_variable_ops.ResourceVariable, ref_variable.RefVariable)
_COSTLY = ("string", "variant", "resource")


def unmatched(assignment_map: Any) -> list[tuple[Any, Any]]:
    """Returns the pairs that `init_from_checkpoint` accepted but that matched no variable."""
    names = _stored()
    return [pair for pair in _pairs(assignment_map) if not _matches(pair[1], names)]


def _stored() -> Mapping[str, Any]:
    """Returns the variables that names and scopes of a map find, by name."""
    variables: Mapping[str, Any] = variable_scope._get_default_variable_store()._vars
    return variables


def _pairs(assignment_map: Any) -> list[Any]:
    is_mapping = isinstance(assignment_map, Mapping)
    return list(assignment_map.items() if is_mapping else assignment_map)


def _matches(target: Any, names: Mapping[str, Any]) -> bool:
    if not isinstance(target, str):
        return not isinstance(target, list) or bool(target)
    if target in names or f"{target}/part_0" in names:
        return True
    scope = target[: target.rindex("/")] if "/" in target else ""
    return any(not scope or name.startswith(scope + "/") for name in names)
