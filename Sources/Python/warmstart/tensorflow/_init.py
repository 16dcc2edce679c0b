"""What a call of `init_from_checkpoint` will ask for, and what it leaves out in silence."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

import tensorflow as tf
from tensorflow.python.ops import variable_scope
from tensorflow.python.training import checkpoint_utils

from ._keys import Key
from ._restore import expecting


def expected(assignment_map: Any) -> contextlib.AbstractContextManager[None]:
    """A context in which what an assignment map names is resolved in one call.

    Only for eager mode, where names and scopes match nothing: graphs gather what they ask for
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


def unmatched(assignment_map: Any) -> list[tuple[Any, Any]]:
    """The pairs of a map that `init_from_checkpoint` accepted and that matched no variable."""
    names = variable_scope._get_default_variable_store()._vars
    return [pair for pair in _pairs(assignment_map) if not _matches(pair[1], names)]


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
