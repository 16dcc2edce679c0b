#!/usr/bin/env python3
"""Makes the hostile inputs of this folder: one file for each known abuse, named for it.

    make_corpus.py            writes them
    make_corpus.py --check    says whether those that are here are what it writes

checkpoints/  NAME/model.index is a V2 checkpoint's index with one thing wrong. Its data file is a
              link to the sound one, unless the abuse is in the data. expected.json says for each
              what the daemon must answer: the reason, a part of the message, and the tensor that is
              to be read if the index itself can be opened. Where `sparesOthers` is true, the
              tensor `sound` can be read all the same.
              NAME/model, without an index, is the table of a V1 checkpoint, or a file of another
              format: archives.py makes those.
maps/         NAME.json is a map and the variables for it, as `warmstartctl resolve` takes them, with
              the checkpoint (`sound`) in which it must fail, the reason, and parts of the message.
frames/       NAME.txt is what a client sends, in the format of Tests/Transcripts. Its first line is
              the status of the last answer: the call's id (0 for the connection's own, after which
              it ends), the reason, and a part of the message.

The formats are written down here anew, from nothing but their description, so that a mistake of
the reader is not one of the writer as well.
"""

import json
import os
import shutil
import struct
import sys
import tempfile

from archives import make_archives

# MARK: Encoding

INT64_MAX = 2**63 - 1
INT64_MIN = -(2**63)


def varint(number):
    number &= 2**64 - 1
    encoded = b""
    while number >= 0x80:
        encoded += bytes([number & 0x7F | 0x80])
        number >>= 7
    return encoded + bytes([number])


def fixed32(number):
    return struct.pack("<I", number)


def field(number, value):
    """A field of protobuf: a number, or bytes."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, str):
        value = value.encode()
    return varint(number << 3 | 2) + varint(len(value)) + value


def crc32c(data, crc=0):
    crc ^= 0xFFFFFFFF
    for byte in data:
        crc = CRC_TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def crc_of_byte(value):
    for _ in range(8):
        value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value


CRC_TABLE = [crc_of_byte(byte) for byte in range(256)]


def mask(crc):
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


assert crc32c(b"123456789") == 0xE3069283


def snappy(data):
    """Raw snappy: repeats of one byte become copies, the rest literals."""
    encoded = varint(len(data))
    start = 0
    while start < len(data):
        run = 1
        while start + run < len(data) and data[start + run] == data[start]:
            run += 1
        if run >= 8:
            encoded += b"\0" + data[start : start + 1]
            left = run - 1
            while left > 0:
                count = min(64, left)
                encoded += bytes([(count - 1) << 2 | 2]) + struct.pack("<H", 1)
                left -= count
            start += run
            continue
        end = start + 1
        while end < len(data) and end - start < 60 and data[end : end + 8] != data[end : end + 1] * 8:
            end += 1
        encoded += bytes([(end - start - 1) << 2]) + data[start:end]
        start = end
    return encoded


# MARK: Tables


def entry(shared, suffix, value, value_length=None):
    length = len(value) if value_length is None else value_length
    return varint(shared) + varint(len(suffix)) + varint(length) + suffix + value


def block(entries, restarts=None, restart_count=None):
    """The contents of a block of (key, value) pairs, or of entries as bytes."""
    contents = b""
    starts = []
    for item in entries:
        starts.append(len(contents))
        contents += item if isinstance(item, bytes) else entry(0, item[0], item[1])
    starts = (starts or [0]) if restarts is None else restarts
    count = len(starts) if restart_count is None else restart_count
    return contents + b"".join(fixed32(start) for start in starts) + fixed32(count)


class Table:
    """A sorted string table, of which any part can be other than it should be."""

    def __init__(self):
        self.file = b""
        self.index = []

    def append(self, contents, kind=0, damage=0):
        handle = varint(len(self.file)) + varint(len(contents))
        self.file += contents + bytes([kind])
        self.file += fixed32(mask(crc32c(contents + bytes([kind]))) ^ damage)
        return handle

    def data(self, key, contents, **other):
        """Appends a data block and lists it under a key."""
        self.index.append((key, self.append(contents, **other)))

    def finish(
        self, index=None, footer=None, magic=0xDB4775248B80FB57, metaindex_damage=0, **other
    ):
        metaindex = self.append(block([]), damage=metaindex_damage)
        index = self.append(block(self.index) if index is None else index, **other)
        if footer is None:
            footer = metaindex + index
        elif callable(footer):
            footer = footer(metaindex, index)
        return self.file + footer.ljust(40, b"\0") + struct.pack("<Q", magic)


def table_of(entries, **other):
    """A table of one data block."""
    table = Table()
    table.data(b"\xff", block(entries), **other)
    return table.finish()


# MARK: Bundles


def floats(count):
    return struct.pack(f"<{count}f", *range(count))


def strings(elements, lengths=None):
    """The bytes of a string tensor and their checksum; the lengths may lie."""
    crc = 0
    data = b""
    for length in [len(element) for element in elements] if lengths is None else lengths:
        data += varint(length)
        crc = crc32c(struct.pack("<I" if length < 2**32 else "<Q", length), crc)
    word = fixed32(mask(crc))
    rest = word + b"".join(elements)
    return data + rest, mask(crc32c(rest, crc))


def ordered_number(number):
    """A number of either sign in OrderedCode, below 64 in magnitude."""
    assert -64 <= number < 64
    return bytes([number & 0xFF ^ 0x80])


def slice_key(name, extents):
    key = b"\0" + name.encode() + b"\0\1\1" + bytes([len(extents)])
    for extent in extents:
        start, length = extent or (0, -1)
        key += ordered_number(start) + ordered_number(length)
    return key


def header(shards=1, endianness=0, version=field(1, 1)):
    return field(1, shards) + (field(2, endianness) if endianness else b"") + field(3, version)


class Entry:
    """A tensor's or a slice's entry."""

    def __init__(self, dtype, shape, offset, size, crc, shard=0, slices=()):
        self.dtype, self.shape, self.shard, self.offset = dtype, shape, shard, offset
        self.size, self.crc, self.slices = size, crc, list(slices)

    def bytes(self):
        shape = b"".join(field(2, field(1, length)) for length in self.shape)
        parts = field(1, self.dtype) + field(2, shape)
        for number, value in [(3, self.shard), (4, self.offset), (5, self.size)]:
            parts += field(number, value) if value else b""
        parts += varint(6 << 3 | 5) + fixed32(self.crc) if self.crc else b""
        for extents in self.slices:
            parts += field(7, b"".join(field(1, self.extent(extent)) for extent in extents))
        return parts

    @staticmethod
    def extent(extent):
        return b"" if extent is None else field(1, extent[0]) + field(2, extent[1])


TOP, BOTTOM = [(0, 3), None], [(3, 2), None]


class Bundle:
    """The sound checkpoint, as keys, values and data, to be changed."""

    def __init__(self):
        self.data = b""
        self.header = header()
        self.entries = {}
        self.add("f", 1, [2, 3], floats(6))
        self.add("sound", 1, [3], floats(3))
        data, crc = strings([b"hello", b"", b"\xff\0x"])
        self.add("s", 7, [3], data, crc)
        self.entries[b"p"] = Entry(1, [5, 4], 0, 0, 0, slices=[TOP, BOTTOM])
        self.add(slice_key("p", TOP), 1, [3, 4], floats(12))
        self.add(slice_key("p", BOTTOM), 1, [2, 4], floats(20)[48:])

    def add(self, key, dtype, shape, data, crc=None):
        key = key.encode() if isinstance(key, str) else key
        crc = mask(crc32c(data)) if crc is None else crc
        self.entries[key] = Entry(dtype, shape, len(self.data), len(data), crc)
        self.data += data

    def __getitem__(self, name):
        return self.entries[name.encode() if isinstance(name, str) else name]

    def pairs(self):
        pairs = [(b"", self.header)] if self.header is not None else []
        return pairs + [
            (key, value if isinstance(value, bytes) else value.bytes())
            for key, value in sorted(self.entries.items())
        ]

    def table(self, blocks=1):
        """A table with the entries in as many data blocks."""
        table = Table()
        pairs = self.pairs()
        size = -(-len(pairs) // blocks)
        for start in range(0, len(pairs), size):
            part = pairs[start : start + size]
            table.data(part[-1][0], block(part))
        return table

    def index(self):
        return self.table().finish()


# MARK: Checkpoints

checkpoints = {}


def opening(name, index, reason, message):
    """An index that is refused."""
    assert name not in checkpoints
    checkpoints[name] = (index, None, dict(reason=reason, message=message))


def reading(name, bundle, tensor, reason, message, spares_others=True, data="sound"):
    """A checkpoint of which one tensor is refused; data is the bytes, or None for no file."""
    assert name not in checkpoints
    expected = dict(reason=reason, message=message, tensor=tensor, sparesOthers=spares_others)
    checkpoints[name] = (bundle.index(), data, expected)


def accepted(name, bundle, tensor=None, contents=b"", data="sound", **other):
    """A checkpoint that looks odd and is read, as TensorFlow reads it; the contents are a tensor's."""
    assert name not in checkpoints
    expected = dict(reason="OK", count=sum(1 for key in bundle.entries if key[:1] != b"\0"))
    if tensor is not None:
        tensor = tensor.encode() if isinstance(tensor, str) else tensor
        expected.update(tensor=tensor.hex(), contents=contents.hex())
    checkpoints[name] = (bundle.table().finish(**other), data, expected)


