"""Checkpoints as arrays of JAX."""

from __future__ import annotations

import gc
import importlib
import re
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import warmstart

from daemons import REPOSITORY, Daemon, wait_until
from documents import example
from memory import copied_bytes, in_fresh_process

jax = pytest.importorskip("jax", reason="JAX is not installed")

import warmstart.jax

WIDE = ("int64", "uint64", "float64", "complex128")
PACKED = ("int4", "uint4", "int2", "uint2", "float4_e2m1fn")
BETA = "bert/embeddings/LayerNorm/beta"
GAMMA = "bert/embeddings/LayerNorm/gamma"
POSITIONS = "bert/embeddings/position_embeddings"
WORDS = "bert/embeddings/word_embeddings"

pytestmark = pytest.mark.filterwarnings("error::warmstart.WarmstartWarning")


@pytest.fixture
def demo(golden: Path) -> str:
    return str(golden / "demo")


def stored_in(path: str) -> dict[str, np.ndarray]:
    """What numpy has, at the addresses that JAX can share."""
    return warmstart.open(path).arrays(alignment=64)


def number_names(path: Path, without: tuple[str, ...] = ()) -> list[str]:
    """The names of tensors that this version of JAX has elements for."""
    lacking = warmstart.jax._refusal(narrow=True)
    tensors = warmstart.open(path).tensors.items()
    return [
        name
        for name, tensor in tensors
        if tensor.dtype not in without and lacking(tensor.dtype) is None
    ]


def test_every_dtype_has_the_stored_numbers(golden: Path) -> None:
    path = golden / "v2_dtypes" / "all"
    names = number_names(path, WIDE)
    arrays = warmstart.jax.load(path, names)
    stored = warmstart.open(path).arrays(names)
    assert list(arrays) == names
    for name, array in arrays.items():
        dtype = name.split("/")[0].replace("qint", "int").replace("quint", "uint")
        assert array.dtype.name == dtype, name
        assert array.shape == stored[name].shape
        if dtype in PACKED:
            same = np.asarray(array).astype(np.float32) == stored[name].astype(np.float32)
            assert np.all(same), name
        else:
            assert np.asarray(array).tobytes() == stored[name].tobytes(), name


def test_64_bit_types_are_refused_all_at_once_without_x64(golden: Path) -> None:
    path = golden / "v2_dtypes" / "all"
    names = number_names(path)
    with pytest.raises(warmstart.WarmstartError) as caught:
        warmstart.jax.load(path, names)
    assert caught.value.reason == "UNSUPPORTED"
    assert "jax_enable_x64" in str(caught.value)
    assert {problem.variable.split("/")[0] for problem in caught.value.problems} == set(WIDE)
    step = ("int64", [])
    with pytest.raises(
        warmstart.WarmstartError, match="step has dtype int64: JAX would make int32"
    ):
        warmstart.jax.resolve(golden / "demo", {"global_step": "step"}, {"step": step})
    # Older ones have it elsewhere.
    module = jax if hasattr(jax, "enable_x64") else importlib.import_module("jax.experimental")
    with module.enable_x64(True):
        arrays = warmstart.jax.load(path, names)
        for dtype in WIDE:
            array = arrays[f"{dtype}/mat"]
            expected = warmstart.open(path).array(f"{dtype}/mat")
            assert array.dtype == expected.dtype
            assert np.array_equal(array, expected, equal_nan=True)


def test_64_bit_types_are_narrowed_on_request(golden: Path) -> None:
    steps = warmstart.jax.load(golden / "demo", ["global_step"], narrow=True)
    assert steps["global_step"].dtype == np.int32
    assert int(steps["global_step"]) == 1000
    path = golden / "v2_dtypes" / "all"
    for dtype, narrowed in (("float64", "float32"), ("complex128", "complex64")):
        with np.errstate(over="ignore"):
            array = warmstart.jax.load(path, [f"{dtype}/mat"], narrow=True)[f"{dtype}/mat"]
            expected = warmstart.open(path).array(f"{dtype}/mat").astype(narrowed)
        assert array.dtype == narrowed
        assert np.array_equal(array, expected, equal_nan=True)
    large = warmstart.open(path).array("int64/mat")
    assert np.abs(large.astype(np.float64)).max() > 2**31
    with pytest.raises(ValueError, match="int64/mat: some of its numbers do not fit int32"):
        warmstart.jax.load(path, ["int64/mat"], narrow=True)


