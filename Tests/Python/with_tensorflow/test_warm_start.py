"""TensorFlow's own tests of `warm_start`, through Warmstart.

Values are those of a checkpoint with a matrix that has a row for each of the words "apple",
"banana", "guava" and "orange", and a column for each of two classes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow", reason="needs TensorFlow")

import checkpoints
import warmstart.tensorflow as wt
from checkpoints import initialized, v1, zeros

OLD_WORDS = ["apple", "banana", "guava", "orange"]
NEW_WORDS = ["orange", "guava", "banana", "apple", "raspberry"]
OLD = np.array([[0.5, 1.0], [1.5, 2.0], [2.5, 3.0], [3.5, 4.0]], np.float32)
# The rows of NEW_WORDS, of which the last is new.
NEW = np.array([[3.5, 4.0], [2.5, 3.0], [1.5, 2.0], [0.5, 1.0], [0.0, 0.0]], np.float32)
COLUMN_WORDS = ["apple", "banana"]
NEW_COLUMN_WORDS = ["orange", "banana", "apple"]
NEW_COLUMNS = np.stack([np.zeros(4, np.float32), OLD[:, 1], OLD[:, 0]], axis=1)


@pytest.fixture
def words(tmp_path: Path) -> dict[str, str]:
    """Files of vocabularies."""
    files = {
        "old": OLD_WORDS,
        "new": NEW_WORDS,
        "old columns": COLUMN_WORDS,
        "new columns": NEW_COLUMN_WORDS,
    }
    for name, listed in files.items():
        (tmp_path / f"{name}.txt").write_text("".join(word + "\n" for word in listed))
    return {name: str(tmp_path / f"{name}.txt") for name in files}


def of_rows(words: dict[str, str], **changes: Any) -> Any:
    options: dict[str, Any] = {
        "new_vocab": words["new"],
        "new_vocab_size": len(NEW_WORDS),
        "num_oov_buckets": 0,
        "old_vocab": words["old"],
    }
    return v1.train.VocabInfo(**{**options, **changes})


def of_columns(words: dict[str, str], **changes: Any) -> Any:
    options = {"new_vocab": words["new columns"], "old_vocab": words["old columns"], "axis": 1}
    return of_rows(words, **{"new_vocab_size": 3, **options, **changes})


def save(directory: Path, values: Any, partitions: int = 0) -> str:
    return checkpoints.save(directory, values, partitions=partitions)


def whole(variable: Any) -> np.ndarray:
    """A variable's value, or that of its partitions, one below the other."""
    pieces = getattr(variable, "_get_variable_list", lambda: [variable])()
    return np.concatenate(initialized(*pieces))


def cut(parts: int) -> dict[str, Any]:
    return {"partitioner": v1.fixed_size_partitioner(parts)} if parts else {}


PARTITIONS = [(0, 0), (2, 0), (0, 2), (2, 2)]


@pytest.mark.parametrize(("old", "new"), PARTITIONS)
def test_values_are_carried_over(tmp_path: Path, graph: Any, old: int, new: int) -> None:
    path = save(tmp_path, {"matrix": OLD}, old)
    with v1.variable_scope("", use_resource=True):
        matrix = zeros("matrix", OLD.shape, **cut(new))
    wt.warm_start(path)
    np.testing.assert_array_equal(whole(matrix), OLD)


@pytest.mark.parametrize(("old", "new"), PARTITIONS)
def test_rows_follow_their_words(
    tmp_path: Path, graph: Any, words: dict[str, str], old: int, new: int
) -> None:
    path = save(tmp_path, {"matrix": OLD}, old)
    buckets = 1 if new else 0
    matrix = zeros("matrix", [5 + buckets, 2], **cut(new))
    info = of_rows(words, num_oov_buckets=buckets)
    wt.warm_start(path, var_name_to_vocab_info={"matrix": info})
    np.testing.assert_array_equal(whole(matrix), np.concatenate([NEW, np.zeros((buckets, 2))]))