def changed(name, tensor, reason, message, **changes):
    """The sound checkpoint with a tensor's entry changed, which is then read."""
    bundle = Bundle()
    for attribute, value in changes.items():
        assert hasattr(bundle[tensor], attribute)
        setattr(bundle[tensor], attribute, value)
    reading(name, bundle, tensor, reason, message)


def refused_entry(name, message, **changes):
    """The sound checkpoint with the entry of `f` changed, so that it cannot be opened."""
    bundle = Bundle()
    for attribute, value in changes.items():
        assert hasattr(bundle["f"], attribute)
        setattr(bundle["f"], attribute, value)
    opening(name, bundle.index(), "CORRUPT", message)


def make_footers():
    sound = Bundle().index()
    short = "file is too short to be an sstable"
    opening("index-empty", b"", "CORRUPT", short)
    opening("index-47-bytes", sound[-47:], "CORRUPT", short)
    opening("index-zeros", bytes(4096), "CORRUPT", "not an sstable (bad magic number)")
    opening("index-short-by-one", sound[:-1], "CORRUPT", "not an sstable (bad magic number)")
    opening("index-without-its-start", sound[100:], "TRUNCATED", "does not fit in the file")
    opening(
        "magic-wrong", Bundle().table().finish(magic=0xDB4775248B80FB56), "CORRUPT",
        "not an sstable (bad magic number)")

    def footer(name, make, reason, message):
        opening(name, Bundle().table().finish(footer=make), reason, message)

    endless = b"\x80" * 40
    footer("footer-varint-endless", lambda m, i: endless, "CORRUPT", "bad block handle (metaindex)")
    footer("footer-index-varint-endless", lambda m, i: (m + endless)[:40], "CORRUPT",
           "bad block handle (index)")
    footer("footer-size-2-to-64", lambda m, i: m + varint(0) + varint(-1), "CORRUPT",
           "bad block handle (index)")
    footer("footer-offset-past-end", lambda m, i: m + varint(2**20) + varint(8), "TRUNCATED",
           f"index block of 8 bytes at {2**20} does not fit in the file")
    size = len(sound)
    footer("footer-index-in-footer", lambda m, i: m + varint(size - 56) + varint(8), "TRUNCATED",
           f"index block of 8 bytes at {size - 56} does not fit in the file")
    footer("footer-metaindex-past-end", lambda m, i: varint(2**40) + varint(8) + i, "TRUNCATED",
           f"metaindex block of 8 bytes at {2**40} does not fit in the file")


def make_indexes():
    def index(name, reason, message, change, blocks=2):
        table = Bundle().table(blocks)
        change(table)
        opening(name, table.finish(), reason, message)

    def second(handle):
        def change(table):
            table.index[1] = (table.index[1][0], handle(table))
        return change

    index("index-overlapping-extents", "CORRUPT", "overlapping blocks at 20",
          second(lambda table: varint(20) + varint(8)))
    index("index-block-twice", "CORRUPT", "overlapping blocks at 0",
          second(lambda table: table.index[0][1]))
    pairs = Bundle().pairs()
    table = Table()
    table.data(b"t", block(pairs[-1:]))
    table.data(b"s", block(pairs[:-1]))
    table.index.reverse()
    opening("index-blocks-descending", table.finish(), "CORRUPT", "overlapping blocks at 0")
    index("index-entry-past-end", "TRUNCATED", f"data block of 8 bytes at {2**40}",
          second(lambda table: varint(2**40) + varint(8)))
    index("index-value-no-handle", "CORRUPT", "bad block handle (data)",
          second(lambda table: b"\x80"))
    index("index-value-empty", "CORRUPT", "bad block handle (data)", second(lambda table: b""))
    index("index-key-below-block", "CORRUPT", "bad index key of block at",
          lambda table: table.index.__setitem__(1, (b"q", table.index[1][1])))
    index("index-keys-out-of-order", "CORRUPT", "keys out of order",
          lambda table: table.index.__setitem__(1, (b"", table.index[1][1])))
    table = Bundle().table()
    # The metaindex behind the data has 13 bytes, then comes the index.
    table.index.append((b"z", varint(len(table.file) + 13) + varint(8)))
    opening("index-block-is-index", table.finish(), "CORRUPT", "overlapping blocks at")
    opening("index-checksum", Bundle().table().finish(damage=1), "CHECKSUM_MISMATCH",
            "block checksum mismatch at")
    opening("index-restart-count-huge", Bundle().table().finish(
        index=block(Bundle().table().index, restart_count=2**32 - 1)), "CORRUPT",
        "bad restart offsets in block at")


def make_blocks():
    pairs = Bundle().pairs()

    def first(name, contents, reason, message, **other):
        table = Table()
        table.data(b"\xff", contents, **other)
        opening(name, table.finish(), reason, message)

    first("block-checksum", block(pairs), "CHECKSUM_MISMATCH", "block checksum mismatch at 0",
          damage=0x100)
    table = Table()
    table.data(b"f", block(pairs[:4]))
    start = len(table.file)
    table.data(b"\xff", block(pairs[4:]), damage=1)
    # TensorFlow silently loses the block's tensors.
    opening("later-block-checksum", table.finish(), "CHECKSUM_MISMATCH",
            f"block checksum mismatch at {start}")
    first("block-type-2", block(pairs), "CORRUPT", "bad block type 2 at 0", kind=2)
    first("block-type-255", block(pairs), "CORRUPT", "bad block type 255 at 0", kind=255)

    restarts = "bad restart offsets in block at 0"
    first("restart-count-huge", block(pairs, restart_count=2**32 - 1), "CORRUPT", restarts)
    first("restart-count-overflows-by-four", block(pairs, restart_count=2**30), "CORRUPT", restarts)
    first("restart-count-zero", block(pairs, restart_count=0), "CORRUPT", restarts)
    first("restart-first-not-zero", block(pairs, [1]), "CORRUPT", restarts)
    first("restart-past-end", block(pairs, [0, 2**31]), "CORRUPT", restarts)
    first("restart-in-entry", block(pairs, [0, 1]), "CORRUPT", restarts)
    first("restarts-descending", block(pairs, [0, 9, 0]), "CORRUPT", restarts)
    first("block-of-4-bytes", fixed32(1), "CORRUPT", restarts)

    head = entry(0, b"", Bundle().header)
    bad = f"bad entry at {len(head)} in block at 0"
    first("entry-shares-more-than-key", block([head, entry(1, b"f", b"")], [0]), "CORRUPT", bad)
    first("entry-shares-2-to-32", block([head, entry(2**32 - 1, b"f", b"")], [0]), "CORRUPT", bad)
    whole = entry(0, b"f", Bundle()["f"].bytes())
    first("entry-shares-at-restart", block([head, whole, entry(1, b"g", b"")]), "CORRUPT",
          f"bad entry at {len(head) + len(whole)} in block at 0")
    first("entry-key-past-block", block([head, b"\0\xff\xff\xff\xff\x0f\0f"], [0]), "CORRUPT", bad)
    first("entry-varint-endless", block([head, b"\x80" * 12], [0]), "CORRUPT", bad)

    order = "keys out of order, entry at"
    first("keys-out-of-order", block([pairs[0]] + pairs[:0:-1]), "CORRUPT", order)
    first("keys-duplicate", block(pairs + [pairs[-1]]), "CORRUPT", order)
    table = Table()
    table.data(b"t", block(pairs))
    table.data(b"u", block([(b"f", Bundle()["f"].bytes())]))
    opening("keys-out-of-order-across-blocks", table.finish(), "CORRUPT", order)
    # Each key of 20,000 bytes takes a few.
    value = Bundle()["f"].bytes()
    keys = [entry(20000, bytes([number]), value) for number in range(100)]
    first("keys-expand", snappy(block([head, entry(0, b"a" * 20000, value)] + keys, [0])),
          "CORRUPT", "keys expand to more than", kind=1)

    corrupt = "corrupted compressed block contents at 0"
    contents = snappy(block(pairs))
    size = len(block(pairs))
    first("snappy-plain", block(pairs), "CORRUPT", "compressed", kind=1)
    first("snappy-empty", b"", "CORRUPT", corrupt, kind=1)
    first("snappy-length-lie", varint(size + 1) + contents[len(varint(size)):], "CORRUPT", corrupt,
          kind=1)
    first("snappy-length-too-little", varint(size - 1) + contents[len(varint(size)):], "CORRUPT",
          corrupt, kind=1)
    first("snappy-length-4-gib", varint(2**32 - 1) + contents[len(varint(size)):], "CORRUPT",
          f"compressed block at 0 is too large: {2**32 - 1} bytes", kind=1)
    first("snappy-length-endless", b"\xff" * 10, "CORRUPT", corrupt, kind=1)
    first("snappy-literal-past-end", varint(100) + b"\xf0\xff" + bytes(10), "CORRUPT", corrupt,
          kind=1)
    first("snappy-copy-before-start", varint(8) + b"\0a" + b"\x1a\x02\0", "CORRUPT", corrupt, kind=1)
    # The most that a file of this size may expand to, and no table when it has.
    first("snappy-bomb", snappy(b"a" * 2**20), "CORRUPT", restarts, kind=1)


