"""Every tensor and slice that TensorFlow wrote and reads, through a real daemon."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import warmstart

from daemons import REPOSITORY

GOLDEN = REPOSITORY / "Tests" / "Data" / "Golden"
EXPECTED = json.loads((GOLDEN / "expected.json").read_text())
CHECKPOINTS: dict[str, Any] = EXPECTED["checkpoints"]

# The reasons for which TensorFlow raises errors of these classes.
REASONS = {
    "InvalidArgumentError": {"SHAPE_MISMATCH", "SLICES_INCOMPLETE", "INVALID_REQUEST"},
    "InternalError": {"SHAPE_MISMATCH", "SLICES_INCOMPLETE", "SLICES_OVERLAP", "INVALID_REQUEST"},
}
# TensorFlow copies slices of some dtypes only; Warmstart of all.
COPIED_ONLY_BY_US = {
    *("float16", "uint16", "uint32", "uint64", "qint16", "quint16", "string", "float8_e5m2"),
    *("float8_e4m3fn", "float8_e4m3fnuz", "float8_e4m3b11fnuz", "float8_e5m2fnuz", "int2"),
    *("uint2", "float4_e2m1fn"),
}


def is_same(array: Any, expected: Any) -> bool:
    """Whether an array has the shape and bytes, or strings, that TensorFlow read."""
    if list(array.shape) != expected["shape"]:
        return False
    if "sha256" in expected:
        return hashlib.sha256(array.tobytes()).hexdigest() == expected["sha256"]
    return array.dtype == object and array.reshape(-1).tolist() == [
        base64.b64decode(text) for text in expected["base64"]
    ]


def readable(name: str) -> dict[str, Any]:
    """The tensors that TensorFlow reads whole."""
    tensors = CHECKPOINTS[name]["tensors"]
    return {n: t for n, t in tensors.items() if "sha256" in t or "base64" in t}


def test_the_corpus_is_complete() -> None:
    assert len(CHECKPOINTS) == 23
    assert sum(len(checkpoint["tensors"]) for checkpoint in CHECKPOINTS.values()) == 10_278


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_the_list_is_tensorflows(name: str, client: warmstart.Client) -> None:
    expected = CHECKPOINTS[name]
    with client.open(GOLDEN / expected["path"]) as checkpoint:
        assert checkpoint.format == expected["format"]
        assert checkpoint.path == str(GOLDEN / expected["resolved"])
        assert checkpoint.tensor_count == len(expected["tensors"])
        assert list(checkpoint.tensors) == sorted(expected["tensors"], key=str.encode)
        for tensor in checkpoint.tensors.values():
            wanted = expected["tensors"][tensor.name]
            assert (tensor.dtype, list(tensor.shape)) == (wanted["dtype"], wanted["shape"])
            if "nbytes" in wanted and wanted["dtype"] != "string" and not tensor.slices:
                assert tensor.byte_count == wanted["nbytes"]
    listed = client.list_variables(GOLDEN / expected["path"])
    assert dict(listed) == {n: wanted["shape"] for n, wanted in expected["tensors"].items()}


@pytest.mark.parametrize("sealed", [False, True], ids=["as it lies", "sealed"])
@pytest.mark.parametrize("name", CHECKPOINTS)
def test_every_tensor_has_tensorflows_bytes(
    name: str, sealed: bool, client: warmstart.Client
) -> None:
    wanted = readable(name)
    alignment = 64 if sealed else 0
    with client.open(GOLDEN / CHECKPOINTS[name]["path"]) as checkpoint:
        arrays = checkpoint.arrays(wanted, sealed=sealed, alignment=alignment)
    assert arrays.keys() == wanted.keys()
    assert [n for n, array in arrays.items() if not is_same(array, wanted[n])] == []
    for array in arrays.values():
        assert not array.flags.writeable
        assert array.flags.c_contiguous
        if array.size and array.dtype != object:
            assert array.ctypes.data % (alignment or array.itemsize) == 0


@pytest.mark.parametrize(
    "name", [n for n in CHECKPOINTS if len(readable(n)) == len(CHECKPOINTS[n]["tensors"])]
)
def test_all_tensors_are_arrays_unless_names_are_given(name: str, client: warmstart.Client) -> None:
    with client.open(GOLDEN / CHECKPOINTS[name]["path"]) as checkpoint:
        arrays = checkpoint.arrays(writable=True)
    wanted = readable(name)
    assert list(arrays) == sorted(wanted, key=str.encode)
    assert [n for n, array in arrays.items() if not is_same(array, wanted[n])] == []
    assert all(array.flags.writeable for array in arrays.values())


SLICES = [(name, tensor) for name in CHECKPOINTS for tensor in CHECKPOINTS[name].get("slices", ())]


@pytest.mark.parametrize("strides", [False, True], ids=["contiguous", "with strides"])
@pytest.mark.parametrize(("name", "tensor"), SLICES)
def test_every_slice_has_tensorflows_bytes_or_its_error(
    name: str, tensor: str, strides: bool, client: warmstart.Client
) -> None:
    dtype = CHECKPOINTS[name]["tensors"][tensor]["dtype"]
    with client.open(GOLDEN / CHECKPOINTS[name]["path"]) as checkpoint:
        for read in CHECKPOINTS[name]["slices"][tensor]:
            variable = variable_of(tensor, dtype, CHECKPOINTS[name], read["spec"])
            target: Any = [variable] if variable.slice else variable
            try:
                array = checkpoint.resolve([(tensor, target)], [variable], strides=strides)["v"]
            except warmstart.WarmstartError as error:
                assert error.reason in REASONS[read["error"]], f"{read}: {error}"
                continue
            except ValueError:
                # The slice does not even fit the shape that it declares.
                assert variable.slice and len(variable.slice.offset) != len(
                    variable.slice.full_shape
                )
                assert read["error"] in REASONS
                continue
            if "error" in read:
                assert dtype in COPIED_ONLY_BY_US, read
            else:
                assert is_same(array, read), read


def variable_of(tensor: str, dtype: str, checkpoint: Any, spec: str) -> warmstart.Variable:
    """A variable that gets what a `shape_and_slice` of TensorFlow's reads; empty for all."""
    if not spec:
        shape = tuple(checkpoint["tensors"][tensor]["shape"])
        return warmstart.Variable("v", dtype, shape, store=False)
    *lengths, extents = spec.split(" ")
    full = tuple(map(int, lengths))
    offset, shape = [], []
    for length, extent in zip(full, extents.split(":")):
        start, count = (0, length) if extent == "-" else map(int, extent.split(","))
        offset.append(start)
        shape.append(count)
    cut = warmstart.Slice(tensor, full, tuple(offset))
    return warmstart.Variable("v", dtype, tuple(shape), store=False, slice=cut)


