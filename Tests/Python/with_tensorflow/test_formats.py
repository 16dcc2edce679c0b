"""The same weights in the formats of several libraries."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import warmstart

from daemons import REPOSITORY

tf = pytest.importorskip("tensorflow")
ml_dtypes = pytest.importorskip("ml_dtypes")
safetensors = pytest.importorskip("safetensors.numpy")

VALUES: dict[str, Any] = {
    "bert/layer_0/kernel": np.arange(48, dtype=np.float32).reshape(6, 8),
    "bert/layer_0/bias": np.arange(8, dtype=np.float64),
    "bert/layer_0/scale": np.arange(3).astype(ml_dtypes.bfloat16),
    "bert/table": np.arange(40, dtype=np.float32).reshape(10, 4),
    "step": np.array(7),
}


def by_tensorflow(directory: Path) -> Path:
    prefix = directory / "model"
    tensors = [tf.constant(value) for value in VALUES.values()]
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=list(VALUES),
        shape_and_slices=[""] * len(VALUES),
        tensors=tensors,
    )
    return prefix


def by_safetensors(directory: Path) -> Path:
    safetensors.save_file(VALUES, str(directory / "model.safetensors"))
    return directory / "model.safetensors"


def by_torch(_: Path) -> Path:
    """As PyTorch 2.13 wrote it (make_torch.py), since it is too large to be installed here."""
    return REPOSITORY / "Tests" / "Data" / "Torch" / "weights.pt"


@pytest.mark.parametrize("write", [by_tensorflow, by_safetensors, by_torch])
def test_one_map_gives_the_same_bytes_to_the_same_variables(
    write: Callable[[Path], Path], tmp_path: Path
) -> None:
    parts = [
        warmstart.Variable(
            f"student/table/part_{n}",
            "float32",
            (5, 4),
            True,
            warmstart.Slice("student/table", (10, 4), (5 * n, 0)),
        )
        for n in range(2)
    ]
    columns = warmstart.partitions(
        "columns", "float32", [6, 8], warmstart.fixed_size_partitioner(2, axis=1)
    )
    counter = warmstart.Variable("counter", "int64", (), store=False)
    variables = [
        warmstart.Variable("student/layer_0/kernel", "float32", (6, 8)),
        warmstart.Variable("student/layer_0/bias", "float64", (8,)),
        warmstart.Variable("student/layer_0/scale", "bfloat16", (3,)),
        warmstart.Variable("turned", "bfloat16", (8, 6)),
        *parts,
        *columns,
        counter,
    ]
    resolved = warmstart.resolve(
        write(tmp_path),
        [
            ("bert/", "student/"),
            ("bert/layer_0/kernel", ("turned", list(columns))),
            ("step", counter),
        ],
        variables,
        cast=True,
        transpose={"turned": (1, 0)},
    )
    kernel, table = VALUES["bert/layer_0/kernel"], VALUES["bert/table"]
    expected = {
        "student/layer_0/kernel": kernel,
        "student/layer_0/bias": VALUES["bert/layer_0/bias"],
        "student/layer_0/scale": VALUES["bert/layer_0/scale"],
        "turned": kernel.T.astype(ml_dtypes.bfloat16),
        "student/table/part_0": table[:5],
        "student/table/part_1": table[5:],
        "columns/part_0": kernel[:, :4],
        "columns/part_1": kernel[:, 4:],
        "counter": VALUES["step"],
    }
    assert set(resolved) == set(expected)
    for name, value in expected.items():
        assert resolved[name].dtype == value.dtype
        np.testing.assert_array_equal(resolved[name], value)
