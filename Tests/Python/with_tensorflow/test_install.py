"""Programs that were written for TensorFlow alone, under `install()`."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow", reason="needs TensorFlow")

import checkpoints
import warmstart
import warmstart.tensorflow as wt
from checkpoints import MATRIX, VALUES, v1, zeros

from daemons import Daemon


@pytest.fixture
def resolved(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The prefixes of the checkpoints that something was resolved from."""
    from warmstart._checkpoint import Checkpoint

    made: list[str] = []
    own = Checkpoint.call

    def call(this: Any, name: str, *rest: Any, **named: Any) -> None:
        if name == "Resolve":
            made.append(this.path)
        own(this, name, *rest, **named)

    monkeypatch.setattr(Checkpoint, "call", call)
    return made


@pytest.fixture
def installed() -> Iterator[None]:
    with wt.install():
        yield


def seams() -> tuple[Any, ...]:
    """Everything that an installation may replace."""
    from tensorflow.python.client import session
    from tensorflow.python.eager.polymorphic_function import atomic_function
    from tensorflow.python.framework import ops
    from tensorflow.python.ops import gen_checkpoint_ops, gen_io_ops, io_ops
    from tensorflow.python.training import checkpoint_utils, py_checkpoint_reader, training

    return (
        io_ops.restore_v2,
        gen_io_ops.restore_v2,
        py_checkpoint_reader.NewCheckpointReader,
        training.NewCheckpointReader,
        v1.train.NewCheckpointReader,
        checkpoint_utils._init_from_checkpoint,
        checkpoint_utils._set_checkpoint_initializer,
        gen_checkpoint_ops.load_and_remap_matrix,
        session.BaseSession._do_call,
        atomic_function.InterpolateRuntimeError.__exit__,
        ops.Graph._as_graph_def,
    )


def model(seed: int = 0) -> Any:
    tf.keras.utils.set_random_seed(seed)
    layers = tf.keras.layers
    return tf.keras.Sequential(
        [layers.Input((4,)), layers.Dense(3), layers.BatchNormalization(), layers.Dense(2)]
    )


def trained(seed: int = 0) -> Any:
    made = model(seed)
    made.compile(tf.keras.optimizers.Adam(0.1), "mse")
    made.fit(np.ones((8, 4)), np.ones((8, 2)), epochs=2, verbose=0)
    return made


def test_undoing_install_restores_every_function() -> None:
    before = seams()
    first = wt.install()
    with wt.install():
        assert seams() != before
    assert seams() != before
    second = wt.install()
    first.uninstall()
    first.uninstall()
    assert seams() != before
    second.uninstall()
    assert seams() == before
    wt.install()
    wt.uninstall()
    wt.uninstall()
    assert seams() == before


def test_an_object_checkpoint_is_restored(tmp_path: Path, resolved: list[str]) -> None:
    saved = tf.train.Checkpoint(
        a=tf.Variable([1.0, 2.0]), b=[tf.Variable(3), tf.Variable(["x", ""])], step=tf.Variable(7)
    )
    path = saved.save(str(tmp_path / "model"))
    fresh = tf.train.Checkpoint(
        a=tf.Variable([0.0, 0.0]), b=[tf.Variable(0), tf.Variable(["", ""])], step=tf.Variable(0)
    )
    with wt.install():
        fresh.restore(path).assert_consumed()
    assert fresh.a.numpy().tolist() == [1, 2]
    assert fresh.b[1].numpy().tolist() == [b"x", b""]
    assert (fresh.b[0].numpy(), fresh.step.numpy(), fresh.save_counter.numpy()) == (3, 7, 1)
    assert path in resolved


def test_variables_made_after_restoring_get_their_values(
    tmp_path: Path, installed: None, resolved: list[str]
) -> None:
    path = tf.train.Checkpoint(v=tf.Variable(MATRIX)).save(str(tmp_path / "model"))
    late = tf.train.Checkpoint()
    status = late.restore(path)
    resolved.clear()
    late.v = tf.Variable(tf.zeros([100, 100]))
    status.assert_consumed()
    np.testing.assert_array_equal(late.v.numpy(), MATRIX)
    assert resolved == [path]


