"""Descriptors are closed when TensorFlow does not need them any more."""

from __future__ import annotations

import gc
import os
from pathlib import Path
from typing import Any

import pytest

tf = pytest.importorskip("tensorflow", reason="needs TensorFlow")

import warmstart
import warmstart.tensorflow as wt
from checkpoints import VALUES, v1, zeros
from warmstart.tensorflow._sources import sources


def in_a_graph(path: Path) -> None:
    with tf.Graph().as_default(), v1.Session() as session:
        made = [zeros(name, value.shape, use_resource=True) for name, value in VALUES.items()]
        wt.init_from_checkpoint(path, {"/": "/"})
        session.run(v1.global_variables_initializer())
        session.run(made)


def in_eager_mode(path: Path) -> None:
    variables = [tf.Variable(tensor) for tensor in wt.load_tensors(path).values()]
    assert len(variables) == len(VALUES)
    reader: Any = wt.load_checkpoint(path)
    assert reader.get_tensor("row").shape == (1, 10)


def let_go() -> None:
    sources.clear()
    gc.collect()
    # TensorFlow releases the arrays of an ended session when another one runs.
    with tf.Graph().as_default(), v1.Session() as session:
        session.run(tf.constant(0))


def of_checkpoints(directory: Path) -> list[str]:
    """The descriptors that this process has open below a directory, or for the daemon's arenas."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink("/proc/self/fd/" + name))
        except FileNotFoundError:
            continue
    return [path for path in found if "memfd:warmstart" in path or str(directory) in path]


def test_files_are_closed_when_no_variable_needs_them(written: Path) -> None:
    let_go()
    before = len([path for path in of_checkpoints(written) if "memfd" in path])
    in_a_graph(written)
    in_eager_mode(written)
    let_go()
    assert len(of_checkpoints(written)) <= before


def test_files_are_closed_soon_after_a_reader_is_gone(written: Path) -> None:
    assert wt.load_variable(written, "row").shape == (1, 10)
    assert of_checkpoints(written) == [path for path in of_checkpoints(written) if "memfd" in path]


def test_the_lease_lasts_as_long_as_a_variable_has_the_memory(written: Path) -> None:
    def leases() -> int:
        return sum(
            checkpoint.lease_count
            for checkpoint in warmstart.default_client().status().checkpoints
            if str(written) in checkpoint.label
        )

    let_go()
    variables = [tf.Variable(wt.load_checkpoint(written).get_tensor("large"))]
    sources.clear()
    gc.collect()
    assert leases() == 1
    variables.clear()
    let_go()
    assert leases() == 0
