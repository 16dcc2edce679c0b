"""TensorFlow's own tests of `init_from_checkpoint` and its neighbours, through Warmstart."""

from __future__ import annotations

import os
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow", reason="needs TensorFlow")

import checkpoints
import warmstart
import warmstart.tensorflow as wt
from checkpoints import MATRIX, VALUES, initialized, v1, zeros
from warmstart.tensorflow import _failures


def test_a_missing_directory_raises_tensorflows_error(tmp_path: Path) -> None:
    for call in (wt.load_checkpoint, wt.list_variables, lambda path: wt.load_variable(path, "a")):
        with pytest.raises(tf.errors.OpError):
            call(str(tmp_path / "none"))
    with pytest.raises(ValueError, match="checkpoint"):
        wt.load_checkpoint(str(tmp_path))


def test_a_tensor_that_is_missing_is_not_found(written: Path) -> None:
    with pytest.raises(tf.errors.NotFoundError, match="has no tensor column$"):
        wt.load_variable(str(written), "column")
    for ask in (wt.load_checkpoint(written).get_tensor, lambda n: wt.load_variable(written, n)):
        with pytest.raises(tf.errors.NotFoundError, match="no tensor sqare; nearest: square"):
            ask("sqare")


def test_tensors_are_read_as_they_were_saved(written: Path) -> None:
    for name, value in VALUES.items():
        np.testing.assert_array_equal(wt.load_variable(str(written), name), value)
        np.testing.assert_array_equal(wt.load_variable(str(written), name + ":0"), value)


def test_a_write_to_a_loaded_array_shows_in_no_other(written: Path) -> None:
    array = wt.load_variable(str(written), "large")
    array[0, 0] = -1
    reader = wt.load_checkpoint(written)
    for name in [*VALUES, *VALUES]:
        read = reader.get_tensor(name)
        np.testing.assert_array_equal(read, VALUES[name])
        read += 1


def test_all_variables_are_listed_with_their_shapes(written: Path) -> None:
    expected = sorted((name, list(value.shape)) for name, value in VALUES.items())
    assert wt.list_variables(str(written)) == expected


def test_paths_may_be_objects(written: Path) -> None:
    assert len(wt.list_variables(written)) == len(VALUES)
    assert wt.load_checkpoint(written).has_tensor("row")
    assert wt.load_variable(written, "row").shape == (1, 10)


def test_a_reader_answers_as_tensorflows_does(written: Path) -> None:
    ours, theirs = wt.load_checkpoint(written), tf.train.load_checkpoint(written)
    assert ours.get_variable_to_shape_map() == theirs.get_variable_to_shape_map()
    assert ours.get_variable_to_dtype_map() == theirs.get_variable_to_dtype_map()
    assert ours.has_tensor("row") and not ours.has_tensor("column")
    assert sorted(ours.debug_string().split(b"\n")) == sorted(theirs.debug_string().split(b"\n"))


def test_names_scopes_and_lists_of_pairs_are_assigned(written: Path, graph: Any) -> None:
    with v1.variable_scope("some_scope"):
        row = zeros("my_row", [1, 10])
        square = zeros("my_square", [10, 10])
        with v1.variable_scope("deeper"):
            large = zeros("my_large", [100, 100])
    with v1.variable_scope("useful_scope_copy"):
        inner = zeros("inner", [9, 9])
        again = zeros("again", [9, 9])
    wt.init_from_checkpoint(
        str(written),
        [
            ("row", "some_scope/my_row"),
            ("square", square),
            ("large", "some_scope/deeper/my_large"),
            ("useful_scope/inner", inner),
            ("useful_scope/inner", "useful_scope_copy/again"),
        ],
    )
    # The values are not in the graph.
    assert len(graph.as_graph_def().SerializeToString()) < 30000
    for got, name in zip(
        initialized(row, square, large, inner, again),
        ("row", "square", "large", "useful_scope/inner", "useful_scope/inner"),
    ):
        np.testing.assert_array_equal(got, VALUES[name])


def test_an_initial_value_taken_after_the_call_is_the_checkpoints(
    written: Path, graph: Any
) -> None:
    row = zeros("row", [1, 10])
    before = row.initial_value
    wt.init_from_checkpoint(str(written), {"row": row})
    after = row.initial_value
    with v1.Session() as session:
        np.testing.assert_array_equal(session.run(after), VALUES["row"])
    with v1.Session() as session:
        np.testing.assert_array_equal(session.run(before), np.zeros((1, 10)))


def test_a_scope_does_not_match_names_that_only_begin_like_it(written: Path, graph: Any) -> None:
    with v1.variable_scope("useful_scope"):
        inner = zeros("inner", [9, 9])
    with v1.variable_scope("useful_scope_1"):
        other = zeros("inner", [9, 9])
    wt.init_from_checkpoint(str(written), {"useful_scope/": "useful_scope/"})
    got = initialized(inner, other)
    np.testing.assert_array_equal(got[0], VALUES["useful_scope/inner"])
    np.testing.assert_array_equal(got[1], np.zeros((9, 9)))


