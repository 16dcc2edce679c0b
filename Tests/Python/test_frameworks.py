"""What the modules for frameworks share, without any framework."""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import pytest
import warmstart
from warmstart import _frameworks
from warmstart._options import ResolveOptions

from daemons import Daemon, wait_until

BETA = "bert/embeddings/LayerNorm/beta"
GAMMA = "bert/embeddings/LayerNorm/gamma"


def without_wide_integers(dtype: str) -> str | None:
    return "it is too wide" if dtype == "int64" else None


def load(
    path: Path,
    names: _frameworks.Names | None = None,
    rename: _frameworks.Rename | None = None,
    refusal: _frameworks.Refusal = lambda dtype: None,
) -> dict[str, str]:
    """The dtypes of what is loaded, by key."""
    loaded = _frameworks.load(path, names, rename, refusal, None, ResolveOptions())
    return {key: dtype for key, (_, dtype) in loaded.items()}


def test_all_tensors_of_numbers_are_loaded_without_names(golden: Path) -> None:
    checkpoint = warmstart.open(golden / "tf2_object")
    loaded = load(golden / "tf2_object")
    assert set(loaded) == set(checkpoint.tensors) - {"_CHECKPOINTABLE_OBJECT_GRAPH"}
    assert load(golden / "demo", [GAMMA, BETA, GAMMA]) == {GAMMA: "float32", BETA: "float32"}
    assert load(golden / "demo", []) == {}
    with pytest.raises(TypeError, match="got the string"):
        load(golden / "demo", BETA)


def test_keys_are_mapped_and_renamed(golden: Path) -> None:
    assert list(load(golden / "demo", {GAMMA: "g", BETA: "b"}, str.upper)) == ["G", "B"]
    chosen = load(golden / "demo", rename=lambda name: None if "adam" in name else name)
    assert "global_step" in chosen
    assert not any("adam" in key for key in chosen)
    with pytest.raises(ValueError, match=f"'x' stands for two tensors: {GAMMA} and {BETA}"):
        load(golden / "demo", {GAMMA: "x", BETA: "x"})


def test_missing_tensors_are_refused_all_at_once(golden: Path) -> None:
    with pytest.raises(warmstart.WarmstartError) as caught:
        load(golden / "demo", ["x", BETA, "y"])
    assert (caught.value.code, caught.value.reason) == ("NOT_FOUND", "TENSOR_NOT_FOUND")
    assert [problem.tensor for problem in caught.value.problems] == ["x", "y"]


def test_types_that_a_framework_lacks_are_refused_all_at_once(golden: Path) -> None:
    with pytest.raises(warmstart.WarmstartError) as caught:
        load(golden / "tf2_object", refusal=without_wide_integers)
    assert (caught.value.code, caught.value.reason) == ("UNIMPLEMENTED", "UNSUPPORTED")
    assert [problem.message for problem in caught.value.problems] == [
        f"{name}/.ATTRIBUTES/VARIABLE_VALUE has dtype int64: it is too wide"
        for name in ("save_counter", "step")
    ]


def test_a_variable_is_refused_only_if_it_gets_a_value(golden: Path) -> None:
    variables = [
        warmstart.Variable("beta", "float32", [256]),
        warmstart.Variable("step", "int64", []),
    ]

    def resolve(assignment_map: dict[str, str]) -> list[str]:
        checkpoint = _frameworks.unopened(golden / "demo", None)
        arrays = _frameworks.resolve(
            checkpoint, assignment_map, variables, without_wide_integers, ResolveOptions()
        )[1]
        return list(arrays)

    assert resolve({BETA: "beta"}) == ["beta"]
    with pytest.raises(warmstart.WarmstartError, match="step has dtype int64: it is too wide"):
        resolve({BETA: "beta", "global_step": "step"})


def test_a_lease_can_be_kept_as_long_as_the_memory(golden: Path, own_daemon: Daemon) -> None:
    with warmstart.Client(own_daemon.socket) as client:
        for writable in (False, True):
            variables = {"beta": ("float32", [256]), "gamma": ("float32", [256])}
            resolved = client.resolve(
                golden / "demo", {BETA: "beta", GAMMA: "gamma"}, variables, writable=writable
            )
            resolved.keep_lease()
            arrays = resolved.arrays()
            part = arrays["gamma"][7:9]
            expected = np.array(part)
            del resolved, arrays
            gc.collect()
            assert client.status().lease_count == 1
            assert np.array_equal(part, expected)
            del part
            gc.collect()
            assert wait_until(lambda: client.status().lease_count == 0)
        # Closing gives the lease back at once.
        resolved = client.resolve(golden / "demo", {BETA: "beta", GAMMA: "gamma"}, variables)
        resolved.keep_lease()
        array = resolved["beta"]
        resolved.close()
        assert wait_until(lambda: client.status().lease_count == 0)
        assert array.shape == (256,)


def test_more_results_than_a_connection_has_leases_can_be_kept(
    golden: Path, own_daemon: Daemon
) -> None:
    with warmstart.Client(own_daemon.socket) as client:
        arrays = []
        for _ in range(80):
            resolved = client.resolve(golden / "demo", {BETA: "beta"}, {"beta": ("float32", [256])})
            resolved.keep_lease()
            arrays.append(resolved["beta"])
        del resolved
        gc.collect()
        assert client.status().lease_count == 32
        del arrays
        gc.collect()
        assert wait_until(lambda: client.status().lease_count == 0)