def test_arrays_lie_in_the_shared_memory(demo: str) -> None:
    variables = {BETA: ("float32", [256]), WORDS: ("float32", [8192, 256])}
    handed: list[tuple[int, int]] = []
    put = jax.device_put

    def watch(arrays: dict[str, np.ndarray], device: object) -> dict[str, jax.Array]:
        results = put(arrays, device)
        for name, array in arrays.items():
            handed.append((array.ctypes.data, results[name].unsafe_buffer_pointer()))
            assert array.ctypes.data % 64 == 0
            assert not array.flags.writeable
        return results

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jax, "device_put", watch)
        warmstart.jax.resolve(demo, {"bert/": "bert/"}, variables, device=jax.devices("cpu")[0])
    assert len(handed) == 2
    assert all(source == result for source, result in handed)


def test_one_warning_names_the_arrays_that_jax_copies(demo: str) -> None:
    columns = warmstart.partitions("words", "float32", [512, 256], [1, 4])
    with pytest.warns(warmstart.WarmstartWarning) as caught:
        arrays = warmstart.jax.resolve(demo, {POSITIONS: "words"}, columns, strides=True)
    assert len(caught) == 1
    assert str(caught[0].message).startswith(
        f"JAX copied 4 of 4 arrays ({512 * 256 * 4} bytes) instead of sharing them"
    )
    assert str(caught[0].message).endswith("words/part_0, words/part_1, words/part_2, …")
    assert caught[0].filename == __file__
    whole = np.concatenate(list(arrays.values()), axis=1)
    assert np.array_equal(whole, warmstart.open(demo).array(POSITIONS))


def test_a_warning_reports_memory_at_other_addresses(golden: Path) -> None:
    path = golden / "v2_dtypes" / "all"
    names = number_names(path, WIDE + PACKED)
    # The number depends on JAX: older versions share at multiples of 16.
    with pytest.warns(warmstart.WarmstartWarning) as caught:
        warmstart.jax.load(path, names, alignment=0)
    assert re.match(rf"JAX copied [1-9]\d* of {len(names)} arrays \(", str(caught[0].message))
    assert caught[0].filename == __file__