@pytest.mark.parametrize("name", ["v2_slices_incomplete", "v2_slices_overlap"])
def test_what_tensorflow_cannot_read_is_refused(name: str, client: warmstart.Client) -> None:
    checkpoint = client.open(GOLDEN / CHECKPOINTS[name]["path"])
    with pytest.raises(warmstart.WarmstartError) as raised:
        checkpoint.array("x")
    assert raised.value.reason == name[len("v2_") :].upper()
    assert "x" in raised.value.message


@pytest.mark.parametrize("name", EXPECTED["states"])
def test_the_latest_checkpoint_is_tensorflows(name: str) -> None:
    state = EXPECTED["states"][name]
    if state["error"] is not None:
        with pytest.raises(warmstart.WarmstartError) as raised:
            warmstart.latest_checkpoint(GOLDEN / state["path"])
        assert raised.value.reason == "CHECKPOINT_STATE_INVALID"
        return
    latest = warmstart.latest_checkpoint(GOLDEN / state["path"])
    # Where the state file has an absolute path, that is where the corpus was made.
    if name == "state_absolute":
        assert latest is None or latest.endswith("m-3")
    elif state["latest"] is None:
        assert latest is None
    else:
        assert latest is not None
        assert latest.replace("/state_parent/../", "/") == str(GOLDEN / state["latest"])


def test_a_reader_answers_as_tensorflows_reader() -> None:
    expected = CHECKPOINTS["v2_dtypes"]["tensors"]
    reader = warmstart.CheckpointReader(GOLDEN / "v2_dtypes" / "all")
    assert reader.get_variable_to_shape_map() == {n: t["shape"] for n, t in expected.items()}
    assert reader.has_tensor("float32/scalar") == ("float32/scalar" in expected)
    assert not reader.has_tensor("no/tensor")
    dtypes = reader.get_variable_to_dtype_map()
    assert dtypes.keys() == expected.keys()
    for name, wanted in expected.items():
        value = reader.get_tensor(name)
        array = np.array(value, object) if isinstance(value, bytes) else np.asarray(value)
        assert is_same(array, wanted), name
        assert array.dtype == dtypes[name]
        # A scalar is no array, as in TensorFlow.
        assert isinstance(value, np.ndarray) == bool(wanted["shape"])
    with pytest.raises(warmstart.WarmstartError) as raised:
        reader.get_tensor("no/tensor")
    assert raised.value.reason == "TENSOR_NOT_FOUND"
    lines = reader.debug_string().decode().splitlines()
    assert len(lines) == len(expected)


@pytest.mark.parametrize("has_ml_dtypes", [True, False], ids=["ml_dtypes", "without ml_dtypes"])
def test_elements_have_numpys_dtype_of_their_type(has_ml_dtypes: bool) -> None:
    if has_ml_dtypes:
        pytest.importorskip("ml_dtypes")
    # In a separate process, because ml_dtypes registers types with numpy for good.
    script = """if True:
        import json, sys
        if len(sys.argv) > 2:
            sys.modules["ml_dtypes"] = None
        import hashlib, warmstart
        with warmstart.open(sys.argv[1]) as checkpoint:
            arrays = checkpoint.arrays()
            dtypes = {n: (t.dtype, str(arrays[n].dtype)) for n, t in checkpoint.tensors.items()}
        digests = {
            n: hashlib.sha256(array.tobytes()).hexdigest()
            for n, array in arrays.items() if array.dtype != object
        }
        print(json.dumps([dtypes, digests]))
    """
    arguments = [GOLDEN / "v2_dtypes" / "all"] + ([] if has_ml_dtypes else ["without"])
    output = subprocess.run(
        [sys.executable, "-c", script, *arguments], stdout=subprocess.PIPE, check=True
    ).stdout
    dtypes, digests = json.loads(output)
    expected = CHECKPOINTS["v2_dtypes"]["tensors"]
    assert digests == {n: t["sha256"] for n, t in expected.items() if "sha256" in t}
    plain = {"qint8": "int8", "quint8": "uint8", "qint32": "int32", "qint16": "int16"}
    plain.update({"quint16": "uint16", "string": "object"})
    standard = {f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)}
    standard |= {"bool", "float16", "float32", "float64", "complex64", "complex128"}
    standard |= set(plain.values())
    for ours, numpys in dtypes.values():
        name = plain.get(ours, ours)
        if name in standard or has_ml_dtypes:
            assert numpys == name
        else:
            assert numpys == ("|V2" if ours == "bfloat16" else "|V1")
    assert len({ours for ours, _ in dtypes.values()}) > 20