def test_variables_of_other_machines_are_left_to_tensorflow(written: Path, graph: Any) -> None:
    with tf.device("/job:ps"), v1.variable_scope("useful_scope"):
        zeros("inner", [9, 9])
    wt.init_from_checkpoint(str(written), {"useful_scope/": "useful_scope/"})
    (restore,) = [op for op in graph.get_operations() if op.name == "checkpoint_initializer"]
    assert restore.device == "/job:ps/device:CPU:0"
    assert restore.type == "RestoreV2"


def test_the_root_can_be_mapped_to_a_scope_and_to_the_root(written: Path) -> None:
    for scope in ("", "some_scope"):
        with tf.Graph().as_default():
            with v1.variable_scope(scope):
                row, square = zeros("row", [1, 10]), zeros("square", [10, 10])
            wt.init_from_checkpoint(str(written), {"/": scope + "/"})
            got = initialized(row, square)
        np.testing.assert_array_equal(got[0], VALUES["row"])
        np.testing.assert_array_equal(got[1], VALUES["square"])


@pytest.mark.parametrize("parts", [5, 3, 1])
@pytest.mark.parametrize("way", ["name", "scope", "list"])
def test_any_number_of_partitions_is_initialized(
    partitioned: Path, graph: Any, parts: int, way: str
) -> None:
    with v1.variable_scope("mine"):
        matrix = zeros("matrix", [100, 100], partitioner=v1.fixed_size_partitioner(parts))
    pieces = matrix._get_variable_list()
    target = {"name": "mine/matrix", "scope": "mine/", "list": pieces}[way]
    key = "scope/" if way == "scope" else "scope/matrix"
    wt.init_from_checkpoint(str(partitioned), {key: target})
    np.testing.assert_array_equal(np.concatenate(initialized(*pieces)), MATRIX)


def test_partitions_of_columns_are_initialized(partitioned: Path, graph: Any) -> None:
    matrix = zeros("matrix", [100, 100], partitioner=v1.fixed_size_partitioner(3, axis=1))
    wt.init_from_checkpoint(str(partitioned), {"scope/": "/"})
    pieces = matrix._get_variable_list()
    np.testing.assert_array_equal(np.concatenate(initialized(*pieces), axis=1), MATRIX)


def test_a_map_that_does_not_fit_is_a_value_error(written: Path, graph: Any) -> None:
    with v1.variable_scope("some_scope"):
        zeros("my_row", [10, 10])
        zeros("my_other", [2])
    for wrong in (
        {"column": "some_scope/my_row"},  # no tensor
        {"row": "some_scope/my_other_row"},  # no variable
        {"row": "some_scope/my_row"},  # another shape
        {"useful_scope/": "some_scope/"},  # a tensor that the scope lacks
        {"useful_scope": "some_scope/"},  # a key that is no scope
    ):
        with pytest.raises(ValueError):
            wt.init_from_checkpoint(str(written), wrong)


def test_reading_a_resource_variable_adds_nothing_to_the_graph(written: Path, graph: Any) -> None:
    row = zeros("row", [1, 10], use_resource=True)
    before = {op.name for op in graph.get_operations()}
    wt.init_from_checkpoint(str(written), {"row": row})
    kinds = [node.op for node in graph.as_graph_def().node if node.name not in before]
    assert sorted(set(kinds)) == ["AssignVariableOp", "Const", "RestoreV2"]


def test_one_operation_restores_all_variables_of_a_graph(written: Path, graph: Any) -> None:
    for name, value in VALUES.items():
        zeros(name, value.shape)
    wt.init_from_checkpoint(str(written), {"/": "/"})
    (restore,) = [node for node in graph.as_graph_def().node if node.op == "RestoreV2"]
    assert restore.name == "checkpoint_initializer"
    assert len(restore.attr["dtypes"].list.type) == len(VALUES)


def test_variables_assigned_before_an_error_keep_their_values(written: Path, graph: Any) -> None:
    row, square = zeros("row", [1, 10]), zeros("square", [2])
    with pytest.raises(ValueError, match="square"):
        wt.init_from_checkpoint(str(written), {"row": row, "square": square})
    np.testing.assert_array_equal(initialized(row)[0], VALUES["row"])


def test_the_last_pair_for_a_variable_counts(tmp_path: Path, graph: Any) -> None:
    ones, twos = np.ones(3, np.float32), np.full(3, 2, np.float32)
    path = checkpoints.save(tmp_path, {"first": ones, "second": twos})
    v = zeros("v", [3])
    # In the order of the tensors' names.
    wt.init_from_checkpoint(path, [("second", v), ("first", "v")])
    assert initialized(v)[0].tolist() == [2, 2, 2]


