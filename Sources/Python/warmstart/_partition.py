"""Cuts a variable into partitions as TensorFlow's partitioners do.

A variable is cut along one axis, and partition n is named ``<variable>/part_<n>``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from operator import index
from typing import Any

from . import _dtypes
from ._errors import WarmstartError, brief
from ._variables import Slice, Variable

# The most partitions of one variable; more than fit into a request.
MAXIMUM_COUNT = 1 << 18

# A function of a shape and a dtype that returns the number of parts of each axis.
Partitioner = Callable[..., Sequence[int]]


def fixed_size_partitioner(num_shards: int, axis: int = 0) -> Partitioner:
    """Cuts an axis into a number of shards, as TensorFlow's partitioner of this name.

    A negative axis counts from the last. An axis gets no more shards than it has elements. The
    partitioner raises ValueError for a shape without the axis.
    """

    def partitioner(shape: Any, dtype: Any = None) -> list[int]:
        lengths = _lengths(shape)
        position = _axis(axis, lengths)
        return _counts(min(num_shards, lengths[position]), position, lengths)

    return partitioner


def variable_axis_size_partitioner(
    max_shard_bytes: int,
    axis: int = 0,
    bytes_per_string_element: int = 16,
    max_shards: int | None = None,
) -> Partitioner:
    """Cuts an axis into shards of at most a size, as TensorFlow's partitioner of this name.

    A shard is larger if one element of the axis is, or if ``max_shards`` (None or 0: no maximum)
    allows no more shards. Each element of a string tensor counts as ``bytes_per_string_element``.
    The partitioner raises ValueError for a size that is not positive, a shape without the axis or
    without elements, and a dtype whose elements have no size.
    """

    def partitioner(shape: Any, dtype: Any) -> list[int]:
        lengths = _lengths(shape)
        if max_shard_bytes < 1 or bytes_per_string_element < 1:
            raise ValueError(
                f"at most {max_shard_bytes} bytes a shard and {bytes_per_string_element} bytes a "
                "string, expected positive numbers"
            )
        if max_shards is not None and max_shards < 0:
            raise ValueError(f"at most {max_shards} shards, expected a positive number")
        position = _axis(axis, lengths)
        length = lengths[position]
        elements = math.prod(lengths)
        if elements == 0:
            raise ValueError("it has no elements to size shards by")
        # Floating point as in TensorFlow, where rounding decides the last row of a shard.
        row_bytes = float(elements // length) * _size(dtype, bytes_per_string_element)
        rows = max(1, math.floor(max_shard_bytes / row_bytes))
        shards = -(-length // rows)
        return _counts(min(max_shards or shards, shards), position, lengths)

    return partitioner


def min_max_variable_partitioner(
    max_partitions: int = 1,
    axis: int = 0,
    min_slice_size: int = 256 << 10,
    bytes_per_string_element: int = 16,
) -> Partitioner:
    """Cuts an axis into parts of at least a size, as TensorFlow's partitioner of this name.

    ``min_slice_size`` is in bytes. Each element of a string tensor counts as
    ``bytes_per_string_element``. The partitioner raises ValueError for a size of 0, a shape without
    the axis, and a dtype whose elements have no size.
    """

    def partitioner(shape: Any, dtype: Any) -> list[int]:
        lengths = _lengths(shape)
        position = _axis(axis, lengths)
        if min_slice_size == 0:
            raise ValueError("at least 0 bytes a slice, expected a positive number")
        size = math.prod(lengths) * _size(dtype, bytes_per_string_element)
        most = min(lengths[position], max_partitions)
        return _counts(max(1, min(most, math.ceil(size / min_slice_size))), position, lengths)

    return partitioner


def partitions(
    name: str, dtype: Any, shape: Any, counts_or_partitioner: Iterable[int] | Partitioner
) -> list[Variable]:
    """Cuts a variable into ``<name>/part_0`` and so on, even if one part covers it all.

    If the parts cannot be equal, the first ones are larger. ``dtype`` is as in ``Variable``;
    ``shape`` has the lengths of all axes, in elements. ``counts_or_partitioner`` is the number of
    parts of each axis, of which one at most may be more than 1, or a partitioner, which may be
    TensorFlow's if the shape is TensorFlow's too.

    Raises WarmstartError: INVALID_REQUEST where TensorFlow refuses to create the variable.
    """
    try:
        name_of_dtype = _dtypes.name_of(dtype)
        lengths = _lengths(shape)
        if callable(counts_or_partitioner):
            counts = [index(count) for count in counts_or_partitioner(shape=shape, dtype=dtype)]
        elif isinstance(counts_or_partitioner, Iterable):
            counts = [index(count) for count in counts_or_partitioner]
        else:
            raise TypeError(
                f"variable {name}: expected the number of parts of each axis, or a partitioner, "
                f"got {brief(counts_or_partitioner)}"
            )
        axis = _cut(lengths, counts)
    except ValueError as error:
        raise WarmstartError.of(
            "INVALID_REQUEST",
            f"variable {name} of shape {_shape_text(shape)} cannot be partitioned: {error}",
        ) from None
    length, rest = divmod(lengths[axis], counts[axis])
    found = []
    start = 0
    for number in range(counts[axis]):
        count = length + (number < rest)
        offset = tuple(start if position == axis else 0 for position in range(len(lengths)))
        found.append(
            Variable(
                name=f"{name}/part_{number}",
                dtype=name_of_dtype,
                shape=(*lengths[:axis], count, *lengths[axis + 1 :]),
                slice=Slice(name, lengths, offset),
            )
        )
        start += count
    return found


def _lengths(shape: Any) -> tuple[int, ...]:
    """Returns the lengths of a shape, which may be TensorFlow's ``TensorShape``."""
    lengths = None if shape is None else tuple(getattr(shape, "as_list", lambda: shape)())
    if lengths is None or any(length is None or length < 0 for length in lengths):
        raise ValueError("its shape must be fully defined, and its elements countable")
    if not lengths:
        raise ValueError("it is a scalar, expected at least one axis")
    lengths = tuple(map(index, lengths))
    if math.prod(length for length in lengths if length) >= 1 << 63:
        raise ValueError("its shape must be fully defined, and its elements countable")
    return lengths