@pytest.mark.parametrize(("old", "new"), PARTITIONS)
def test_columns_follow_their_words(
    tmp_path: Path, graph: Any, words: dict[str, str], old: int, new: int
) -> None:
    path = save(tmp_path, {"matrix": OLD}, old)
    matrix = zeros("matrix", [4, 3], **cut(new))
    wt.warm_start(path, var_name_to_vocab_info={"matrix": of_columns(words)})
    np.testing.assert_array_equal(whole(matrix), NEW_COLUMNS)


def test_old_words_beyond_the_old_size_are_ignored(
    tmp_path: Path, graph: Any, words: dict[str, str]
) -> None:
    path = save(tmp_path, {"matrix": OLD[:2]})
    matrix = zeros("matrix", [5, 2])
    info = of_rows(words, old_vocab_size=2)
    wt.warm_start(path, var_name_to_vocab_info={"matrix": info})
    expected = [[0, 0], [0, 0], [1.5, 2.0], [0.5, 1.0], [0, 0]]
    np.testing.assert_array_equal(whole(matrix), expected)


def test_new_rows_get_what_the_backup_initializer_gives(
    tmp_path: Path, graph: Any, words: dict[str, str]
) -> None:
    path = save(tmp_path, {"matrix": OLD})
    matrix = zeros("matrix", [7, 2])

    def backup(shape: Any, dtype: Any = tf.float32) -> Any:
        return tf.reshape(tf.range(7.0, 7.0 + tf.cast(tf.reduce_prod(shape), tf.float32)), shape)

    info = of_rows(words, num_oov_buckets=2, backup_initializer=backup)
    wt.warm_start(path, var_name_to_vocab_info={"matrix": info})
    got = whole(matrix)
    np.testing.assert_array_equal(got[:4], NEW[:4])
    np.testing.assert_array_equal(got[4], [7, 8])
    np.testing.assert_array_equal(got[5:], [[7, 8], [9, 10]])


def test_other_jobs_do_not_see_initial_values(tmp_path: Path, words: dict[str, str]) -> None:
    path = save(tmp_path, {"matrix": OLD})
    for value in (3.0, 4.0):
        with tf.Graph().as_default():
            matrix = zeros("matrix", [5, 2])
            info = of_rows(words, backup_initializer=lambda shape, v=value: tf.fill(shape, v))
            wt.warm_start(path, var_name_to_vocab_info={"matrix": info})
            assert whole(matrix)[4].tolist() == [value, value]


def test_variables_are_chosen_as_a_list(tmp_path: Path, graph: Any) -> None:
    path = save(tmp_path, {"one": np.ones(2, np.float32), "two": np.ones(2, np.float32)})
    one, two = zeros("one", [2]), zeros("two", [2])
    wt.warm_start(path, [one])
    assert [value.tolist() for value in initialized(one, two)] == [[1, 1], [0, 0]]


def test_variables_are_chosen_by_their_names(tmp_path: Path, graph: Any) -> None:
    ones = np.ones(2, np.float32)
    path = save(tmp_path, {"one": ones, "two": ones, "one/Momentum": ones, "two/Momentum": ones})
    one, two = zeros("one", [2]), zeros("two", [2])
    one_slot = zeros("one/Momentum", [2], trainable=False)
    two_slot = zeros("two/Momentum", [2], trainable=False)
    # Each is an expression that the beginning of a name matches.
    wt.warm_start(path, ["one", "two[^/]"])
    got = [value[0] for value in initialized(one, one_slot, two, two_slot)]
    assert got == [1, 1, 1, 0]


def test_an_expression_chooses_among_trainable_variables(tmp_path: Path, graph: Any) -> None:
    ones = np.ones(2, np.float32)
    path = save(tmp_path, {"one": ones, "two": ones, "three": ones})
    made = [zeros("one", [2]), zeros("two", [2]), zeros("three", [2], trainable=False)]
    wt.warm_start(path, "one|three")
    assert [value[0] for value in initialized(*made)] == [1, 0, 0]