def make_headers():
    def with_header(name, value, reason, message):
        bundle = Bundle()
        bundle.header = value
        opening(name, bundle.index(), reason, message)

    bundle = Bundle()
    bundle.header = None
    for key in [b"p", slice_key("p", TOP), slice_key("p", BOTTOM)]:
        del bundle.entries[key]
    # TensorFlow takes the first tensor for the header, and loses it.
    opening("header-missing", bundle.index(), "CORRUPT", "index file model.index has no header before f")
    opening("entries-missing", Table().finish(), "CORRUPT", "index file model.index has no entries, expected a header")
    with_header("header-unparseable", b"\xff", "CORRUPT", "the header of index file model.index is not parseable, expected a BundleHeaderProto")
    with_header("header-min-consumer-2", header(version=field(1, 1) + field(2, 2)),
                "VERSION_MISMATCH", "min consumer version 2 above current version 1")
    with_header("header-producer-negative", header(version=field(1, -1)), "VERSION_MISMATCH",
                "producer version -1 below min producer 0")
    with_header("header-bad-consumer-1", header(version=field(1, 1) + field(3, varint(3) + varint(1))),
                "VERSION_MISMATCH", "disallows consumer version 1")

    def shards(name, value, count):
        bundle = Bundle()
        bundle.header = value
        reading(name, bundle, "f", "CHECKPOINT_NOT_FOUND",
                f"tensor f is in data file model.data-00000-of-{count:05}, which is missing", False)

    shards("shards-billion", header(shards=10**9), 10**9)
    shards("shards-int32-max", header(shards=2**31 - 1), 2**31 - 1)
    shards("shards-two-of-one", header(shards=2), 2)
    shards("shards-none", header(shards=0), 0)
    shards("shards-negative", header(shards=-1), -1)
    shards("header-empty", b"", 0)
    bundle = Bundle()
    bundle.header = header(endianness=1)
    # Numbers cannot tell, but the lengths of strings have a checksum of their own.
    reading("header-big-endian", bundle, "s", "CHECKSUM_MISMATCH",
            "tensor s has damaged string lengths in data file model.data-00000-of-00001", False)


def make_entries():
    refused_entry("dtype-resource", "tensor f has the unknown dtype 20 in index file model.index, expected 1 to 33", dtype=20)
    for name, shard in [("5", 5), ("negative", -1), ("int32-max", 2**31 - 1)]:
        changed(f"entry-shard-{name}", "f", "CHECKPOINT_NOT_FOUND",
                f"tensor f is in data file model.data-{shard:05}-of-00001, which is missing", shard=shard)
    changed("entry-shard-int32-min", "f", "CHECKPOINT_NOT_FOUND", "of-00001, which is missing",
            shard=-(2**31))
    size = len(Bundle().data)
    for name, offset in [
        ("negative", -8), ("int64-min", INT64_MIN), ("past-end", 2**20), ("2-to-62", 2**62),
        ("int64-max", INT64_MAX),
    ]:
        changed(f"entry-offset-{name}", "f", "TRUNCATED",
                f"tensor f needs 24 bytes at {offset} of data file "
                f"model.data-00000-of-00001, which has {size}", offset=offset)
    changed("entry-crosses-file-end", "f", "TRUNCATED",
            f"tensor f needs 24 bytes at {size - 23} of data file "
            f"model.data-00000-of-00001, which has {size}", offset=size - 23)
    for name, stored in [
        ("too-little", 20), ("too-much", 28), ("negative", -24), ("int64-max", INT64_MAX),
        ("int64-min", INT64_MIN), ("zero", 0),
    ]:
        changed(f"entry-size-{name}", "f", "CORRUPT",
                f"tensor f has an invalid size in index file model.index: stored {stored}, expected 24",
                size=stored)
    changed("shape-bytes-overflow", "f", "CORRUPT", "stored 24, expected less than 2^63",
            shape=[2**62])
    crc = Bundle()["f"].crc
    changed("entry-checksum-absent", "f", "CHECKSUM_MISMATCH",
            "tensor f is damaged: the checksum of 24 bytes at 0 of data file "
            "model.data-00000-of-00001 does not match: stored", crc=0)
    changed("entry-checksum", "f", "CHECKSUM_MISMATCH",
            "tensor f is damaged: the checksum of 24 bytes at 0 of data file "
            "model.data-00000-of-00001 does not match: stored", crc=crc ^ 1)
    changed("dtype-variant", "f", "UNSUPPORTED", "tensor f has dtype variant in index file model.index, which cannot be shared", dtype=21)


def make_strings():
    size = len(Bundle().data)
    sound = Bundle()["s"]
    changed("strings-checksum", "s", "CHECKSUM_MISMATCH",
            "tensor s is damaged: the checksum of 15 bytes at 36 of data file model.data-00000-of-00001",
            crc=sound.crc ^ 1)
    for name, stored in [
        ("less-than-elements", 2), ("zero", 0), ("negative", -1), ("int64-min", INT64_MIN)]:
        changed(f"strings-size-{name}", "s", "CORRUPT",
                f"tensor s has an invalid size in index file model.index: stored {stored}", size=stored)
    # TensorFlow takes a size that is too small, but not less than the number of elements.
    changed("strings-size-one-less", "s", "CORRUPT",
            "tensor s has 7 bytes of strings in data file model.data-00000-of-00001, expected 8",
            size=14)
    changed("strings-size-four-more", "s", "CORRUPT",
            "tensor s has 12 bytes of strings in data file model.data-00000-of-00001, expected 8",
            size=19)
    changed("strings-size-int64-max", "s", "TRUNCATED", f"tensor s needs {INT64_MAX} bytes",
            size=INT64_MAX)
    changed("strings-offset-int64-max", "s", "TRUNCATED", f"tensor s needs 15 bytes at {INT64_MAX}",
            offset=INT64_MAX)
    changed("strings-one-more", "s", "CHECKSUM_MISMATCH", "tensor s has damaged string lengths in data file model.data-00000-of-00001",
            shape=[4])

    def lengths(name, message, numbers, contents=b"abc"):
        bundle = Bundle()
        data, crc = strings([contents], numbers)
        bundle.add("lying", 7, [len(numbers)], data, crc)
        reading(name, bundle, "lying", "CORRUPT", message, data=bundle.data)

    three = "tensor lying has 3 bytes of strings in data file model.data-00000-of-00001, expected"
    lengths("string-length-past-end", f"{three} 4", [2, 2])
    lengths("string-length-2-to-32", f"{three} {2**32}", [2**32, 0])
    lengths("string-lengths-too-little", f"{three} 2", [1, 1])


