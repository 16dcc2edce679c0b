"""Maps in the forms that only Python has, dry runs, and what else a call can ask for."""

from __future__ import annotations

import logging
import os
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import warmstart
from warmstart._protocol import message

import bundles
from daemons import Daemon
from impostor import Peer, method, opened

VALUES: dict[str, Any] = {
    "bert/layer_0/kernel": bundles.floats(0, (4, 6)),
    "bert/layer_0/bias": bundles.floats(100, (6,)),
    "bert/layer_1/kernel": bundles.floats(200, (4, 6)),
    "bert/layer_1/bias": bundles.floats(300, (6,)),
    "bert/layer_10/kernel": bundles.floats(400, (4, 6)),
    "step": bundles.floats(7, (), "int64"),
}
KERNEL, BIAS = ("float32", [4, 6]), ("float32", [6])


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return bundles.write(tmp_path / "model", VALUES)


def check(resolved: warmstart.Resolved, expected: dict[str, str]) -> None:
    assert resolved.report.assigned == expected
    assert set(resolved) == set(expected)
    for variable, tensor in expected.items():
        np.testing.assert_array_equal(resolved[variable], VALUES[tensor])


# Regular expressions


def test_a_pattern_maps_the_tensors_whose_whole_name_matches(
    client: warmstart.Client, model: Path
) -> None:
    variables = {"student/0/w": KERNEL, "student/1/w": KERNEL, "student/1/b": BIAS}
    resolved = client.resolve(
        model, {re.compile(r"bert/layer_(\d)/kernel"): r"student/\1/w"}, variables
    )
    check(
        resolved,
        {"student/0/w": "bert/layer_0/kernel", "student/1/w": "bert/layer_1/kernel"},
    )
    assert resolved.report.uncovered == ["student/1/b"]
    # A part of a name is no match.
    with pytest.raises(warmstart.WarmstartError) as raised:
        client.resolve(model, {re.compile("layer_0"): "student/0/w"}, variables)
    assert raised.value.reason == "PAIR_UNUSED"
    assert raised.value.message == "pattern 'layer_0' matches the whole name of no tensor"
    with pytest.raises(warmstart.WarmstartError) as raised:
        client.resolve(model, {re.compile(r"bert/layer_(\d)/kernel"): r"studet/\1/w"}, variables)
    assert raised.value.reason == "PAIR_UNUSED"
    assert raised.value.message.endswith(
        "tensor bert/layer_0/kernel becomes studet/0/w; nearest: student/0/w"
    )


def test_a_pattern_passes_over_names_that_no_variable_has(
    client: warmstart.Client, model: Path
) -> None:
    variables = {"layer_10/kernel": KERNEL, "layer_1/bias": BIAS}
    resolved = client.resolve(model, {re.compile("bert/(.*)"): r"\1"}, variables)
    check(
        resolved,
        {"layer_10/kernel": "bert/layer_10/kernel", "layer_1/bias": "bert/layer_1/bias"},
    )
    lenient = client.resolve(model, {re.compile("none"): "x"}, variables, lenient=True)
    assert len(lenient) == 0


def test_a_pattern_may_name_its_groups_and_stand_beside_names(
    client: warmstart.Client, model: Path
) -> None:
    variables = {"k/0": KERNEL, "k/1": KERNEL, "b": BIAS, "global_step": ("int64", [])}
    resolved = client.resolve(
        model,
        [
            (re.compile(r"bert/layer_(?P<number>[01])/kernel"), r"k/\g<number>"),
            ("bert/layer_0/bias", "b"),
            ("step", "global_step"),
        ],
        variables,
        require_all=True,
    )
    check(
        resolved,
        {
            "k/0": "bert/layer_0/kernel",
            "k/1": "bert/layer_1/kernel",
            "b": "bert/layer_0/bias",
            "global_step": "step",
        },
    )


def test_a_later_pair_overrides_a_pattern(client: warmstart.Client, model: Path) -> None:
    resolved = client.resolve(
        model,
        [(re.compile("bert/layer_0/(.*)"), r"\1"), ("bert/layer_1/bias", "bias")],
        {"kernel": KERNEL, "bias": BIAS},
    )
    check(resolved, {"kernel": "bert/layer_0/kernel", "bias": "bert/layer_1/bias"})


def test_a_pattern_maps_partitions_by_their_variables_name(
    client: warmstart.Client, model: Path
) -> None:
    parts = warmstart.partitions("kernel", "float32", [4, 6], warmstart.fixed_size_partitioner(2))
    resolved = client.resolve(model, {re.compile("bert/layer_0/(.*)"): r"\1"}, parts)
    np.testing.assert_array_equal(
        np.concatenate(resolved.parts("kernel")), VALUES["bert/layer_0/kernel"]
    )


