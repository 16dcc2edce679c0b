"""Every tensor of the files that Keras and h5py wrote, through a real daemon."""

from __future__ import annotations

import base64
import json
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
