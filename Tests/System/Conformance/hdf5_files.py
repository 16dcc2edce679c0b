"""Random HDF5 files as h5py and Keras write them, what h5py reads from them, and damage."""
import pathlib
import sys

import h5py
import ml_dtypes
import numpy as np

DTYPES = ["f4", "f4", "f4", "f8", "f2", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?",
          "c8", "c16"]  # fmt: skip
WORDS = ["dense", "vars", "0", "1", "kernel:0", "layers", "über", "a.b", "moving mean", "x" * 300]


def random_array(rng, dtype, shape):
    """An array of any bit patterns."""
    count = int(np.prod(shape, dtype=np.int64))
    if dtype == "bfloat16":
        return np.frombuffer(rng.randbytes(2 * count), ml_dtypes.bfloat16).reshape(shape)
    if dtype == "?":
        return np.array([rng.random() < 0.5 for _ in range(count)], "?").reshape(shape)
    kind = np.dtype(dtype)
    return np.frombuffer(rng.randbytes(kind.itemsize * count), kind).reshape(shape)


def random_shape(rng):
    if rng.random() < 0.05:
        return tuple(rng.choice([0, 1, 3]) for _ in range(rng.randrange(1, 4)))
    return tuple(rng.randrange(1, 6) for _ in range(rng.choice([0, 1, 1, 2, 2, 3, 4])))


def add_dataset(rng, group, name):
    """Writes a dataset in one of the ways that give a contiguous or a compact layout."""
    kind, shape = rng.random(), random_shape(rng)
    if kind < 0.15:
        data = group.create_dataset(name, data=random_array(rng, "bfloat16", shape))
        data.attrs["dtype"] = rng.choice(["bfloat16", np.bytes_(b"bfloat16")])
    elif kind < 0.2:
        group[name] = rng.choice(["text", np.array([b"ab", b"c"]), h5py.Empty("f4")])
    elif kind < 0.25:
        made = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        made.set_layout(h5py.h5d.COMPACT)
        array = np.ascontiguousarray(random_array(rng, "f4", shape))
        space = h5py.h5s.create_simple(shape) if shape else h5py.h5s.create(h5py.h5s.SCALAR)
        identifier = h5py.h5d.create(
            group.id, name.encode(), h5py.h5t.NATIVE_FLOAT, space, made)
        identifier.write(h5py.h5s.ALL, h5py.h5s.ALL, array)
    elif kind < 0.3:
        group.create_dataset(
            name, data=random_array(rng, "i1", shape),
            dtype=h5py.enum_dtype({"one": 1, "two": 2}, basetype="i1"))  # fmt: skip
    else:
        dtype = rng.choice("<>") + rng.choice(DTYPES).replace("?", "u1")
        group[name] = random_array(rng, rng.choice([dtype, "?"]), shape)
    for number in range(rng.choice([0, 0, 0, 1, 3])):
        group[name].attrs[f"note {number}"] = "x" * rng.randrange(1, 200)


def new_name(rng, group):
    while True:
        name = rng.choice([rng.choice(WORDS), str(rng.randrange(100)), f"n{rng.randrange(10**6)}"])
        if name not in group:
            return name


def fill(rng, group, depth):
    for _ in range(rng.choice([0, 1, 2, 3, 5])):
        name = new_name(rng, group)
        if depth < 4 and rng.random() < 0.45:
            child = group.create_group(name)
            if rng.random() < 0.3:
                child.attrs["name"] = rng.choice(["dense_7", "rnn", ""])
            fill(rng, child, depth + 1)
        else:
            add_dataset(rng, group, name)


def write(rng, path):
    """Writes a file, and returns what kind it is."""
    latest = rng.random() < 0.2
    options = {"libver": "latest"} if latest else {}
    with h5py.File(path, "w", **options, track_order=rng.random() < 0.1) as file:
        fill(rng, file, 0)
        many = not latest and rng.random() < 0.1
        if many:
            group = file.create_group("many")
            for number in rng.sample(range(5000), rng.randrange(20, 1500)):
                group[f"v{number}"] = np.float32(number)
        if rng.random() < 0.2:
            add_dataset(rng, file, "shared")
            file["also shared"] = file["shared"]
        if rng.random() < 0.2:
            file["gone"] = np.zeros(rng.randrange(1000), "i4")
            del file["gone"]
        if not latest and rng.random() < 0.15:
            deep = file
            for _ in range(rng.randrange(5, 60)):
                deep = deep.create_group("deep")
            add_dataset(rng, deep, "end")
    return "latest" if latest else "many" if many else "plain"


# MARK: Damage


def damage(rng, path):
    """Changes, cuts or lengthens a file; returns what was done."""
    data = bytearray(pathlib.Path(path).read_bytes())
    kind = rng.choice(["byte", "byte", "byte", "bytes", "word", "word", "cut", "longer"])
    if kind == "cut":
        del data[rng.randrange(len(data)) :]
    elif kind == "longer":
        data += rng.randbytes(rng.randrange(1, 100))
    elif kind == "word":
        at = 8 * rng.randrange(len(data) // 8)
        other = 8 * rng.randrange(len(data) // 8)
        value = rng.choice([0, 1, 2**64 - 1, 2**63, 2**63 - 1, len(data), rng.randrange(len(data))])
        data[at : at + 8] = rng.choice([value.to_bytes(8, "little"), data[other : other + 8]])
    else:
        for _ in range(1 if kind == "byte" else rng.randrange(2, 20)):
            data[rng.randrange(len(data))] ^= rng.randrange(1, 256)
    pathlib.Path(path).write_bytes(data)
    return kind


# MARK: What h5py reads


def read(path):
    """{name: (dtype's name, shape, little-endian bytes)} of all that is a tensor."""
    found = {}

    def walk(group, prefix, above):
        for name in group:
            link = group.get(name, getlink=True)
            item = group[name] if isinstance(link, h5py.HardLink) else None
            if isinstance(item, h5py.Group) and item.id not in above:
                walk(item, prefix + name + "/", above + [item.id])
            elif isinstance(item, h5py.Dataset):
                if item.shape is None or item.dtype.kind in "SO":
                    continue
                value = np.ascontiguousarray(item[()])
                if item.attrs.get("dtype") in ("bfloat16", b"bfloat16"):
                    found[prefix + name] = ("bfloat16", item.shape, value.tobytes())
                    continue
                value = value.astype(value.dtype.newbyteorder("<"))
                found[prefix + name] = (value.dtype.name, item.shape, value.tobytes())

    with h5py.File(path, "r") as file:
        walk(file, "", [file.id])
    return found


def main():
    """Reads the paths on standard input, and prints the tensors of each: a process that may crash."""
    import pickle

    for line in sys.stdin:
        try:
            answer = read(line.rstrip("\n"))
        except Exception as error:  # h5py raises many kinds
            answer = repr(error)
        data = pickle.dumps(answer)
        sys.stdout.buffer.write(len(data).to_bytes(8, "little") + data)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
