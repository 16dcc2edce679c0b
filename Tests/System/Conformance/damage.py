"""Checkpoints with damage in a file, or with valid but uncommon contents."""
import pathlib
import struct
import sys

import arrays
import slices
import writing
from cases import Case, Variable, flat

sys.path.append(str(pathlib.Path(__file__).parents[2] / "Data" / "Corpus"))
# The formats, written a second time and independently of Warmstart's reader.
from make_corpus import Table, block, field, fixed32, header, slice_key, snappy, varint

SHAPES = {"a": [3], "b/c": [], "b/d": [2, 3], "e": [0, 2], "f": [40]}
INT64 = [0, 1, -1, -8, 3, 7, 1 << 20, 1 << 31, 1 << 40, 1 << 62, (1 << 63) - 1, -(1 << 63)]


def checkpoint_of(rng, directory, v1):
    tensors, pieces = {}, []
    dtypes = ["float32", "int64", "uint8", "float64", "complex64", "bool", "int16", "string"]
    for name, shape in SHAPES.items():
        dtype = rng.choice(dtypes)
        tensors[name] = (dtype, arrays.random_array(rng, dtype, shape))
        pieces.append((name, "", *tensors[name]))
    array = arrays.random_array(rng, "float32", [5, 4])
    tensors["s"] = ("float32", array)
    for box in [[(0, 3), (0, 4)], [(3, 2), (0, 4)]]:
        pieces.append(("s", slices.spec(rng, [5, 4], box), "float32", slices.cut(array, box)))
    return writing.raw(rng, directory, v1, pieces, tensors)


def case(rng, directory):
    """A checkpoint with a change; some or all of it is wanted."""
    if rng.random() < 0.1:
        return rng.choice([large, other_byte_order, padded])(rng, directory)
    v1 = rng.random() < 0.35
    checkpoint = checkpoint_of(rng, directory, v1)
    data = sorted(directory.glob("raw-*" if v1 else "raw.data-*")) or [directory / "raw"]
    faults = DATA_FAULTS if rng.random() < 0.35 else V1_FAULTS if v1 else INDEX_FAULTS
    fault = rng.choice(list(faults))
    faults[fault](rng, directory / "raw.index" if faults is INDEX_FAULTS else rng.choice(data))
    names = rng.sample(sorted(checkpoint.tensors), rng.choice([1, 2, len(checkpoint.tensors)]))
    variables = [
        Variable("v/" + n, list(checkpoint.tensors[n][1].shape), checkpoint.tensors[n][0])
        for n in names
    ]
    saved = {"v/" + n: flat(d, a) for n, (d, a) in checkpoint.tensors.items() if n in names}
    return Case(
        f"{checkpoint.kind}, damage: {fault}", rng.choice(checkpoint.paths),
        [(n, "v/" + n) for n in names], variables, saved, is_risky=True,
        question="list" if rng.random() < 0.15 else "resolve",
    )  # fmt: skip


def large(rng, directory):
    """An index of several blocks, of which a later one is damaged."""
    names = [f"{number:04d}" + "n" * 300 for number in range(1100)]
    array = arrays.random_array(rng, "float32", [2])
    writing.raw_save(False, f"{directory}/raw", [(name, "", "float32", array) for name in names])
    index = directory / "raw.index"
    # The first block takes 256 KiB.
    at = rng.randrange(270_000, index.stat().st_size - 2000)
    change_byte(rng, index, at)
    name = rng.choice([names[0], names[-1]])
    return Case(
        "V2 raw, damage: later block", f"{directory}/raw", [(name, "v")],
        [Variable("v", [2], "float32")], {"v": flat("float32", array)}, is_risky=True,
    )  # fmt: skip


def saved_anew(rng, directory, tensors, lay):
    """A V2 checkpoint of whole tensors whose header, offsets and data are `lay`'s."""
    pieces = [(name, "", dtype, array) for name, (dtype, array) in tensors.items()]
    writing.raw_save(False, f"{directory}/raw", pieces)
    index, data = directory / "raw.index", directory / "raw.data-00000-of-00001"
    entries, old = read_table(index.read_bytes()), data.read_bytes()
    table, (head, rows, new) = Table(), lay(entries[0][1], entries[1:], old)
    table.data(b"\xff", block([(b"", head), *rows]))
    index.write_bytes(table.finish())
    data.write_bytes(new)