def test_another_dtype_is_refused_when_the_initializer_runs(written: Path, graph: Any) -> None:
    row = zeros("row", [1, 10], tf.float64)
    wt.init_from_checkpoint(str(written), {"row": row})
    with v1.Session() as session, pytest.raises(tf.errors.InvalidArgumentError, match="row"):
        session.run(row.initializer)


def test_a_faulty_variable_does_not_stop_the_others(written: Path, graph: Any) -> None:
    wrong, right = zeros("row", [1, 10], tf.float64), zeros("square", [10, 10])
    wt.init_from_checkpoint(str(written), {"/": "/"})
    with v1.Session() as session:
        session.run(right.initializer)
        np.testing.assert_array_equal(session.run(right), VALUES["square"])
        with pytest.raises(tf.errors.InvalidArgumentError):
            session.run(wrong.initializer)


def test_initializers_can_run_again_and_in_another_session(written: Path, graph: Any) -> None:
    row = zeros("row", [1, 10], use_resource=True)
    wt.init_from_checkpoint(str(written), {"row": row})
    for _ in range(2):
        with v1.Session() as session:
            for _ in range(2):
                session.run(row.initializer)
                session.run(row.assign_add(tf.ones([1, 10])))
                np.testing.assert_array_equal(session.run(row), VALUES["row"] + 1)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the calls that are made."""
    from warmstart._checkpoint import Checkpoint

    made: list[str] = []
    own = Checkpoint.call

    def call(this: Any, name: str, *rest: Any, **named: Any) -> None:
        made.append(name)
        own(this, name, *rest, **named)

    monkeypatch.setattr(Checkpoint, "call", call)
    return made


def test_all_of_a_graph_is_resolved_in_one_call(
    written: Path, graph: Any, calls: list[str]
) -> None:
    targets = [zeros(name.replace("/", "_"), value.shape) for name, value in VALUES.items()]
    wt.init_from_checkpoint(str(written), dict(zip(VALUES, targets)))
    got = initialized(*targets)
    assert calls.count("Resolve") == 1
    for value, expected in zip(got, VALUES.values()):
        np.testing.assert_array_equal(value, expected)


def test_all_that_a_call_assigns_is_resolved_in_one_call(written: Path, calls: list[str]) -> None:
    variables = {name: tf.Variable(tf.zeros(value.shape)) for name, value in VALUES.items()}
    wt.init_from_checkpoint(str(written), variables)
    assert calls.count("Resolve") == 1
    for name, expected in VALUES.items():
        np.testing.assert_array_equal(variables[name].numpy(), expected)


def test_a_reader_that_is_asked_for_all_tensors_makes_few_calls(
    tmp_path: Path, calls: list[str]
) -> None:
    values = {f"v{number}": np.full(3, number, np.float32) for number in range(40)}
    reader = wt.load_checkpoint(checkpoints.save(tmp_path, values))
    for name, value in values.items():
        np.testing.assert_array_equal(reader.get_tensor(name), value)
    assert calls.count("Resolve") < 12


def test_eager_variables_are_assigned_at_once(written: Path) -> None:
    row = tf.Variable(tf.zeros([1, 10]))
    wt.init_from_checkpoint(written, {"row": row})
    np.testing.assert_array_equal(row.numpy(), VALUES["row"])
    with pytest.raises(ValueError):
        wt.init_from_checkpoint(written, {"square": row})


def test_every_dtype_arrives_in_eager_mode_and_in_a_graph(tmp_path: Path) -> None:
    names = "bfloat16 bool complex128 complex64 float16 float32 float64 int16 int32 int64 int8"
    names += " uint8 uint16 uint32 uint64 float8_e5m2 float8_e4m3fn int4 uint4"
    values = {}
    for name in names.split():
        dtype = tf.dtypes.as_dtype(name)
        values[name] = np.array([[0, 1, 1], [1, 0, 3]]).astype(dtype.as_numpy_dtype)
    dtypes = [tf.dtypes.as_dtype(name) for name in values]
    tensors = [tf.constant(value, dtype) for value, dtype in zip(values.values(), dtypes)]
    values["string"], dtypes = np.array([b"a", b"", b"\xff"], object), [*dtypes, tf.string]
    tensors.append(tf.constant(values["string"]))
    for name in ("qint8", "quint8", "qint32"):
        tensors.append(tf.bitcast(tf.constant([1, 2], name[1:]), name))
        values[name], dtypes = np.array([1, 2]), [*dtypes, tf.dtypes.as_dtype(name)]
    prefix = str(tmp_path / "all")
    tf.raw_ops.SaveV2(
        prefix=prefix,
        tensor_names=list(values),
        shape_and_slices=[""] * len(values),
        tensors=tensors,
    )

    from tensorflow.python.ops import io_ops

    def restored() -> list[Any]:
        found = io_ops.restore_v2(prefix, list(values), [""] * len(values), dtypes)
        return [
            tf.bitcast(each, each.dtype.name[1:]) if each.dtype.is_quantized else each
            for each in found
        ]

    with wt.install():
        eager = [tensor.numpy() for tensor in restored()]
        with tf.Graph().as_default(), v1.Session() as session:
            symbolic = session.run(restored())
        traced = [tensor.numpy() for tensor in tf.function(restored)()]
    for got in (eager, symbolic, traced):
        for value, (name, expected) in zip(got, values.items()):
            assert value.astype(expected.dtype).tolist() == expected.tolist(), name


def test_pairs_that_match_nothing_draw_a_warning(written: Path, graph: Any) -> None:
    zeros("row", [1, 10])
    with pytest.warns(wt.WarmstartWarning, match="'useful_scope/': 'no_scope/' matched no"):
        wt.init_from_checkpoint(written, {"row": "row", "useful_scope/": "no_scope/"})
    for nothing in ({}, {"useful_scope/": "no_scope/"}, {"row": []}):
        with pytest.warns(wt.WarmstartWarning, match="assigned nothing"):
            wt.init_from_checkpoint(written, nothing)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        wt.init_from_checkpoint(written, iter([("row", "row")]))


def test_unknown_names_are_reported_with_the_nearest(written: Path, graph: Any) -> None:
    zeros("copy/row", [1, 10])
    zeros("scope/inner", [9, 9])
    for pairs, start, end in (
        ({"rwo": "copy/row"}, "Tensor rwo is not found in", "; nearest: row"),
        ({"usefl_scope/": "scope/"}, "Tensor usefl_scope/inner", "; nearest: useful_scope/inner"),
        (
            {"row": "copy/rwo"},
            "Assignment map with scope only name copy should",
            "; no variable is named copy/rwo; nearest: copy/row",
        ),
    ):
        with pytest.raises(ValueError) as raised:
            wt.init_from_checkpoint(written, pairs)
        assert str(raised.value).startswith(start) and str(raised.value).endswith(end)
        with wt.install(), pytest.raises(ValueError) as raised:
            v1.train.init_from_checkpoint(str(written), pairs)
        assert str(raised.value).endswith(end)
    with pytest.raises(ValueError, match="'scope/': 'other_scope/'.$"):
        wt.init_from_checkpoint(written, {"row": "scope/"})
    for pairs in ({"useful_scope/": "scpoe/"}, {"row": "copy/row", "useful_scope/": "scpoe/"}):
        with pytest.warns(wt.WarmstartWarning, match="'scpoe/'.*; nearest: scope/$"):
            wt.init_from_checkpoint(written, pairs)


def test_errors_name_no_option_that_tensorflow_lacks(written: Path) -> None:
    from tensorflow.python.ops import io_ops

    prefix = tf.train.latest_checkpoint(str(written))
    with wt.install():
        for spec, dtype in (("", tf.float16), ("10 1 0,5:-", tf.float32)):
            with pytest.raises(tf.errors.InvalidArgumentError) as raised:
                io_ops.restore_v2(prefix, ["row"], [spec], [dtype])
            assert not re.search("cast|transpose|variable", raised.value.message)
        with pytest.raises(tf.errors.NotFoundError) as missing:
            io_ops.restore_v2(prefix, ["rows.*"], [""], [tf.float32])
        assert "re.compile" not in missing.value.message
    text = "no a; saved objects: with object_names=True, names are keys; nearest: b\n  no b"
    error = _failures.of_reader(warmstart.WarmstartError.of("TENSOR_NOT_FOUND", text))
    assert str(error).endswith("no a; nearest: b\n  no b")


def test_waiting_for_a_checkpoint_ends(tmp_path: Path) -> None:
    assert list(wt.checkpoints_iterator(str(tmp_path), timeout=0.1)) == []


def test_an_overwritten_checkpoint_is_read_again(tmp_path: Path) -> None:
    path = checkpoints.save(tmp_path, {"a": np.zeros(3, np.float32)})
    with wt.install():
        assert tf.train.load_variable(path, "a").tolist() == [0, 0, 0]
        assert checkpoints.save(tmp_path, {"a": np.ones(3, np.float32)}) == path
        assert tf.train.load_variable(path, "a").tolist() == [1, 1, 1]


def test_a_relative_path_is_found(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(written.parent)
    assert wt.load_variable(written.name, "row").shape == (1, 10)
    monkeypatch.chdir(os.sep)
    assert wt.load_variable(written, "row").shape == (1, 10)
