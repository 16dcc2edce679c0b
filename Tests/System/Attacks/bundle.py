"""Writes V2 checkpoints of float32 tensors; their zeros take no disk space."""

import os
import struct

from checksum import crc32c, crc32c_of_zeros, masked
from protobuf import field, fixed32_field, varint

FLOAT = 1
MIB = 1 << 20


class Bundle:
    """A checkpoint that is being written."""

    def __init__(self):
        self.entries = []
        self.contents = []
        self.end = 0

    def add(self, name, shape, data=None, crc=None):
        """Adds a tensor of bytes, or of zeros; the caller may give a wrong checksum."""
        count = 4
        for length in shape:
            count *= length
        if crc is None:
            crc = crc32c_of_zeros(count) if data is None else crc32c(data)
        message = field(1, FLOAT)
        message += field(2, b"".join(field(2, field(1, length)) for length in shape))
        message += field(4, self.end) + field(5, count) + fixed32_field(6, masked(crc))
        self.entries.append((name.encode(), message))
        if data is not None:
            self.contents.append((self.end, data))
        self.end += count
        return self

    def index(self):
        header = field(1, 1) + field(3, field(1, 1))
        return table([(b"", header)] + sorted(self.entries))

    def write(self, prefix):
        """Writes the index and the data file; returns their paths."""
        data_path = f"{prefix}.data-00000-of-00001"
        self.write_data(data_path)
        with open(f"{prefix}.index", "wb") as file:
            file.write(self.index())
        return [f"{prefix}.index", data_path]

    def write_data(self, path):
        with open(path, "wb") as file:
            file.truncate(self.end)
            for offset, data in self.contents:
                file.seek(offset)
                file.write(data)


def zeros(prefix, **shapes):
    """Writes a checkpoint of named tensors of zeros; returns the paths of its files."""
    bundle = Bundle()
    for name, shape in shapes.items():
        bundle.add(name, shape)
    return bundle.write(prefix)


def remove(paths):
    for path in paths:
        os.unlink(path)


def table(pairs, block_byte_count=64 << 10):
    """Encodes a sorted string table."""
    file = bytearray()

    def append(contents):
        handle = varint(len(file)) + varint(len(contents))
        checksum = masked(crc32c(contents + b"\0"))
        file.extend(contents + b"\0" + struct.pack("<I", checksum))
        return handle

    index, entries, size = [], [], 0
    for key, value in pairs:
        entries.append((key, value))
        size += len(key) + len(value) + 8
        if size >= block_byte_count:
            index.append((key, append(block(entries))))
            entries, size = [], 0
    if entries:
        index.append((entries[-1][0], append(block(entries))))
    metaindex_handle = append(block([]))
    index_handle = append(block(index))
    footer = (metaindex_handle + index_handle).ljust(40, b"\0")
    return bytes(file) + footer + struct.pack("<Q", 0xDB4775248B80FB57)


def block(pairs):
    contents = bytearray()
    starts = []
    for key, value in pairs:
        starts.append(len(contents))
        contents += b"\0" + varint(len(key)) + varint(len(value)) + key + value
    starts = starts or [0]
    return bytes(contents) + struct.pack(f"<{len(starts) + 1}I", *starts, len(starts))
