"""What is shared with TensorFlow without a copy, and what makes it copy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("tensorflow", reason="needs TensorFlow")

import memory

PROGRAM = "import sys; sys.path.insert(0, sys.argv[1]); import copies; copies.main(sys.argv[2])"


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Any:
    here = str(Path(__file__).parent)
    return memory.in_fresh_process(PROGRAM, here, str(tmp_path_factory.mktemp("model")))


def test_eager_variables_share_until_they_are_updated(found: Any) -> None:
    steps = found["eager"]["steps"]
    assert [steps[name] for name in ("load", "variable", "read", "gather of the value")] == [0] * 4
    loaded, gathered, updated = (found["eager"]["shared"][at:end] for at, end in PARTS)
    assert loaded == [True, True, True]
    assert gathered == [False, True]
    assert updated == [False, True]
    assert found["eager"]["is right"]


PARTS = ((0, 3), (3, 5), (5, 7))


def test_gathering_from_a_variable_copies_all_of_it(found: Any) -> None:
    assert found["eager"]["steps"]["gather"] == 1


def test_variables_that_are_assigned_share(found: Any) -> None:
    assert found["assigned"]["steps"]["assign"] <= 0
    assert found["assigned"]["shared"] == [True, True, False, True]
    assert found["assigned"]["is right"]


def test_variables_that_are_restored_share(found: Any) -> None:
    assert found["deferred"] == {"shared": [True, True], "is right": True}


def test_frozen_layers_share_while_a_model_trains(found: Any) -> None:
    assert found["training"] == {"shared": [True, False, True], "is right": True}


def test_replicas_share_until_they_are_updated(found: Any) -> None:
    assert found["replicas"] == {"shared": [True, True, False, True], "is right": True}


def test_resource_variables_of_graphs_share_until_they_are_updated(found: Any) -> None:
    steps = found["graph"]["steps"]
    assert (steps["resource variable"], steps["read"]) == (0, 0)
    assert steps["update"] >= 1
    # TensorFlow copies into the memory of these.
    assert steps["reference variable"] >= 1
    assert found["graph"]["is right"]


def test_a_saver_shares(found: Any) -> None:
    assert found["saver"] == {"steps": {"restore": 0}, "is right": True}
