"""Variables of another type than their tensor, and variables with their tensor's axes in another
order, beside what numpy makes of the same tensors.
"""

from __future__ import annotations

import itertools
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import warmstart
from warmstart import _array

import bundles

safetensors = pytest.importorskip("safetensors.numpy")
ml_dtypes = pytest.importorskip("ml_dtypes")

TYPES = {
    "float16": np.dtype(np.float16),
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
    "float32": np.dtype(np.float32),
    "float64": np.dtype(np.float64),
}
CUBE = bundles.floats(0, (2, 3, 5))
ORDERS = list(itertools.permutations(range(3)))


def numbers(dtype: str) -> Any:
    """All numbers of a 16-bit type, or numbers of all sizes, those between two halves included."""
    if TYPES[dtype].itemsize == 2:
        return np.arange(1 << 16, dtype=np.uint16).view(TYPES[dtype])
    bits = np.random.default_rng(5).integers(0, 1 << 32, 200_000, dtype=np.uint32)
    found = [bits.view(np.float32)]
    for short in ("float16", "bfloat16"):
        halves = numbers(short)
        with np.errstate(invalid="ignore"):
            halves = np.unique(halves[np.isfinite(halves)].astype(np.float64))
        ties = ((halves[1:] + halves[:-1]) / 2).astype(np.float32)
        found += [halves.astype(np.float32), ties, np.nextafter(ties, np.float32(np.inf))]
    singles = np.concatenate([*found, np.array([65519, 65520, -65520, 3e38], np.float32)])
    if dtype == "float32":
        return singles
    wide = np.random.default_rng(6).standard_normal(50_000) * 10.0 ** np.arange(-50, 50).repeat(500)
    with np.errstate(invalid="ignore"):
        return np.concatenate([singles.astype(np.float64), wide])


def cast(values: Any, dtype: str) -> Any:
    """As frameworks do: from 64 bits to 16 by way of 32."""
    with np.errstate(over="ignore", invalid="ignore"):
        return values.astype(np.float32).astype(TYPES[dtype])


def assert_equal(found: Any, expected: Any) -> None:
    assert found.dtype == expected.dtype and found.shape == expected.shape
    # A number that is none has many forms.
    with np.errstate(invalid="ignore"):
        none = np.isnan(expected.astype(np.float64))
        np.testing.assert_array_equal(np.isnan(found.astype(np.float64)), none)
    assert found[~none].tobytes() == expected[~none].tobytes()


@pytest.mark.parametrize("stored", TYPES)
def test_numbers_are_cast_as_frameworks_do(
    stored: str, client: warmstart.Client, tmp_path: Path
) -> None:
    file, values = tmp_path / "model.safetensors", numbers(stored)
    safetensors.save_file({"x": values}, str(file))
    others = [dtype for dtype in TYPES if dtype != stored]
    resolved = client.resolve(
        file, {"x": tuple(others)}, {dtype: (dtype, values.shape) for dtype in others}, cast=True
    )
    for dtype in others:
        assert_equal(resolved[dtype], cast(values, dtype))


def test_numbers_of_the_other_byte_order_and_of_views_are_cast(
    client: warmstart.Client, tmp_path: Path
) -> None:
    values = numbers("float64")[:1000].reshape(20, 50)
    np.save(tmp_path / "x.npy", values.astype(">f8"))
    np.save(tmp_path / "y.npy", np.asfortranarray(values))
    for name in ("x", "y"):
        with client.open(tmp_path / f"{name}.npy") as checkpoint:
            (tensor,) = checkpoint.tensors
            resolved = checkpoint.resolve(
                {tensor: ("a", "b")},
                {"a": ("bfloat16", [20, 50]), "b": ("float32", [50, 20])},
                cast=True,
                transpose={"b": (1, 0)},
            )
        assert_equal(resolved["a"], cast(values, "bfloat16"))
        assert_equal(resolved["b"], cast(values.T, "float32"))


