"""The client as a whole."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import warmstart

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