@pytest.mark.parametrize("is_restored_first", [False, True])
def test_a_model_continues_training_where_it_stopped(
    tmp_path: Path, resolved: list[str], is_restored_first: bool
) -> None:
    first = trained()
    path = tf.train.Checkpoint(model=first).save(str(tmp_path / "model"))
    expected = [weight.numpy() for weight in first.variables]
    first.fit(np.ones((8, 4)), np.ones((8, 2)), verbose=0)
    goal = [weight.numpy() for weight in first.variables]
    second = model(1)
    second.compile(tf.keras.optimizers.Adam(0.1), "mse")
    with wt.install():
        if not is_restored_first:
            second.optimizer.build(second.trainable_variables)
        status = tf.train.Checkpoint(model=second).restore(path)
        if is_restored_first:
            second.optimizer.build(second.trainable_variables)
        status.assert_existing_objects_matched()
    for weight, value in zip(second.variables, expected):
        np.testing.assert_array_equal(weight.numpy(), value)
    second.fit(np.ones((8, 4)), np.ones((8, 2)), verbose=0)
    for weight, value in zip(second.variables, goal):
        np.testing.assert_allclose(weight.numpy(), value, rtol=1e-5, atol=1e-6)
    assert path in resolved


def test_slots_of_optimizers_are_restored(tmp_path: Path, installed: None) -> None:
    def step(variable: Any, optimizer: Any) -> None:
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(variable**2)
        optimizer.apply_gradients([(tape.gradient(loss, variable), variable)])

    v, adam = tf.Variable([1.0, 2.0]), v1.train.AdamOptimizer(0.1)
    step(v, adam)
    path = tf.train.Checkpoint(v=v, adam=adam).save(str(tmp_path / "model"))
    step(v, adam)
    w, other = tf.Variable([0.0, 0.0]), v1.train.AdamOptimizer(0.1)
    status = tf.train.Checkpoint(v=w, adam=other).restore(path)
    step(w, other)
    status.assert_existing_objects_matched()
    np.testing.assert_array_equal(w.numpy(), v.numpy())


def test_a_manager_restores_the_latest(tmp_path: Path, installed: None) -> None:
    saved = tf.train.Checkpoint(v=tf.Variable(1.0))
    manager = tf.train.CheckpointManager(saved, str(tmp_path), max_to_keep=2)
    for value in (1.0, 2.0, 3.0):
        saved.v.assign(value)
        manager.save()
    fresh = tf.train.Checkpoint(v=tf.Variable(0.0))
    assert tf.train.CheckpointManager(fresh, str(tmp_path), 2).restore_or_initialize()
    assert fresh.v.numpy() == 3


def test_names_are_restored_into_objects(tmp_path: Path, resolved: list[str]) -> None:
    path = checkpoints.save(tmp_path, {"weight": np.ones(3, np.float32)})
    fresh = tf.train.Checkpoint(w=tf.Variable([0.0, 0, 0], name="weight"))
    with wt.install():
        fresh.restore(path).run_restore_ops()
    assert fresh.w.numpy().tolist() == [1, 1, 1]
    assert set(resolved) == {path}


def test_a_saver_restores_a_graph(written: Path, graph: Any, resolved: list[str]) -> None:
    path = tf.train.latest_checkpoint(written)
    with wt.install():
        made = [zeros(name, value.shape) for name, value in VALUES.items()]
        saver = v1.train.Saver()
    with v1.Session() as session:
        saver.restore(session, path)
        for value, expected in zip(session.run(made), VALUES.values()):
            np.testing.assert_array_equal(value, expected)
    assert resolved == [path]


