"""A table of embeddings, cut into eight partitions, on eight workers.

usage: partitioned_embeddings.py [CHECKPOINT]

The table is cut as TensorFlow's `fixed_size_partitioner(8)` cuts it, even if it was saved in other
partitions. Each partition travels to a worker process in a few hundred bytes, and the worker maps
the same memory: no row is copied until it is looked up. By default the checkpoint is the
repository's demo; another needs the same names. Needs a running daemon.
"""

from __future__ import annotations

import multiprocessing
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import warmstart

DEMO = Path(__file__).resolve().parents[3] / "Tests" / "Data" / "Golden" / "demo"
TENSOR = "bert/embeddings/word_embeddings"
WORKERS, ROWS, WIDTH = 8, 8192, 256

Array = npt.NDArray[Any]


def look_up(partition: Array, rows: Array) -> Array:
    """What a worker does: the rows of its partition, counted from the partition's first."""
    return np.asarray(partition[rows])


def main() -> None:
    path = sys.argv[1] if len(sys.argv) > 1 else DEMO
    variables = warmstart.partitions(
        "table", "float32", [ROWS, WIDTH], warmstart.fixed_size_partitioner(WORKERS)
    )
    resolved = warmstart.resolve(path, {TENSOR: "table"}, variables)
    parts = resolved.parts("table")
    for variable, part in zip(variables, parts):
        assert variable.slice is not None
        first = variable.slice.offset[0]
        print(
            f"{variable.name}: rows {first} to {first + len(part) - 1}, {part.nbytes >> 10} KiB,"
            f" sent as {len(pickle.dumps(part))} bytes"
        )

    # The worker that has a row, and the row's place there; all partitions have one length here.
    ids = np.random.default_rng(0).integers(0, ROWS, 1000)
    owners, rows = np.divmod(ids, ROWS // WORKERS)
    with multiprocessing.get_context("spawn").Pool(WORKERS) as pool:
        found = pool.starmap(
            look_up, [(parts[worker], rows[owners == worker]) for worker in range(WORKERS)]
        )
    looked_up = np.empty((len(ids), WIDTH), np.float32)
    for worker in range(WORKERS):
        looked_up[owners == worker] = found[worker]

    whole = warmstart.open(path).array(TENSOR)
    assert np.array_equal(looked_up, whole[ids])
    print(f"{len(ids)} rows of {WORKERS} workers are those of the whole table")


if __name__ == "__main__":
    main()
