"""Tensors made from a reader's arrays share their memory, and no array shows a write to them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

import warmstart.tensorflow

import bundles
import memory

VALUES = {f"v{number}": np.full([256, 1024], number, np.float32) for number in range(8)}


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Any:
    tf.constant(0.0)  # TensorFlow sets itself up at its first operation
    prefix = bundles.write(tmp_path_factory.mktemp("checkpoint") / "model", VALUES)
    return warmstart.tensorflow.load_checkpoint(str(prefix))


def test_variables_made_of_a_readers_arrays_share_memory(reader: Any) -> None:
    variables = [tf.Variable(reader.get_tensor(name)) for name in VALUES]
    for variable, value in zip(variables, VALUES.values()):
        assert np.array_equal(variable.numpy(), value)
        address = np.asarray(variable.read_value()).__array_interface__["data"][0]
        # Fails if it is in the process's own memory.
        assert memory.copied_bytes([address]) == 0


def test_a_variable_that_is_updated_changes_no_array(reader: Any) -> None:
    variable = tf.Variable(reader.get_tensor("v3"))
    variable.assign_add(tf.ones_like(variable))
    assert np.array_equal(reader.get_tensor("v3"), VALUES["v3"])
    assert np.array_equal(variable.numpy(), VALUES["v3"] + 1)


def test_an_array_that_a_variable_shares_cannot_be_written(reader: Any) -> None:
    array = reader.get_tensor("v4")
    variable = tf.Variable(array)
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 7
    assert np.array_equal(variable.numpy(), VALUES["v4"])


def test_an_array_can_be_written_before_a_variable_is_made(reader: Any) -> None:
    array = reader.get_tensor("v5")
    array[0] = 7
    assert np.array_equal(tf.Variable(array).numpy(), array)
    assert np.array_equal(reader.get_tensor("v5"), VALUES["v5"]), "each call gives another array"


def test_a_part_of_an_array_that_can_be_written_is_copied(reader: Any) -> None:
    array = reader.get_tensor("v6")
    variable = tf.Variable(array[:128])
    array[0] = 7
    assert np.array_equal(variable.numpy(), VALUES["v6"][:128])
