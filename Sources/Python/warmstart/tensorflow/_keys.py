"""What a restore operation asks for, tensor by tensor."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from .._variables import Slice, Variable

_SPEC = re.compile(r"((?:\d{1,18} )+)((?:\d{1,18},\d{1,18}|-)(?::(?:\d{1,18},\d{1,18}|-))*)")


class Key(NamedTuple):
    """A tensor or a slice of it, and the dtype that it must have.

    `spec` is TensorFlow's notation of a slice, "5 4 3,2:0,4": the shape of the whole, then the
    start and the length on each axis; empty for the whole tensor.
    """

    tensor: str
    spec: str
    dtype: str


class Cut(NamedTuple):
    """A slice: the shape of the whole tensor, the slice's start, and its own shape."""

    full_shape: tuple[int, ...]
    offset: tuple[int, ...]
    shape: tuple[int, ...]


def cut_of(spec: str) -> Cut | None:
    """Parses the notation of a slice; returns None if it is malformed."""
    match = _SPEC.fullmatch(spec)
    if match is None:
        return None
    full_shape = tuple(int(length) for length in match[1].split())
    items = match[2].split(":")
    if len(items) != len(full_shape):
        return None
    offset, shape = [], []
    for item, length in zip(items, full_shape):
        start, count = (0, length) if item == "-" else map(int, item.split(","))
        if start + count > length or (count == 0 and item != "-"):
            return None
        offset.append(start)
        shape.append(count)
    return Cut(full_shape, tuple(offset), tuple(shape))


def declared(keys: Iterable[Key]) -> tuple[list[Variable], list[tuple[str, object]]]:
    """Returns variables for keys, named by their positions, and the pairs that assign them."""
    variables: list[Variable] = []
    pairs: list[tuple[str, object]] = []
    for position, key in enumerate(keys):
        name = str(position)
        cut = cut_of(key.spec) if key.spec else None
        if cut is None:
            variable = Variable(name, key.dtype, None, store=False)
            pairs.append((key.tensor, variable))
        else:
            part = Slice(key.tensor, cut.full_shape, cut.offset)
            variable = Variable(name, key.dtype, cut.shape, store=False, slice=part)
            pairs.append((key.tensor, [variable]))
        variables.append(variable)
    return variables, pairs


def keys_of(names: Sequence[str], specs: Sequence[str], dtypes: Sequence[str]) -> list[Key] | None:
    """Returns the keys of an operation; None if it is malformed, which TensorFlow's own reports."""
    if not len(names) == len(specs) == len(dtypes):
        return None
    if any(spec and cut_of(spec) is None for spec in specs):
        return None
    return [Key(*row) for row in zip(names, specs, dtypes)]