def test_a_list_has_partitions_or_their_names(client: warmstart.Client, tmp_path: Path) -> None:
    values = bundles.floats(0, (8, 4))
    model = bundles.write(tmp_path / "model", {"w": values})
    parts = warmstart.partitions("t", "float32", [8, 4], warmstart.fixed_size_partitioner(2))
    for target in (["t/part_0", "t/part_1"], ["t/part_0", parts[1]]):
        resolved = client.resolve(model, {"w": target}, parts)
        assert np.array_equal(np.concatenate(resolved.parts("t")), values)
    with pytest.raises(warmstart.WarmstartError, match="t/part_9 is not declared; nearest: t/part"):
        client.resolve(model, {"w": ["t/part_0", "t/part_9"]}, parts)
    with pytest.raises(TypeError, match="partitions of one variable or of their names"):
        client.resolve(model, {"w": ["t/part_0", 5]}, parts)


def test_patterns_are_refused_with_names_of_objects(client: warmstart.Client, model: Path) -> None:
    with pytest.raises(ValueError, match="object_names"):
        client.resolve(model, {re.compile(".*"): "x"}, {"x": BIAS}, object_names=True)


# Other forms of targets


def test_a_tuple_of_targets_all_get_the_tensor(client: warmstart.Client, model: Path) -> None:
    outside = warmstart.Variable("outside", "float32", (4, 6), store=False)
    parts = warmstart.partitions("cut", "float32", [4, 6], warmstart.fixed_size_partitioner(2))
    variables = [warmstart.Variable("named", "float32", (4, 6)), outside, *parts]
    resolved = client.resolve(model, {"bert/layer_0/kernel": ("named", outside, parts)}, variables)
    kernel = VALUES["bert/layer_0/kernel"]
    for name in ("named", "outside"):
        np.testing.assert_array_equal(resolved[name], kernel)
    np.testing.assert_array_equal(np.concatenate(resolved.parts("cut")), kernel)
    # One tensor in memory.
    assert np.shares_memory(resolved["named"], resolved["outside"])
    assert np.shares_memory(resolved["named"], resolved["cut/part_1"])


@pytest.mark.parametrize(
    "wrong",
    [
        {"step": 3},
        {"step": None},
        {"step": [3]},
        {"step": ("x", 3)},
        {3: "x"},
        {b"step": "x"},
        ["step"],
        [("step",)],
        [("step", "x", "y")],
        "step",
        7,
    ],
    ids=repr,
)
def test_anything_but_a_map_is_a_type_error(
    wrong: Any, client: warmstart.Client, model: Path
) -> None:
    with pytest.raises(TypeError):
        client.resolve(model, wrong, {"x": ("int64", [])})


@pytest.mark.parametrize(
    "wrong", [{"x": 3}, {"x": "float32"}, ["x"], [("x", "float32", [2])]], ids=repr
)
def test_anything_but_a_variable_is_a_type_error(
    wrong: Any, client: warmstart.Client, model: Path
) -> None:
    with pytest.raises(TypeError):
        client.resolve(model, {"step": "x"}, wrong)


def test_an_unknown_dtype_is_a_value_error_that_lists_the_known_ones() -> None:
    for dtype in ("f33", object()):
        with pytest.raises((ValueError, TypeError), match="expected one of float32, float64"):
            warmstart.Variable("x", dtype, (2,))  # type: ignore[arg-type]


def test_variables_may_be_arrays_or_anything_with_a_shape(
    client: warmstart.Client, model: Path
) -> None:
    variables = {"kernel": np.zeros((4, 6), np.float32), "bias": np.zeros(6, np.float32)}
    resolved = client.resolve(model, {"bert/layer_0/": "/"}, variables)
    check(resolved, {"kernel": "bert/layer_0/kernel", "bias": "bert/layer_0/bias"})
    unknown = {"kernel": ("float32", None), "bias": (np.float32, [None])}
    resolved = client.resolve(model, {"bert/layer_1/": "/"}, unknown)
    check(resolved, {"kernel": "bert/layer_1/kernel", "bias": "bert/layer_1/bias"})


# Options


def test_an_option_that_does_not_exist_is_a_type_error(
    client: warmstart.Client, model: Path
) -> None:
    with pytest.raises(TypeError, match="aligned"):
        client.resolve(model, {"step": "x"}, {}, aligned=64)  # type: ignore[call-arg]