def other_byte_order(rng, directory):
    """A big-endian checkpoint of a tensor whose elements are bytes."""
    dtype = rng.choice([d for d in arrays.RARE if d.startswith(("int4", "uint", "int2", "float"))
                        and d not in ("uint32", "uint64")] + ["int8", "uint8", "bool"])
    array = arrays.random_array(rng, dtype, [5])
    saved_anew(rng, directory, {"a": (dtype, array)}, lambda _, rows, old: (
        header(endianness=1), rows, old))
    return Case(
        "V2 raw, big-endian bytes", f"{directory}/raw", [("a", "v")], [Variable("v", [5], dtype)],
        {"v": flat(dtype, array)}, is_risky=True,
    )  # fmt: skip


def padded(rng, directory):
    """A checkpoint whose tensors begin at multiples of a number, as one option of writers has it."""
    alignment = rng.choice([2, 8, 42, 64, 4096])
    tensors = {
        name: (dtype, arrays.random_array(rng, dtype, SHAPES[name]))
        for name, dtype in zip(SHAPES, rng.choices(["float32", "int64", "string", "uint8"], k=5))
    }

    def lay(head, rows, old):
        new, made = b"", []
        for key, value in rows:
            found = {number: value for number, _, value in read_fields(value)}
            offset, size = found.get(4, 0), found.get(5, 0)
            new += bytes(-len(new) % alignment)
            fields = [f for f in read_fields(value) if f[0] != 4] + [(4, 0, len(new))]
            made.append((key, write_fields(sorted(fields, key=lambda f: f[0]))))
            new += old[offset : offset + size]
        return head, made, new

    saved_anew(rng, directory, tensors, lay)
    variables = [Variable("v/" + n, list(a.shape), d) for n, (d, a) in tensors.items()]
    return Case(
        f"V2 raw, padded to {alignment}", f"{directory}/raw", [("/", "v/")], variables,
        {"v/" + n: flat(d, a) for n, (d, a) in tensors.items()}, is_risky=True,
    )  # fmt: skip


# MARK: Bytes


def change_byte(rng, path, at=None):
    data = bytearray(path.read_bytes())
    if data:
        at = rng.randrange(len(data)) if at is None else at
        data[at] ^= rng.randrange(1, 256)
        path.write_bytes(data)


def cut_off(rng, path, count=None):
    data = path.read_bytes()
    path.write_bytes(data[: rng.randrange(len(data) or 1) if count is None else count])


DATA_FAULTS = {
    "byte of data": change_byte,
    "data cut off": cut_off,
    "data without its last byte": lambda rng, path: cut_off(rng, path, -1),
    "data empty": lambda rng, path: path.write_bytes(b""),
    "data missing": lambda rng, path: path.unlink(),
    "data too long": lambda rng, path: path.write_bytes(path.read_bytes() + rng.randbytes(9)),
    "data a directory": lambda rng, path: (path.unlink(), path.mkdir()),
}


# MARK: Tables


def read_varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def read_block(data, handle):
    offset, at = read_varint(handle, 0)
    size, _ = read_varint(handle, at)
    contents = data[offset : offset + size]
    assert data[offset + size] == 0
    (restarts,) = struct.unpack("<I", contents[-4:])
    end, at, key, entries = size - 4 - 4 * restarts, 0, b"", []
    while at < end:
        shared, at = read_varint(contents, at)
        unshared, at = read_varint(contents, at)
        length, at = read_varint(contents, at)
        key = key[:shared] + contents[at : at + unshared]
        entries.append((key, contents[at + unshared : at + unshared + length]))
        at += unshared + length
    return entries


def read_table(data):
    """All entries of a table that TensorFlow wrote."""
    footer = data[-48:]
    at = read_varint(footer, read_varint(footer, 0)[1])[1]
    entries = []
    for _, handle in read_block(data, footer[at:]):
        entries += read_block(data, handle)
    return entries


def read_fields(message):
    """(number, wire type, value) of each field."""
    at, fields = 0, []
    while at < len(message):
        tag, at = read_varint(message, at)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, at = read_varint(message, at)
        elif wire == 2:
            length, at = read_varint(message, at)
            value, at = message[at : at + length], at + length
        else:
            width = {1: 8, 5: 4}[wire]
            value, at = message[at : at + width], at + width
        fields.append((number, wire, value))
    return fields


