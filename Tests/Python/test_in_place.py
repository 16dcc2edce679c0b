"""Eight jobs that train in place on shared variables never see each other's writes."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import warmstart

import trainers
from daemons import Daemon


@pytest.fixture(scope="module", autouse=True)
def forking() -> None:
    trainers.prepare()


def digests(golden: Path) -> dict[str, bytes]:
    files = (golden / "demo").glob("model.ckpt*")
    return {file.name: hashlib.sha256(file.read_bytes()).digest() for file in files}


@pytest.mark.parametrize("kind", ["numpy", "torch", "jax", "tensorflow"])
def test_eight_trainers_keep_their_writes_to_themselves(
    kind: str, golden: Path, daemon: Daemon
) -> None:
    pytest.importorskip(kind, reason=f"{kind} is not installed")
    files = digests(golden)
    held = warmstart.open(golden / "demo").array(trainers.TRAINED)
    before = held.copy()
    outcomes = trainers.train(kind, str(golden / "demo"), daemon.socket)
    assert len(outcomes) == trainers.COUNT
    for outcome in outcomes:
        assert outcome.began_right
        assert outcome.ended_right
        assert outcome.copied_by_reading == 0
        # JAX's arrays never change, and TensorFlow copies to other memory first; the others' copies
        # are as large as what they train.
        expected = 0 if kind in ("jax", "tensorflow") else trainers.SIZE
        assert expected <= outcome.copied_by_training <= expected + 8192
    assert digests(golden) == files
    assert (held == before).all()
