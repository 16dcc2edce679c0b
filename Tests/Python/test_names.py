"""Checkpoints that an administrator published under names."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import warmstart
from warmstart._deadline import Deadline
from warmstart._protocol import message

import bundles
from daemons import Daemon


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    (tmp_path / "daemon").mkdir()
    administration = str(tmp_path / "daemon" / "admin")
    daemon = Daemon(tmp_path / "daemon", "--admin-socket", administration).start()
    yield daemon
    daemon.stop()


@pytest.fixture
def client(daemon: Daemon) -> Iterator[warmstart.Client]:
    with warmstart.Client(daemon.socket) as client:
        yield client


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return bundles.write(tmp_path / "model", {"a": bundles.floats(0, (4, 8))})


def publish(daemon: Daemon, model: Path, name: str = "bert") -> None:
    """Makes the call of an administrator, which the package does not offer."""
    socket = os.path.join(os.path.dirname(daemon.socket), "admin")
    request = message("PinRequest")()
    request.publication.name = name
    with warmstart.Client(socket) as administrator, administrator.open(model) as checkpoint:
        checkpoint.call("Pin", request, ("names",), Deadline(10), lambda: None, lambda *_: None)


def test_a_client_gets_the_arrays_of_a_name_without_any_file(
    daemon: Daemon, client: warmstart.Client, model: Path
) -> None:
    publish(daemon, model)
    expected = bundles.floats(0, (4, 8))
    with client.open("name:bert") as checkpoint:
        assert checkpoint.path == "name:bert"
        assert list(checkpoint.tensors) == ["a"]
        assert checkpoint.preload().tensor_count == 1
        assert checkpoint.verify().tensor_count == 1
        assert np.array_equal(checkpoint.array("a"), expected)
    resolved = client.resolve("name:bert", {"/": "/"}, {"a": ("float32", [4, 8])})
    assert np.array_equal(resolved["a"], expected)
    assert client.list_variables("name:bert") == [("a", [4, 8])]


def test_unknown_names_are_refused_with_the_nearest(
    daemon: Daemon, client: warmstart.Client, model: Path
) -> None:
    publish(daemon, model)
    with pytest.raises(warmstart.WarmstartError, match="nearest: name:bert") as caught:
        client.open("name:brt")
    assert caught.value.reason == "CHECKPOINT_NOT_FOUND"


@pytest.mark.parametrize("name", ["", ".a", "-a", "a/b", "a" * 65, "a\n"])
def test_impossible_names_are_refused_before_the_daemon_is_asked(name: str) -> None:
    with pytest.raises(warmstart.WarmstartError, match=r"write './name:") as caught:
        warmstart.Client("/nowhere").open("name:" + name)
    assert caught.value.reason == "INVALID_REQUEST"


def test_a_file_whose_path_looks_like_a_name_can_be_named(
    daemon: Daemon, client: warmstart.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "files").mkdir()
    bundles.write(tmp_path / "files" / "name:x", {"b": bundles.floats(0, (2,))})
    monkeypatch.chdir(tmp_path / "files")
    with client.open("./name:x") as checkpoint:
        assert list(checkpoint.tensors) == ["b"]
