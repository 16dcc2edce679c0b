"""How a variable is cut into partitions: the shared cases, and what they cannot say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from warmstart import _partition
from warmstart._errors import WarmstartError
from warmstart._variables import Slice, Variable

import shared_cases
from shared_cases import Case

CASES = shared_cases.load(
    "partitioners", ["partitioner", "dtype", "shape"], ["parts", "offsets", "count", "error"]
)
KINDS: dict[str, Callable[..., _partition.Partitioner]] = {
    "fixed_size": _partition.fixed_size_partitioner,
    "variable_axis_size": _partition.variable_axis_size_partitioner,
    "min_max_variable": _partition.min_max_variable_partitioner,
}


def cutter(case: Case) -> Any:
    """Returns the counts or the partitioner of a case."""
    arguments = dict(case["partitioner"])
    kind = arguments.pop("kind")
    if kind == "counts":
        (counts,) = arguments.values()
        return counts
    return KINDS[kind](**arguments)


@pytest.mark.parametrize(**shared_cases.named(CASES))
def test_a_variable_is_cut_as_the_shared_cases_say(case: Case) -> None:
    shape = case["shape"]
    if "error" in case:
        with pytest.raises(WarmstartError) as refusal:
            _partition.partitions("w", case["dtype"], shape, cutter(case))
        assert (refusal.value.reason, refusal.value.code) == (case["error"], "INVALID_ARGUMENT")
        start = f"variable w of shape {shape} cannot be partitioned: "
        assert refusal.value.message.startswith(start)
        return
    parts = _partition.partitions("w", case["dtype"], shape, cutter(case))
    assert [part.name for part in parts] == [f"w/part_{n}" for n in range(len(parts))]
    assert {part.dtype for part in parts} == {case["dtype"]}
    assert all(part.store for part in parts)
    slices = [part.slice for part in parts if part.slice is not None]
    assert {(slice.full_name, slice.full_shape) for slice in slices} == {("w", tuple(shape))}
    offsets = [slice.offset for slice in slices]
    shapes = [tuple(length or 0 for length in part.shape or ()) for part in parts]
    assert len(offsets) == len(shapes) == case.get("count", len(case.get("parts", parts)))
    assert [list(lengths) for lengths in shapes] == case.get("parts", list(map(list, shapes)))
    assert [list(offset) for offset in offsets] == case.get("offsets", list(map(list, offsets)))
    check_cover(shape, shapes, offsets)


def check_cover(
    shape: list[int], shapes: list[tuple[int, ...]], offsets: list[tuple[int, ...]]
) -> None:
    """Checks that parts follow each other on one axis, the larger first, and are the whole."""
    cut = [axis for axis in range(len(shape)) if len({offset[axis] for offset in offsets}) > 1]
    assert len(cut) == (len(shapes) > 1)
    for axis in range(len(shape)):
        lengths = [part[axis] for part in shapes]
        starts = [offset[axis] for offset in offsets]
        if axis not in cut:
            assert set(lengths) == {shape[axis]} and set(starts) == {0}
            continue
        assert starts == [sum(lengths[:number]) for number in range(len(lengths))]
        assert sum(lengths) == shape[axis]
        assert lengths == sorted(lengths, reverse=True) and lengths[0] - lengths[-1] <= 1


# What the shared cases cannot say


class DType:
    """What has a name as TensorFlow's dtypes do."""

    name = "int8"


class TensorShape:
    """What has lengths as TensorFlow's shapes do."""

    def __init__(self, lengths: list[int | None]) -> None:
        self.lengths = lengths

    def as_list(self) -> list[int | None]:
        return self.lengths


def test_a_partition_is_a_variable_that_knows_its_place() -> None:
    parts = _partition.partitions("a/w", DType(), (3, 2), [2, 1])
    assert parts == [
        Variable("a/w/part_0", "int8", (2, 2), slice=Slice("a/w", (3, 2), (0, 0))),
        Variable("a/w/part_1", "int8", (1, 2), slice=Slice("a/w", (3, 2), (2, 0))),
    ]


def test_a_partitioner_can_be_called_as_tensorflow_calls_it() -> None:
    shape = TensorShape([1024, 1024])
    assert _partition.fixed_size_partitioner(3, axis=-1)(shape=shape, dtype=DType()) == [1, 3]
    assert _partition.min_max_variable_partitioner(16)(shape=shape, dtype=DType()) == [4, 1]
    assert _partition.variable_axis_size_partitioner(1 << 19)(shape=shape, dtype="int8") == [2, 1]
    with pytest.raises(ValueError, match="fully defined"):
        _partition.fixed_size_partitioner(3)(shape=TensorShape([None, 4]), dtype=DType())


def test_any_function_that_returns_counts_is_a_partitioner() -> None:
    def partitioner(shape: Any, **unused: Any) -> list[int]:
        return [1] * (len(shape) - 1) + [2]

    parts = _partition.partitions("w", "int8", (4, 4), partitioner)
    assert [part.shape for part in parts] == [(4, 2), (4, 2)]


def test_strings_of_no_bytes_are_one_part_as_in_tensorflow() -> None:
    partitioner = _partition.min_max_variable_partitioner(4, bytes_per_string_element=0)
    assert partitioner((8,), "string") == [1]


@pytest.mark.parametrize("shape", [None, (4, None), TensorShape([None])])
def test_a_shape_that_is_not_known_cannot_be_cut(shape: Any) -> None:
    with pytest.raises(WarmstartError, match="must be fully defined"):
        _partition.partitions("w", "int8", shape, [1, 1])


def test_every_dtype_has_a_size_or_an_error() -> None:
    def count(dtype: str) -> int:
        partitioner = _partition.variable_axis_size_partitioner(16)
        return len(_partition.partitions("w", dtype, (32,), partitioner))

    counts = {dtype: count(dtype) for dtype in ("bool", "int2", "float8_e5m2", "bfloat16")}
    assert counts == {"bool": 2, "int2": 2, "float8_e5m2": 2, "bfloat16": 4}
    assert [count(dtype) for dtype in ("qint32", "int64", "complex128")] == [8, 16, 32]
    with pytest.raises(WarmstartError, match="unknown dtype 'float33'"):
        count("float33")
    with pytest.raises(WarmstartError, match="elements of dtype resource have no size"):
        count("resource")