def make_slices():
    missing = "tensor p lists slice 3,2:0,4, whose entry is not in index file model.index"
    bundle = Bundle()
    del bundle.entries[slice_key("p", BOTTOM)]
    reading("slice-entry-missing", bundle, "p", "TENSOR_NOT_FOUND", missing)
    for name, key in [
        ("garbage", b"\0\xfe\xff\xfe\xff"), ("cut", slice_key("p", BOTTOM)[:-1]),
        ("of-another-rank", b"\0p\0\1\1\1" + ordered_number(3) + ordered_number(2)),
        ("of-whole-spelled-out", slice_key("p", [(3, 2), (0, 4)])),
        ("rank-2-to-64", b"\0p\0\1\x08" + b"\xff" * 8),
    ]:
        bundle = Bundle()
        bundle.entries[key] = bundle.entries.pop(slice_key("p", BOTTOM))
        reading(f"slice-key-{name}", bundle, "p", "TENSOR_NOT_FOUND", missing)

    def bottom(name, reason, message, **changes):
        bundle = Bundle()
        for attribute, value in changes.items():
            setattr(bundle[slice_key("p", BOTTOM)], attribute, value)
        reading(name, bundle, "p", reason, message)

    bottom("slice-shard-missing", "CHECKPOINT_NOT_FOUND", "tensor p is in data file model.data-00002-of-00001, which is missing", shard=2)
    bottom("slice-size", "CORRUPT", "tensor p has an invalid size in index file model.index: stored 31, expected 32",
           size=31)
    bottom("slice-offset-negative", "TRUNCATED", "tensor p needs 32 bytes at -1 of", offset=-1)
    bottom("slice-checksum", "CHECKSUM_MISMATCH",
           "tensor p is damaged: the checksum of 32 bytes at 99 of data file model.data-00000-of-00001",
           crc=1)

    def listed(name, reason, message, *slices):
        bundle = Bundle()
        bundle["p"].slices = list(slices)
        reading(name, bundle, "p", reason, message)

    outside = "does not lie in the tensor, of shape [5, 4]"
    listed("slices-incomplete", "SLICES_INCOMPLETE", "sufficient slices", TOP)
    listed("slices-overlap-in-another-spelling", "SLICES_OVERLAP", "overlapping slices are stored",
           TOP, [(0, 3), (0, 4)], BOTTOM)
    listed("slice-past-end", "CORRUPT", outside, TOP, [(3, 3), None])
    listed("slice-start-negative", "CORRUPT", outside, TOP, [(-1, 3), None])
    listed("slice-sum-overflows", "CORRUPT", outside, TOP, [(INT64_MAX, 2), None])
    bundle = Bundle()
    bundle["p"].slices[1] = [None]
    opening("slice-of-another-rank", bundle.index(), "CORRUPT",
            "tensor p has a slice of 1 axes in index file model.index, expected 2")
    bundle = Bundle()
    bundle[slice_key("p", BOTTOM)].shape = (4, 2)
    opening("slice-of-another-shape", bundle.index(), "CORRUPT",
            "tensor p has a slice of shape [4, 2] in index file model.index, expected [2, 4]")
    # Slices that no tensor lists, in a few bytes each.
    table = Table()
    keys = [b"\0" + struct.pack(">H", 0x4000 + number) for number in range(2000)]
    table.data(b"\xff", block([(b"", header())] + [(key, field(1, 1)) for key in keys], [0]))
    opening("entries-of-eight-bytes", table.finish(), "CORRUPT",
            "index file model.index expands to more than")


def make_data():
    def data(name, tensor, reason, message, change, spares_others=True):
        bundle = Bundle()
        reading(name, bundle, tensor, reason, message, spares_others, change(bundle.data))

    def flip(offset):
        return lambda data: data[:offset] + bytes([data[offset] ^ 0xFF]) + data[offset + 1 :]

    bundle = Bundle()
    data("data-truncated", "f", "TRUNCATED",
         "tensor f needs 24 bytes at 0 of data file model.data-00000-of-00001, which has 4",
         lambda data: data[:4], False)
    data("data-empty", "f", "TRUNCATED", "which has 0", lambda data: b"", False)
    data("data-byte", "f", "CHECKSUM_MISMATCH",
         "tensor f is damaged: the checksum of 24 bytes at 0 of data file model.data-00000-of-00001",
         flip(23))
    data("data-byte-of-slice", "p", "CHECKSUM_MISMATCH",
         "tensor p is damaged: the checksum of 32 bytes at 99 of data file model.data-00000-of-00001",
         flip(bundle[slice_key("p", BOTTOM)].offset))
    data("data-string-length", "s", "CHECKSUM_MISMATCH", "tensor s has damaged string lengths in data file model.data-00000-of-00001",
         flip(bundle["s"].offset))
    data("data-string-checksum", "s", "CHECKSUM_MISMATCH", "tensor s has damaged string lengths in data file model.data-00000-of-00001",
         flip(bundle["s"].offset + 3))
    data("data-string-byte", "s", "CHECKSUM_MISMATCH",
         "tensor s is damaged: the checksum of 15 bytes at 36 of data file model.data-00000-of-00001",
         flip(bundle["s"].offset + 14))
    data("data-missing", "f", "CHECKPOINT_NOT_FOUND",
         "tensor f is in data file model.data-00000-of-00001, which is missing", lambda data: None, False)


def make_odd():
    """What looks wrong and is not: each is read as TensorFlow reads it."""
    sound = Bundle()
    # TensorFlow never looks at the metaindex.
    accepted("odd-metaindex-checksum", sound, "f", floats(6), metaindex_damage=1)
    accepted("odd-data-with-more-behind", sound, "f", floats(6), sound.data + b"more")
    bundle = Bundle()
    bundle.entries.clear()
    accepted("odd-header-only", bundle)
    for name, value in [
        ("producer-99", header(version=field(1, 99))),
        ("without-version", field(1, 1)),
        ("endianness-7", header(endianness=7)),
        ("of-unknown-fields", header() + field(15, 7) + field(16, "more")),
    ]:
        bundle = Bundle()
        bundle.header = value
        accepted(f"odd-header-{name}", bundle, "f", floats(6))
    bundle = Bundle()
    bundle.header = header(endianness=1)
    # The checksums are of the bytes in the file, so that nothing tells that they were the other way.
    accepted("odd-big-endian-numbers", bundle, "f", struct.pack(">6f", *range(6)))
    bundle = Bundle()
    bundle["f"].dtype = 3
    accepted("odd-dtype-of-same-size", bundle, "f", floats(6))
    bundle = Bundle()
    shape = field(2, field(1, 2) + field(2, "rows")) + field(2, field(1, 3)) + field(3, 1)
    plain = field(2, field(2, field(1, 2)) + field(2, field(1, 3)))
    assert plain in bundle["f"].bytes()
    bundle.entries[b"f"] = bundle["f"].bytes().replace(plain, field(2, shape))
    accepted("odd-shape-with-names", bundle, "f", floats(6))
    for name, key in [("not-utf-8", b"\xff\xfe/w"), ("with-nul", b"a\0b"), ("with-newline", b"a\nb")]:
        bundle = Bundle()
        bundle.add(key, 1, [2], floats(2))
        accepted(f"odd-name-{name}", bundle, key, floats(2), bundle.data)
    bundle = Bundle()
    bundle.entries[b"z"] = Entry(1, [0, 3], 2**40, 0, mask(0))
    accepted("odd-offset-of-no-bytes", bundle, "z")
    # TensorFlow opens the file all the same.
    reading("empty-tensor-shard-missing", bundle, "z", "CHECKPOINT_NOT_FOUND",
            "tensor z is in data file model.data-00000-of-00001, which is missing", False, None)

    def halves(name, tensor, dtype, shape, contents):
        """A tensor in two slices along its first axis."""
        bundle = Bundle()
        rest = [None] * (len(shape) - 1)
        middle = len(contents) // 2
        half = shape[0] // 2
        slices = [[(0, half)] + rest, [(half, half)] + rest]
        bundle.entries[tensor.encode()] = Entry(dtype, shape, 0, 0, 0, slices=slices)
        for extents, part in zip(slices, [contents[:middle], contents[middle:]]):
            bundle.add(slice_key(tensor, extents), dtype, [half] + shape[1:], part)
        accepted(name, bundle, tensor, contents, bundle.data)

    # TensorFlow says that the dtype is not supported.
    halves("odd-slices-of-float16", "half", 19, [4, 2], bytes(range(16)))
    halves("odd-slices-of-uint64", "wide", 23, [2, 2], bytes(range(32)))
    halves("odd-slices-of-int2", "narrow", 31, [4], bytes([3, 2, 1, 0]))


