"""Hostile zip archives, PyTorch files and NumPy files, written with nothing but their formats."""
import struct
import zlib


def local(name, data, method=0, flags=0, byte_count=None):
    byte_count = len(data) if byte_count is None else byte_count
    return struct.pack(
        "<IHHHIIIIHH", 0x04034B50, 20, flags, method, 0, zlib.crc32(data), len(data), byte_count,
        len(name), 0) + name + data


def central(name, data, offset, method=0, flags=0, byte_count=None, extra=b""):
    byte_count = len(data) if byte_count is None else byte_count
    return struct.pack(
        "<IHHHHIIIIHHHHHII", 0x02014B50, 20, 20, flags, method, 0, zlib.crc32(data), len(data),
        byte_count, len(name), len(extra), 0, 0, 0, 0, offset) + name + extra


def end(count, byte_count, offset):
    return struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, count, count, byte_count, offset, 0)


def zipped(entries, **other):
    """An archive of (name, data) pairs."""
    archive = directory = b""
    for name, data in entries:
        directory += central(name.encode(), data, len(archive), **other)
        archive += local(name.encode(), data, **other)
    return archive + directory + end(len(entries), len(directory), len(archive))


# MARK: NumPy


def npy(descr="'<f4'", shape="(2,)", data=bytes(8), order="False"):
    text = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text + data


def make_numpy():
    yield "npy-huge-shape", npy(shape="(4611686018427387904, 4)"), "CORRUPT", "less than 2^63 bytes"
    yield "npy-too-short", npy(shape="(3,)"), "CORRUPT", "has 8 bytes, expected 12"
    yield "npy-objects", npy("'|O'"), "UNSUPPORTED", "Python objects"
    yield "npy-code", npy("__import__('os')"), "CORRUPT", "expected a string"
    yield "npy-deep", npy(shape="(" * 300), "CORRUPT", "expected an integer"
    yield "npy-axes", npy(shape="(" + "1," * 100 + ")"), "CORRUPT", "at most 64 axes"


# MARK: Zip


def make_zips():
    array = npy()
    entries = [("a.npy", array), ("b.npy", array)]
    sound = zipped(entries)
    size = len(local(b"a.npy", array))
    names = central(b"a.npy", array, 0), central(b"b.npy", array, size)
    files = sound[: 2 * size]

    def directory(parts, count=2):
        return files + b"".join(parts) + end(count, len(b"".join(parts)), len(files))

    overlapping = central(b"a.npy", array, 0)
    yield "zip-one-entry-twice", directory([names[0], overlapping]), "CORRUPT", "overlaps"
    inner = central(b"b.npy", array, size - 8)
    yield "zip-overlap", directory([names[0], inner]), "CORRUPT", "expected at most"
    far = central(b"b.npy", array, 0xFFFFFFFE)
    yield "zip-far-offset", directory([names[0], far]), "CORRUPT", "overlaps with"
    wide = struct.pack("<HHQ", 1, 8, 2**64 - 1)
    beyond = central(b"b.npy", array, 0xFFFFFFFF, extra=wide)
    yield "zip-zip64-offset", directory([names[0], beyond]), "CORRUPT", "above 2^63"
    bare = central(b"b.npy", array, 0xFFFFFFFF)
    yield "zip-zip64-missing", directory([names[0], bare]), "CORRUPT", "without a zip64 field"
    other = central(b"c.npy", array, size)
    yield "zip-other-name", directory([names[0], other]), "CORRUPT", "the local header of"
    yield "zip-count", directory(names, 3), "CORRUPT", "46 bytes or more"
    yield "zip-many", files + end(0xFFFE, 0, len(files)), "CORRUPT", "in a directory of 0 bytes"
    yield "zip-cut", sound[:-1], "CORRUPT", "no end record"
    yield "zip-in-front", b"PK\3\4" + sound, "CORRUPT", "expected it to end at"
    yield "zip-encrypted", zipped(entries, flags=1), "UNSUPPORTED", "encrypted zip entry a.npy"
    bomb = zlib.compress(bytes(1 << 20))[2:-4]
    yield (
        "zip-deflated", zipped([("a.npy", bomb)], method=8, byte_count=1 << 20), "UNSUPPORTED",
        "the deflated zip entry a.npy")


