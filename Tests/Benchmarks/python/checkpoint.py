"""Write the benchmarks' checkpoint with TensorFlow: 301 tensors of float32, 1023 MiB.

usage: checkpoint.py PREFIX TABLE

TABLE gets name, shape and offset of each tensor, for those who map the data file by hand.
"""

import json
import sys

import numpy as np
import tensorflow as tf

LAYERS = 60
LAYER = {
    "attention/kernel": (1024, 3072),
    "output/kernel": (1024, 1024),
    "attention/bias": (1024,),
    "output/bias": (1024,),
    "scale": (1024,),
}
EMBEDDINGS = (16_000, 1024)


def shapes():
    """The tensors' shapes by name, in the order in which a checkpoint stores them."""
    found = {f"layer_{n:02}/{name}": shape for n in range(LAYERS) for name, shape in LAYER.items()}
    return dict(sorted({**found, "embeddings": EMBEDDINGS}.items()))


def main(prefix, table):
    random = np.random.default_rng(12)
    tensors = {name: random.random(shape, np.float32) for name, shape in shapes().items()}
    tf.raw_ops.SaveV2(
        prefix=prefix,
        tensor_names=list(tensors),
        shape_and_slices=[""] * len(tensors),
        tensors=list(tensors.values()),
    )
    stored = np.memmap(f"{prefix}.data-00000-of-00001", np.uint8, "r")
    rows, offset = [], 0
    for name, value in tensors.items():
        if not np.array_equal(
            stored[offset : offset + value.nbytes], value.reshape(-1).view(np.uint8)
        ):
            raise SystemExit(f"{name} is not at offset {offset} of the data file")
        rows.append((name, value.shape, offset))
        offset += value.nbytes
    with open(table, "w") as file:
        json.dump(rows, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
