"""Arrays: how long their memory lives, who sees what is written, and what is made of them."""

from __future__ import annotations

import copy
import gc
import itertools
import os
import pickle
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import warmstart

import bundles

VALUES = {
    "matrix": bundles.floats(0, (64, 32)),
    "scalar": bundles.floats(7, ()),
    "empty": bundles.floats(0, (0, 3)),
    "counts": bundles.floats(1, (100,), "int64"),
    "words": [b"warm", b"", b"\xff\x00start"],
}
NUMBERS = [name for name in VALUES if name != "words"]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return bundles.write(tmp_path / "model", VALUES)


def files(prefix: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(prefix.parent.iterdir())]


def same(array: Any, name: str) -> bool:
    expected = VALUES[name]
    if isinstance(expected, list):
        return bool(array.tolist() == expected)
    return bool(array.dtype == expected.dtype and np.array_equal(array, expected))


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))), ids=str)
def test_arrays_outlive_everything_else_in_any_order(order: tuple[int, ...], model: Path) -> None:
    sealed = order[0] % 2 == 0
    client = warmstart.Client()
    checkpoint = client.open(model)
    variables = {name: ("float32", [64, 32]) for name in ("matrix",)}
    resolved = checkpoint.resolve({"matrix": "matrix"}, variables, sealed=sealed)
    array, part = resolved["matrix"], resolved["matrix"][3:5]
    # Dropping the resolved map also drops its reference to the array.
    steps: list[Any] = [client.close, checkpoint.close, resolved.close, gc.collect]
    del resolved
    for step in order:
        steps[step]()
        assert same(array, "matrix")
    del client, checkpoint, steps
    gc.collect()
    assert same(array, "matrix")
    del array
    gc.collect()
    assert np.array_equal(part, bundles.floats(0, (64, 32))[3:5])


@pytest.mark.parametrize("writable", [False, True])
@pytest.mark.parametrize("sealed", [False, True])
def test_long_arrays_lie_where_huge_pages_serve_them(
    client: warmstart.Client, tmp_path: Path, sealed: bool, writable: bool
) -> None:
    expected = bundles.floats(0, (3, 1 << 19))
    model = bundles.write(tmp_path / "model", {"large": expected})
    with client.open(model) as checkpoint:
        variables = {"large": ("float32", expected.shape)}
        resolved = checkpoint.resolve({"/": "/"}, variables, sealed=sealed, writable=writable)
        array = resolved["large"]
    # The tensor is the first in its file or arena.
    assert array.__array_interface__["data"][0] % (2 << 20) == 0
    assert np.array_equal(array, expected)


def test_memory_is_unmapped_with_the_last_array(client: warmstart.Client, model: Path) -> None:
    def mappings() -> int:
        with open("/proc/self/maps") as maps:
            return sum(str(model) in line for line in maps)

    gc.collect()
    assert mappings() == 0
    with client.open(model) as checkpoint:
        arrays = checkpoint.arrays(NUMBERS)
    assert mappings() == 1
    last = arrays.pop("counts")
    del arrays
    gc.collect()
    assert mappings() == 1
    del last
    gc.collect()
    assert mappings() == 0


@pytest.mark.parametrize("sealed", [False, True])
def test_arrays_are_read_only(sealed: bool, client: warmstart.Client, model: Path) -> None:
    with client.open(model) as checkpoint:
        arrays = checkpoint.arrays(sealed=sealed)
    for name, array in arrays.items():
        assert not array.flags.writeable
        with pytest.raises(ValueError, match="read-only"):
            array[...] = array[...]
        if name == "matrix":
            with pytest.raises(ValueError, match="read-only"):
                array += 1
            with pytest.raises(ValueError, match="read-only"):
                np.add(array, 1, out=array)
            with pytest.raises(ValueError, match="WRITEABLE"):
                array.flags.writeable = True
            with pytest.raises(ValueError, match="WRITEABLE"):
                array[1:].flags.writeable = True
        assert same(array, name)


