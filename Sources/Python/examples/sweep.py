"""A sweep over learning rates: eight processes that share the weights that they do not train.

usage: sweep.py [CHECKPOINT]

Each process trains its own head on the embeddings of the checkpoint, which stay frozen. The
embeddings are in memory once, so the private memory that each process prints is small. By default
the checkpoint is the repository's demo; another needs the same names. Needs a running daemon.
"""

from __future__ import annotations

import multiprocessing
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

import warmstart

DEMO = Path(__file__).resolve().parents[3] / "Tests" / "Data" / "Golden" / "demo"
RATES = [2.0**-power for power in range(4, 12)]
ROWS, WIDTH = 8192, 256

Array = npt.NDArray[Any]


class Result(NamedTuple):
    rate: float
    loss: float
    shared_bytes: int
    private_bytes: int


def private_bytes() -> int:
    """The memory that is this process's own, beyond what it shares or could read again."""
    with open("/proc/self/smaps_rollup") as lines:
        return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("Anonymous:"))


def train(path: str, rate: float) -> Result:
    """One job of the sweep, in a process of its own."""
    before = private_bytes()
    resolved = warmstart.resolve(
        path,
        {"bert/": "frozen/"},
        {
            "frozen/embeddings/word_embeddings": ("float32", [ROWS, WIDTH]),
            "frozen/embeddings/word_embeddings/adam_m": ("float32", [ROWS, WIDTH]),
        },
    )
    embeddings, targets = resolved.arrays().values()
    head = np.zeros(WIDTH, np.float32)
    loss = 0.0
    for start in range(0, ROWS, 512):
        rows = slice(start, start + 512)
        inputs = embeddings[rows] / 30
        errors = inputs @ head - targets[rows, 0] / 30
        loss = float(np.square(errors).mean())
        head -= rate * (inputs.T @ errors) / len(errors)
    return Result(rate, loss, resolved.byte_count, private_bytes() - before)


def main() -> None:
    path = sys.argv[1] if len(sys.argv) > 1 else str(DEMO)
    with multiprocessing.get_context("spawn").Pool(len(RATES)) as pool:
        results = pool.starmap(train, [(path, rate) for rate in RATES], chunksize=1)
    print("rate      loss     shared      private")
    for result in results:
        print(
            f"{result.rate:<8.4f}  {result.loss:.4f}"
            f"  {result.shared_bytes >> 10:6} KiB  {result.private_bytes >> 10:6} KiB"
        )
    together = sum(result.private_bytes for result in results)
    print(f"eight jobs share {results[0].shared_bytes >> 10} KiB")
    print(f"and have {together >> 10} KiB of their own, instead of eight copies")


if __name__ == "__main__":
    main()
