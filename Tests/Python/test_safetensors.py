"""warmstart.safetensors beside the library itself."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import warmstart
import warmstart.safetensors
from warmstart.safetensors import load_file, safe_open

safetensors = pytest.importorskip("safetensors")
pytest.importorskip("safetensors.numpy")


@pytest.fixture
def tensors() -> dict[str, Any]:
    random = np.random.default_rng(16)
    layers = {
        f"model.layers.{layer}.{name}": random.standard_normal((3, 5)).astype(np.float32)
        for layer in (0, 1, 10)
        for name in ("weight", "bias")
    }
    return {**layers, "steps": np.arange(7), "mask": np.array([True, False, True])}


@pytest.fixture
def path(tmp_path: Path, tensors: dict[str, Any]) -> Path:
    file = tmp_path / "model.safetensors"
    safetensors.numpy.save_file(tensors, str(file), metadata={"format": "np"})
    return file


@pytest.fixture
def sharded(tmp_path: Path, tensors: dict[str, Any]) -> Path:
    """A model in three files, as the library transformers saves it."""
    directory = tmp_path / "sharded"
    directory.mkdir()
    held = {}
    for number in range(3):
        part = dict(sorted(tensors.items())[number::3])
        name = f"model-{number + 1:05}-of-00003.safetensors"
        safetensors.numpy.save_file(part, str(directory / name))
        held.update(dict.fromkeys(part, name))
    index = {"metadata": {"total_size": 1}, "weight_map": held}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))
    return directory


def equal(found: dict[str, Any], expected: dict[str, Any]) -> bool:
    return set(found) == set(expected) and all(
        found[name].dtype == expected[name].dtype and np.array_equal(found[name], expected[name])
        for name in expected
    )


def test_all_tensors_of_a_file_are_those_that_the_library_reads(
    client: warmstart.Client, path: Path, tensors: dict[str, Any]
) -> None:
    assert equal(load_file(path, client=client), tensors)
    assert client.open(path).format == "safetensors"


def test_a_write_changes_neither_the_file_nor_what_others_see(
    client: warmstart.Client, path: Path, tensors: dict[str, Any]
) -> None:
    mine = load_file(path, client=client)
    mine["steps"][:] = 0
    assert equal(load_file(path, client=client), tensors)
    assert equal(safetensors.numpy.load_file(str(path)), tensors)


@pytest.mark.parametrize(
    "name", ["", "model.safetensors.index.json", "model-*-of-00003.safetensors"]
)
def test_a_model_in_several_files_is_found_by_directory_index_or_pattern(
    client: warmstart.Client, sharded: Path, tensors: dict[str, Any], name: str
) -> None:
    assert equal(load_file(sharded / name if name else sharded, client=client), tensors)


def test_the_reader_has_the_methods_of_the_library(
    client: warmstart.Client, path: Path, tensors: dict[str, Any]
) -> None:
    with safe_open(path, framework="np", client=client) as ours:
        with safetensors.safe_open(str(path), framework="np") as theirs:
            assert sorted(ours.keys()) == sorted(theirs.keys())
            assert ours.metadata() == theirs.metadata()
            for name in tensors:
                assert np.array_equal(ours.get_tensor(name), theirs.get_tensor(name))
            mine = ours.get_slice("model.layers.0.weight")
            other = theirs.get_slice("model.layers.0.weight")
            assert equal(ours.get_tensors(), tensors)
            assert sorted(ours.offset_keys()) == sorted(tensors)
            assert mine.get_shape() == list(other.get_shape())
            assert mine.get_dtype() == other.get_dtype()
            assert np.array_equal(mine[1:, 2:4], other[1:, 2:4])
        with pytest.raises(warmstart.WarmstartError, match="nearest: steps"):
            ours.get_tensor("stepps")


def test_an_open_file_stays_what_it_was_when_its_path_gets_another(
    client: warmstart.Client, path: Path, tensors: dict[str, Any]
) -> None:
    with safe_open(path, client=client) as file:
        other = path.with_name("other")
        safetensors.numpy.save_file({"steps": np.zeros(1)}, str(other), metadata={"format": "x"})
        other.replace(path)
        assert np.array_equal(file.get_tensor("steps"), tensors["steps"])
        assert file.metadata() == {"format": "np"}


def test_a_framework_that_is_not_served_is_refused(client: warmstart.Client, path: Path) -> None:
    with pytest.raises(ValueError, match="expected 'np' or 'pt', got 'flax'"):
        safe_open(path, framework="flax", client=client)


def test_a_dot_ends_a_scope(client: warmstart.Client, path: Path, tensors: dict[str, Any]) -> None:
    variables = {f"student.{layer}.weight": ("float32", (3, 5)) for layer in (0, 10)}
    found = client.resolve(path, {"model.layers.": "student."}, variables)
    assert np.array_equal(found["student.10.weight"], tensors["model.layers.10.weight"])


def test_partitions_are_cut_out_of_a_tensor(
    client: warmstart.Client, path: Path, tensors: dict[str, Any]
) -> None:
    parts = [
        warmstart.Variable(
            f"w/part_{part}",
            "float32",
            (3, width),
            slice=warmstart.Slice("w", (3, 5), (0, start)),
        )
        for part, (start, width) in enumerate([(0, 2), (2, 3)])
    ]
    found = client.resolve(path, {"model.layers.1.bias": "w"}, parts)
    whole = np.concatenate([found["w/part_0"], found["w/part_1"]], axis=1)
    assert np.array_equal(whole, tensors["model.layers.1.bias"])


def test_the_library_reads_through_the_daemon_once_installed(
    client: warmstart.Client, path: Path, tensors: dict[str, Any]
) -> None:
    warmstart.safetensors.install(client=client)
    try:
        with safetensors.safe_open(str(path), framework="np") as file:
            assert isinstance(file, safe_open)
            assert np.array_equal(file.get_tensor("steps"), tensors["steps"])
    finally:
        warmstart.safetensors.uninstall()
    with safetensors.safe_open(str(path), framework="np") as file:
        assert not isinstance(file, safe_open)


def imported_anew() -> ModuleType:
    """The library's module for numpy, as a program gets it that imports it only now."""
    spec = importlib.util.find_spec("safetensors.numpy")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_functions_that_load_a_file_ask_the_daemon_once_installed(
    tmp_path: Path, client: warmstart.Client, path: Path, tensors: dict[str, Any]
) -> None:
    warmstart.safetensors.install(client=client)
    try:
        late = imported_anew()
        assert equal(safetensors.numpy.load_file(str(path)), tensors)
        assert equal(late.load_file(str(path)), tensors)
    finally:
        warmstart.safetensors.uninstall()
    absent = warmstart.Client(str(tmp_path / "absent"))
    warmstart.safetensors.install(client=absent, fallback=False)
    try:
        later = imported_anew()
        for module in (safetensors.numpy, later):
            with pytest.raises(warmstart.WarmstartError):
                module.load_file(str(path))
    finally:
        warmstart.safetensors.uninstall()
    for module in (safetensors.numpy, late, later):
        assert equal(module.load_file(str(path)), tensors)


def test_the_library_reads_itself_what_no_daemon_serves(tmp_path: Path, path: Path) -> None:
    absent = warmstart.Client(str(tmp_path / "absent"))
    warmstart.safetensors.install(client=absent)
    try:
        with safetensors.safe_open(str(path), framework="np") as file:
            assert not isinstance(file, safe_open)
    finally:
        warmstart.safetensors.uninstall()
    warmstart.safetensors.install(client=absent, fallback=False)
    try:
        with pytest.raises(warmstart.WarmstartError):
            safetensors.safe_open(str(path), framework="np")
    finally:
        warmstart.safetensors.uninstall()
