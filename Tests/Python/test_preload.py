"""Preloading and verifying a whole checkpoint."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import warmstart
from warmstart._protocol import message

import bundles
from daemons import Daemon
from impostor import Peer, method, opened


@pytest.fixture
def client(tmp_path: Path) -> Iterator[warmstart.Client]:
    (tmp_path / "daemon").mkdir()
    daemon = Daemon(tmp_path / "daemon").start()
    with warmstart.Client(daemon.socket) as client:
        yield client
    daemon.stop()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    tensors = {"a": bundles.floats(0, (4, 8)), "b": bundles.floats(9, (16,))}
    return bundles.write(tmp_path / "model", tensors)


def test_everything_is_read_before_a_job_asks(client: warmstart.Client, model: Path) -> None:
    with client.open(model) as checkpoint:
        read = checkpoint.preload(alignment=64)
        assert read == (2, 192, (), 0)
        loads = counter(client, "loads_begun")
        assert checkpoint.array("a", alignment=64).shape == (4, 8)
        assert counter(client, "loads_begun") == loads
        assert checkpoint.verify() == read


def counter(client: warmstart.Client, name: str) -> int:
    return next(int(c.value) for c in client.status().counters if c.name == name)


def test_sealed_arrays_are_made_ahead(client: warmstart.Client, model: Path) -> None:
    with client.open(model) as checkpoint:
        checkpoint.preload(sealed=True)
        pieces = counter(client, "pieces_made")
        checkpoint.arrays(sealed=True)
        assert counter(client, "pieces_made") == pieces


@pytest.mark.parametrize("call", ["preload", "verify"])
def test_damage_is_raised_with_its_tensors(
    client: warmstart.Client, model: Path, call: str
) -> None:
    data = model.with_name(model.name + ".data-00000-of-00001")
    content = bytearray(data.read_bytes())
    content[0] ^= 1
    data.write_bytes(content)
    with (
        client.open(model) as checkpoint,
        pytest.raises(warmstart.WarmstartError, match="tensor a is damaged") as raised,
    ):
        getattr(checkpoint, call)()
    assert raised.value.reason == "CHECKSUM_MISMATCH"
    assert [problem.tensor for problem in raised.value.problems] == ["a"]


def read_slowly(peer: Peer) -> None:
    """Says twice how far a call is, and then what was read."""
    while (call := peer.call()) is not None:
        reply = message("PreloadReply" if method(call) == "Preload" else "OpenReply")()
        if method(call) == "Preload":
            for ready in (10 << 20, 60 << 20):
                note = message("PreloadReply")()
                note.progress.ready_bytes, note.progress.total_bytes = ready, 100 << 20
                peer.reply(call.id, note, more=True)
            reply.tensor_count, reply.byte_count = 2, 100 << 20
        elif method(call) == "Open":
            reply = opened()
        peer.reply(call.id, reply)


def test_a_function_is_called_until_every_byte_is_ready(impersonate: Any, model: Path) -> None:
    seen: list[tuple[int, int]] = []
    with warmstart.Client(impersonate(read_slowly).socket) as client:
        read = client.open(model).preload(
            progress=lambda ready, total: seen.append((ready >> 20, total >> 20))
        )
    assert seen == [(10, 100), (60, 100), (100, 100)]
    assert (read.tensor_count, read.byte_count) == (2, 100 << 20)


def test_an_impossible_alignment_is_refused(client: warmstart.Client, model: Path) -> None:
    with client.open(model) as checkpoint, pytest.raises(ValueError, match="a power of two"):
        checkpoint.preload(alignment=3)
