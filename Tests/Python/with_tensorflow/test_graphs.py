"""Graphs that restore variables: how they are saved, reused and freed."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow", reason="needs TensorFlow")

import warmstart.tensorflow as wt
from checkpoints import VALUES, initialized


def test_a_graph_ends_with_its_last_reference(written: Path) -> None:
    def build() -> Any:
        with tf.Graph().as_default() as graph:
            variable = tf.compat.v1.get_variable("large", [100, 100], use_resource=True)
            wt.init_from_checkpoint(str(written), {"large": variable})
            initialized(variable)
            return weakref.ref(graph)

    graph = build()
    gc.collect()
    assert graph() is None


def test_a_path_may_be_bytes(written: Path, graph: Any) -> None:
    prefix = tf.train.latest_checkpoint(str(written))
    variable = tf.compat.v1.get_variable("large", VALUES["large"].shape)
    wt.init_from_checkpoint(prefix.encode(), {"large": variable})
    np.testing.assert_array_equal(initialized(variable)[0], VALUES["large"])