# MARK: PyTorch


def text(string):
    return b"X" + struct.pack("<I", len(string)) + string.encode()


def number(integer):
    return b"\x8a\x08" + struct.pack("<q", integer)


def numbers(*integers):
    return b"(" + b"".join(map(number, integers)) + b"t"


def storage(count=4, key="0"):
    return (
        b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text(key) + text("cpu")
        + number(count) + b"tQ")


def tensor(shape=(4,), strides=(1,), offset=0, found=None):
    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n(" + (found or storage()) + number(offset)
        + numbers(*shape) + numbers(*strides) + b"\x89ccollections\nOrderedDict\n)RtR")


def torch(pickle):
    return zipped([("m/data.pkl", b"\x80\x02" + pickle + b"."), ("m/data/0", bytes(16))])


def named(value):
    return torch(b"}" + text("w") + value + b"s")


def make_torch():
    command = text("touch executed")
    yield "torch-system", named(b"cposix\nsystem\n" + command + b"\x85R"), "UNSUPPORTED", "posix.system"
    yield "torch-eval", named(b"cbuiltins\neval\n" + command + b"\x85R"), "UNSUPPORTED", "builtins.eval"
    yield (
        "torch-stack-global", torch(text("os") + text("system") + b"\x93"), "UNSUPPORTED",
        "has a pickle with os.system")
    yield (
        "torch-getattr", named(b"c__builtin__\ngetattr\n" + numbers(1) + b"R"), "UNSUPPORTED",
        "__builtin__.getattr")
    yield "torch-itself", torch(b"]q\0h\0a"), "UNSUPPORTED", "hold themselves"
    yield "torch-deep", torch(b"]" * 1000 + b"a" * 999), "UNSUPPORTED", "nest deeper than 128"
    lists = b"]q\0"
    for place in range(1, 100):
        lists += b"](" + bytes((ord("h"), place - 1)) * 10 + b"eq" + bytes((place,))
    yield "torch-exponential", torch(lists), "UNSUPPORTED", "hold each other"
    yield "torch-memo", torch(b"}r\xff\xff\xff\x7f"), "CORRUPT", "memo place 2147483647"
    yield "torch-long-text", torch(b"\x8d" + b"\xff" * 8), "CORRUPT", "18446744073709551615 more"
    yield "torch-no-mark", torch(b"t"), "CORRUPT", "a stack without one"
    yield "torch-underflow", torch(b"0"), "CORRUPT", "an empty stack"
    yield "torch-outside", named(tensor((5,))), "CORRUPT", "within the 4 elements"
    yield "torch-offset", named(tensor((1,), (1,), 2**63 - 1)), "CORRUPT", "within the 4 elements"
    huge = (2**62, 2**62)
    yield "torch-huge", named(tensor(huge, (0, 0))), "CORRUPT", "less than 2^63 bytes"
    yield "torch-expanded", named(tensor((1000,), (0,))), "UNSUPPORTED", "share a place", "w"
    yield (
        "torch-longer-storage", named(tensor(found=storage(2**62))), "CORRUPT",
        "the storage 0 of 4611686018427387904 elements")
    yield (
        "torch-missing-storage", named(tensor(found=storage(4, "../0"))), "CORRUPT",
        "without the zip entry data/../0")
    yield (
        "torch-legacy", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.",
        "UNSUPPORTED", "before version 1.6")


def make_archives():
    """All of them: (name, file, reason, part of the message), and the tensor if only that is refused."""
    yield from make_numpy()
    yield from make_zips()
    yield from make_torch()
