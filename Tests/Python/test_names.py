"""Checkpoints that an administrator published under names."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import warmstart

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
    with administration(daemon) as administrator, administrator.open(model) as checkpoint:
        checkpoint.pin(name)


def administration(daemon: Daemon) -> warmstart.Client:
    return warmstart.Client(os.path.join(os.path.dirname(daemon.socket), "admin"))


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


def test_a_pin_keeps_a_checkpoint_until_it_ends(daemon: Daemon, model: Path) -> None:
    with administration(daemon) as administrator:
        with administrator.open(model) as checkpoint:
            assert checkpoint.pin() is None
            generation = checkpoint.generation
        pinned = [c.generation for c in administrator.status().checkpoints if c.pinned]
        assert pinned == [generation]
        with pytest.raises(ValueError, match="expected name:NAME or a generation"):
            administrator.unpin(str(model))
        administrator.unpin(generation)
        with pytest.raises(warmstart.WarmstartError) as caught:
            administrator.unpin(generation)
        assert caught.value.reason == "CHECKPOINT_NOT_FOUND"


def test_a_name_moves_to_the_next_checkpoint_that_gets_it(
    daemon: Daemon, client: warmstart.Client, model: Path, tmp_path: Path
) -> None:
    publish(daemon, model)
    other = bundles.write(tmp_path / "other", {"b": bundles.floats(0, (2,))})
    with administration(daemon) as administrator, administrator.open(other) as checkpoint:
        assert checkpoint.pin("bert", users=[os.getuid()], groups=[0], lock=False) == str(model)
        with client.open("name:bert") as named:
            assert list(named.tensors) == ["b"]
        administrator.unpin("name:bert")
    with pytest.raises(warmstart.WarmstartError) as caught:
        client.open("name:bert")
    assert caught.value.reason == "CHECKPOINT_NOT_FOUND"


def test_the_daemon_knows_who_may_use_a_name(daemon: Daemon, model: Path) -> None:
    with administration(daemon) as administrator, administrator.open(model) as checkpoint:
        checkpoint.pin("bert", users=[7, "root"], groups=["root", 9])
        (found,) = administrator.status().names
    publication = found.publication
    assert publication.name == "bert"
    assert struct.unpack("<2I", publication.users) == (7, 0)
    assert struct.unpack("<2I", publication.groups) == (0, 9)


def test_pins_are_for_administrators(client: warmstart.Client, model: Path) -> None:
    what_to_do = r'not the administrators\' socket: .* Client\("/run/warmstart/admin.sock"\)'
    refused = pytest.raises(warmstart.WarmstartError, match=what_to_do)
    with client.open(model) as checkpoint, refused as caught:
        checkpoint.pin()
    assert caught.value.reason == "UNSUPPORTED"
    with pytest.raises(warmstart.WarmstartError, match=what_to_do) as caught:
        client.unpin("name:bert")
    assert caught.value.reason == "UNSUPPORTED"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"users": [1]}, "expected a name"),
        ({"name": "a", "users": "root"}, "got the string"),
        ({"name": "a", "users": ["no such user"]}, "no such user"),
        ({"name": "a", "groups": [-1]}, "groups: expected numbers"),
    ],
    ids=repr,
)
def test_impossible_users_are_refused(
    options: Any, words: str, client: warmstart.Client, model: Path
) -> None:
    with client.open(model) as checkpoint, pytest.raises((TypeError, ValueError), match=words):
        checkpoint.pin(**options)


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
