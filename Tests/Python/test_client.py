"""The client as a whole."""

from __future__ import annotations

import contextlib
import gc
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import warmstart
from warmstart._protocol import message

from impostor import Peer


def test_the_names_and_shapes_are_listed_sorted(client: warmstart.Client, golden: Path) -> None:
    listed = client.list_variables(golden / "v2_plain_ref" / "model.ckpt-1000")
    assert listed == sorted(listed)
    assert all(isinstance(shape, list) for _, shape in listed)


def test_a_client_that_was_closed_connects_again(client: warmstart.Client) -> None:
    assert client.is_serving()
    client.close()
    assert client.is_serving()


def test_the_daemon_hears_of_a_client_that_is_making_its_request(
    golden: Path, impersonate: Any
) -> None:
    heard = threading.Event()

    def listen(peer: Peer) -> None:
        assert peer.call().method.endswith("/Hello")
        heard.set()

    class Slow(dict[str, str]):
        def items(self) -> Any:
            raise LookupError("heard" if heard.wait(10) else "not heard")

    client = warmstart.Client(impersonate(listen).socket)
    with client, pytest.raises(LookupError, match="^heard"):
        client.resolve(golden / "demo", Slow(), {})


def test_what_is_wrong_with_a_call_counts_more_than_a_missing_daemon(
    golden: Path, tmp_path: Path
) -> None:
    absent = warmstart.Client(tmp_path / "absent")
    with pytest.raises(TypeError, match="assignment map"):
        absent.resolve(golden / "demo", 5, {})  # type: ignore[arg-type]


@pytest.fixture
def without_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def descriptors_of(directory: Path) -> int:
    """The number of descriptors of files below a directory."""
    count = 0
    for descriptor in os.listdir("/proc/self/fd"):
        # The descriptor of the list itself is closed.
        with contextlib.suppress(FileNotFoundError):
            count += os.readlink(f"/proc/self/fd/{descriptor}").startswith(str(directory))
    return count


def refused_file(client: warmstart.Client, path: Path) -> None:
    path.write_text("no checkpoint")
    client.open(path)


def refused_map(client: warmstart.Client, path: Path) -> None:
    client.resolve(path, {"missing": "w"}, {"w": ("float32", [2])})


def refused_digest(client: warmstart.Client, path: Path) -> None:
    client.open(path, expect="sha256:" + "0" * 64)


def refused_pin(client: warmstart.Client, path: Path) -> None:
    client.open(path).pin()


@pytest.mark.parametrize("call", [refused_file, refused_map, refused_digest, refused_pin])
def test_a_refused_call_keeps_no_descriptor(
    call: Callable[[warmstart.Client, Path], None],
    client: warmstart.Client,
    tmp_path: Path,
    without_collector: None,
) -> None:
    np.save(tmp_path / "a.npy", np.ones(4, np.float32))
    assert client.is_serving()
    for _ in range(50):
        with pytest.raises(warmstart.WarmstartError):
            call(client, tmp_path / "a.npy")
    assert descriptors_of(tmp_path) == 0


def test_a_call_that_a_stopping_daemon_refuses_keeps_no_descriptor(
    impersonate: Any, golden: Path, without_collector: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = message("google.rpc.ErrorInfo")(reason="DRAINING", domain="warmstart")
    details = ("google.rpc.ErrorInfo", info.SerializeToString())

    def refuse(peer: Peer) -> None:
        # Reads no call that has descriptors, which would be this process's.
        peer.call()
        peer.fail(0, 14, "the daemon is stopping", details)

    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    impostor = impersonate(refuse)
    with warmstart.Client(impostor.socket) as client:
        counts = []
        for _ in range(20):
            with pytest.raises(warmstart.WarmstartError) as raised:
                client.open(golden / "demo")
            assert raised.value.reason == "DRAINING"
            del raised
            counts.append(descriptors_of(golden))
    assert counts == [0] * 20