@pytest.mark.parametrize("sealed", [False, True])
def test_a_write_reaches_no_other_process(
    sealed: bool, client: warmstart.Client, model: Path
) -> None:
    before = files(model)
    with client.open(model) as checkpoint:
        mine = checkpoint.arrays(writable=True, sealed=sealed)
        others = checkpoint.arrays(writable=True, sealed=sealed)
        shared = checkpoint.arrays(sealed=sealed)
    for name in NUMBERS:
        mine[name][...] = 99
    mine["words"][0] = b"cold"
    assert files(model) == before
    for arrays in (others, shared):
        assert all(same(array, name) for name, array in arrays.items())
    seen = subprocess.run(
        [sys.executable, "-c", SUM, str(model)], stdout=subprocess.PIPE, check=True
    ).stdout
    assert float(seen) == bundles.floats(0, (64, 32)).sum()
    assert (mine["matrix"] == 99).all()
    assert same(client.open(model).array("matrix", sealed=sealed), "matrix")


SUM = "import sys, warmstart; print(warmstart.open(sys.argv[1]).array('matrix').sum())"


def test_a_forked_child_has_its_own_copy_of_written_pages(
    client: warmstart.Client, model: Path
) -> None:
    with client.open(model) as checkpoint:
        array = checkpoint.array("matrix", writable=True)
    array[0] = 1
    child = os.fork()
    if child == 0:
        seen = (array[0] == 1).all()
        array[...] = 5
        os._exit(0 if seen else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert (array[0] == 1).all()
    assert np.array_equal(array[1:], bundles.floats(0, (64, 32))[1:])


def test_arithmetic_makes_ordinary_arrays(client: warmstart.Client, model: Path) -> None:
    with client.open(model) as checkpoint:
        arrays = checkpoint.arrays()
    array = arrays["matrix"]
    assert isinstance(array, warmstart.SharedArray)
    for made in (array + 1, array @ array.T, np.sqrt(array), np.where(array > 3, array, 0), -array):
        assert type(made) is np.ndarray
        assert made.flags.writeable
    assert type(array.sum()) is type(arrays["scalar"] + arrays["scalar"]) is np.float32
    assert type(array.sum(axis=0)) is np.ndarray
    assert type(array.mean()) is np.float32
    assert type(np.concatenate([array, array])) is np.ndarray
    assert array[3, 4] == 100
    assert isinstance(array[3], warmstart.SharedArray)
    assert np.asarray(array).base is not None
    copied = array.copy()
    copied[...] = 0
    assert same(array, "matrix")
    out = np.empty_like(array, subok=False)
    assert np.add(array, 1, out=out) is out


@pytest.mark.parametrize("deep", [copy.copy, copy.deepcopy])
def test_copies_belong_to_this_process(deep: Any, client: warmstart.Client, model: Path) -> None:
    with client.open(model) as checkpoint:
        array = checkpoint.array("matrix")
    copied = deep(array)
    assert same(copied, "matrix")
    assert not np.shares_memory(copied, array)
    copied[...] = 0
    assert same(array, "matrix")


def test_a_scalar_an_empty_array_and_strings_are_arrays(
    client: warmstart.Client, model: Path
) -> None:
    with client.open(model) as checkpoint:
        arrays = checkpoint.arrays(writable=True)
        assert checkpoint.tensors["words"].dtype == "string"
    assert arrays["scalar"].shape == () and arrays["scalar"][()] == 7
    assert arrays["empty"].shape == (0, 3) and arrays["empty"].dtype == np.float32
    assert arrays["words"].dtype == object and arrays["words"].tolist() == VALUES["words"]
    arrays["words"][1] = b"hot"
    arrays["scalar"][()] = 8
    assert arrays["scalar"] == 8


@pytest.mark.parametrize("alignment", [0, 1, 64, 4096])
@pytest.mark.parametrize("sealed", [False, True])
def test_addresses_have_the_requested_alignment(
    alignment: int, sealed: bool, client: warmstart.Client, model: Path
) -> None:
    with client.open(model) as checkpoint:
        arrays = checkpoint.arrays(NUMBERS, alignment=alignment, sealed=sealed)
    for name, array in arrays.items():
        assert same(array, name)
        if array.size:
            assert array.ctypes.data % max(alignment, array.itemsize) == 0 or alignment == 1


@pytest.mark.parametrize("alignment", [-1, 3, 8192])
def test_an_impossible_alignment_is_refused(
    alignment: int, client: warmstart.Client, model: Path
) -> None:
    with client.open(model) as checkpoint, pytest.raises(ValueError, match="alignment"):
        checkpoint.arrays(alignment=alignment)


def test_partitions_along_any_axis_are_parts_of_one_tensor(
    client: warmstart.Client, model: Path
) -> None:
    whole = bundles.floats(0, (64, 32))
    for axis, strides in itertools.product((0, 1), (False, True)):
        parts = warmstart.partitions(
            "m", "float32", [64, 32], warmstart.fixed_size_partitioner(5, axis)
        )
        resolved = client.resolve(model, {"matrix": parts}, parts, strides=strides)
        assert np.array_equal(np.concatenate(resolved.parts("m"), axis), whole)
        assert [part.shape for part in resolved.parts("m")] == [part.shape for part in parts]
        if not strides:
            assert all(part.flags.c_contiguous for part in resolved.parts("m"))
    with pytest.raises(KeyError):
        resolved.parts("other")


def test_a_map_of_arrays_is_a_mapping(client: warmstart.Client, model: Path) -> None:
    resolved = client.resolve(model, {"/": "/"}, {"counts": ("int64", [100])})
    assert list(resolved) == ["counts"] and len(resolved) == 1
    assert "counts" in resolved and "matrix" not in resolved
    assert resolved["counts"] is resolved["counts"] is resolved.arrays()["counts"]
    assert resolved.byte_count == 800
    assert resolved.seconds > 0
    with pytest.raises(KeyError):
        resolved["matrix"]
    with pytest.raises(KeyError):
        resolved.tensor("matrix")
    assert resolved.report.unused_tensor_count == 4
    assert set(resolved.report.unused_tensors) == set(VALUES) - {"counts"}


def test_a_name_without_an_array_is_a_key_error_with_the_nearest(
    client: warmstart.Client, tmp_path: Path
) -> None:
    model = bundles.write(tmp_path / "model", {"w": bundles.floats(0, (8, 4))})
    parts = warmstart.partitions("a/emb", "float32", [8, 4], warmstart.fixed_size_partitioner(2))
    whole = warmstart.Variable("encoder/kernel", "float32", (8, 4))
    resolved = client.resolve(model, {"w": ("a/emb", "encoder/kernel")}, [*parts, whole])
    for ask in (resolved.__getitem__, resolved.tensor, resolved.check):
        for name in ("encoder/kernl", "kernel", "model/encoder/kernel"):
            with pytest.raises(
                KeyError, match=f"no array for variable {name}; nearest: encoder/kernel$"
            ):
                ask(name)
    with pytest.raises(KeyError, match="no partitions of variable a/enb; nearest: a/emb$"):
        resolved.parts("a/enb")
    with pytest.raises(KeyError, match="no partitions of variable encoder/kernel$"):
        resolved.parts("encoder/kernel")
    with pytest.raises(KeyError, match="no array for variable 0$"):
        resolved[0]  # type: ignore[index]
    with pytest.raises(KeyError) as raised:
        resolved["lone surrogate \ud800"]
    assert str(pickle.loads(pickle.dumps(raised.value))) == str(raised.value)
    assert resolved.get("kernel") is None and resolved.get("kernel", 5) == 5
    assert resolved.get("encoder/kernel") is resolved["encoder/kernel"]


def test_a_closed_checkpoint_says_so(client: warmstart.Client, model: Path) -> None:
    checkpoint = client.open(model)
    checkpoint.close()
    checkpoint.close()
    for use in (checkpoint.list_tensors, checkpoint.open, lambda: checkpoint.array("matrix")):
        with pytest.raises(ValueError, match="closed"):
            use()


def test_closing_while_another_thread_asks_ends_well(client: warmstart.Client, model: Path) -> None:
    for _ in range(30):
        checkpoint = client.open(model)
        ended: list[Any] = []

        def ask(checkpoint: warmstart.Checkpoint = checkpoint, ended: Any = ended) -> None:
            try:
                while True:
                    assert same(checkpoint.array("matrix"), "matrix")
            except ValueError as error:
                ended.append(str(error))

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        checkpoint.close()
        for thread in threads:
            thread.join()
        assert ended == ["the checkpoint is closed"] * 3
