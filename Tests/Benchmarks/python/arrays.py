"""One process that connects, and makes a numpy array for each tensor of the checkpoint.

usage: arrays.py PEER SOCKET PREFIX TABLE

Everything that a trainer knows before it connects is prepared: names, shapes, object ids.
"""

import hashlib
import json
import sys
import time
import warnings

import numpy as np

import worker


def object_id(kind, name):
    return hashlib.sha1(f"{kind} {name}".encode()).digest()


def with_warmstart(socket, prefix, rows):
    import warmstart

    variables = [warmstart.Variable(name, "float32", shape) for name, shape, _ in rows]

    def start(watch):
        client = warmstart.Client(socket=socket)
        watch.step("connect")
        resolved = client.resolve(prefix, {"/": "/"}, variables)
        watch.step("ask")
        arrays = resolved.arrays()
        watch.step("arrays")
        return arrays, client

    return start


def with_plasma_get(socket, _, rows):
    """Plasma makes the arrays, because `put` stored their dtypes and shapes."""
    from pyarrow import plasma

    names = [name for name, _, _ in rows]
    ids = [plasma.ObjectID(object_id("array", name)) for name in names]

    def start(watch):
        client = plasma.connect(socket)
        watch.step("connect")
        found = client.get(ids)
        watch.step("ask")
        arrays = dict(zip(names, found))
        watch.step("arrays")
        return arrays, client

    return start


def with_plasma_buffers(socket, _, rows):
    """Plasma has bytes only. The trainer supplies dtypes and shapes, which nothing checks."""
    from pyarrow import plasma

    ids = [plasma.ObjectID(object_id("buffer", name)) for name, _, _ in rows]

    def start(watch):
        client = plasma.connect(socket)
        watch.step("connect")
        buffers = client.get_buffers(ids)
        watch.step("ask")
        arrays = {
            name: np.frombuffer(buffer, np.float32).reshape(shape)
            for (name, shape, _), buffer in zip(rows, buffers)
        }
        watch.step("arrays")
        return arrays, client

    return start


def with_mmap(_, prefix, rows):
    """Without a daemon: the trainer knows the offsets, and nothing is checked."""
    import mmap

    sized = [(name, shape, offset, int(np.prod(shape))) for name, shape, offset in rows]

    def start(watch):
        with open(f"{prefix}.data-00000-of-00001", "rb") as file:
            mapping = mmap.mmap(file.fileno(), 0, mmap.MAP_SHARED, mmap.PROT_READ)
        watch.step("connect")
        arrays = {
            name: np.frombuffer(mapping, np.float32, count, offset).reshape(shape)
            for name, shape, offset, count in sized
        }
        watch.step("arrays")
        return arrays, None

    return start


def with_safetensors(_, prefix, rows):
    """Another file with the same tensors, whose header has names, dtypes, shapes and offsets."""
    from safetensors import safe_open

    names = [name for name, _, _ in rows]

    def start(watch):
        file = safe_open(f"{prefix}.safetensors", "numpy")
        watch.step("connect")
        arrays = {name: file.get_tensor(name) for name in names}
        watch.step("arrays")
        return arrays, file

    return start


def with_warmstart_safetensors(socket, prefix, rows):
    """The file of safetensors, through the daemon."""
    return with_warmstart(socket, f"{prefix}.safetensors", rows)


def with_mmap_safetensors(_, prefix, rows):
    """The file of safetensors without a library: the trainer reads the header itself."""
    import mmap

    shapes = {name: (shape, int(np.prod(shape))) for name, shape, _ in rows}

    def start(watch):
        with open(f"{prefix}.safetensors", "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length))
            mapping = mmap.mmap(file.fileno(), 0, mmap.MAP_SHARED, mmap.PROT_READ)
        watch.step("connect")
        arrays = {}
        for name, (shape, count) in shapes.items():
            offset = 8 + length + header[name]["data_offsets"][0]
            arrays[name] = np.frombuffer(mapping, np.float32, count, offset).reshape(shape)
        watch.step("arrays")
        return arrays, None

    return start


def with_tensorflow(_, prefix, rows):
    """Reads, checks and copies everything."""
    import tensorflow as tf

    names = [name for name, _, _ in rows]

    def start(watch):
        reader = tf.train.load_checkpoint(prefix)
        watch.step("connect")
        arrays = {name: reader.get_tensor(name) for name in names}
        watch.step("arrays")
        return arrays, reader

    return start


def touch(arrays):
    """Read a byte of each page."""
    return sum(int(array.reshape(-1).view(np.uint8)[::4096].sum()) for array in arrays.values())


def main(peer, socket, prefix, table):
    warnings.simplefilter("ignore")  # pyarrow warns that Plasma is deprecated
    with open(table) as file:
        rows = [(name, tuple(shape), offset) for name, shape, offset in json.load(file)]
    before = time.perf_counter()
    start = globals()[f"with_{peer}"](socket, prefix, rows)
    imports = time.perf_counter() - before
    worker.wait()
    watch = worker.Stopwatch()
    arrays, _client = start(watch)
    total, steps, cpu = watch.total, dict(watch.steps), watch.cpu
    digest = touch(arrays)
    watch.step("touch")
    worker.finish(
        seconds=total,
        cpu=cpu,
        imports=imports,
        steps=steps,
        touch=watch.steps["touch"],
        digest=digest,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