def test_partitions_and_chosen_rows_are_cast(client: warmstart.Client, tmp_path: Path) -> None:
    values = bundles.floats(0, (64, 48)) / 7
    model = bundles.write(tmp_path / "model", {"w": values})
    cut = warmstart.Slice("w", (64, 48), (16, 8))
    part = warmstart.Variable("part", "float16", (32, 40), slice=cut)
    resolved = client.resolve(
        model,
        [("w", [part]), ("w", "rows")],
        [
            part,
            warmstart.Variable("rows", "bfloat16", (3, 48)),
        ],
        cast=True,
        gather={"rows": {0: [63, -1, 63]}},
    )
    assert_equal(resolved["part"], cast(values[16:48, 8:48], "float16"))
    rows = cast(values[[63, 0, 63]], "bfloat16")
    rows[1] = 0
    assert_equal(resolved["rows"], rows)


def test_without_the_option_another_type_is_refused_with_a_hint(
    client: warmstart.Client, tmp_path: Path
) -> None:
    model = bundles.write(tmp_path / "model", {"w": CUBE, "n": np.arange(3)})
    with pytest.raises(warmstart.WarmstartError, match="dtype with cast=True$"):
        client.resolve(model, {"w": "w"}, {"w": ("bfloat16", [2, 3, 5])})
    with pytest.raises(warmstart.WarmstartError, match="between float16, bfloat16, float32") as no:
        client.resolve(model, {"n": "n"}, {"n": ("float32", [3])}, cast=True)
    assert no.value.reason == "DTYPE_MISMATCH"


def test_a_cast_array_is_shared_and_travels_as_a_handle(
    client: warmstart.Client, tmp_path: Path
) -> None:
    model = bundles.write(tmp_path / "model", {"w": CUBE})
    with client.open(model) as checkpoint:
        found = [
            checkpoint.resolve({"w": "w"}, {"w": ("bfloat16", [2, 3, 5])}, cast=True)["w"]
            for _ in range(2)
        ]
    regions = [array._place[0]._regions[array._place[1]] for array in found]
    assert regions[0] == regions[1]
    data = pickle.dumps(found[0])
    _array._opened.clear()
    assert_equal(pickle.loads(data), cast(CUBE, "bfloat16"))
    assert b"bfloat16" in data and found[0].tobytes() not in data


@pytest.mark.parametrize("strides", [False, True])
@pytest.mark.parametrize("axes", ORDERS)
def test_axes_come_in_the_order_that_numpy_gives_them(
    axes: tuple[int, ...], strides: bool, client: warmstart.Client, tmp_path: Path
) -> None:
    model = bundles.write(tmp_path / "model", {"w": CUBE})
    expected = np.transpose(CUBE, axes)
    resolved = client.resolve(
        model,
        {"w": "w"},
        {"w": ("float32", expected.shape)},
        transpose={"w": axes},
        strides=strides,
    )
    assert_equal(resolved["w"], expected)
    assert resolved["w"].flags.c_contiguous or strides
    if strides:
        assert resolved["w"].strides == expected.strides


def test_a_partition_lies_in_the_transposed_tensor(
    client: warmstart.Client, tmp_path: Path
) -> None:
    values = bundles.floats(0, (40, 60))
    model = bundles.write(tmp_path / "model", {"w": values})
    parts = [
        warmstart.Variable(
            f"w/part_{n}",
            "float32",
            (30, 40),
            slice=warmstart.Slice("w", (60, 40), (30 * n, 0)),
        )
        for n in range(2)
    ]
    # The name of the whole stands for all parts.
    for order in ({part.name: (1, 0) for part in parts}, {"w": (1, 0)}):
        for strides in (False, True):
            resolved = client.resolve(model, {"w": "w"}, parts, transpose=order, strides=strides)
            for n, part in enumerate(parts):
                assert_equal(resolved[part.name], values.T[30 * n : 30 * n + 30])
    # The shape of the whole variable is in the order of its own axes.
    wrong = warmstart.Variable(
        "w", "float32", (20, 60), slice=warmstart.Slice("w", (40, 60), (0, 0))
    )
    with pytest.raises(warmstart.WarmstartError, match=r"\[40, 60\] transposed to axes \(1, 0\)"):
        client.resolve(model, {"w": [wrong]}, [wrong], transpose={"w": (1, 0)})


