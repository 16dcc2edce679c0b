"""Put the checkpoint's tensors into Plasma, as arrays and as bytes, and into PREFIX.safetensors.

usage: fill_peers.py SOCKET PREFIX TABLE
"""

import json
import sys
import warnings

import numpy as np

from arrays import object_id


def main(socket, prefix, table):
    warnings.simplefilter("ignore")  # pyarrow warns that Plasma is deprecated
    from pyarrow import plasma
    from safetensors.numpy import save_file

    client = plasma.connect(socket)
    stored = np.memmap(f"{prefix}.data-00000-of-00001", np.float32, "r")
    with open(table) as file:
        rows = json.load(file)
    values = {}
    for name, shape, offset in rows:
        value = np.array(stored[offset // 4 : offset // 4 + int(np.prod(shape))])
        client.put(value.reshape(shape), plasma.ObjectID(object_id("array", name)))
        whole = plasma.ObjectID(object_id("buffer", name))
        np.frombuffer(client.create(whole, value.nbytes), np.float32)[:] = value
        client.seal(whole)
        values[name] = value.reshape(shape)
    save_file(values, f"{prefix}.safetensors")


if __name__ == "__main__":
    main(*sys.argv[1:])
