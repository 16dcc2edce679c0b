#!/usr/bin/env python3
"""Write the golden files of Keras and h5py: make_keras.py

Written with keras 3.15.1 on TensorFlow 2.21, and h5py 3.14 (HDF5 1.14.6). expected.json has each
tensor as h5py reads it. The weights are from a seed, so that a second run changes only the dates in
the archive.
"""
import base64
import json
import os
import pathlib
import sys
import zipfile

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import h5py
import keras
import ml_dtypes
import numpy as np

HERE = pathlib.Path(__file__).parent
SHARD = 300 / 1024**3  # GiB


def model():
    """A model with layers that have their own names, one of them bfloat16, and a nested model."""
    keras.utils.set_random_seed(7)
    inner = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(2, name="projection")], name="tower")
    inputs = keras.Input((4,))
    x = keras.layers.Dense(3, name="encoder")(inputs)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = inner(x)
    x = keras.layers.Reshape((1, 2))(x)
    x = keras.layers.LSTM(2, name="rnn")(x)
    outputs = keras.layers.Dense(2, name="head", dtype="bfloat16")(x)
    return keras.Model(inputs, outputs, name="golden")


def every_type(path, **options):
    """A file with all types of numbers that h5py writes, and what is no tensor."""
    random = np.random.default_rng(7)
    with h5py.File(path, "w", **options) as file:
        for order, scope in (("<", "little"), (">", "big")):
            for name in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "c8", "c16"):
                dtype = np.dtype(order + name)
                data = random.integers(0, 256, 3 * dtype.itemsize, "u1").tobytes()
                file[f"{scope}/{name[0]}/{dtype.name}"] = np.frombuffer(data, dtype)
        file["bool"] = np.array([[True, False, True]])
        file["scalar"] = np.float32(1.5)
        file["empty"] = np.zeros((0, 3), "f4")
        file["bfloat16"] = np.array([1, -2, 3.5], ml_dtypes.bfloat16)
        file["bfloat16"].attrs["dtype"] = "bfloat16"
        file["other/text"] = "no tensor"
        file["other/nothing"] = h5py.Empty("f4")
        file["other/name"] = np.arange(3)
        file["another name"] = file["other/name"]


def refused(directory):
    """Files that are right, but have what cannot be served."""
    directory.mkdir(exist_ok=True)

    def write(name, fill, **options):
        with h5py.File(directory / name, "w", **options) as file:
            fill(file)

    write("chunked.h5", lambda file: file.create_dataset("a/x", data=np.arange(4), chunks=(2,)))
    write("gzip.h5", lambda file: file.create_dataset("a/x", data=np.arange(4), compression="gzip"))
    write("unwritten.h5", lambda file: file.create_dataset("a/x", (3,), "f4"))
    write("opaque.h5", lambda file: file.create_dataset("a/x", data=np.zeros(3, ml_dtypes.bfloat16)))
    write("compound.h5", lambda file: file.create_dataset("a/x", data=np.zeros(2, "i4,f4")))
    write("long-double.h5", lambda file: file.create_dataset("a/x", data=np.zeros(2, "g")))
    write("soft-link.h5", lambda file: file.__setitem__("a/x", h5py.SoftLink("/y")))
    write("external-link.h5", lambda file: file.__setitem__("a/x", h5py.ExternalLink("b.h5", "/y")))
    write("external.h5", lambda file: file.create_dataset(
        "a/x", (2,), "f4", external=[("elsewhere.bin", 0, h5py.h5f.UNLIMITED)]))
    write("heap.h5", lambda file: [file.create_group(f"a{i}") for i in range(9)], libver="latest")
    write("user-block.h5", lambda file: file.create_dataset("a/x", data=[1]), userblock_size=512)

    def virtual(file):
        layout = h5py.VirtualLayout((2,), "f4")
        layout[:] = h5py.VirtualSource("other.h5", "y", (2,))
        file.create_virtual_dataset("a/x", layout)

    def committed(file):
        file["type"] = np.dtype("f4")
        file.create_dataset("a/x", (2,), file["type"], data=[1, 2])

    write("virtual.h5", virtual)
    write("committed.h5", committed)


def small():
    """A model of two layers, for a file of everything that Keras saves."""
    keras.utils.set_random_seed(8)
    layers = [keras.layers.Dense(3, name="encoder"),
              keras.layers.Dense(2, name="head", dtype="bfloat16")]
    return keras.Sequential([keras.Input((4,)), *layers], name="small")


def many(path):
    """A group whose B-tree has two levels: more than 32 symbol table nodes of at most 8 names."""
    with h5py.File(path, "w") as file:
        file["v0"] = np.uint8(7)
        for number in range(1, 150):
            file[f"v{number}"] = file["v0"]


def tensors(path):
    """The tensors of a file, as h5py reads them."""
    found = {}

    def visit(group, prefix):
        for name, item in group.items():
            if isinstance(item, h5py.Group):
                visit(item, prefix + name + "/")
            elif item.shape is not None and item.dtype.kind not in "SO":
                value = np.ascontiguousarray(item[()])
                dtype = item.attrs.get("dtype", value.dtype.newbyteorder("=").name)
                if value.dtype.byteorder == ">":
                    value = value.astype(value.dtype.newbyteorder("<"))
                found[prefix + name] = {
                    "dtype": dtype, "shape": list(item.shape),
                    "base64": base64.b64encode(value.tobytes()).decode(),
                }  # fmt: skip

    with h5py.File(path, "r") as file:
        visit(file, "")
    return found


def main():
    os.chdir(HERE)
    made = model()
    small().save("model.keras")
    made.save_weights("model.weights.h5")
    made.save_weights("sharded.weights.json", max_shard_size=SHARD)
    keras.Model(made.input, made.get_layer("norm").output, name="legacy").save("legacy.h5")
    every_type("types.h5")
    every_type("latest.h5", libver="latest")
    many("many.h5")
    refused(HERE / "refused")
    expected = {path.name: tensors(path) for path in sorted(HERE.glob("*.h5"))}
    with zipfile.ZipFile("model.keras") as archive:
        copy = HERE / "copy.h5"
        copy.write_bytes(archive.read("model.weights.h5"))
        expected["model.keras"] = tensors(copy)
        copy.unlink()
    text = json.dumps(expected, indent=1, sort_keys=True)
    (HERE / "expected.json").write_text(text + "\n")


if __name__ == "__main__":
    sys.exit(main())