# MARK: V1


class SavedSlices:
    """The sound checkpoint as a V1 table, to be changed."""

    def __init__(self):
        self.tensors = {}
        self.records = {}
        self.versions = b""
        self.add("f", 1, [2, 3], field(5, floats(6)))
        self.add("sound", 1, [3], field(5, floats(3)))
        self.add("s", 7, [3], b"".join(field(8, text) for text in [b"hello", b"", b"\xff\0x"]))
        self.add("p", 1, [5, 4], field(5, floats(12)), TOP)
        self.add("p", 1, [5, 4], field(5, floats(20)[48:]), BOTTOM)

    def add(self, name, dtype, shape, values, extents=None):
        extents = [None] * len(shape) if extents is None else extents
        known = self.tensors.setdefault(name, (dtype, shape, []))
        known[2].append(extents)
        if values is not None:
            self.put(name, extents, values)

    def put(self, name, extents, values):
        spelled = b"".join(field(1, Entry.extent(extent)) for extent in extents)
        saved = field(1, name) + field(2, spelled) + field(3, values)
        self.records[slice_key(name, extents)] = field(2, saved)

    def list(self):
        tensors = b""
        for name, (dtype, shape, slices) in sorted(self.tensors.items()):
            lengths = b"".join(field(2, field(1, length)) for length in shape)
            tensor = field(1, name) + field(2, lengths) + field(3, dtype)
            for extents in slices:
                tensor += field(4, b"".join(field(1, Entry.extent(extent)) for extent in extents))
            tensors += field(1, tensor)
        return field(1, tensors + (field(2, self.versions) if self.versions else b""))

    def table(self, contents=None, damaged=None):
        """A table with the list in one data block and the records in another."""
        table = Table()
        contents = self.list() if contents is None else contents
        table.data(b"", block([(b"", contents)]), damage=damaged == "list")
        records = sorted(self.records.items())
        table.data(records[-1][0], block(records), damage=damaged == "records")
        return table


def opening_v1(name, file, reason, message, tensor=None):
    """A table, or a file of another format, that is refused, or only its tensor."""
    assert name not in checkpoints
    expected = dict(reason=reason, message=message)
    checkpoints[name] = (None, file, expected if tensor is None else expected | dict(tensor=tensor))


def reading_v1(name, saved, tensor, reason, message, spares_others=True, **other):
    """A table of which one tensor is refused."""
    assert name not in checkpoints
    expected = dict(reason=reason, message=message, tensor=tensor, sparesOthers=spares_others)
    checkpoints[name] = (None, saved.table(**other).finish(), expected)


def make_v1_lists():
    sound = SavedSlices().table().finish()
    opening_v1("v1-short", sound[-47:], "CORRUPT", "file model is damaged, or is not a checkpoint: file is too short")
    opening_v1("v1-magic-wrong", sound[:-1] + b"x", "CORRUPT", "not an sstable (bad magic number)")
    opening_v1("v1-index-checksum", SavedSlices().table().finish(damage=1), "CHECKSUM_MISMATCH",
               "file model is damaged: block checksum mismatch at")
    opening_v1("v1-list-checksum", SavedSlices().table(damaged="list").finish(), "CHECKSUM_MISMATCH",
               "file model is damaged: block checksum mismatch at 0")
    no_list = "file model does not begin with a list of the tensors that it holds"
    opening_v1("v1-list-empty", SavedSlices().table(b"").finish(), "CORRUPT", no_list)
    opening_v1("v1-list-missing", table_of(sorted(SavedSlices().records.items())), "CORRUPT", no_list)
    opening_v1("v1-without-entries", Table().finish(), "CORRUPT", no_list)
    opening_v1("v1-list-unparseable", SavedSlices().table(b"\x0a\xff\x01x").finish(), "CORRUPT",
               "the list of tensors of file model is not parseable")
    table = SavedSlices().table()
    table.index[0] = (b"", varint(2**40) + varint(8))
    opening_v1("v1-block-past-end", table.finish(), "TRUNCATED", f"data block of 8 bytes at {2**40}")

    def tensor(name, reason, message, dtype=1, shape=(2, 3), slices=((None, None),)):
        saved = SavedSlices()
        saved.tensors["f"] = (dtype, list(shape), list(slices))
        opening_v1(name, saved.table().finish(), reason, message)

    tensor("v1-shape-negative", "CORRUPT", f"tensor f has the invalid shape [-7, 3]", shape=(-7, 3))
    tensor("v1-shape-overflow", "CORRUPT", f"tensor f has the invalid shape", shape=(2**40, 2**40))
    tensor("v1-bytes-overflow", "CORRUPT", "tensor f has a slice of 2^63 bytes or more in file model", dtype=18,
           shape=(2**60,), slices=[[None]])
    tensor("v1-shape-rank-255", "CORRUPT", f"tensor f has the invalid shape", shape=[1] * 255,
           slices=[[None] * 255])
    tensor("v1-dtype-invalid", "CORRUPT", f"tensor f has the unknown dtype 0", dtype=0)
    tensor("v1-dtype-99", "CORRUPT", f"tensor f has the unknown dtype 99", dtype=99)
    tensor("v1-dtype-resource", "CORRUPT", f"tensor f has the unknown dtype 20", dtype=20)
    tensor("v1-slice-of-another-rank", "CORRUPT", "tensor f has a slice of 1 axes in file model, expected 2",
           slices=[[None]])
    tensor("v1-slice-length-zero", "CORRUPT", "tensor f has a slice of 0 elements from 0 in file model",
           slices=[[(0, 0), None]])
    tensor("v1-slice-start-negative", "CORRUPT", "tensor f has a slice of 2 elements from -1 in file model",
           slices=[[(-1, 2), None]])

    def version(name, versions, message):
        saved = SavedSlices()
        saved.versions = versions
        opening_v1(name, saved.table().finish(), "VERSION_MISMATCH", message)

    version("v1-min-consumer-2", field(1, 1) + field(2, 2), "min consumer version 2 above")
    version("v1-producer-negative", field(1, -1), "producer version -1 below")
    version("v1-bad-consumer-1", field(1, 1) + field(3, varint(1)), "disallows consumer version 1")


def make_v1_odd():
    """Types that TensorFlow does not write in V1 checkpoints, but reads."""
    for name, dtype, number, width in [("uint32", 22, 16, "I"), ("uint64", 23, 17, "Q")]:
        elements = [1, 2, 2**31, 2**32 - 1, 0, 6]
        saved = SavedSlices()
        saved.tensors["f"] = (dtype, [2, 3], [[None, None]])
        saved.put("f", [None, None], field(number, b"".join(varint(n) for n in elements)))
        expected = dict(reason="OK", count=len(saved.tensors), tensor=b"f".hex(),
                        contents=struct.pack(f"<6{width}", *elements).hex())
        checkpoints[f"v1-odd-{name}"] = (None, saved.table().finish(), expected)