def write_fields(fields):
    return b"".join(
        varint(number << 3 | wire) + value if wire in (1, 5) else field(number, value)
        for number, wire, value in fields
    )


def rewrite(change):
    """A fault that rewrites the index with its entries changed."""
    def apply(rng, path):
        entries = read_table(path.read_bytes())
        changed = change(rng, entries)
        if not isinstance(changed, bytes):
            table = Table()
            table.data(b"\xff" * 8, block(changed))
            changed = table.finish()
        path.write_bytes(changed)
    return apply


def is_whole(key, value):
    """Whether an entry is that of a tensor that is stored whole."""
    return key[:1] != b"\0" and all(number != 7 for number, _, _ in read_fields(value))


def in_entry(number, wire, values, applies=lambda key, value: True):
    """A fault that sets a field of a tensor's or slice's entry; None removes it."""
    def change(rng, entries):
        at = rng.choice([i for i in range(1, len(entries)) if applies(*entries[i])])
        key, value = entries[at]
        new = values(rng, dict((n, v) for n, _, v in read_fields(value)).get(number))
        fields = [f for f in read_fields(value) if f[0] != number]
        if new is not None:
            fields.append((number, wire, new))
        entries[at] = (key, write_fields(sorted(fields, key=lambda f: f[0])))
        return entries
    return rewrite(change)


def in_header(*numbers, values):
    """A fault that sets fields of the header; the others stay."""
    def change(rng, entries):
        fields = [f for f in read_fields(entries[0][1]) if f[0] not in numbers]
        return [(b"", write_fields(fields) + values(rng)), *entries[1:]]
    return rewrite(change)


def shape(*lengths):
    return b"".join(field(2, field(1, length)) for length in lengths)


def in_blocks(rng, entries, kind=0):
    """The entries in blocks of few, perhaps compressed."""
    table = Table()
    while entries:
        part, entries = entries[: rng.randint(1, 3)], entries
        entries = entries[len(part):]
        contents = block(part)
        table.data(part[-1][0], snappy(contents) if kind == 1 else contents, kind=kind)
    return table.finish()


def in_another_order(rng, entries):
    """The entries in blocks that do not lie in the order of their keys."""
    table = Table()
    blocks = [entries[at : at + 2] for at in range(0, len(entries), 2)]
    for part in rng.sample(blocks, len(blocks)):
        table.data(part[-1][0], block(part))
    table.index.sort()
    return table.finish()


def whole_slice(rng, entries):
    """The tensor `a` as its only slice, which is all of it."""
    made = []
    for key, value in entries:
        if key == b"a":
            made.append((slice_key("a", [None]), value))
            fields = [f for f in read_fields(value) if f[0] in (1, 2)]
            value = write_fields(fields + [(7, 2, field(1, b""))])
        made.append((key, value))
    return sorted(made)


def without(entries, gone):
    return [entry for entry in entries if entry != gone]


def slice_lists(rng, _):
    def extent():
        return rng.choice([
            b"", field(2, 4), field(1, 3) + field(2, 2), field(2, 3),
            field(1, rng.choice([-1, 4, 1 << 40])) + field(2, 2),
        ])  # fmt: skip
    return b"".join(field(1, extent()) for _ in range(rng.choice([1, 2, 2, 2, 3])))


def in_path(message, path, change):
    """A message with fields deep in it changed: of the path's numbers, all fields of each."""
    if not path:
        return change(message)
    return write_fields([
        (number, wire, in_path(value, path[1:], change) if number == path[0] else value)
        for number, wire, value in read_fields(message)
    ])  # fmt: skip


def in_meta(path, change):
    """A fault of what a V1 file says of one of its tensors, at its beginning."""
    def apply(rng, entries):
        meta = read_fields(entries[0][1])[0][2]
        fields = read_fields(meta)
        at = rng.choice([i for i, (number, _, _) in enumerate(fields) if number == 1])
        fields[at] = (1, 2, in_path(fields[at][2], path, lambda message: change(rng, message)))
        return [(b"", field(1, write_fields(fields))), *entries[1:]]
    return rewrite(apply)


