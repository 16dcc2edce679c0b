#!/usr/bin/env python3
"""Makes the PyTorch files of this folder, with PyTorch 2.13.0 on a little-endian machine.

    make_torch.py     writes them, and expected.txt

expected.txt has a line for each tensor: the file, the tensor's name, dtype and shape, and its bytes
in C order as PyTorch reads them, in hexadecimal, separated by tabs. For a file that must be refused
it has the word `refused` in place of the name, and a part of the message after it. A tensor that is
only listed has `refused: ` and a part of the message in place of its bytes.
"""
import argparse
import collections
import io
import pathlib
import sys
import zipfile

import numpy as np
import torch

HERE = pathlib.Path(__file__).parent
sys.path.append(str(HERE.parents[1] / "System" / "Conformance"))
import torch_files


def numbers(*shape, dtype=torch.float32):
    count = int(np.prod(shape, dtype=np.int64))
    return torch.arange(count, dtype=torch.float32).to(dtype).reshape(shape)


class Tied(torch.nn.Module):
    """A small language model: the output's weights are the embedding's."""

    def __init__(self):
        super().__init__()
        self.embedding = torch.nn.Embedding(5, 4)
        self.norm = torch.nn.BatchNorm1d(4)
        self.output = torch.nn.Linear(4, 5, bias=False)
        self.output.weight = self.embedding.weight
        with torch.no_grad():
            self.embedding.weight.copy_(numbers(5, 4))