def test_an_object_checkpoint_is_restored_in_a_graph(
    tmp_path: Path, graph: Any, resolved: list[str], installed: None
) -> None:
    with tf.Graph().as_default(), v1.Session() as session:
        saved = v1.train.Checkpoint(v=zeros("v", [3], initializer=v1.ones_initializer()))
        session.run(saved.v.initializer)
        path = saved.save(str(tmp_path / "model"), session=session)
    fresh = v1.train.Checkpoint(v=zeros("other", [3]))
    status = fresh.restore(path)
    resolved.clear()
    with v1.Session() as session:
        status.assert_consumed().run_restore_ops(session)
        assert session.run(fresh.v).tolist() == [1, 1, 1]
    assert set(resolved) == {path}


def test_a_saver_restores_partitions(partitioned: Path, graph: Any, installed: None) -> None:
    with v1.variable_scope("scope"):
        matrix = zeros("matrix", [100, 100], partitioner=v1.fixed_size_partitioner(3))
    with v1.Session() as session:
        v1.train.Saver().restore(session, tf.train.latest_checkpoint(partitioned))
        pieces = session.run(matrix._get_variable_list())
    np.testing.assert_array_equal(np.concatenate(pieces), MATRIX)


def test_a_saver_reads_an_object_checkpoint_by_names(
    tmp_path: Path, graph: Any, installed: None
) -> None:
    with tf.Graph().as_default(), v1.Session() as session:
        v = zeros("v", [3], initializer=v1.ones_initializer())
        session.run(v.initializer)
        saved = v1.train.Checkpoint(v=v)
        path = saved.save(str(tmp_path / "model"), session=session)
    v = zeros("v", [3])
    with v1.Session() as session:
        # A first try by names finds nothing, and TensorFlow goes by the error's class.
        v1.train.Saver().restore(session, path)
        assert session.run(v).tolist() == [1, 1, 1]


def test_a_graph_that_is_saved_can_be_used_without_warmstart(
    written: Path, graph: Any, tmp_path: Path
) -> None:
    row = zeros("row", [1, 10], use_resource=True)
    path = str(tmp_path / "again")
    with wt.install(), v1.Session() as session:
        v1.train.init_from_checkpoint(str(written), {"row": "row"})
        saver = v1.train.Saver()
        session.run(row.initializer)
        saver.save(session, path)
    with tf.Graph().as_default() as imported, v1.Session() as session:
        saver = v1.train.import_meta_graph(path + ".meta")
        kinds = {op.type for op in imported.get_operations()}
        assert "RestoreV2" in kinds and "PyFunc" not in kinds
        saver.restore(session, path)
        (value,) = v1.global_variables()
        np.testing.assert_array_equal(session.run(value), VALUES["row"])
        session.run(v1.global_variables_initializer())
        np.testing.assert_array_equal(session.run(value), VALUES["row"])


def test_a_saved_model_can_be_used_without_warmstart(tmp_path: Path) -> None:
    module = tf.Module()
    module.v = tf.Variable([1.0, 2.0])
    module.f = tf.function(lambda x: x * module.v, input_signature=[tf.TensorSpec([2])])
    with wt.install():
        tf.saved_model.save(module, str(tmp_path))
    data = (tmp_path / "saved_model.pb").read_bytes()
    assert b"RestoreV2" in data and b"PyFunc" not in data
    with tf.Graph().as_default(), v1.Session() as session:
        v1.saved_model.load(session, ["serve"], str(tmp_path))
        assert session.run("Variable/Read/ReadVariableOp:0").tolist() == [1, 2]


def test_a_saved_model_is_loaded_from_the_daemon(tmp_path: Path, resolved: list[str]) -> None:
    module = tf.Module()
    module.v = tf.Variable([1.0, 2.0])
    tf.saved_model.save(module, str(tmp_path))
    with wt.install():
        assert tf.saved_model.load(str(tmp_path)).v.numpy().tolist() == [1, 2]
    assert set(resolved) == {str(tmp_path / "variables" / "variables")}