def column_of_words(words: dict[str, str], old_or_new: str) -> Any:
    return tf.feature_column.categorical_column_with_vocabulary_file(
        "word", words[old_or_new], len(OLD_WORDS if old_or_new == "old" else NEW_WORDS)
    )


def test_linear_models_of_feature_columns_start(
    tmp_path: Path, graph: Any, words: dict[str, str]
) -> None:
    def predictions(old_or_new: str, listed: list[str], numbers: list[int]) -> Any:
        columns = [
            column_of_words(words, old_or_new),
            tf.feature_column.categorical_column_with_identity("number", 3),
        ]
        inputs = {"word": tf.constant(listed), "number": tf.constant(numbers)}
        return v1.feature_column.linear_model(inputs, columns)

    with tf.Graph().as_default(), v1.Session() as session:
        predictions("old", ["apple"], [0])
        session.run(v1.global_variables_initializer())
        made = {variable.shape[0]: variable for variable in v1.trainable_variables()}
        made[4].load(np.array([[1], [2], [3], [4]], np.float32), session)
        made[3].load(np.array([[10], [20], [30]], np.float32), session)
        made[1].load(np.array([100], np.float32), session)
        path = v1.train.Saver().save(session, str(tmp_path / "linear"))
    predicted = predictions("new", ["orange", "raspberry", "apple"], [1, 0, 2])
    wt.warm_start(path, var_name_to_vocab_info={made[4].op.name: of_rows(words)})
    with v1.Session() as session:
        session.run([v1.global_variables_initializer(), v1.tables_initializer()])
        assert session.run(predicted).tolist() == [[124], [110], [131]]


def test_embeddings_of_feature_columns_start(
    tmp_path: Path, graph: Any, words: dict[str, str]
) -> None:
    def embedded(old_or_new: str) -> Any:
        column = tf.feature_column.embedding_column(column_of_words(words, old_or_new), 2)
        inputs = {"word": tf.constant([["orange"], ["raspberry"]])}
        return v1.feature_column.input_layer(inputs, [column])

    with tf.Graph().as_default(), v1.Session() as session:
        embedded("old")
        session.run(v1.global_variables_initializer())
        (weights,) = v1.trainable_variables()
        weights.load(OLD, session)
        path, name = v1.train.Saver().save(session, str(tmp_path / "deep")), weights.op.name
    layer = embedded("new")
    info = of_rows(words, backup_initializer=v1.ones_initializer())
    wt.warm_start(path, var_name_to_vocab_info={name: info})
    with v1.Session() as session:
        session.run([v1.global_variables_initializer(), v1.tables_initializer()])
        np.testing.assert_array_equal(session.run(layer), [NEW[0], [1, 1]])


def test_two_variables_start_from_one_tensor(tmp_path: Path, graph: Any) -> None:
    path = save(tmp_path, {"old": np.array([1, 2], np.float32)})
    one, two = zeros("one", [2]), zeros("two", [2])
    wt.warm_start(path, var_name_to_prev_var_name={"one": "old", "two": "old"})
    for value in initialized(one, two):
        assert value.tolist() == [1, 2]


def test_only_variables_with_vocabularies_start_if_none_are_chosen(
    tmp_path: Path, graph: Any, words: dict[str, str]
) -> None:
    path = save(tmp_path, {"matrix": OLD, "bias": np.ones(2, np.float32)})
    matrix, bias = zeros("matrix", [5, 2]), zeros("bias", [2])
    wt.warm_start(path, None, {"matrix": of_rows(words)})
    np.testing.assert_array_equal(whole(matrix), NEW)
    assert whole(bias).tolist() == [0, 0]