def test_a_dry_run_reports_what_resolving_would(own_daemon: Daemon, model: Path) -> None:
    with warmstart.Client(own_daemon.socket) as client:
        variables = {
            "kernel": KERNEL,
            "bias": ("float32", [7]),
            "head": BIAS,
            "missing": BIAS,
        }
        pairs = {
            "bert/layer_0/kernel": "kernel",
            "bert/layer_0/bias": "bias",
            "none": "missing",
            "other/": "elsewhere/",
        }
        options: Any = {"skip_missing": True, "skip_mismatched": True, "lenient": True}
        report = client.check(model, pairs, variables, **options)
        counters = {counter.name: counter.value for counter in client.status().counters}
        assert counters["arenas_made"] == counters["pieces_made"] == 0
        assert client.status().warm_bytes == 0
        assert client.status().lease_count == 0
        assert report == client.resolve(model, pairs, variables, **options).report
        assert report.assigned == {"kernel": "bert/layer_0/kernel"}
        assert set(report.skipped) == {
            ("bias", "bert/layer_0/bias", (6,)),
            ("missing", "none", None),
        }
        assert report.uncovered == ["head"]
        assert report.unused == [("other/", ("elsewhere/",))]
        # And refuses what resolving would.
        with pytest.raises(warmstart.WarmstartError) as raised:
            client.check(model, pairs, variables)
        with pytest.raises(warmstart.WarmstartError) as resolving:
            client.resolve(model, pairs, variables)
        assert raised.value.problems == resolving.value.problems
        assert [problem.reason for problem in raised.value.problems].count("SHAPE_MISMATCH") == 1


def test_a_dry_run_knows_patterns_partitions_and_strides(
    client: warmstart.Client, model: Path
) -> None:
    parts = warmstart.partitions(
        "kernel", "float32", [4, 6], warmstart.fixed_size_partitioner(2, 1)
    )
    pairs = {re.compile("bert/layer_0/(.*)"): r"\1"}
    for strides in (False, True):
        with client.open(model) as checkpoint:
            report = checkpoint.check(pairs, parts, strides=strides)
            assert report == checkpoint.resolve(pairs, parts, strides=strides).report
        assert report.assigned == dict.fromkeys(
            ("kernel/part_0", "kernel/part_1"), "bert/layer_0/kernel"
        )


def test_chosen_rows_and_columns_are_gathered(client: warmstart.Client, model: Path) -> None:
    kernel = VALUES["bert/layer_0/kernel"]
    resolved = client.resolve(
        model,
        {"bert/layer_0/kernel": ("rows", "columns", "both")},
        {
            "rows": ("float32", [5, 6]),
            "columns": ("float32", [4, 2]),
            "both": ("float32", [2, 2]),
        },
        gather={
            "rows": {0: [3, 3, -1, 0, 1]},
            "columns": {1: np.array([5, -1])},
            "both": {0: [1, -1], 1: [0, 4]},
        },
    )
    rows = kernel[[3, 3, 0, 0, 1]].copy()
    rows[2] = 0
    np.testing.assert_array_equal(resolved["rows"], rows)
    columns = kernel[:, [5, 0]].copy()
    columns[:, 1] = 0
    np.testing.assert_array_equal(resolved["columns"], columns)
    both = np.array([kernel[1, [0, 4]], [0, 0]], np.float32)
    np.testing.assert_array_equal(resolved["both"], both)


@pytest.mark.parametrize(
    ("gather", "error"),
    [
        ({"none": {0: [1]}}, ValueError),
        ({"w": {2: [0, 1, 2, 3]}}, warmstart.WarmstartError),
        ({"w": {0: [0]}}, warmstart.WarmstartError),
        ({"w": {0: [0, 1, 2, 4]}}, warmstart.WarmstartError),
        ({"w": {0: [0, 1, 2, -2]}}, warmstart.WarmstartError),
        ({"w": {0: [0.5, 1, 2, 3]}}, ValueError),
        ({"w": {0: ["0", "1", "2", "3"]}}, ValueError),
        ({"w": {0: [True, True, False, True]}}, ValueError),
        ({"w": {-1: [0, 1, 2, 3, 4, 5]}}, ValueError),
        ({"w": {0: [[0, 1], [2, 3]]}}, ValueError),
    ],
    ids=repr,
)
def test_missing_rows_are_refused(
    gather: Any, error: Any, client: warmstart.Client, model: Path
) -> None:
    with pytest.raises(error):
        client.resolve(model, {"bert/layer_0/kernel": "w"}, {"w": KERNEL}, gather=gather)


