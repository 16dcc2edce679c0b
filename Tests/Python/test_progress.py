"""How far the reading of a checkpoint is, as the daemon says it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import warmstart
from warmstart._protocol import message

import bundles
from impostor import Peer, method, opened

pytestmark = pytest.mark.usefixtures("patience")

TOTAL = 100 << 20


def read_slowly(peer: Peer) -> None:
    """Says three times how far a call is, and then that nothing was assigned."""
    while (call := peer.call()) is not None:
        reply = message("HelloReply" if method(call) == "Hello" else "ResolveReply")()
        if method(call) == "Resolve":
            assert "progress" in call.required_features
            for ready in (10 << 20, 60 << 20, 90 << 20):
                note = message("ResolveReply")()
                note.progress.ready_bytes, note.progress.total_bytes = ready, TOTAL
                peer.reply(call.id, note, more=True)
            reply.checkpoint.CopyFrom(opened())
        peer.reply(call.id, reply)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return bundles.write(tmp_path / "model", {"v": bundles.floats(0, (4,))})


def test_a_function_is_called_until_every_byte_is_ready(checkpoint: Path, impersonate: Any) -> None:
    seen: list[tuple[int, int]] = []
    with warmstart.Client(impersonate(read_slowly).socket) as client:
        client.resolve(
            checkpoint,
            {"v": "v"},
            {"v": ("float32", [4])},
            progress=lambda ready, total: seen.append((ready >> 20, total >> 20)),
        )
    assert seen == [(10, 100), (60, 100), (90, 100), (100, 100)]


def test_without_tqdm_lines_show_the_progress(
    checkpoint: Path,
    impersonate: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # A module that is None in the table of modules cannot be imported.
    monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    with warmstart.Client(impersonate(read_slowly).socket) as client:
        client.resolve(checkpoint, {"v": "v"}, {"v": ("float32", [4])}, progress=True)
    lines = [line.rpartition(": ")[2] for line in capsys.readouterr().err.splitlines()]
    assert lines == [f"{ready} of 100 MiB" for ready in (10, 60, 90, 100)]


def test_a_function_that_fails_ends_the_call(checkpoint: Path, impersonate: Any) -> None:
    def fail(ready: int, total: int) -> None:
        raise ZeroDivisionError

    with warmstart.Client(impersonate(read_slowly).socket) as client:
        with pytest.raises(ZeroDivisionError):
            client.resolve(checkpoint, {"v": "v"}, {"v": ("float32", [4])}, progress=fail)
        # The rest of that answer is not mistaken for another call's.
        client.resolve(checkpoint, {"v": "v"}, {"v": ("float32", [4])}, progress=lambda *_: None)


def test_a_warm_checkpoint_reports_no_progress(checkpoint: Path, client: warmstart.Client) -> None:
    seen: list[int] = []
    for _ in range(2):
        client.resolve(
            checkpoint, {"v": "v"}, {"v": ("float32", [4])}, progress=lambda *now: seen.append(1)
        )
    assert seen == []