def trained():
    """A checkpoint as trainers write them: weights, an optimizer, and values of many classes."""
    model = torch.nn.Linear(2, 3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(numbers(*parameter.shape))
    optimizer = torch.optim.Adam(model.parameters())
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    return {
        "epoch": 3, "pytorch-lightning_version": "2.5.0", "state_dict": model.state_dict(),
        "optimizer_states": [optimizer.state_dict()], "lr_schedulers": [],
        "callbacks": {"ModelCheckpoint{'mode': 'min'}": {"best_model_score": torch.tensor(0.5)}},
        "hyper_parameters": {
            "lr": 0.1, "big": 1 << 80, "negative": -(1 << 40), "path": pathlib.PurePosixPath("a/b"),
            "args": argparse.Namespace(seed=1), "dtype": torch.float16, "device": torch.device("cpu"),
            "size": torch.Size([1, 2]), "scalar": np.float32(1), "array": np.arange(3),
            "lists": collections.defaultdict(list, {"a": [1]}), "set": {1}, "bytes": b"\xff",
            "complex": 1j, "counter": collections.Counter("a"), (1, 2): "key", None: "key",
        },
    }


def views():
    base = numbers(4, 6)
    tensor = torch.nn.Parameter(numbers(2))
    noted = numbers(3)
    noted.note = "an attribute"
    return {
        "base": base, "transposed": base.t(), "column": base[:, 2], "rows": base[1:3],
        "steps": base[::2, ::3], "permuted": numbers(2, 3, 4).permute(2, 0, 1),
        "empty": torch.empty(0, 3), "empty view": base[4:], "scalar": base[3, 5],
        "one of length one": numbers(3).expand(1, 1, 3), "parameter": tensor, "noted": noted,
    }


def weights():
    """The weights that Tests/Python/with_tensorflow/test_formats.py has in all formats."""
    return {
        "bert/layer_0/kernel": numbers(6, 8), "bert/layer_0/bias": numbers(8, dtype=torch.float64),
        "bert/layer_0/scale": numbers(3, dtype=torch.bfloat16), "bert/table": numbers(10, 4),
        "step": torch.tensor(7),
    }


DTYPES = [
    "float32", "float64", "float16", "bfloat16", "int8", "int16", "int32", "int64", "uint8", "bool",
    "complex64", "complex128", "uint16", "uint32", "uint64", "float8_e4m3fn", "float8_e4m3fnuz",
    "float8_e5m2", "float8_e5m2fnuz",
]  # fmt: skip


def dtypes():
    return {name: numbers(2, 2, dtype=getattr(torch, name)) for name in DTYPES}


class Holder(torch.nn.Module):
    def forward(self, value):
        return value + 1


SOUND = {
    "weights.pt": weights,
    "state_dict.bin": lambda: Tied().state_dict(),
    "trained.ckpt": trained,
    "views.pt": views,
    "dtypes.pt": dtypes,
    "tensor.pt": lambda: numbers(2, 2),
    "list.pt": lambda: [numbers(2), (numbers(1), {"a": {7: numbers(3)}})],
}
# A tensor `a` each, with its dtype and shape.
LISTED = {
    "expanded.pt": (lambda: numbers(3).expand(2, 3), "float32", "2,3", "share a place"),
    "conjugated.pt": (
        lambda: numbers(2, dtype=torch.complex64).conj(), "complex64", "2", "conjugated"),
    "sparse.pt": (lambda: torch.eye(2).to_sparse(), "float32", "2,2", "a sparse tensor"),
    "quantized.pt": (
        lambda: torch.quantize_per_tensor(numbers(2), 0.1, 0, torch.qint8), "packed", "2",
        "quantized"),
    "meta.pt": (lambda: torch.empty(2, device="meta"), "float32", "2", "on the device meta"),
}
REFUSED = {
    "module.pt": (lambda: torch.nn.Linear(1, 1), "torch.nn.modules.linear.Linear"),
    "deque.pt": (lambda: {"a": collections.deque([numbers(2)])}, "collections.deque"),
    "same_names.pt": (lambda: {"a": {"b": numbers(1)}, "a.b": numbers(2)}, "both named a.b"),
    "key.pt": (lambda: {"a": {(1, 2): numbers(1)}}, "where a key is a tuple"),
}


def swapped(source, target, changes, without=()):
    """Copies an archive with other contents of some entries, as another machine would write it."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for entry in old.infolist():
            name = entry.filename.split("/", 1)[1]
            if name not in without:
                new.writestr(
                    zipfile.ZipInfo(entry.filename), changes.get(name) or old.read(entry))


def lines(path):
    for name, found in torch_files.read(path).items():
        [(dtype, shape, data)] = found
        yield [path.name, name, dtype, ",".join(map(str, shape)), data.hex()]


def main():
    expected = []
    for name, make in SOUND.items():
        torch.manual_seed(1)
        torch.save(make(), HERE / name)
    torch.save(trained(), HERE / "protocol5.pt", pickle_protocol=5)
    # No PyTorch before 2.1 and no big-endian machine is at hand.
    swapped(HERE / "list.pt", HERE / "without_byteorder.pt", {}, ["byteorder"])
    words = numbers(2).numpy().astype(">f4").tobytes()
    others = {1: numbers(1).numpy().astype(">f4").tobytes(), 2: numbers(3).numpy().astype(">f4")}
    swapped(
        HERE / "list.pt", HERE / "big_endian.pt",
        {"byteorder": b"big", "data/0": words, "data/1": others[1], "data/2": others[2].tobytes()})
    for path in sorted(HERE.iterdir()):
        if path.suffix in (".pt", ".bin", ".ckpt") and path.name not in LISTED | REFUSED | OTHERS:
            expected += lines(path)
    for name, (make, dtype, shape, part) in LISTED.items():
        torch.save({"a": make()}, HERE / name)
        expected.append([name, "a", dtype, shape, f"refused: {part}"])
    for name, (make, part) in REFUSED.items():
        torch.save(make(), HERE / name)
        expected.append([name, "refused", part])
    torch.save(numbers(2), HERE / "legacy.pt", _use_new_zipfile_serialization=False)
    torch.jit.save(torch.jit.script(Holder()), HERE / "script.pt")
    packed = io.BytesIO((HERE / "list.pt").read_bytes())
    with zipfile.ZipFile(packed) as old:
        with zipfile.ZipFile(HERE / "deflated.pt", "w", zipfile.ZIP_DEFLATED) as new:
            for entry in old.infolist():
                new.writestr(entry.filename, old.read(entry))
    expected += [[name, "refused", part] for name, part in OTHERS.items()]
    text = "\n".join("\t".join(line) for line in expected)
    (HERE / "expected.txt").write_text(text + "\n")


OTHERS = {
    "legacy.pt": "before version 1.6", "script.pt": "a TorchScript archive",
    "deflated.pt": "deflated",
}

if __name__ == "__main__":
    main()