def test_a_function_gets_the_progress(own_daemon: Daemon, tmp_path: Path) -> None:
    values = {f"v{at}": np.full((1 << 12,), at, np.float32) for at in range(16)}
    path = bundles.write(tmp_path / "model", values)
    seen: list[tuple[int, int]] = []
    variables = {name: ("float32", [1 << 12]) for name in values}
    with warmstart.Client(own_daemon.socket) as client:
        resolved = client.resolve(
            path,
            {"/": "/"},
            variables,
            sealed=True,
            progress=lambda ready, total: seen.append((ready, total)),
        )
    assert len(resolved) == 16
    assert all(0 <= ready <= total for ready, total in seen)
    assert seen == sorted(seen)


def test_an_error_of_the_progress_function_ends_the_call(model: Path, impersonate: Any) -> None:
    def serve(peer: Peer) -> None:
        while (call := peer.call()) is not None:
            if method(call) == "Resolve":
                reply = message("ResolveReply")()
                reply.progress.ready_bytes, reply.progress.total_bytes = 5, 100
                peer.reply(call.id, reply, more=True)
            else:
                peer.reply(call.id, opened() if method(call) == "Open" else b"")

    def fail(ready: int, total: int) -> None:
        raise ValueError((ready, total))

    with warmstart.Client(impersonate(serve).socket) as client:
        checkpoint = client.open(model)
        with pytest.raises(ValueError, match=re.escape("(5, 100)")):
            checkpoint.resolve({"step": "x"}, {"x": ("int64", [])}, progress=fail)
        assert checkpoint.list_tensors() == {}
        checkpoint.close()


def test_a_progress_bar_is_printed_where_tqdm_is_missing(
    client: warmstart.Client,
    model: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    resolved = client.resolve(model, {"step": "x"}, {"x": ("int64", [])}, progress=True)
    assert resolved["x"] == 7
    said = capsys.readouterr()
    assert said.out == ""
    assert all(str(model) in line for line in said.err.splitlines())


def test_verifying_finds_later_damage(client: warmstart.Client, model: Path) -> None:
    with client.open(model) as checkpoint:
        checkpoint.arrays()
        checkpoint.arrays(verify=True)
    data = model.with_name("model.data-00000-of-00001")
    damaged = bytearray(data.read_bytes())
    damaged[10] ^= 1
    data.write_bytes(damaged)
    with pytest.raises(warmstart.WarmstartError) as raised, client.open(model) as checkpoint:
        checkpoint.arrays(verify=True)
    assert raised.value.reason == "CHECKSUM_MISMATCH"
    assert "tensor " in raised.value.message


def test_a_checkpoint_of_more_files_than_a_frame_carries_is_opened(
    client: warmstart.Client, tmp_path: Path
) -> None:
    values = {f"v{at:03}": bundles.floats(at, (3,)) for at in range(150)}
    path = bundles.write(tmp_path / "model", values, shards=150)
    assert len(list(tmp_path.iterdir())) == 151
    with client.open(path) as checkpoint:
        arrays = checkpoint.arrays()
        client.close()
        again = checkpoint.arrays()
    for found in (arrays, again):
        assert found.keys() == values.keys()
        for name, value in values.items():
            np.testing.assert_array_equal(found[name], value)


def test_a_resolve_is_logged(
    client: warmstart.Client, model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "warmstart"):
        client.resolve(model, {"step": "x"}, {"x": ("int64", []), "y": BIAS})
    (record,) = caplog.records
    assert f"{model}: 1 of 2 variables (8 bytes)" in record.getMessage()
    assert "1 not covered, 5 tensors unused" in record.getMessage()


def test_paths_of_any_kind_are_taken(client: warmstart.Client, tmp_path: Path) -> None:
    odd = os.fsdecode(b"mod\xffel \xc3\xa9")
    path = bundles.write(tmp_path / odd, {"v": bundles.floats(1, (2,))})
    for spelled in (path, str(path), f"{path}.index", f"file://{path}"):
        with client.open(spelled) as checkpoint:
            assert checkpoint.array("v").tolist() == [1, 2]
    before = os.getcwd()
    os.chdir(tmp_path)
    try:
        with client.open(odd) as checkpoint:
            assert checkpoint.array("v").tolist() == [1, 2]
    finally:
        os.chdir(before)


def test_names_of_any_bytes_are_resolved(client: warmstart.Client, tmp_path: Path) -> None:
    names = ["ü/ñ", "a\udcff\udcfe", "space here", "tab\t", "深/層"]
    values = {name: bundles.floats(at, (2,)) for at, name in enumerate(names)}
    path = bundles.write(tmp_path / "model", values)
    with client.open(path) as checkpoint:
        assert set(checkpoint.tensors) == set(names)
        arrays = checkpoint.arrays()
    for name in names:
        np.testing.assert_array_equal(arrays[name], values[name])
    resolved = client.resolve(path, {"/": "/"}, {n: ("float32", [2]) for n in names})
    assert resolved.report.assigned == dict(zip(names, names))