def test_a_transposed_array_travels_as_bytes(client: warmstart.Client, tmp_path: Path) -> None:
    model = bundles.write(tmp_path / "model", {"w": CUBE})
    variables = {"w": ("float32", [5, 3, 2])}
    for strides in (False, True):
        found = client.resolve(
            model, {"w": "w"}, variables, transpose={"w": (2, 1, 0)}, strides=strides
        )["w"]
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(found)), CUBE.T)


def test_a_large_matrix_is_transposed_and_cast_in_steps(
    client: warmstart.Client, tmp_path: Path
) -> None:
    # Longer than what the daemon reads at a time, with rows that are in two such parts.
    values = np.random.default_rng(7).standard_normal((1003, 517)).astype(np.float32)
    file = tmp_path / "large.safetensors"
    safetensors.save_file({"w": values, "pad": np.zeros(3, np.uint8)}, str(file))
    resolved = client.resolve(
        file,
        {"w": ("plain", "turned", "both")},
        {
            "plain": ("bfloat16", [1003, 517]),
            "turned": ("float32", [517, 1003]),
            "both": ("float64", [517, 1003]),
        },
        cast=True,
        transpose={"turned": (1, 0), "both": (1, 0)},
    )
    assert_equal(resolved["plain"], cast(values, "bfloat16"))
    assert_equal(resolved["turned"], values.T)
    assert_equal(resolved["both"], values.T.astype(np.float64))


@pytest.mark.parametrize(
    ("transpose", "error"),
    [
        ({"none": (1, 0)}, ValueError),
        ({"w": (0, 1)}, ValueError),
        ({"w": (0, 1, 1)}, ValueError),
        ({"w": (0, 1, 3)}, ValueError),
        ({"w": (0, 1, -1)}, ValueError),
        ({"w": 1}, ValueError),
        ({"w": "210"}, ValueError),
        ([("w", (2, 1, 0))], TypeError),
    ],
    ids=repr,
)
def test_an_impossible_order_of_axes_is_refused(
    transpose: Any, error: Any, client: warmstart.Client, tmp_path: Path
) -> None:
    model = bundles.write(tmp_path / "model", {"w": CUBE})
    with pytest.raises(error, match="transpose: "):
        client.resolve(model, {"w": "w"}, {"w": ("float32", [5, 3, 2])}, transpose=transpose)


@pytest.mark.parametrize("option", ["transpose", "gather"])
def test_an_unknown_variable_is_refused_with_the_nearest(
    option: str, client: warmstart.Client, tmp_path: Path
) -> None:
    model = bundles.write(tmp_path / "model", {"w": CUBE})
    options: Any = {option: {"dense/kernal": {}}}
    with pytest.raises(ValueError, match="no variable dense/kernal; nearest: dense/kernel"):
        client.resolve(
            model, {"w": "dense/kernel"}, {"dense/kernel": ("float32", [5, 3, 2])}, **options
        )


def test_a_shape_that_does_not_fit_names_the_order(
    client: warmstart.Client, tmp_path: Path
) -> None:
    model = bundles.write(tmp_path / "model", {"w": CUBE, "text": [b"a", b"b"]})
    with pytest.raises(warmstart.WarmstartError, match=r"transposed to axes \(2, 1, 0\)") as no:
        client.resolve(model, {"w": "w"}, {"w": ("float32", [2, 3, 5])}, transpose={"w": (2, 1, 0)})
    assert no.value.reason == "SHAPE_MISMATCH"
    with pytest.raises(warmstart.WarmstartError, match="string cannot be transposed"):
        client.resolve(model, {"text": "t"}, {"t": ("string", [2])}, transpose={"t": (0,)})
    with pytest.raises(warmstart.WarmstartError, match="cannot be transposed, too"):
        client.resolve(
            model,
            {"w": "w"},
            {"w": ("float32", [5, 3, 1])},
            transpose={"w": (2, 1, 0)},
            gather={"w": {2: [0]}},
        )
