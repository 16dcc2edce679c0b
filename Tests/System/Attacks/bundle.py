"""Writes V2 checkpoints of float32 tensors; their zeros take no disk space."""

import os
import struct

from checksum import crc32c, crc32c_of_zeros, masked
from protobuf import field, fixed32_field, varint

FLOAT = 1
MIB = 1 << 20


class Bundle:
    """A checkpoint that is being written, in one data file or in several shards."""

    def __init__(self, shards=1):
        self.entries = []
        self.contents = [[] for _ in range(shards)]
        self.ends = [0] * shards

    def add(self, name, shape, data=None, crc=None, shard=0):
        """Adds a tensor of bytes, or of zeros; the caller may give its checksum, or a wrong one."""
        count = 4
        for length in shape:
            count *= length
        if crc is None:
            crc = crc32c_of_zeros(count) if data is None else crc32c(data)
        message = field(1, FLOAT)
        message += field(2, b"".join(field(2, field(1, length)) for length in shape))
        message += field(3, shard) + field(4, self.ends[shard])
        message += field(5, count) + fixed32_field(6, masked(crc))
        self.entries.append((name.encode(), message))
        if data is not None:
            self.contents[shard].append((self.ends[shard], data))
        self.ends[shard] += count
        return self

    def index(self):
        header = field(1, len(self.ends)) + field(3, field(1, 1))
        return table([(b"", header)] + sorted(self.entries))

    def write(self, prefix):
        """Writes the index and the data files; returns their paths."""
        paths = paths_of(prefix, len(self.ends))
        for shard, path in enumerate(paths[1:]):
            self.write_data(path, shard)
        with open(paths[0], "wb") as file:
            file.write(self.index())
        return paths

    def write_data(self, path, shard=0):
        with open(path, "wb") as file:
            file.truncate(self.ends[shard])
            for offset, data in self.contents[shard]:
                file.seek(offset)
                file.write(data)


def paths_of(prefix, shards):
    """Returns the paths of a checkpoint's index and data files."""
    data = [f"{prefix}.data-{shard:05}-of-{shards:05}" for shard in range(shards)]
    return [f"{prefix}.index", *data]


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
