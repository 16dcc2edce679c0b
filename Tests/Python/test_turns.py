"""One call of a client at a time, whatever happens meanwhile."""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import warmstart
from warmstart._connection import SERVICE
from warmstart._deadline import Deadline
from warmstart._protocol import message

import bundles
from daemons import Daemon, wait_until
from impostor import Peer, method, opened

pytestmark = pytest.mark.usefixtures("patience")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return bundles.write(tmp_path / "model", {"w": bundles.floats(0, (8, 4))})


def during_a_call(client: warmstart.Client, act: Callable[[], Any]) -> None:
    request = message("StatusRequest")().SerializeToString()
    client.call(SERVICE + "Status", lambda _: (request, ()), lambda *_: act(), (), Deadline(None))


@pytest.mark.parametrize("again", ["is_serving", "close"])
def test_a_call_within_a_call_is_an_error(again: str, client: warmstart.Client) -> None:
    with pytest.raises(RuntimeError, match="in a call of this client already"):
        during_a_call(client, getattr(client, again))
    assert client.is_serving()


def test_a_call_within_a_call_of_another_client_is_a_call(
    client: warmstart.Client, daemon: Daemon
) -> None:
    with warmstart.Client(daemon.socket) as other:
        during_a_call(client, other.is_serving)


class LateLock:
    """A lock during whose last moment something happens, once."""

    def __init__(self, act: Callable[[], None]) -> None:
        self._lock = threading.Lock()
        self._act: Callable[[], None] | None = act

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        return self._lock.acquire(blocking, timeout)

    def release(self) -> None:
        act, self._act = self._act, None
        if act is not None:
            act()
        self._lock.release()


def test_a_lease_that_is_given_back_as_a_call_ends_is_closed(
    own_daemon: Daemon, model: Path
) -> None:
    with warmstart.Client(own_daemon.socket) as client:
        checkpoint = client.open(model)
        client._lock = LateLock(checkpoint.close)  # type: ignore[assignment]
        assert client.is_serving()
        assert not client._given_back
        assert client.status().lease_count == 0


def test_an_error_as_a_lease_is_given_back_leaves_the_client_usable(
    own_daemon: Daemon, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = warmstart.Client(own_daemon.socket)
    checkpoint = client.open(model)
    with monkeypatch.context() as patch:

        def interrupt(*_: Any) -> int:
            raise KeyboardInterrupt

        assert client._connection is not None
        patch.setattr(client._connection, "post", interrupt)
        with pytest.raises(KeyboardInterrupt):
            during_a_call(client, checkpoint.close)
    assert client.is_serving(timeout=5)
    assert wait_until(lambda: client.status().lease_count == 0)
    client.close()


def test_a_deadline_is_that_of_the_whole_call(model: Path, impersonate: Any) -> None:
    def serve(peer: Peer) -> None:
        while (call := peer.call()) is not None:
            if method(call) != "List":
                peer.reply(call.id, opened() if method(call) == "Open" else b"")

    with warmstart.Client(impersonate(serve).socket) as client, client.open(model) as checkpoint:
        calls: list[Callable[[], Any]] = [
            lambda: checkpoint.arrays(timeout=0.05),
            lambda: checkpoint.array("w", timeout=0.05),
            lambda: checkpoint.resolve(
                {re.compile("w"): "w"}, {"w": ("float32", [8, 4])}, timeout=0.05
            ),
        ]
        for call in calls:
            with pytest.raises(warmstart.WarmstartError) as raised:
                call()
            assert raised.value.reason == "DEADLINE"


def test_a_child_reads_what_a_thread_of_its_parent_is_reading(daemon: Daemon, model: Path) -> None:
    reader = warmstart.CheckpointReader(model)
    expected = bundles.floats(0, (8, 4))
    with reader._ahead._lock:
        child = os.fork()
        if child == 0:
            # Ends a child that would wait forever.
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(10)
            is_right = (reader.get_tensor("w") == expected).all()
            os._exit(0 if is_right else 1)
    assert os.waitpid(child, 0)[1] == 0
