"""Random files that NumPy writes, and what NumPy reads in them."""
import io

import numpy as np

DTYPES = [
    "f4", "f4", "f8", "f2", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1", "c8", "c16",
]  # fmt: skip
UNSUPPORTED = ["O", "S5", "U3", "M8[s]", "m8[ns]", "V2", [("a", "i4"), ("b", "f8")]]
# Why Warmstart refuses some files that NumPy reads.
REFUSED = "numpy.savez_compressed"
NAMES = ["a", "weight", "a/b", "π", "x y", "layer.0.weight", "arr_0"]


def random_array(rng):
    """Random bits of any type and byte order, in C or Fortran order."""
    if rng.random() < 0.02:
        return np.zeros([2], np.dtype(rng.choice(UNSUPPORTED)))
    dtype = np.dtype(rng.choice("<<>") + rng.choice(DTYPES))
    shape = [rng.choice([0, 1, 1, 2, 3, 5, 8]) for _ in range(rng.choice([0, 1, 1, 2, 2, 3, 4]))]
    count = int(np.prod(shape, dtype=np.int64))
    if dtype.kind == "b":
        array = np.array([rng.random() < 0.5 for _ in range(count)], bool).reshape(shape)
    else:
        array = np.frombuffer(rng.randbytes(count * dtype.itemsize), dtype).reshape(shape)
    return np.asfortranarray(array) if rng.random() < 0.3 else array


def write(rng, directory):
    """Writes a random file."""
    if rng.random() < 0.4:
        path = directory / "array.npy"
        with path.open("wb") as file:
            version = rng.choice([None, None, (1, 0), (2, 0), (3, 0)])
            np.lib.format.write_array(file, random_array(rng), version)
        return path
    path = directory / "arrays.npz"
    names = rng.sample(NAMES, rng.randint(1, 5))
    save = np.savez_compressed if rng.random() < 0.03 else np.savez
    if rng.random() < 0.3:
        save(path, *[random_array(rng) for _ in names])
    elif rng.random() < 0.2:
        # To a stream, so that the lengths follow the entries.
        stream = io.BufferedWriter(io.FileIO(path, "wb"))
        save(stream, **{name: random_array(rng) for name in names})
        stream.close()
    else:
        save(path, **{name: random_array(rng) for name in names})
    return path


def flat(array):
    """An array's dtype, shape and bytes in C order and this machine's byte order."""
    array = np.asarray(array)
    if array.dtype.kind not in "biufc":
        raise ValueError(f"dtype {array.dtype}")
    array = array.astype(array.dtype.newbyteorder("="))
    return array.dtype.name, list(array.shape), array.tobytes()


def read(path):
    """What NumPy reads: {name: [(dtype, shape, bytes)]}; raises what it raises."""
    loaded = np.load(path)
    if path.suffix == ".npy":
        return {"arr_0": [flat(loaded)]}
    return {name: [flat(loaded[name])] for name in loaded.files}