def _axis(axis: int, lengths: tuple[int, ...]) -> int:
    if not -len(lengths) <= axis < len(lengths):
        raise ValueError(f"it has no axis {axis}, expected {-len(lengths)} to {len(lengths) - 1}")
    return axis % len(lengths)


def _size(dtype: Any, bytes_per_string_element: int) -> int:
    """Returns the number of bytes of an element."""
    name = _dtypes.name_of(dtype)
    number = _dtypes.number_of(name)
    if number == _dtypes.STRING:
        return bytes_per_string_element
    size = int(_dtypes.WIDTHS[number])
    if size == 0:
        raise ValueError(f"elements of dtype {name} have no size")
    return size


def _counts(parts: int, axis: int, lengths: tuple[int, ...]) -> list[int]:
    return [parts if position == axis else 1 for position in range(len(lengths))]


def _cut(lengths: tuple[int, ...], counts: list[int]) -> int:
    """Returns the one axis that is cut, or the first axis."""
    if len(counts) != len(lengths):
        raise ValueError(
            f"counts of parts {counts}, expected one for each of its {len(lengths)} axes"
        )
    if min(counts) < 1:
        raise ValueError(f"counts of parts {counts}, expected at least 1 for each axis")
    axes = [axis for axis, count in enumerate(counts) if count > 1]
    if len(axes) > 1:
        raise ValueError(f"counts of parts {counts}, expected only one axis to be cut")
    axis = axes[0] if axes else 0
    if axes and counts[axis] > lengths[axis]:
        raise ValueError(
            f"{counts[axis]} parts of axis {axis}, expected at most its length of {lengths[axis]}"
        )
    if counts[axis] > MAXIMUM_COUNT:
        raise ValueError(f"{counts[axis]} parts, expected at most {MAXIMUM_COUNT}")
    return axis


def _shape_text(shape: Any) -> str:
    return str(shape) if shape is None or hasattr(shape, "as_list") else str(list(shape))