def test_functions_restore_when_they_run(tmp_path: Path, resolved: list[str]) -> None:
    path = tf.train.Checkpoint(v=tf.Variable([1.0, 2.0])).write(str(tmp_path / "model"))
    from tensorflow.python.ops import io_ops

    key = "v/.ATTRIBUTES/VARIABLE_VALUE"

    @tf.function
    def read(prefix: Any) -> Any:
        return io_ops.restore_v2(prefix, [key], [""], [tf.float32])[0]

    with wt.install():
        traced = read.get_concrete_function(tf.TensorSpec([], tf.string))
    assert resolved == []
    assert traced(tf.constant(path)).numpy().tolist() == [1, 2]
    assert resolved == [path]
    with pytest.raises(tf.errors.NotFoundError, match="no checkpoint at"):
        traced(tf.constant(path + "x"))


def test_replicas_are_restored(tmp_path: Path, resolved: list[str]) -> None:
    path = tf.train.Checkpoint(v=tf.Variable([1.0, 2.0])).save(str(tmp_path / "model"))
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    with strategy.scope():
        v = tf.Variable([0.0, 0.0])
        w = tf.Variable([0.0, 0.0])
    with wt.install():
        tf.train.Checkpoint(v=v).restore(path)
        with strategy.scope():
            v1.train.init_from_checkpoint(path, {"v/.ATTRIBUTES/VARIABLE_VALUE": w})
    assert v.numpy().tolist() == w.numpy().tolist() == [1, 2]
    assert path in resolved


def test_iterators_are_left_to_tensorflow(tmp_path: Path, installed: None) -> None:
    iterator = iter(tf.data.Dataset.range(9))
    next(iterator), next(iterator)
    path = tf.train.Checkpoint(it=iterator, v=tf.Variable(1.0)).save(str(tmp_path / "model"))
    fresh, v = iter(tf.data.Dataset.range(9)), tf.Variable(0.0)
    tf.train.Checkpoint(it=fresh, v=v).restore(path).assert_consumed()
    assert next(fresh).numpy() == 2
    assert v.numpy() == 1


def test_paths_of_tensorflows_own_file_systems_are_left_to_it(installed: None) -> None:
    path = tf.train.Checkpoint(v=tf.Variable(5.0)).write("ram://somewhere/model")
    fresh = tf.train.Checkpoint(v=tf.Variable(0.0))
    fresh.read(path).assert_consumed()
    assert fresh.v.numpy() == 5


def test_the_same_values_as_without(written: Path) -> None:
    def values() -> list[np.ndarray]:
        with tf.Graph().as_default():
            with v1.variable_scope("my"):
                made = [zeros(name, value.shape) for name, value in VALUES.items()]
            v1.train.init_from_checkpoint(str(written), {"/": "my/"})
            return checkpoints.initialized(*made)

    expected = values()
    with wt.install():
        got = values()
    for ours, theirs in zip(got, expected):
        np.testing.assert_array_equal(ours, theirs)


# Without a daemon


@pytest.fixture
def nobody(tmp_path: Path) -> warmstart.Client:
    return warmstart.Client(str(tmp_path / "nobody.sock"))


def test_without_a_daemon_an_error_says_how_to_start_one(
    written: Path, graph: Any, nobody: warmstart.Client
) -> None:
    row = zeros("row", [1, 10])
    wt.init_from_checkpoint(written, {"row": row})
    with pytest.raises(tf.errors.UnavailableError, match="start it with: warmstartd --socket"):
        wt.load_checkpoint(written, client=nobody)
    from tensorflow.python.ops import io_ops

    path = tf.train.latest_checkpoint(written)
    with wt.install(client=nobody):
        restored = io_ops.restore_v2(path, ["row"], [""], [tf.float32])
    with v1.Session() as session, pytest.raises(tf.errors.UnavailableError, match="start it"):
        session.run(restored)