def make_v1_records():
    whole = [None, None]

    def record(name, values, message="expected 6 elements of dtype float32"):
        saved = SavedSlices()
        if values is None:
            del saved.records[slice_key("f", whole)]
        else:
            saved.put("f", whole, values)
        reading_v1(name, saved, "f", "CORRUPT", message.replace("TABLE", "file model"))

    record("v1-record-missing", None, "tensor f lists slice 0,2:0,3, whose record is not in TABLE")
    record("v1-record-too-few", field(5, floats(5)))
    record("v1-record-too-many", field(5, floats(7)))
    record("v1-record-of-another-type", field(7, bytes(range(6))))
    record("v1-record-as-content", field(4, floats(6)))
    record("v1-record-of-noise", b"\xff" * 24, "tensor f has a damaged record of slice 0,2:0,3 in TABLE")
    saved = SavedSlices()
    reading_v1("v1-record-checksum", saved, "f", "CHECKSUM_MISMATCH",
               "tensor f: file model is damaged: block checksum mismatch", False, damaged="records")
    saved = SavedSlices()
    saved.put("s", [None], field(8, b"one") + field(8, b"two"))
    reading_v1("v1-strings-too-few", saved, "s", "CORRUPT", "expected 3 elements of dtype string")
    saved = SavedSlices()
    saved.tensors["f"] = (14, [2, 3], [whole])
    reading_v1("v1-dtype-bfloat16", saved, "f", "UNSUPPORTED",
               "tensor f has dtype bfloat16 in file model, which no V1 table can hold")
    saved = SavedSlices()
    saved.tensors["p"] = (1, [5, 4], [TOP])
    reading_v1("v1-slices-incomplete", saved, "p", "SLICES_INCOMPLETE", "sufficient slices")
    saved = SavedSlices()
    saved.add("p", 1, [5, 4], field(5, floats(8)), [(2, 2), None])
    reading_v1("v1-slices-overlap", saved, "p", "SLICES_OVERLAP", "overlapping slices are stored")
    saved = SavedSlices()
    saved.tensors["p"] = (1, [5, 4], [TOP, [(3, 3), None]])
    reading_v1("v1-slice-past-end", saved, "p", "CORRUPT",
               "does not lie in the tensor, of shape [5, 4]")


# MARK: Maps

maps = {}


def variable(name, dtype, shape, **other):
    return dict(name=name, dtype=dtype, shape=shape, **other)


def part(shape, full_shape, offset, dtype="float32"):
    """A partition of a variable `v`."""
    return variable("v/part_0", dtype, shape,
                    slice=dict(full_name="v", full_shape=full_shape, offset=offset))


def mapping(name, pairs, variables, reason, *parts):
    """A map that fails in the sound checkpoint."""
    assert name not in maps
    maps[name] = dict(map=pairs, variables=variables, reason=reason, message=list(parts))


def make_maps():
    f, v = variable("v", "float32", [2, 3]), variable("scope/f", "float32", [2, 3])
    mapping("tensor-not-found", [["nowhere", {"variable": "v"}]], [f], "TENSOR_NOT_FOUND",
            "key nowhere: tensor nowhere is not found")
    mapping("tensor-misspelled", [["sounb", {"variable": "v"}]], [variable("v", "float32", [3])],
            "TENSOR_NOT_FOUND", "tensor sounb is not found", "sound")
    mapping("tensor-with-slash-at-start", [["/f", {"variable": "v"}]], [f], "TENSOR_NOT_FOUND",
            "tensor /f is not found")
    mapping("tensor-of-partition", [["p/part_0", {"variable": "v"}]], [variable("v", "float32", [3, 4])],
            "TENSOR_NOT_FOUND", "tensor p/part_0 is not found")
    mapping("variable-misspelled", [["f", "w"]], [f], "SCOPE_ONLY", "w", "f")
    mapping("scope-to-variable", [["scope/", "v"]], [f], "TENSOR_NOT_FOUND", "tensor scope/ is not found")
    mapping("tensor-to-scope", [["f", "scope/"]], [v], "SCOPE_ONLY", "f")
    mapping("empty-key", [["", "scope/"]], [v], "SCOPE_ONLY", "scope/")
    mapping("scope-lacks-tensor", [["/", "scope/"]], [v, variable("scope/none", "float32", [1])],
            "TENSOR_NOT_FOUND", "tensor none for variable scope/none is not found")
    mapping("scope-without-slash", [["/", "scope"]], [v], "TENSOR_NOT_FOUND",
            "scope is a scope: write scope/")
    mapping("scope-doubled-slash", [["//", "scope/"]], [v], "TENSOR_NOT_FOUND", "variable scope/f")
    mapping("shape-mismatch", [["f", {"variable": "v"}]], [variable("v", "float32", [3, 2])],
            "SHAPE_MISMATCH", "variable v", "[3, 2]", "tensor f", "[2, 3]")
    mapping("shape-mismatch-of-scope", [["/", "scope/"]], [variable("scope/f", "float32", [2, 4])],
            "SHAPE_MISMATCH", "variable scope/f", "[2, 4]", "tensor f", "[2, 3]")
    mapping("shape-of-another-rank", [["f", {"variable": "v"}]], [variable("v", "float32", [6])],
            "SHAPE_MISMATCH", "[6]", "[2, 3]")
    mapping("dtype-mismatch", [["f", {"variable": "v"}]], [variable("v", "float64", [2, 3])],
            "DTYPE_MISMATCH", "tensor f", "float64", "float32")
    mapping("dtype-mismatch-of-string", [["s", {"variable": "v"}]], [variable("v", "int64", [3])],
            "DTYPE_MISMATCH", "tensor s", "int64", "string")
    mapping("partitions-differ", [["p", {"variables": ["a/part_0", "b/part_0"]}]],
            [variable(f"{n}/part_0", "float32", [5, 4],
                      slice=dict(full_name=n, full_shape=[5, 4], offset=[0, 0])) for n in "ab"],
            "SLICES_DIFFER", "slices must all be from the same tensor: a != b")
    mapping("list-of-whole-variable", [["p", {"variables": ["v"]}]], [variable("v", "float32", [5, 4])],
            "SLICES_DIFFER", "v")
    mapping("part-of-another-shape", [["p", {"variables": ["v/part_0"]}]], [part([2, 4], [6, 4], [0, 0])],
            "SHAPE_MISMATCH", "[6, 4]", "tensor p", "[5, 4]")
    mapping("part-with-offset-of-another-rank", [["p", {"variables": ["v/part_0"]}]],
            [part([2, 4], [5, 4], [0])], "INVALID_REQUEST", "v/part_0")
    mapping("part-of-another-rank", [["p", {"variables": ["v/part_0"]}]], [part([2], [5, 4], [0, 0])],
            "INVALID_REQUEST", "v/part_0")
    mapping("part-length-negative", [["p", {"variables": ["v/part_0"]}]], [part([-2, 4], [5, 4], [0, 0])],
            "INVALID_REQUEST", "variable v/part_0: shape[0]: expected a length", "not -2")
    mapping("part-of-negative-shape", [["p", {"variables": ["v/part_0"]}]],
            [part([2, 4], [-5, 4], [0, 0])], "INVALID_REQUEST", "-5")
    for name, shape, start, problem in [
        ("part-past-end", [2, 4], 4, "slice 4,2:0,4 is out of bounds of full shape [5, 4]"),
        ("part-sum-overflows", [2, 4], INT64_MAX, f"slice {INT64_MAX},2:0,4 is out of bounds of full shape"),
        ("part-start-negative", [2, 4], -1, "expected non-negative starts and positive lengths"),
        ("part-length-zero", [0, 4], 0, "expected non-negative starts and positive lengths"),
    ]:
        mapping(name, [["p", {"variables": ["v/part_0"]}]], [part(shape, [5, 4], [start, 0])],
                "SHAPE_MISMATCH", "variable v/part_0, tensor p", problem)

# MARK: Frames

frames = {}


frames = {}
SERVICE = "/warmstart.v1.Warmstart/"


def call(method, request=b"", id=7, descriptor_count=0, other=b""):
    """A Call."""
    count = field(4, descriptor_count) if descriptor_count else b""
    return field(1, id) + field(2, method) + count + other + field(3, request)


def frame(message, flags=0, length=None):
    return bytes([flags]) + struct.pack(">I", len(message) if length is None else length) + message


