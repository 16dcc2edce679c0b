"""What the tests of `warmstart.tensorflow` share; without TensorFlow they are skipped."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# Shows errors only; must be set before TensorFlow is imported.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """TensorFlow keeps objects for an unknown time; test_descriptors.py makes it release them."""
    for item in items:
        if Path(__file__).parent in item.path.parents and item.path.name != "test_descriptors.py":
            item.add_marker("may_leak")


@pytest.fixture
def graph() -> Iterator[Any]:
    """A graph to build in."""
    import tensorflow as tf

    with tf.Graph().as_default() as graph:
        yield graph


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A directory with a checkpoint of plain variables; `checkpoints.VALUES` has their values."""
    import checkpoints

    checkpoints.save(tmp_path, checkpoints.VALUES)
    return tmp_path


@pytest.fixture
def partitioned(tmp_path: Path) -> Path:
    """A directory with a checkpoint of `scope/matrix`, [100, 100], in five partitions."""
    import checkpoints

    checkpoints.save(tmp_path, {"scope/matrix": checkpoints.MATRIX}, partitions=5)
    return tmp_path