def in_record(path, change):
    """A fault of the record of a slice in a V1 file."""
    def apply(rng, entries):
        at = rng.randrange(1, len(entries))
        key, value = entries[at]
        entries[at] = (key, in_path(value, path, lambda message: change(rng, message)))
        return entries
    return rewrite(apply)


def with_field(number, wire, values):
    """A change that sets a field of a message, and removes it for None."""
    def change(rng, message):
        new = values(rng)
        fields = [f for f in read_fields(message) if f[0] != number]
        return write_fields(fields + ([] if new is None else [(number, wire, new)]))
    return change


# The bytes of an element of the packed fields of TensorProto; the others are varints.
PACKED_WIDTHS = {5: 4, 6: 8, 9: 4, 12: 8}


def unpacked(rng, message):
    """The same TensorProto, with a field for each element."""
    made = []
    for number, wire, value in read_fields(message):
        if wire != 2 or number == 8:
            made.append((number, wire, value))
        elif number in PACKED_WIDTHS:
            width = PACKED_WIDTHS[number]
            starts = range(0, len(value), width)
            made += [(number, 5 if width == 4 else 1, value[s : s + width]) for s in starts]
        else:
            at = 0
            while at < len(value):
                element, at = read_varint(value, at)
                made.append((number, 0, element))
    return write_fields(made)


def shorter(rng, message):
    """The TensorProto without its last element, or some bytes."""
    fields = read_fields(unpacked(rng, message))
    return write_fields(fields[:-1])


def renumbered(rng, message):
    """The TensorProto with its elements in the field of another type."""
    other = rng.choice([5, 6, 7, 8, 9, 10, 11, 12, 13])
    return write_fields([(other, wire, value) for _, wire, value in read_fields(message)])


def as_content(rng, message):
    return write_fields([(4, wire, value) for _, wire, value in read_fields(message)])


VERSIONS = [
    b"", field(1, 99), field(1, -1), field(1, 1) + field(2, 2), field(1, 1) + field(2, 1),
    field(1, 1) + field(3, b"\1"), field(1, 1) + field(3, b"\2\5"),
]  # fmt: skip


def meta_version(rng, entries):
    meta = [f for f in read_fields(read_fields(entries[0][1])[0][2]) if f[0] != 2]
    meta.append((2, 2, rng.choice(VERSIONS)))
    return [(b"", field(1, write_fields(meta))), *entries[1:]]