def sends(name, status, *steps, why=None):
    """Frames, each bytes or (bytes, names of files that ride on it)."""
    assert name not in frames
    lines = [f"# {status}"] + ([f"# {why}"] if why else [])
    for step in steps:
        data, files = step if isinstance(step, tuple) else (step, [])
        rides = f" fds={len(files)}({','.join(files)})" if files else ""
        lines.append(f"C>{rides}")
        for start in range(0, len(data), 24):
            lines.append("   " + data[start : start + 24].hex(" "))
    frames[name] = "\n".join(lines) + "\n"


GOLDEN = ["v2_tiles/t.index", "v2_tiles/t.data-00000-of-00001"]
INDEX = field(1, 1) + field(4, 0)
SHARD = field(1, 2) + field(3, 1) + field(4, 1)


def files(*members):
    return b"".join(field(2, member) for member in members)


def opening_files(*members):
    return call(SERVICE + "Open", field(1, files(*members)), descriptor_count=2)


def make_frames():
    hello = call(SERVICE + "Hello", id=1)
    bad = "0 INVALID_REQUEST"
    size = "expected at most 16777216"
    sends("frame-compressed", f"{bad} a frame has flags 1, expected 0", frame(hello, flags=1))
    sends("frame-all-flags", f"{bad} a frame has flags 255, expected 0", frame(hello, flags=255))
    sends("frame-length-16-mib-and-one", f"{bad} a frame of 16777217 bytes, {size}",
          frame(hello, length=2**24 + 1))
    sends("frame-length-max", f"{bad} a frame of 4294967295 bytes, {size}",
          frame(hello, length=2**32 - 1))
    sends("frame-length-sign-bit", f"{bad} a frame of 2147483648 bytes, {size}",
          frame(hello, length=2**31))
    sends("frame-empty", f"{bad} a frame does not parse: a call without an id", frame(b""))
    sends("truncated-in-prefix", f"{bad} ended in the middle of a frame", frame(hello)[:3])
    sends("truncated-mid-frame", f"{bad} ended in the middle of a frame", frame(hello)[:-3])
    parse = f"{bad} a frame does not parse: "
    early = parse + "a message that ends early"
    sends("call-without-id", parse + "a call without an id", frame(field(2, SERVICE + "Hello")))
    sends("call-id-zero", parse + "a call without an id", frame(call(SERVICE + "Hello", id=0)))
    sends("call-varint-endless", parse + "a message with an endless number", frame(b"\x80" * 20))
    sends("call-varint-cut", early, frame(b"\x08\x80"))
    sends("call-method-cut", early, frame(field(1, 1) + b"\x12\x7fabc"))
    sends("call-length-2-to-64", parse + "a message with an endless number", frame(field(1, 1) + b"\x1a" + varint(-1)))
    sends("call-group", parse + "a message with wire type 3", frame(hello + b"\x0b"))
    sends("call-field-zero", parse + "a message with field number 0", frame(hello + b"\0\0"))
    sends("call-features-33", parse + "more than 32 required features",
          frame(field(1, 1) + field(6, "sealed") * 33))

    count = f"{bad} a frame announces "
    one = GOLDEN[:1]
    sends("descriptor-count-without-descriptors", count + "1 descriptors, but 0 came with it",
          frame(call(SERVICE + "Hello", descriptor_count=1)))
    sends("descriptor-count-more-than-descriptors", count + "2 descriptors, but 1 came with it",
          (frame(call(SERVICE + "Hello", descriptor_count=2)), one))
    sends("descriptors-without-count", count + "0 descriptors, but 1 came with it",
          (frame(hello), one))
    sends("descriptors-65", count + "64 descriptors, but 65 came with it",
          (frame(call(SERVICE + "Attach", descriptor_count=65)), one * 65))
    sends("descriptor-count-2-to-64", count + "9223372036854775807 descriptors, but 0 came",
          frame(call(SERVICE + "Hello", descriptor_count=2**64 - 1)))
    half = frame(call(SERVICE + "Attach", descriptor_count=1))
    sends("descriptors-in-pieces", count + "1 descriptors, but 2 came with it",
          (half[:9], one), (half[9:], one), why="Descriptors come again in the middle of the frame.")

    sends("method-not-utf-8", "7 UNSUPPORTED this daemon does not have the call",
          frame(field(1, 7) + b"\x12\x02\xff\xfe"))
    for method in ["Pin", "Unpin", "Evict"]:
        sends(f"administration-{method.lower()}",
              "7 UNSUPPORTED is only available at the administrators' socket",
              frame(call(SERVICE + method)), why="By the socket for everybody.")

    invalid = "7 INVALID_REQUEST "
    unparsed = invalid + "the request is not valid"
    sends("checkpoint-of-two-kinds", unparsed + ": a checkpoint is a handle, files or a name",
          frame(call(SERVICE + "Open", field(1, field(1, 1) + files(INDEX)))))
    sends("handle-of-nobody", invalid + "this connection has no checkpoint 99",
          frame(call(SERVICE + "List", field(1, field(1, 99)))))
    sends("handle-closed-that-was-not-open", invalid + "this connection has no checkpoint 99",
          frame(call(SERVICE + "Close", field(1, 99))))
    sends("request-unpacks-to-much", unparsed + ": it unpacks to more than",
          frame(call(SERVICE + "Open", field(1, files(*[b""] * 4097)))))
    sends("file-without-role", unparsed + ": a file without a role",
          (frame(opening_files(field(4, 0), SHARD)), GOLDEN))
    sends("file-of-unknown-role", unparsed + ": a file without a role",
          (frame(opening_files(field(1, 9), SHARD)), GOLDEN))
    sends("file-of-no-descriptor", invalid + "the call names descriptor 7, but carries 2",
          (frame(opening_files(INDEX, field(1, 2) + field(3, 1) + field(4, 7))), GOLDEN))
    sends("file-descriptor-int32-max", invalid + "the call names descriptor 4294967295, but carries 2",
          (frame(opening_files(INDEX, field(1, 2) + field(3, 1) + field(4, 2**32 - 1))), GOLDEN))
    sends("file-of-no-attachment", invalid + "this connection has no attached file 5",
          (frame(opening_files(INDEX, field(1, 2) + field(3, 1) + field(5, 5))), GOLDEN))
    sends("files-without-index", invalid + "the checkpoint has no index file",
          (frame(opening_files(SHARD)), GOLDEN))
    sends("files-with-two-indexes", invalid + "the checkpoint has two indexes",
          (frame(opening_files(INDEX, INDEX)), GOLDEN))
    sends("files-with-a-shard-twice", invalid + "the checkpoint has data file t.data-00000-of-00001 twice",
          (frame(opening_files(INDEX, SHARD, SHARD)), GOLDEN))
    data = field(1, 1) + field(4, 1)
    sends("files-swapped", "7 CORRUPT index file t.data-00000-of-00001 is damaged, or is not a checkpoint: not an sstable",
          (frame(opening_files(data, field(1, 2) + field(3, 1) + field(4, 0))), GOLDEN),
          why="The data file for an index.")

    def resolve(name, status, request, other=b""):
        reference = field(1, files(INDEX, SHARD))
        sends(name, status, (frame(call(SERVICE + "Resolve", reference + request,
                                        descriptor_count=2, other=other)), GOLDEN))

    def fixed32s(*numbers):
        return b"".join(struct.pack("<I", number & 2**32 - 1) for number in numbers)

    def fixed64s(numbers):
        return b"".join(struct.pack("<q", number) for number in numbers)

    def column(*names):
        """The message Names."""
        lengths = fixed32s(*(len(name) for name in names))
        return field(1, "".join(names)) + field(2, lengths)

    def pairs(keys, targets, counts, names):
        return field(2, field(1, column(*keys)) + field(2, fixed32s(*targets))
                     + field(3, fixed32s(*counts)) + field(4, column(*names)))

    def variables(names, shapes, dtypes=None, ranks=None, partition=b"", outside=b""):
        dtypes = dtypes or [1] * len(names)
        ranks = ranks or [len(shape) for shape in shapes]
        lengths = fixed64s(sum(shapes, []))
        return field(3, field(1, column(*names)) + field(2, fixed32s(*dtypes))
                     + field(3, fixed32s(*ranks)) + field(4, lengths) + outside + partition)

    def variable(name, shape, dtype=1, partition=b""):
        return variables([name], [shape], [dtype], partition=partition)

    def place(full, shape, offset, position=0):
        return field(6, field(1, fixed32s(position)) + field(2, column(full))
                     + field(3, fixed32s(len(shape))) + field(4, fixed64s(shape))
                     + field(5, fixed64s(offset)))

    pair = pairs("x", [0], [1], "w")
    whole = variable("w", [5, 4])
    resolve("alignment-three", invalid + "alignment 3, expected a power of two up to 4096, or 0",
            pair + whole + field(4, 3))
    resolve("alignment-2-to-31", invalid + "alignment 2147483648, expected a power of two up to 4096, or 0",
            pair + whole + field(4, 2**31))
    resolve("variable-dtype-99", unparsed + ": a variable of dtype 99", pair + variable("w", [5, 4], 99))
    resolve("variable-shape-overflows", "7 SHAPE_MISMATCH variable w", pair + variable("w", [2**62] * 4))
    resolve("variable-shape-negative", invalid + "variable w has a negative length", pair + variable("w", [-2, 4]))
    resolve("variables-of-more-names", unparsed, pair + variables(["w", "v"], [[5, 4]], [1], [2]))
    resolve("variables-of-fewer-axes", unparsed, pair + variables(["w"], [[5, 4]], ranks=[3]))
    resolve("variables-of-more-axes", unparsed, pair + variables(["w"], [[5, 4]], ranks=[1]))
    resolve("variables-rank-int32-max", unparsed, pair + variables(["w"], [[5, 4]], ranks=[2**31 - 1]))
    resolve("variables-outside-store-of-none", unparsed,
            pair + variables(["w"], [[5, 4]], outside=field(5, fixed32s(2**32 - 1))))
    resolve("names-longer-than-text", unparsed,
            pair + field(3, field(1, field(1, "w") + field(2, fixed32s(2**32 - 1)))
                         + field(2, fixed32s(1)) + field(3, fixed32s(0))))
    resolve("column-cut", unparsed, pair + field(3, field(2, b"\1\0\0")))

    def gathers(variables, axes, counts, indices):
        return field(14, field(1, fixed32s(*variables)) + field(2, fixed32s(*axes))
                     + field(3, fixed32s(*counts)) + field(4, fixed64s(indices)))

    rows = variable("w", [-1, -1])
    resolve("gathers-of-fewer-indices", unparsed, pair + rows + gathers([0], [0], [2**32 - 1], [1]))
    resolve("gathers-of-more-indices", unparsed, pair + rows + gathers([0], [0], [1], [1, 2]))
    resolve("gathers-of-fewer-axes", unparsed, pair + rows + gathers([0, 0], [0], [1, 1], [1, 2]))
    resolve("gathers-of-no-variable", unparsed, pair + rows + gathers([2**32 - 1], [0], [1], [1]))
    resolve("gathers-that-descend", unparsed, pair + rows + gathers([0, 0], [1, 0], [1, 1], [1, 2]))
    resolve("gathers-of-one-axis-twice", unparsed, pair + rows + gathers([0, 0], [0, 0], [1, 1], [1, 2]))
    resolve("gather-index-int64-max", invalid + "variable w, tensor x: index 9223372036854775807 on axis 0",
            pair + rows + gathers([0], [0], [2], [4, INT64_MAX]))
    resolve("gather-index-minus-2", invalid + "variable w, tensor x: index -2 on axis 1",
            pair + rows + gathers([0, 0], [0, 1], [1, 2], [4, -1, -2]))
    resolve("gather-axis-uint32-max", invalid + "variable w has indices on axis 4294967295",
            pair + rows + gathers([0], [2**32 - 1], [1], [0]))
    resolve("gather-of-a-partition", invalid + "variable w/part_0 is a partition",
            pairs("x", [2], [1], ["w/part_0"])
            + variable("w/part_0", [2, 4], 1, place("w", [5, 4], [0, 0]))
            + gathers([0], [0], [2], [0, 1]))
    resolve("gather-of-another-shape", "7 SHAPE_MISMATCH key x: shape",
            pair + whole + gathers([0], [0], [2], [0, 1]))

    part = pairs("x", [2], [1], ["w/part_0"])
    resolve("partition-sum-overflows", "7 SHAPE_MISMATCH variable w/part_0",
            part + variable("w/part_0", [2, 4], 1, place("w", [5, 4], [INT64_MAX, 0])))
    resolve("partition-offset-negative", "7 SHAPE_MISMATCH variable w/part_0",
            part + variable("w/part_0", [2, 4], 1, place("w", [5, 4], [-1, 0])))
    resolve("partition-of-another-rank", invalid + "variable w/part_0 is a partition of shape",
            part + variable("w/part_0", [2, 4], 1, place("w", [5], [0])))
    resolve("partition-offset-of-another-rank", unparsed,
            part + variable("w/part_0", [2, 4], 1, place("w", [5, 4], [0])))
    resolve("partition-of-no-variable", unparsed,
            part + variable("w/part_0", [2, 4], 1, place("w", [5, 4], [0, 0], 1)))
    resolve("pair-of-two-names", unparsed, pairs("x", [0], [2], "wv") + whole)
    resolve("pair-of-unknown-target", unparsed, pairs("x", [9], [1], "w") + whole)
    resolve("pairs-of-fewer-names", unparsed, pairs("x", [2], [2**32 - 1], "w") + whole)
    resolve("pairs-of-more-names", unparsed, pairs("x", [2], [1], "wv") + whole)
    resolve("pairs-of-more-keys", unparsed, pairs("xy", [0], [1], "w") + whole)
    resolve("variables-of-one-name", invalid + "variable w is declared twice",
            pair + variables(["w", "w"], [[5, 4], [5, 4]]))


