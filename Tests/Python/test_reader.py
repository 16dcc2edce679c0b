"""A reader asks ahead, and nobody notices but by the time it takes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import warmstart

import bundles

VALUES = {f"t{number:02}": np.full(3, number, np.float32) for number in range(64)}


def test_a_reader_that_reads_all_makes_few_calls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = warmstart.CheckpointReader(bundles.write(tmp_path / "model", VALUES))
    resolve, calls = warmstart.Checkpoint.resolve, []

    def counted(checkpoint: Any, pairs: Any, variables: Iterable[Any], **options: Any) -> Any:
        calls.append(len(list(variables)))
        return resolve(checkpoint, pairs, variables, **options)

    monkeypatch.setattr(warmstart.Checkpoint, "resolve", counted)
    for name in sorted(VALUES, reverse=True):
        assert np.array_equal(reader.get_tensor(name), VALUES[name])
    assert len(calls) <= 12
    assert calls[0] == 1, "one tensor may be all that is wanted"


def test_a_damaged_tensor_does_not_keep_a_reader_from_others(tmp_path: Path) -> None:
    prefix = bundles.write(tmp_path / "model", VALUES)
    with open(f"{prefix}.data-00000-of-00001", "r+b") as data:
        data.seek(VALUES["t00"].nbytes * 2)
        data.write(b"?")
    reader = warmstart.CheckpointReader(prefix)
    for name, value in VALUES.items():
        if name != "t02":
            assert np.array_equal(reader.get_tensor(name), value)
    with pytest.raises(warmstart.WarmstartError) as raised:
        reader.get_tensor("t02")
    assert raised.value.code == "DATA_LOSS"
