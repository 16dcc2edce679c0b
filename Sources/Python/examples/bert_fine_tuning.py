"""Starts a fine-tuning job: the encoder from a checkpoint, a new head beside it.

usage: bert_fine_tuning.py [CHECKPOINT]

The model has the structure of BERT, and is small. The job trains the head and the last layer norm:
it has its own copies of the pages with the layer norm, and shares the rest with all jobs that start
from the checkpoint. By default that is the repository's demo checkpoint; another needs the same
names. Needs a running daemon.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import warmstart

DEMO = Path(__file__).resolve().parents[3] / "Tests" / "Data" / "Golden" / "demo"
WIDTH, VOCABULARY, CLASSES = 256, 8192, 2
# The numbers in the checkpoint are large, up to 30.
RATE = 1e-5
TRAINED = "student/encoder/layer_1/LayerNorm"

Array = npt.NDArray[Any]


def variables() -> dict[str, tuple[str, list[int]]]:
    """What the job trains or computes with. The head is not in the checkpoint."""
    declared = {
        "student/embeddings/word_embeddings": ("float32", [VOCABULARY, WIDTH]),
        "head/kernel": ("float32", [WIDTH, CLASSES]),
        "head/bias": ("float32", [CLASSES]),
    }
    for norm in ("embeddings", "encoder/layer_0", "encoder/layer_1"):
        declared[f"student/{norm}/LayerNorm/beta"] = ("float32", [WIDTH])
        declared[f"student/{norm}/LayerNorm/gamma"] = ("float32", [WIDTH])
    for layer in range(2):
        for part in ("query", "key", "value"):
            scope = f"student/encoder/layer_{layer}/attention/{part}"
            declared[f"{scope}/kernel"] = ("float32", [WIDTH, WIDTH])
            declared[f"{scope}/bias"] = ("float32", [WIDTH])
    return declared


def softmax(scores: Array) -> Array:
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def unit(states: Array) -> Array:
    """States with a mean of 0 and a variance of 1."""
    centered = states - states.mean(axis=-1, keepdims=True)
    return np.asarray(centered / np.sqrt(centered.var(axis=-1, keepdims=True) + 1e-6))


def encode(ids: Array, weights: dict[str, Array]) -> Array:
    """The encoder up to what the last layer norm scales: attention in two layers, with one head."""

    def scaled(states: Array, scope: str) -> Array:
        gamma, beta = weights[f"{scope}/LayerNorm/gamma"], weights[f"{scope}/LayerNorm/beta"]
        return np.asarray(unit(states) * gamma + beta)

    states = scaled(weights["student/embeddings/word_embeddings"][ids], "student/embeddings")
    for layer in range(2):
        scope = f"student/encoder/layer_{layer}"
        query, key, value = (
            states @ weights[f"{scope}/attention/{part}/kernel"]
            + weights[f"{scope}/attention/{part}/bias"]
            for part in ("query", "key", "value")
        )
        states = states + softmax(query @ key.swapaxes(-1, -2) / WIDTH**0.5) @ value
        if layer == 0:
            states = scaled(states, scope)
    return unit(states)


def private_kibibytes() -> int:
    """The memory that is this process's own."""
    with open("/proc/self/smaps_rollup") as lines:
        return sum(int(line.split()[1]) for line in lines if line.startswith("Anonymous:"))


def main() -> None:
    path = sys.argv[1] if len(sys.argv) > 1 else DEMO
    before = private_kibibytes()
    # All of `bert/` becomes `student/`. Only the head is reported as not covered.
    resolved = warmstart.resolve(path, {"bert/": "student/"}, variables(), writable=True)
    print(
        f"{len(resolved)} variables, {resolved.byte_count >> 10} KiB, in {resolved.seconds:.3f} s"
    )
    print("new:", ", ".join(resolved.report.uncovered))
    print(f"memory of its own for them: {private_kibibytes() - before} KiB")

    weights = resolved.arrays()
    random = np.random.default_rng(0)
    weights["head/kernel"] = random.normal(0, 0.02, (WIDTH, CLASSES)).astype(np.float32)
    weights["head/bias"] = np.zeros(CLASSES, np.float32)
    gamma, beta = weights[f"{TRAINED}/gamma"], weights[f"{TRAINED}/beta"]
    ids = random.integers(0, VOCABULARY, (32, 16))
    labels = ids[:, 0] % CLASSES
    inputs = encode(ids, weights).mean(axis=1)
    for step in range(5):
        pooled = inputs * gamma + beta
        likelihoods = softmax(pooled @ weights["head/kernel"] + weights["head/bias"])
        loss = -np.log(likelihoods[np.arange(len(labels)), labels]).mean()
        print(f"step {step}: loss {loss:.4f}")
        errors = (likelihoods - np.eye(CLASSES)[labels]) / len(labels)
        gradient = errors @ weights["head/kernel"].T
        weights["head/kernel"] -= RATE * pooled.T @ errors
        weights["head/bias"] -= RATE * errors.sum(axis=0)
        # A write in place first copies the pages, and no other job sees it.
        gamma -= RATE * (gradient * inputs).sum(axis=0)
        beta -= RATE * gradient.sum(axis=0)

    stored = warmstart.open(path).array("bert/encoder/layer_1/LayerNorm/beta")
    assert not np.array_equal(stored, beta)
    print("the layer norm was trained, and the checkpoint is what it was")


if __name__ == "__main__":
    main()
