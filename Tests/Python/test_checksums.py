"""What the checksums of zip archives protect, and what is said of files that have none."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import warmstart

import bundles
from daemons import REPOSITORY

TORCH = REPOSITORY / "Tests" / "Data" / "Torch"
ARRAYS = {"a": bundles.floats(0, (64, 9)), "b": np.arange(100, dtype=np.int16)}


def numpy_archive(path: Path) -> Path:
    np.savez(path, **ARRAYS)
    return path


def torch_archive(path: Path) -> Path:
    path.write_bytes((TORCH / "state_dict.bin").read_bytes())
    return path


ARCHIVES = pytest.mark.parametrize(
    ("write", "entry"), [(numpy_archive, "a.npy"), (torch_archive, "archive/data/0")]
)


def place(path: Path, name: str) -> tuple[int, int]:
    """Where the bytes of an entry begin and end in the archive."""
    with zipfile.ZipFile(path) as archive:
        (info,) = (info for info in archive.infolist() if info.filename.endswith(name[-6:]))
    with path.open("rb") as file:
        file.seek(info.header_offset + 26)
        lengths = struct.unpack("<HH", file.read(4))
    start = info.header_offset + 30 + sum(lengths)
    return start, start + info.file_size


def change(path: Path, offset: int) -> None:
    content = bytearray(path.read_bytes())
    content[offset] ^= 1
    replace(path, content)


def replace(path: Path, content: bytes) -> None:
    """Writes a new file, because arrays show what happens to the old one."""
    path.unlink()
    path.write_bytes(content)


def forget_checksums(path: Path) -> None:
    """Writes 0 for each checksum, as PyTorch does if it is told to compute none."""
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            found = struct.pack("<I", info.CRC)
            local = info.header_offset + 14
            # PyTorch leaves them out there.
            assert content[local : local + 4] in (found, bytes(4))
            content[local : local + 4] = bytes(4)
            at = content.index(b"PK\x01\x02")
            while content[at + 16 : at + 20] != found:
                at = content.index(b"PK\x01\x02", at + 1)
            content[at + 16 : at + 20] = bytes(4)
    replace(path, content)


@ARCHIVES
def test_a_byte_that_has_changed_is_found(
    write: Callable[[Path], Path], entry: str, client: warmstart.Client, tmp_path: Path
) -> None:
    path = write(tmp_path / "model.npz")
    with client.open(path) as checkpoint:
        sound = checkpoint.verify()
        assert sound.unchecked_byte_count == 0 and sound.byte_count > 0
    _, end = place(path, entry)
    change(path, end - 3)
    with client.open(path) as checkpoint:
        for ask in (checkpoint.arrays, checkpoint.preload, checkpoint.verify):
            with pytest.raises(warmstart.WarmstartError) as raised:
                ask()
            assert raised.value.reason == "CHECKSUM_MISMATCH"
            assert "the zip archive has " in raised.value.message
        # The other tensors are as they were.
        damaged = {problem.tensor for problem in raised.value.problems}
        others = [name for name in checkpoint.tensors if name not in damaged]
        assert others and all(checkpoint.array(name).size for name in others)


def test_a_changed_header_of_an_array_is_found(client: warmstart.Client, tmp_path: Path) -> None:
    path = numpy_archive(tmp_path / "model.npz")
    start, _ = place(path, "a.npy")
    content = path.read_bytes()
    # The same number of rows and columns, and another order of the bytes.
    assert content[start:].startswith(b"\x93NUMPY")
    at = content.index(b"(64, 9)", start)
    replace(path, content[:at] + b"(9, 64)" + content[at + 7 :])
    with client.open(path) as checkpoint, pytest.raises(warmstart.WarmstartError) as raised:
        checkpoint.verify()
    assert raised.value.reason == "CHECKSUM_MISMATCH"


@ARCHIVES
def test_an_archive_without_checksums_is_read(
    write: Callable[[Path], Path], entry: str, client: warmstart.Client, tmp_path: Path
) -> None:
    path = write(tmp_path / "model.npz")
    with client.open(path) as checkpoint:
        expected = checkpoint.arrays()
    forget_checksums(path)
    change(path, place(path, entry)[1] - 3)
    with client.open(path) as checkpoint:
        read = checkpoint.verify()
        found = checkpoint.arrays()
    assert read.unchecked_byte_count == read.byte_count
    assert found.keys() == expected.keys()
    assert sum(found[name].tobytes() != expected[name].tobytes() for name in found) > 0


def test_only_tensors_that_are_all_of_their_storage_are_protected(
    client: warmstart.Client,
) -> None:
    with client.open(TORCH / "views.pt") as checkpoint:
        read = checkpoint.verify()
    assert 0 < read.unchecked_byte_count <= read.byte_count


def test_formats_say_what_they_do_not_protect(client: warmstart.Client, tmp_path: Path) -> None:
    safetensors: Any = pytest.importorskip("safetensors.numpy")
    safetensors.save_file(ARRAYS, str(tmp_path / "x.safetensors"))
    np.save(tmp_path / "x.npy", ARRAYS["a"])
    bundles.write(tmp_path / "bundle", {"a": ARRAYS["a"]})
    for name, is_checked in (("x.safetensors", False), ("x.npy", False), ("bundle", True)):
        with client.open(tmp_path / name) as checkpoint:
            read = checkpoint.verify()
        assert read.unchecked_byte_count == (0 if is_checked else read.byte_count)