def test_without_a_daemon_tensorflow_restores_itself_on_request(
    written: Path,
    graph: Any,
    nobody: warmstart.Client,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from warmstart.tensorflow import _restore

    monkeypatch.setattr(_restore, "_said", set())
    with caplog.at_level(logging.WARNING, "warmstart"), wt.install(client=nobody, fallback=True):
        made = [zeros(name, value.shape) for name, value in VALUES.items()]
        v1.train.init_from_checkpoint(str(written), {"/": "/"})
        for value, expected in zip(checkpoints.initialized(*made), VALUES.values()):
            np.testing.assert_array_equal(value, expected)
        np.testing.assert_array_equal(tf.train.load_variable(written, "large"), MATRIX)
    said = [record for record in caplog.records if record.name == "warmstart"]
    assert len(said) == 1 and "TensorFlow's own" in said[0].getMessage()


def test_a_reader_falls_back_after_the_daemon_has_gone(written: Path, own_daemon: Daemon) -> None:
    with warmstart.Client(own_daemon.socket) as client:
        reader = wt.load_checkpoint(written, client=client, fallback=True)
        own_daemon.stop()
        np.testing.assert_array_equal(reader.get_tensor("large"), MATRIX)


def test_a_map_at_fault_is_no_reason_to_fall_back(written: Path) -> None:
    with pytest.raises(tf.errors.NotFoundError, match="has no tensor"):
        wt.load_variable(written, "column", fallback=True)


def test_several_names_are_not_a_string(written: Path) -> None:
    with pytest.raises(TypeError, match="names: expected several names, got the string 'column'"):
        wt.load_tensors(written, "column")


@pytest.mark.parametrize("is_eager", [True, False])
def test_an_error_about_another_dtype_names_the_tensor(written: Path, is_eager: bool) -> None:
    from tensorflow.python.ops import io_ops

    def read() -> Any:
        return io_ops.restore_v2(str(written), ["large"], [""], [tf.float16])[0]

    words = r"DTYPE_MISMATCH\): .*: tensor large: expected dtype float16 .* float32"
    with wt.install(), pytest.raises(tf.errors.InvalidArgumentError, match=words):
        read() if is_eager else tf.function(read)()


# With a damaged checkpoint


def damaged(directory: Path, kind: str) -> str:
    path = tf.train.Checkpoint(v=tf.Variable(MATRIX)).write(str(directory / "model"))
    index, data = path + ".index", path + ".data-00000-of-00001"
    size = os.stat(data).st_size
    if kind == "flipped":
        with open(data, "r+b") as file:
            file.seek(1000)
            file.write(b"\xff\xfe\xfd\xfc")
    elif kind == "truncated":
        os.truncate(data, size - 30000)
    elif kind == "no data":
        os.remove(data)
    elif kind == "no index":
        os.remove(index)
    elif kind == "short index":
        os.truncate(index, 10)
    elif kind == "bad magic":
        os.truncate(index, os.stat(index).st_size - 1)
    return path


@pytest.mark.parametrize(
    "kind", ["flipped", "truncated", "no data", "no index", "short index", "bad magic"]
)
def test_damage_raises_the_class_that_tensorflow_raises(tmp_path: Path, kind: str) -> None:
    from tensorflow.python.ops import io_ops

    path = damaged(tmp_path, kind)
    key = "v/.ATTRIBUTES/VARIABLE_VALUE"

    def eager() -> None:
        io_ops.restore_v2(path, [key], [""], [tf.float32])

    def symbolic() -> None:
        with tf.Graph().as_default(), v1.Session() as session:
            session.run(io_ops.restore_v2(path, [key], [""], [tf.float32]))

    def traced() -> None:
        tf.function(eager)()

    def read() -> None:
        tf.train.load_variable(path, key)

    for call in (eager, symbolic, traced, read):
        with pytest.raises(Exception) as theirs:
            call()
        with wt.install(), pytest.raises(Exception) as ours:
            call()
        assert isinstance(ours.value, theirs.type), call.__name__
        if call is not read:
            assert ours.type is theirs.type, call.__name__


def test_names_and_shapes_need_no_data_files(tmp_path: Path) -> None:
    path = tf.train.Checkpoint(v=tf.Variable([1.0, 2.0])).write(str(tmp_path / "model"))
    data = path + ".data-00000-of-00001"
    os.remove(data)
    os.mkdir(data)
    key = "v/.ATTRIBUTES/VARIABLE_VALUE"
    assert (key, [2]) in wt.list_variables(path)
    reader = wt.load_checkpoint(path)
    with pytest.raises(tf.errors.NotFoundError, match="data-00000-of-00001"):
        reader.get_tensor(key)
