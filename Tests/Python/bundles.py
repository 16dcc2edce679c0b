"""Writes small V2 checkpoints from the format alone; shares no code with what reads them."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Union

import numpy as np
import numpy.typing as npt

# TensorFlow's numbers of dtypes.
FLOAT32, FLOAT64, INT32, STRING, INT64 = 1, 2, 3, 7, 9

Value = Union["npt.NDArray[Any]", list[bytes]]

_NUMBERS = {"float32": FLOAT32, "float64": FLOAT64, "int32": INT32, "int64": INT64, "uint8": 4}
_MAGIC = 0xDB4775248B80FB57


def write(prefix: Path, tensors: Mapping[str, Value], shards: int = 1) -> Path:
    """Writes `prefix`.index and its shards: arrays, and lists of strings; returns the prefix.

    Tensors go to the shards in turns, in the order of their names.
    """
    files = [bytearray() for _ in range(shards)]
    entries = [(b"", _number(1, shards) + _text(3, _number(1, 1)))]
    for position, name in enumerate(sorted(tensors, key=_encoded)):
        data = files[position % shards]
        value = tensors[name]
        if isinstance(value, list):
            number, shape, stored, checksum = STRING, (len(value),), *_strings(value)
        else:
            number, shape, stored = _NUMBERS[value.dtype.name], value.shape, value.tobytes()
            checksum = crc32c(stored)
        entry = _number(1, number)
        entry += _text(2, b"".join(_text(2, _number(1, length)) for length in shape))
        entry += _number(3, position % shards) + _number(4, len(data)) + _number(5, len(stored))
        entry += b"\x35" + struct.pack("<I", _masked(checksum))
        entries.append((_encoded(name), entry))
        data += stored
    prefix.parent.mkdir(parents=True, exist_ok=True)
    prefix.with_name(prefix.name + ".index").write_bytes(_table(entries))
    for shard, data in enumerate(files):
        name = f"{prefix.name}.data-{shard:05}-of-{shards:05}"
        prefix.with_name(name).write_bytes(data)
    return prefix


def crc32c(data: bytes, state: int = 0) -> int:
    """The checksum of earlier bytes, if any, and of these."""
    state ^= 0xFFFFFFFF
    for byte in data:
        state = _TABLE[(state ^ byte) & 0xFF] ^ state >> 8
    return state ^ 0xFFFFFFFF


def _remainder(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
    return byte


_TABLE = [_remainder(byte) for byte in range(256)]


def _masked(checksum: int) -> int:
    return ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _encoded(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def _strings(value: list[bytes]) -> tuple[bytes, int]:
    """Lengths, their checksum, and the strings; the checksum of all is of lengths of 4 bytes."""
    lengths = b"".join(struct.pack("<I", len(text)) for text in value)
    masked = struct.pack("<I", _masked(crc32c(lengths)))
    text = b"".join(value)
    stored = b"".join(_varint(len(text)) for text in value) + masked + text
    return stored, crc32c(lengths + masked + text)


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*encoded, number])


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _text(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _table(entries: list[tuple[bytes, bytes]]) -> bytes:
    """A sorted string table of one block of data."""
    file = bytearray()

    def append(contents: bytes) -> bytes:
        handle = _varint(len(file)) + _varint(len(contents))
        file.extend(contents + b"\0" + struct.pack("<I", _masked(crc32c(contents + b"\0"))))
        return handle

    data = append(_block(entries))
    metaindex = append(_block([]))
    footer = metaindex + append(_block([(entries[-1][0], data)]))
    return bytes(file) + footer.ljust(40, b"\0") + struct.pack("<Q", _MAGIC)


def _block(entries: list[tuple[bytes, bytes]]) -> bytes:
    """Every key whole, as if each were a restart, but with one restart: readers do not mind."""
    block = bytearray()
    for key, value in entries:
        block += _varint(0) + _varint(len(key)) + _varint(len(value)) + key + value
    return bytes(block) + struct.pack("<II", 0, 1)


def floats(start: float, shape: tuple[int, ...], dtype: str = "float32") -> npt.NDArray[Any]:
    """Numbers that differ from one another, from `start` on."""
    count = int(np.prod(shape, dtype=np.int64))
    return (start + np.arange(count)).astype(dtype).reshape(shape)
