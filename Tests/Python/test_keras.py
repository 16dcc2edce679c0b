"""Every tensor of the files that Keras and h5py wrote, through a real daemon."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
import warmstart

from daemons import REPOSITORY

GOLDEN = REPOSITORY / "Tests" / "Data" / "Keras"
EXPECTED: dict[str, dict[str, Any]] = json.loads((GOLDEN / "expected.json").read_text())


def is_same(array: Any, expected: Any) -> bool:
    return list(array.shape) == expected["shape"] and array.tobytes() == base64.b64decode(
        expected["base64"]
    )


@pytest.mark.parametrize("name", EXPECTED)
def test_every_tensor_is_what_h5py_reads(name: str, client: warmstart.Client) -> None:
    wanted = EXPECTED[name]
    with client.open(GOLDEN / name) as checkpoint:
        assert checkpoint.format == "hdf5"
        tensors, arrays = checkpoint.tensors, checkpoint.arrays()
    assert list(tensors) == sorted(wanted, key=str.encode)
    for tensor in tensors.values():
        assert (tensor.dtype, list(tensor.shape)) == (
            wanted[tensor.name]["dtype"],
            wanted[tensor.name]["shape"],
        )
    assert [n for n, array in arrays.items() if not is_same(array, wanted[n])] == []


def test_shards_are_one_checkpoint(client: warmstart.Client) -> None:
    wanted = EXPECTED["model.weights.h5"]
    with client.open(GOLDEN / "sharded.weights.json") as checkpoint:
        arrays = checkpoint.arrays()
    assert list(arrays) == sorted(wanted, key=str.encode)
    assert [n for n, array in arrays.items() if not is_same(array, wanted[n])] == []


def test_a_map_may_use_the_names_of_layers(client: warmstart.Client) -> None:
    wanted = EXPECTED["model.weights.h5"]
    variables = {
        "student/kernel": ("float32", [4, 3]),
        "student/projection/0": ("float32", [3, 2]),
        "student/projection/1": ("float32", [2]),
        "student/state": ("float32", [2, 8]),
    }
    pairs = {
        "encoder/0": "student/kernel",
        "tower/projection/": "student/projection/",
        "rnn/lstm_cell/1": "student/state",
    }
    resolved = client.resolve(GOLDEN / "model.weights.h5", pairs, variables, object_names=True)
    assert resolved.report.assigned == {
        "student/kernel": "layers/dense/vars/0",
        "student/projection/0": "layers/sequential/layers/dense/vars/0",
        "student/projection/1": "layers/sequential/layers/dense/vars/1",
        "student/state": "layers/lstm/cell/vars/1",
    }
    for variable, tensor in resolved.report.assigned.items():
        assert is_same(resolved[variable], wanted[tensor])


def test_names_of_layers_are_gathered_from_all_shards(client: warmstart.Client) -> None:
    # The name of this layer is in the first shard, and its variables are in the second.
    resolved = client.resolve(
        GOLDEN / "sharded.weights.json",
        {"head/1": "bias"},
        {"bias": ("bfloat16", [2])},
        object_names=True,
    )
    assert resolved.report.assigned == {"bias": "layers/dense_1/vars/1"}


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("refused/*.h5")), ids=lambda path: path.stem)
def test_what_cannot_be_shared_is_refused(path: Path, client: warmstart.Client) -> None:
    with pytest.raises(warmstart.WarmstartError) as raised:
        client.open(path).open()
    assert raised.value.reason == "UNSUPPORTED"