def test_names_expressions_and_vocabularies_go_together(
    tmp_path: Path, graph: Any, words: dict[str, str]
) -> None:
    ones = np.ones((2, 1), np.float32)
    path = save(tmp_path, {"linear/words": OLD, "linear/ages": ones, "other/weights": ones})
    matrix = zeros("linear/sentences", [5, 2])
    ages, other = zeros("linear/ages", [2, 1]), zeros("other/weights", [2, 1])
    wt.warm_start(
        path,
        "linear/.*",
        {"linear/sentences": of_rows(words)},
        {"linear/sentences": "linear/words"},
    )
    np.testing.assert_array_equal(whole(matrix), NEW)
    assert whole(ages).tolist() == [[1], [1]]
    assert whole(other).tolist() == [[0], [0]]


def test_wrong_arguments_are_refused(tmp_path: Path, graph: Any, words: dict[str, str]) -> None:
    path = save(tmp_path, {"matrix": OLD})
    matrix = zeros("matrix", OLD.shape, partitioner=v1.fixed_size_partitioner(2))
    with pytest.raises(ValueError, match="PartitionedVariable"):
        wt.warm_start(path, [matrix])
    with pytest.raises(ValueError, match="var_name_to_prev_var_name that were not used"):
        wt.warm_start(path, var_name_to_prev_var_name={"nobody": "matrix"})
    with pytest.raises(ValueError, match="var_name_to_vocab_info that were not used"):
        wt.warm_start(path, var_name_to_vocab_info={"nobody": of_rows(words)})
    with pytest.raises(ValueError, match="must be a `list` or `str`"):
        wt.warm_start(path, 5)
    with pytest.raises(ValueError, match="axis"):
        of_rows(words, axis=2)


def test_an_object_checkpoint_is_matched_by_names(tmp_path: Path) -> None:
    model = tf.Module()
    model.v = tf.Variable([1.0, 2.0], name="weights")
    path = tf.train.Checkpoint(model=model).save(str(tmp_path / "model"))
    with tf.Graph().as_default():
        weights = zeros("weights", [2])
        wt.warm_start(path)
        assert whole(weights).tolist() == [1, 2]
    with tf.Graph().as_default():
        zeros("others", [2])
        with pytest.raises(ValueError, match="did not contain values for all variables"):
            wt.warm_start(path)


def test_finding_nothing_draws_a_warning(tmp_path: Path, graph: Any) -> None:
    path = save(tmp_path, {"matrix": OLD})
    with pytest.warns(wt.WarmstartWarning, match="found no variable"):
        wt.warm_start(path)


def test_a_new_graph_that_is_saved_needs_no_warmstart(
    tmp_path: Path, graph: Any, words: dict[str, str]
) -> None:
    path = save(tmp_path, {"matrix": OLD})
    zeros("matrix", [5, 2])
    wt.warm_start(path, var_name_to_vocab_info={"matrix": of_rows(words)})
    v1.global_variables_initializer()
    text = graph.as_graph_def()
    with tf.Graph().as_default(), v1.Session() as session:
        tf.import_graph_def(text, name="")
        session.run("init")
        np.testing.assert_array_equal(session.run("matrix/Read/ReadVariableOp:0"), NEW)


def test_a_tensor_that_is_missing_is_not_found(
    tmp_path: Path, graph: Any, words: dict[str, str]
) -> None:
    path = save(tmp_path, {"matrix": OLD})
    other = zeros("other", [5, 2])
    wt.warm_start(path, var_name_to_vocab_info={"other": of_rows(words)})
    with v1.Session() as session, pytest.raises(tf.errors.NotFoundError, match="other"):
        session.run(other.initializer)


def test_equal_vocabularies_share_one_copy(
    tmp_path: Path, graph: Any, words: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from warmstart.tensorflow._sources import Source

    asked = []
    own = Source.gathered
    monkeypatch.setattr(
        Source, "gathered", lambda this, key, axes: asked.append(axes) or own(this, key, axes)
    )
    path = save(tmp_path, {"matrix": OLD})
    matrix = zeros("matrix", [5, 2])
    wt.warm_start(path, var_name_to_vocab_info={"matrix": of_rows(words)})
    np.testing.assert_array_equal(whole(matrix), NEW)
    assert [axes[0].tolist() for axes in asked] == [[3, 2, 1, 0, -1]]
