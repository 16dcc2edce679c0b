#!/usr/bin/env python3
"""Write the checkpoint that `make demo` shares among its trainers, with real TensorFlow.

usage: make_demo.py OUTPUT_DIR

OUTPUT_DIR must be new: what is committed is never written over.

A small model shaped like BERT: 27 MiB of float32, saved by a sharded Saver from two CPU
devices, two of its variables partitioned. The numbers are small integers in a pattern that
repeats, so that version control stores them in about 120 KiB. OUTPUT_DIR gets the checkpoint, the
state file that names it by a relative path, and

expected.json = the schema of ../make_golden.py, with one checkpoint and no states
"""

import hashlib
import json
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
import numpy as np
import tensorflow as tf

tf1 = tf.compat.v1
PREFIX = "model.ckpt-1000"
DEVICES = 2

# Pieces along each axis, for the variables that have more than one.
PARTITIONED = {
    "bert/embeddings/word_embeddings": [4, 1],
    "bert/encoder/layer_0/output/kernel": [1, 3],
}

# Slices that cross pieces, end with one, or take the middle of one.
SLICES = {
    "bert/embeddings/word_embeddings": [
        "",
        "8192 256 0,2048:-",
        "8192 256 2000,100:-",
        "8192 256 1024,6144:-",
        "8192 256 -:100,56",
        "8192 256 8191,1:255,1",
    ],
    "bert/encoder/layer_0/output/kernel": [
        "",
        "1024 256 -:0,86",
        "1024 256 -:80,100",
        "1024 256 512,256:171,85",
    ],
    "bert/embeddings/position_embeddings": ["", "512 256 128,256:-", "512 256 -:0,128"],
}


def shapes():
    """The model's variables, in the order in which they are placed on the devices in turn."""
    yield "bert/embeddings/word_embeddings", [8192, 256]
    # What an optimizer leaves in a checkpoint and no fine-tuning job asks for.
    yield "bert/embeddings/word_embeddings/adam_m", [8192, 256]
    yield "bert/embeddings/position_embeddings", [512, 256]
    yield "bert/embeddings/word_embeddings/adam_v", [8192, 256]
    for part in ("embeddings", "encoder/layer_0", "encoder/layer_1"):
        yield f"bert/{part}/LayerNorm/gamma", [256]
        yield f"bert/{part}/LayerNorm/beta", [256]
    for layer in (0, 1):
        for part in ("query", "key", "value"):
            yield f"bert/encoder/layer_{layer}/attention/{part}/kernel", [256, 256]
            yield f"bert/encoder/layer_{layer}/attention/{part}/bias", [256]
    yield "bert/encoder/layer_0/output/kernel", [1024, 256]


def values(number, shape):
    """Different for each variable and for neighbouring elements, the same after 61 elements."""
    pattern = (np.arange(61) * (number + 3) + number) % 61 - 30
    return np.resize(pattern.astype(np.float32), shape)


def save(directory):
    config = tf1.ConfigProto(device_count={"CPU": DEVICES})
    with tf.Graph().as_default(), tf1.Session(config=config) as session:
        # A partitioned variable has one name in the checkpoint only without resource variables.
        tf1.disable_resource_variables()
        for number, (name, shape) in enumerate(shapes()):
            options = {}
            if pieces := PARTITIONED.get(name):
                # A constant says its shape itself, but a partitioner wants to be told.
                options = {"shape": shape, "partitioner": lambda *_, pieces=pieces, **__: pieces}
            with tf.device(f"/cpu:{number % DEVICES}"):
                tf1.get_variable(name, initializer=tf.constant(values(number, shape)), **options)
        with tf.device("/cpu:0"):
            tf1.get_variable("global_step", initializer=np.int64(1000), trainable=False)
        session.run(tf1.global_variables_initializer())
        saver = tf1.train.Saver(sharded=True, save_relative_paths=True)
        saver.save(session, str(directory / "model.ckpt"), global_step=1000, write_meta_graph=False)


def record(dtype, array):
    data = np.ascontiguousarray(array).tobytes()
    return {
        "dtype": dtype.name,
        "dtype_enum": dtype.as_datatype_enum,
        "shape": list(np.shape(array)),
        "nbytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }


def describe(directory):
    prefix = str(directory / PREFIX)
    reader = tf.train.load_checkpoint(prefix)
    dtypes = reader.get_variable_to_dtype_map()

    def restored(name, spec):
        tensors = tf.raw_ops.RestoreV2(
            prefix=prefix, tensor_names=[name], shape_and_slices=[spec], dtypes=[dtypes[name]]
        )
        return {"spec": spec, **record(dtypes[name], tensors[0].numpy())}

    return {
        "path": ".",
        "resolved": PREFIX,
        "format": "v2",
        "kind": "the demo's model: Saver sharded=True over two devices, two variables partitioned",
        "tensors": {name: record(dtypes[name], reader.get_tensor(name)) for name in sorted(dtypes)},
        "slices": {
            name: [restored(name, spec) for spec in specs] for name, specs in SLICES.items()
        },
    }


def main():
    directory = pathlib.Path(sys.argv[1]).resolve()
    directory.mkdir(parents=True)
    save(directory)
    expected = {
        "tf_version": tf.__version__,
        "checkpoints": {"demo": describe(directory)},
        "states": {},
    }
    with open(directory / "expected.json", "w") as file:
        json.dump(expected, file, indent=1, sort_keys=True)
        file.write("\n")


if __name__ == "__main__":
    main()
