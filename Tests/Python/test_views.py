"""Views and copies of arrays: what they keep, and what of them travels."""

from __future__ import annotations

import gc
import pickle
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import warmstart
from warmstart._handles import _mmap

import bundles

VALUES = bundles.floats(0, (64, 256))


@pytest.fixture
def checkpoint(client: warmstart.Client, tmp_path: Path) -> Any:
    with client.open(bundles.write(tmp_path / "model", {"w": VALUES})) as checkpoint:
        yield checkpoint


def test_rows_of_a_partition_with_strides_travel_unchanged(checkpoint: Any) -> None:
    parts = warmstart.partitions("w", "float32", VALUES.shape, [1, 2])
    array = checkpoint.resolve({"w": "w"}, parts, strides=True)["w/part_1"]
    assert array.strides == (1024, 4)
    for rows in (slice(0, 1), slice(1, 2), slice(2, 9, 3)):
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(array[rows])), VALUES[rows, 128:])


def test_a_read_only_view_of_written_memory_travels_unchanged(checkpoint: Any) -> None:
    array = checkpoint.array("w", writable=True)
    array += 1
    view = array[3:5]
    view.flags.writeable = False
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(view)), VALUES[3:5] + 1)


def test_chosen_rows_travel_unchanged_even_if_the_list_changes(checkpoint: Any) -> None:
    gather = {"w": {0: range(63, -1, -1)}}
    array = checkpoint.resolve({"w": "w"}, {"w": VALUES}, gather=gather)["w"]
    gather.clear()
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(array)), VALUES[::-1])


@pytest.mark.parametrize(
    "copy",
    [np.copy, lambda a: a.copy(), lambda a: a.astype("float64"), np.unique, np.zeros_like],
)
def test_a_copy_does_not_keep_the_memory_mapped(copy: Any, checkpoint: Any) -> None:
    array = checkpoint.array("w")
    mapping = weakref.ref(array.base)
    copied = copy(array)
    del array
    gc.collect()
    assert mapping() is None
    assert copied.size


def test_a_private_mapping_may_be_larger_than_the_memory(tmp_path: Path) -> None:
    byte_count = 1 << 42
    with open(tmp_path / "sparse", "w+b") as file:
        file.truncate(byte_count)
        mapping, lead = _mmap(file.fileno(), 0, byte_count, True)
    mapping[lead + byte_count - 1] = 7
    assert (mapping[lead], mapping[lead + byte_count - 1]) == (0, 7)
    mapping.close()


PARTS = warmstart.partitions("parts", "float32", VALUES.shape, [2, 1])
COLUMNS = warmstart.partitions("columns", "float32", VALUES.shape, [1, 2])


@pytest.mark.parametrize("strides", [False, True])
def test_a_write_to_a_variable_shows_in_no_other_of_the_same_tensor(
    strides: bool, checkpoint: Any
) -> None:
    whole = [warmstart.Variable(name, "float32", VALUES.shape) for name in ("a", "b")]
    arrays = checkpoint.resolve(
        [("w", ("a", "b", PARTS)), ("w", COLUMNS)],
        [*whole, *PARTS, *COLUMNS],
        writable=True,
        strides=strides,
    ).arrays()
    assert len(arrays) == 6
    expected = {name: array.copy() for name, array in arrays.items()}
    for number, (name, array) in enumerate(arrays.items()):
        array += number
        expected[name] += number
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, expected[name])
    np.testing.assert_array_equal(checkpoint.array("w"), VALUES)


def test_variables_of_different_tensors_have_one_writable_mapping(
    client: warmstart.Client, tmp_path: Path
) -> None:
    values = {f"v{at}": VALUES + at for at in range(8)}
    with client.open(bundles.write(tmp_path / "several", values)) as checkpoint:
        arrays = checkpoint.arrays(writable=True)
    assert len({id(array.base) for array in arrays.values()}) == 1


def test_read_only_memory_is_mapped_once(checkpoint: Any) -> None:
    variables = {"a": ("float32", VALUES.shape), "b": ("float32", VALUES.shape)}
    arrays = checkpoint.resolve({"w": ("a", "b")}, variables)
    assert arrays["a"].base is arrays["b"].base
