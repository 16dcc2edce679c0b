"""Random files that the library safetensors writes, and what it reads in them."""
import ctypes
import json
import pathlib

import safetensors

# The bits of an element, and the name of the array's type.
TYPES = {
    "BOOL": (8, "bool"), "U8": (8, "uint8"), "I8": (8, "int8"), "U16": (16, "uint16"),
    "I16": (16, "int16"), "F16": (16, "float16"), "BF16": (16, "bfloat16"), "U32": (32, "uint32"),
    "I32": (32, "int32"), "F32": (32, "float32"), "U64": (64, "uint64"), "I64": (64, "int64"),
    "F64": (64, "float64"), "C64": (64, "complex64"), "F8_E5M2": (8, "float8_e5m2"),
    "F8_E4M3": (8, "float8_e4m3fn"), "F8_E5M2FNUZ": (8, "float8_e5m2fnuz"),
    "F8_E4M3FNUZ": (8, "float8_e4m3fnuz"), "F8_E8M0": (8, "float8_e8m0fnu"),
}  # fmt: skip
NAMES = ["a", "weight", "a/b", "π", "x y", "model.layers.0.weight", "", "\n", "\"\\"]
# Why Warmstart refuses some files that the library reads.
REFUSED = "twice|has more than 254 axes"


def tensor(rng, dtype):
    """Random bits of a type."""
    shape = [rng.choice([0, 1, 1, 2, 3, 5, 8]) for _ in range(rng.choice([0, 1, 1, 2, 2, 3, 4]))]
    count = 1
    for length in shape:
        count *= length
    data = rng.randbytes(count * TYPES[dtype][0] // 8)
    if dtype == "BOOL":
        data = bytes(byte & 1 for byte in data)
    return {"dtype": dtype, "shape": shape, "data": data}


def write(rng, directory):
    """Writes a random file, or a model in several files with its index."""
    tensors = {
        name: tensor(rng, rng.choice(list(TYPES)))
        for name in rng.sample(NAMES, rng.randint(0, len(NAMES)))
    }
    metadata = rng.choice([None, {"format": "pt"}, {"a": "\u00e9", "": "x" * rng.randrange(300)}])
    if rng.random() < 0.7 or not tensors:
        path = directory / "model.safetensors"
        save(tensors, path, metadata)
        return path
    count = rng.randint(1, 3)
    files = [f"model-{number + 1:05}-of-{count:05}.safetensors" for number in range(count)]
    held = {name: rng.choice(files) for name in tensors}
    for file in set(held.values()):
        save({n: t for n, t in tensors.items() if held[n] == file}, directory / file, metadata)
    path = directory / "model.safetensors.index.json"
    path.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": held}))
    return path


def save(tensors, path, metadata):
    # The library's own functions for arrays know fewer types than its format has. What is written
    # must stay in memory until then.
    kept = [ctypes.create_string_buffer(tensor["data"]) for tensor in tensors.values()]
    specs = {
        name: safetensors.TensorSpec(
            dtype=TYPES[tensor["dtype"]][1], shape=tensor["shape"],
            data_ptr=ctypes.addressof(data), data_len=len(tensor["data"]),
        )
        for (name, tensor), data in zip(tensors.items(), kept)
    }  # fmt: skip
    safetensors.serialize_file(specs, str(path), metadata)


def read(path):
    """What the library reads: {name: [(dtype, shape, bytes)]}; raises what it raises."""
    if path.suffix == ".safetensors":
        found = dict(safetensors.deserialize(path.read_bytes()))
        return {name: [flat(tensor)] for name, tensor in found.items()}
    held = json.loads(path.read_bytes())["weight_map"]
    found = {}
    for file in sorted(set(held.values())):
        if pathlib.PurePath(file).name != file:
            raise ValueError(f"file {file}")
        for name, value in read(path.parent / file).items():
            if held.get(name) != file:
                raise ValueError(f"{name} in {file}")
            found[name] = value
    if set(found) != set(held):
        raise ValueError("tensors that no file has")
    return found


def flat(tensor):
    return TYPES[tensor["dtype"]][1], list(tensor["shape"]), bytes(tensor["data"])