V1_FAULTS = {
    "byte of a table": change_byte,
    "byte of a table's footer": lambda rng, path: change_byte(
        rng, path, path.stat().st_size - rng.randint(1, 48)),
    "rewritten": rewrite(lambda rng, entries: entries),
    "in blocks": rewrite(in_blocks),
    "compressed": rewrite(lambda rng, entries: in_blocks(rng, entries, 1)),
    "block of an unknown kind": rewrite(lambda rng, entries: in_blocks(rng, entries, 2)),
    "no entries": rewrite(lambda rng, entries: []),
    "meta only": rewrite(lambda rng, entries: entries[:1]),
    "no meta": rewrite(lambda rng, entries: entries[1:]),
    "meta of noise": rewrite(lambda rng, entries: [(b"", b"\xff\xff"), *entries[1:]]),
    "empty meta": rewrite(lambda rng, entries: [(b"", b""), *entries[1:]]),
    "meta version": rewrite(meta_version),
    "meta dtype": in_meta([], with_field(3, 0, lambda rng: rng.choice([*range(20), 22, 99, 101]))),
    "meta shape": in_meta([], with_field(2, 2, lambda rng: rng.choice([
        shape(), shape(1), shape(3), shape(1, 3), shape(6), shape(-7), shape(1 << 40),
        shape(1 << 62, 4), None,
    ]))),
    "meta slice": in_meta([], with_field(4, 2, lambda rng: slice_lists(rng, None))),
    "meta without slices": in_meta([], with_field(4, 2, lambda rng: None)),
    "meta name": in_meta([], with_field(1, 2, lambda rng: rng.choice([b"", b"zzz", b"\xff"]))),
    "unknown field": rewrite(
        lambda rng, entries: [(k, v + field(100, b"x") + field(101, 3)) for k, v in entries]),
    "record missing": rewrite(lambda rng, entries: without(entries, rng.choice(entries[1:]))),
    "record twice": rewrite(lambda rng, entries: sorted(entries + [rng.choice(entries[1:])])),
    "record of noise": rewrite(lambda rng, entries: [*entries[:-1], (entries[-1][0], b"\xff\1")]),
    "record unpacked": in_record([2, 3], unpacked),
    "record too short": in_record([2, 3], shorter),
    "record of another type": in_record([2, 3], renumbered),
    "record as content": in_record([2, 3], as_content),
    "record with type and shape": in_record(
        [2, 3], lambda rng, message: field(1, rng.choice([1, 3, 9])) + field(2, shape(3)) + message),
    "record of another name": in_record([2], with_field(1, 2, lambda rng: b"other")),
    "record of another slice": in_record([2], with_field(2, 2, lambda rng: slice_lists(rng, None))),
}  # fmt: skip
INDEX_FAULTS = {
    "byte of the index": change_byte,
    "byte of the footer": lambda rng, path: change_byte(
        rng, path, path.stat().st_size - rng.randint(1, 48)),
    "byte after the entries": lambda rng, path: change_byte(
        rng, path, path.stat().st_size - rng.randint(49, 90)),
    "index cut off": cut_off,
    "index without its last byte": lambda rng, path: cut_off(rng, path, -1),
    "index empty": lambda rng, path: path.write_bytes(b""),
    "index missing": lambda rng, path: path.unlink(),
    "index a directory": lambda rng, path: (path.unlink(), path.mkdir()),
    "index of noise": lambda rng, path: path.write_bytes(rng.randbytes(rng.randint(1, 200))),
    "rewritten": rewrite(lambda rng, entries: entries),
    "in blocks": rewrite(in_blocks),
    "compressed": rewrite(lambda rng, entries: in_blocks(rng, entries, 1)),
    "block of an unknown kind": rewrite(lambda rng, entries: in_blocks(rng, entries, 2)),
    "no entries": rewrite(lambda rng, entries: []),
    "header only": rewrite(lambda rng, entries: entries[:1]),
    "no header": rewrite(lambda rng, entries: entries[1:]),
    "header of noise": in_header(values=lambda rng: b"\xff\xff\xff"),
    "empty header": in_header(1, 2, 3, values=lambda rng: b""),
    "shards": in_header(1, values=lambda rng: field(1, rng.choice([0, 1, 2, 5, -1]))),
    "big-endian": in_header(2, values=lambda rng: field(2, 1)),
    "unknown byte order": in_header(2, values=lambda rng: field(2, 7)),
    "version": in_header(3, values=lambda rng: field(3, rng.choice(VERSIONS))),
    "unknown field": rewrite(
        lambda rng, entries: [(k, v + field(100, b"x") + field(101, 3)) for k, v in entries]),
    "entry missing": rewrite(lambda rng, entries: without(entries, rng.choice(entries[1:]))),
    "blocks in another order": rewrite(in_another_order),
    "slice that is all": rewrite(whole_slice),
    "long name": rewrite(lambda rng, entries: [*entries, (b"z" * 70000, entries[-1][1])]),
    "unsorted": rewrite(lambda rng, entries: entries[:1] + rng.sample(entries[1:], len(entries) - 1)),
    "dtype": in_entry(1, 0, lambda rng, old: rng.randint(1, 33), is_whole),
    "shape": in_entry(2, 2, lambda rng, old: rng.choice([
        shape(), shape(1), shape(3), shape(1, 3), shape(6), shape(*[1] * 254),
        old + field(3, 1), None,
    ]), is_whole),
    "shard": in_entry(3, 0, lambda rng, old: rng.choice([0, 1, 5, -1, 1 << 31])),
    "offset": in_entry(4, 0, lambda rng, old: rng.choice(INT64)),
    "size": in_entry(5, 0, lambda rng, old: rng.choice(
        [(old or 0) - 1, (old or 0) + 1, (old or 0) + 4, 2 * (old or 0), *INT64])),
    "checksum": in_entry(6, 5, lambda rng, old: rng.choice([None, fixed32(0), rng.randbytes(4)])),
    "slice list": in_entry(7, 2, slice_lists),
}  # fmt: skip