def test_packed_types_are_copied_without_a_warning(golden: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        arrays = warmstart.jax.load(golden / "v2_dtypes" / "all", ["int4/mat", "uint4/mat"])
    assert [array.dtype.name for array in arrays.values()] == ["int4", "uint4"]


def test_strings_are_refused_if_they_are_named_and_left_out_otherwise(golden: Path) -> None:
    path, graph = golden / "tf2_object", "_CHECKPOINTABLE_OBJECT_GRAPH"
    assert graph not in warmstart.jax.load(path, narrow=True)
    with pytest.raises(warmstart.WarmstartError, match=f"{graph} has dtype string: JAX has no"):
        warmstart.jax.load(path, [graph])


def test_keys_are_renamed_by_a_map_or_a_function(demo: str) -> None:
    assert list(warmstart.jax.load(demo, {GAMMA: "g", BETA: "b"})) == ["g", "b"]
    upper = warmstart.jax.load(demo, [BETA], rename=str.upper)
    assert list(upper) == [BETA.upper()]


def test_donated_arrays_are_never_written(demo: str) -> None:
    stored = stored_in(demo)

    def programs() -> list[tuple[object, object]]:
        return [
            (lambda x: x + 1, lambda x: x + 1),
            (lambda x: x.at[3].set(0.5), lambda x: np.concatenate([x[:3], 0 * x[:1] + 0.5, x[4:]])),
            (lambda x: jax.lax.fori_loop(0, 5, lambda _, y: y * 2, x), lambda x: x * 32),
        ]

    before = stored[WORDS].copy()
    for program, expected in programs():
        array = warmstart.jax.load(demo, [WORDS])[WORDS]
        donated = jax.jit(program, donate_argnums=0)(array)
        assert array.is_deleted()
        assert np.array_equal(donated, expected(before))
        # Donated once more, it is JAX's own memory, which may be written.
        jax.jit(program, donate_argnums=0)(donated).block_until_ready()
        assert np.array_equal(stored[WORDS], before)
        assert np.array_equal(warmstart.jax.load(demo, [WORDS])[WORDS], before)


def test_torch_writes_to_a_private_copy_if_it_may_write(demo: str) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    array = warmstart.jax.load(demo, [BETA], writable=True)[BETA]
    tensor = torch.from_dlpack(array)
    assert tensor.data_ptr() == array.unsafe_buffer_pointer()
    tensor.add_(1.0)
    assert copied_bytes([tensor.data_ptr()]) > 0
    assert np.array_equal(tensor.numpy(), warmstart.open(demo).array(BETA) + 1.0)


class Norm(NamedTuple):
    beta: object
    gamma: object


def tree() -> dict[str, object]:
    return {
        "encoder": [Norm(np.zeros(256, np.float32), jax.ShapeDtypeStruct((256,), np.float32))],
        "head": {"kernel": jax.numpy.ones((256, 3))},
        "random": jax.random.key(0),
        "rate": 0.1,
    }


def test_leaves_are_named_by_their_paths() -> None:
    assert list(warmstart.jax.leaves(tree())) == [
        "encoder/0/beta",
        "encoder/0/gamma",
        "head/kernel",
    ]
    with pytest.raises(ValueError, match="two leaves of the tree are called 'a/b'"):
        warmstart.jax.leaves({"a/b": np.zeros(1), "a": {"b": np.zeros(1)}})


def test_a_tree_gets_its_values_and_keeps_its_structure(demo: str) -> None:
    stored = stored_in(demo)
    before = tree()
    after, report = warmstart.jax.load_into(
        before, demo, {"bert/embeddings/LayerNorm/": "encoder/0/"}
    )
    assert jax.tree_util.tree_structure(after) == jax.tree_util.tree_structure(before)
    norm = after["encoder"][0]
    assert isinstance(norm.gamma, jax.Array)
    assert np.array_equal(norm.beta, stored[BETA])
    assert np.array_equal(norm.gamma, stored[GAMMA])
    assert after["head"]["kernel"] is before["head"]["kernel"]
    assert after["rate"] == 0.1
    assert report.assigned == {"encoder/0/beta": BETA, "encoder/0/gamma": GAMMA}
    assert report.uncovered == ["head/kernel"]


def test_the_lease_lasts_as_long_as_the_memory(demo: str, own_daemon: Daemon) -> None:
    with warmstart.Client(own_daemon.socket) as client:
        arrays = warmstart.jax.load(demo, [BETA], client=client)
        gc.collect()
        assert client.status().lease_count == 1
        del arrays
        gc.collect()
        assert wait_until(lambda: client.status().lease_count == 0)


def test_nothing_is_copied_before_it_is_computed_with(demo: str) -> None:
    size, total, read = in_fresh_process(
        """
        import json, sys
        import jax
        import warmstart.jax
        from memory import private_bytes

        names = [name for name, _ in warmstart.list_variables(sys.argv[1]) if name[0] == "b"]
        total = jax.jit(lambda array: abs(array).sum())
        for name in names:
            shape = warmstart.open(sys.argv[1]).tensors[name].shape
            total(jax.numpy.ones(shape)).block_until_ready()
        before = private_bytes()
        arrays = warmstart.jax.load(sys.argv[1], names)
        size = sum(array.nbytes for array in arrays.values())
        sums = sum(float(total(array)) for array in arrays.values())
        print(json.dumps([size, sums, private_bytes() - before]))
        """,
        demo,
    )
    assert total > 0
    assert read < size / 2


def test_the_example_in_the_documentation_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(REPOSITORY)
    exec(example("JAX"), {})  # noqa: S102
    assert capsys.readouterr().out == "(256,) ['head/kernel']\n"