# MARK: Files


def write(folder):
    make_footers()
    make_indexes()
    make_blocks()
    make_headers()
    make_entries()
    make_strings()
    make_slices()
    make_data()
    make_odd()
    make_v1_lists()
    make_v1_records()
    make_v1_odd()
    for archive in make_archives():
        opening_v1(*archive)
    make_maps()
    make_frames()
    for part in ["checkpoints", "maps", "frames"]:
        shutil.rmtree(os.path.join(folder, part), ignore_errors=True)
        os.mkdir(os.path.join(folder, part))

    def put(path, contents):
        with open(os.path.join(folder, path), "wb") as file:
            file.write(contents)

    data_file = "model.data-00000-of-00001"
    sound = (Bundle().index(), Bundle().data, None)
    sound_v1 = (None, SavedSlices().table().finish(), None)
    for name, (index, data, _) in {**checkpoints, "sound": sound, "v1-sound": sound_v1}.items():
        os.mkdir(os.path.join(folder, "checkpoints", name))
        if index is None:
            put(f"checkpoints/{name}/model", data)
            continue
        put(f"checkpoints/{name}/model.index", index)
        if data == "sound":
            link = os.path.join(folder, "checkpoints", name, data_file)
            os.symlink(f"../sound/{data_file}", link)
        elif data is not None:
            put(f"checkpoints/{name}/{data_file}", data)
    expected = {name: expected for name, (_, _, expected) in sorted(checkpoints.items())}
    put("checkpoints/expected.json", (json.dumps(expected, indent=1) + "\n").encode())
    for name, question in maps.items():
        put(f"maps/{name}.json", (json.dumps(question) + "\n").encode())
    for name, text in frames.items():
        put(f"frames/{name}.txt", text.encode())


def contents(folder):
    found = {}
    for part in ["checkpoints", "maps", "frames"]:
        for directory, _, names in os.walk(os.path.join(folder, part)):
            for name in names:
                path = os.path.join(directory, name)
                with open(path, "rb") as file:
                    found[os.path.relpath(path, folder)] = file.read()
    return found


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    if sys.argv[1:] != ["--check"]:
        write(here)
        print(f"{len(checkpoints)} checkpoints, {len(maps)} maps, {len(frames)} frames")
        return
    with tempfile.TemporaryDirectory() as scratch:
        write(scratch)
        made, found = contents(scratch), contents(here)
    differing = sorted(name for name in made.keys() | found.keys() if made.get(name) != found.get(name))
    if differing:
        sys.exit("not what make_corpus.py makes: " + " ".join(differing))


if __name__ == "__main__":
    main()
