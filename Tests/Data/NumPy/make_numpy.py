#!/usr/bin/env python3
"""Makes the NumPy files of this folder, with NumPy 2.4.6 and ml_dtypes 0.6.0.

    make_numpy.py     writes them, and expected.txt

expected.txt has a line for each array: the file, the array's name, dtype and shape, and its bytes in
C order and little-endian, in hexadecimal, separated by tabs. For a file that must be refused it has
the word `refused` in place of the name, and a part of the message after it.
"""
import io
import pathlib
import sys

import ml_dtypes
import numpy as np

HERE = pathlib.Path(__file__).parent
sys.path.append(str(HERE.parents[1] / "System" / "Conformance"))
import numpy_files

DTYPES = [
    "b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16",
]  # fmt: skip


def numbers(*shape, dtype="f4"):
    return np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)


class Stream(io.FileIO):
    """A file that cannot seek, so that lengths follow the entries of an archive."""

    def seekable(self):
        return False


ARRAYS = {
    "c.npy": (numbers(2, 3), None),
    "fortran.npy": (np.asfortranarray(numbers(2, 3, 4)), None),
    "fortran_row.npy": (np.asfortranarray(numbers(1, 3)), None),
    "big_endian.npy": (numbers(3, dtype=">c16"), None),
    "scalar.npy": (numbers(dtype="i8"), None),
    "empty.npy": (np.zeros((0, 3), order="F"), None),
    "version2.npy": (numbers(2, dtype="u2"), (2, 0)),
    "version3.npy": (numbers(2, dtype="f2"), (3, 0)),
}
REFUSED = {
    "object.npy": (np.array([None]), "Python objects"),
    "text.npy": (np.array(["a"]), "holds strings"),
    "times.npy": (np.array([1], "M8[s]"), "holds times"),
    "fields.npy": (np.zeros(1, [("a", "i4"), ("b", "f8")]), "structured"),
    "bfloat16.npy": (numbers(2, dtype=ml_dtypes.bfloat16), "bytes without a type"),
    "long_double.npy": (numbers(1, dtype="g"), "dtype <f16"),
}


def main():
    for name, (array, version) in (ARRAYS | {k: (v[0], None) for k, v in REFUSED.items()}).items():
        with (HERE / name).open("wb") as file:
            np.lib.format.write_array(file, array, version)
    np.savez(HERE / "dtypes.npz", **{name: numbers(2, dtype=name) for name in DTYPES})
    np.savez(
        HERE / "names.npz", numbers(1), **{"a/b": numbers(2), "π": np.asfortranarray(numbers(2, 2))})
    with Stream(HERE / "streamed.npz", "wb") as stream:
        np.savez(stream, a=numbers(2), b=numbers(2, 2))
    np.savez_compressed(HERE / "compressed.npz", a=numbers(2))
    expected = []
    for path in sorted(HERE.glob("*.np[yz]")):
        if path.name not in REFUSED and path.name != "compressed.npz":
            for name, [(dtype, shape, data)] in numpy_files.read(path).items():
                expected.append([path.name, name, dtype, ",".join(map(str, shape)), data.hex()])
    expected += [[name, "refused", part] for name, (_, part) in REFUSED.items()]
    expected.append(["compressed.npz", "refused", "not numpy.savez_compressed"])
    with (HERE / "second.npy").open("wb") as file:
        np.save(file, numbers(2))
        np.save(file, numbers(3))
    expected.append(["second.npy", "refused", "save a second array"])
    (HERE / "expected.txt").write_text("\n".join("\t".join(line) for line in expected) + "\n")


if __name__ == "__main__":
    main()
