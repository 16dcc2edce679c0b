"""What a client can find out, and demand, about a checkpoint's files."""

from __future__ import annotations

import hashlib
import os
import typing
from collections.abc import Iterator
from pathlib import Path

import pytest
import warmstart

import bundles
from daemons import Daemon

VARIABLES = {"a": ("float32", [4, 8])}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[warmstart.Client]:
    (tmp_path / "daemon").mkdir()
    daemon = Daemon(tmp_path / "daemon").start()
    with warmstart.Client(daemon.socket) as client:
        yield client
    daemon.stop()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return bundles.write(tmp_path / "model", {"a": bundles.floats(0, (4, 8))})


def data(model: Path) -> Path:
    return model.with_name(model.name + ".data-00000-of-00001")


def test_an_unchanged_or_replaced_file_passes(client: warmstart.Client, model: Path) -> None:
    resolved = client.resolve(model, {"/": "/"}, VARIABLES)
    resolved.check()
    new = model.with_name("new")
    new.write_bytes(b"other")
    os.replace(new, data(model))
    resolved.check()
    resolved.check("a")


def test_a_write_in_place_is_found(client: warmstart.Client, model: Path) -> None:
    resolved = client.resolve(model, {"/": "/"}, VARIABLES)
    with open(data(model), "r+b") as file:
        file.write(b"x")
    with pytest.raises(warmstart.WarmstartError, match="was written since it was opened") as caught:
        resolved.check("a")
    assert caught.value.reason == "CHECKPOINT_CHANGED"
    assert str(data(model)) in str(caught.value)


def test_a_truncated_file_is_found(client: warmstart.Client, model: Path) -> None:
    resolved = client.resolve(model, {"/": "/"}, VARIABLES)
    os.truncate(data(model), 100)
    with pytest.raises(warmstart.WarmstartError, match="was truncated from 128 to 100 bytes"):
        resolved.check()


def test_sealed_arrays_pass(client: warmstart.Client, model: Path) -> None:
    resolved = client.resolve(model, {"/": "/"}, VARIABLES, sealed=True)
    os.truncate(data(model), 100)
    resolved.check()


def digest(model: Path) -> str:
    files = [model.with_name(model.name + ".index"), data(model)]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def test_a_checkpoint_with_the_expected_digest_is_used(
    client: warmstart.Client, model: Path
) -> None:
    expected = "sha256:" + digest(model)
    with client.open(model, expect=expected) as checkpoint:
        assert checkpoint.sha256 == digest(model)
        assert checkpoint.preload(expect=expected).tensor_count == 1
    assert list(client.resolve(model, {"/": "/"}, VARIABLES, expect=expected)) == ["a"]


def test_another_digest_is_refused_with_both(client: warmstart.Client, model: Path) -> None:
    wrong = "0" * 64
    with pytest.raises(warmstart.WarmstartError, match=f"{digest(model)}, expected {wrong}") as e:
        client.open(model, expect="sha256:" + wrong)
    assert e.value.reason == "CHECKSUM_MISMATCH"
    with pytest.raises(warmstart.WarmstartError, match="sha256sum"):
        client.resolve(model, {"/": "/"}, VARIABLES, expect="sha256:" + wrong)


NO_DIGESTS = ["", "abc", "sha256:", "sha256:" + "g" * 64, "md5:" + "0" * 64, b"sha256:", 5]


@pytest.mark.parametrize("expect", NO_DIGESTS)
def test_what_is_no_digest_is_refused(
    client: warmstart.Client, model: Path, expect: typing.Any
) -> None:
    with pytest.raises(ValueError, match="expect: expected 'sha256:' and 64 hexadecimal digits"):
        client.open(model, expect=expect)
