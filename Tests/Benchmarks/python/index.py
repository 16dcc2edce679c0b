"""One process that finds out what a model in 200 files holds: 100,000 small tensors.

usage: index.py PEER SOCKET DIRECTORY

The peer `make` writes the model and its index, as the library transformers does.
"""

import json
import pathlib
import sys
import time

import numpy as np

import worker

FILES, TENSORS = 200, 500


def with_make(_, directory):
    from safetensors.numpy import save_file

    directory.mkdir()
    held = {}
    for file in range(FILES):
        name = f"model-{file + 1:05}-of-{FILES:05}.safetensors"
        tensors = {
            f"model.layers.{file}.mlp.experts.{expert}.down_proj.weight": np.ones((4, 4), "f4")
            for expert in range(TENSORS)
        }
        save_file(tensors, directory / name, {"format": "pt"})
        held |= dict.fromkeys(tensors, name)
    with open(directory / "model.safetensors.index.json", "w") as file:
        json.dump({"metadata": {}, "weight_map": held}, file, indent=2, sort_keys=True)
    sys.exit()


def with_warmstart(socket, directory):
    """The daemon has the headers; the client reads the index and passes the files."""
    import warmstart

    def start():
        return warmstart.Client(socket).open(directory / "model.safetensors.index.json")

    return start, lambda checkpoint: checkpoint.tensor_count


def with_library(_, directory):
    """The index and the header of each file, as a program with the library reads them."""
    from safetensors import safe_open

    def start():
        with open(directory / "model.safetensors.index.json") as file:
            names = sorted(set(json.load(file)["weight_map"].values()))
        return [safe_open(directory / name, "numpy") for name in names]

    return start, lambda files: sum(len(file.keys()) for file in files)


def main(peer, socket, directory):
    before = time.perf_counter()
    start, count = globals()[f"with_{peer}"](socket, pathlib.Path(directory))
    imports = time.perf_counter() - before
    worker.wait()
    watch = worker.Stopwatch()
    opened = start()
    watch.step("open")
    if count(opened) != FILES * TENSORS:
        raise SystemExit(f"{peer} found {count(opened)} tensors, expected {FILES * TENSORS}")
    worker.finish(seconds=watch.total, cpu=watch.cpu, imports=imports)


if __name__ == "__main__":
    main(*sys.argv[1:])
