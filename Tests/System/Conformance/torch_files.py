"""Random files that PyTorch writes, and what PyTorch reads in them."""
import argparse
import collections
import pathlib

import numpy as np
import torch

DTYPES = [
    "float32", "float32", "float32", "float64", "float16", "bfloat16", "int8", "int16", "int32",
    "int64", "uint8", "bool", "complex64", "complex128", "uint16", "uint32", "uint64",
    "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz",
]  # fmt: skip
# Why Warmstart refuses some files that PyTorch reads.
REFUSED = "share a place|conjugated|both named"
NAMES = ["weight", "bias", "layers.0.weight", "layers.1.bias", "norm", "a/b", "π", "0", "x y"]


def random_tensor(rng):
    """Random bits of any type, whole or as a view of a larger tensor."""
    dtype = getattr(torch, rng.choice(DTYPES))
    shape = [rng.choice([0, 1, 1, 2, 3, 5, 8]) for _ in range(rng.choice([0, 1, 1, 2, 2, 3, 4]))]
    tensor = bits(rng, dtype, shape)
    for _ in range(rng.choice([0, 0, 0, 1, 2])):
        tensor = random_view(rng, tensor)
    if rng.random() < 0.1 and tensor.is_floating_point() and dtype.itemsize > 1:
        return torch.nn.Parameter(tensor, requires_grad=rng.random() < 0.5)
    if rng.random() < 0.05:
        tensor.note = "an attribute"
    return tensor


def bits(rng, dtype, shape):
    count = int(np.prod(shape, dtype=np.int64))
    if dtype == torch.bool:
        return torch.tensor([rng.random() < 0.5 for _ in range(count)], dtype=dtype).reshape(shape)
    data = bytearray(rng.randbytes(count * dtype.itemsize))
    flat = torch.frombuffer(data, dtype=torch.uint8) if data else torch.empty(0, dtype=torch.uint8)
    return flat.view(dtype).reshape(shape)


def random_view(rng, tensor):
    """A view with the same storage; some views cannot be served."""
    way = rng.randrange(6)
    axes = list(range(tensor.ndim))
    if way == 0:
        rng.shuffle(axes)
        return tensor.permute(axes)
    if way == 1 and tensor.ndim:
        axis = rng.choice(axes)
        start = rng.randint(0, tensor.shape[axis])
        return tensor.narrow(axis, start, rng.randint(0, tensor.shape[axis] - start))
    if way == 2 and tensor.ndim:
        steps = [slice(None, None, rng.choice([1, 2, 3])) for _ in axes]
        return tensor[tuple(steps)]
    if way == 3:
        return tensor.unsqueeze(rng.randint(0, tensor.ndim))
    if way == 4 and rng.random() < 0.2:
        return tensor.expand(rng.choice([1, 3]), *tensor.shape)
    if way == 5 and tensor.is_complex() and rng.random() < 0.3:
        return tensor.conj()
    return tensor


def random_leaf(rng, tensors):
    way = rng.random()
    if way < 0.7 or not tensors:
        tensors.append(random_tensor(rng))
        return tensors[-1]
    if way < 0.8:
        # Tied: the same tensor, or another view of its storage.
        tensor = rng.choice(tensors)
        return tensor if rng.random() < 0.5 else random_view(rng, tensor.detach())
    return rng.choice([
        None, True, 3, -(1 << 70), 0.5, "text", b"bytes", 1j, torch.float16, torch.Size([2, 3]),
        torch.device("cpu"), {1, 2}, (1, "a"), np.float32(1.5), np.arange(3), pathlib.Path("/a/b"),
        argparse.Namespace(lr=0.1), collections.defaultdict(list), collections.Counter("ab"), [],
    ])


def random_object(rng, tensors, depth=0):
    """Nested dictionaries and lists with tensors, as checkpoints of trainers have them."""
    way = rng.random()
    if depth == 3 or (depth > 0 and way < 0.6):
        return random_leaf(rng, tensors)
    if way < 0.75 and depth > 0:
        items = [random_object(rng, tensors, depth + 1) for _ in range(rng.randint(0, 4))]
        return items if rng.random() < 0.7 else tuple(items)
    keys = rng.sample(NAMES + list(range(4)) + [-1], rng.randint(0 if depth else 1, 6))
    made = rng.choice([dict, dict, collections.OrderedDict])()
    for key in keys:
        made[key] = random_object(rng, tensors, depth + 1)
    return made


def random_module(rng):
    """The checkpoint of a trainer: a module's and an optimizer's state, and numbers."""
    layers = [torch.nn.Linear(rng.randint(1, 9), rng.randint(1, 9)) for _ in range(3)]
    layers += [torch.nn.BatchNorm1d(3), torch.nn.Embedding(5, 4)]
    model = torch.nn.Sequential(*layers)
    if rng.random() < 0.3:
        layers[1].weight = layers[0].weight
    state = model.state_dict()
    if rng.random() < 0.4:
        return state
    optimizer = rng.choice([torch.optim.Adam, torch.optim.SGD])(model.parameters(), lr=0.1)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    return {
        "epoch": 3, "global_step": 70, "pytorch-lightning_version": "2.5.0", "state_dict": state,
        "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": {"total": {"ready": 1}}}},
        "callbacks": {"ModelCheckpoint{'monitor': None}": {"best_model_score": torch.tensor(0.5)}},
        "optimizer_states": [optimizer.state_dict()], "lr_schedulers": [{"last_epoch": 3}],
        "hparams_name": "kwargs", "hyper_parameters": {"lr": 0.1, "path": pathlib.Path("x")},
        "rng": torch.get_rng_state(),
    }


def write(rng, directory):
    """Writes a random file."""
    path = directory / f"{rng.choice(['model', 'pytorch_model', 'π x'])}{rng.choice(['.pt', '.bin'])}"
    way = rng.random()
    made = random_tensor(rng) if way < 0.03 else random_object(rng, []) if way < 0.8 else random_module(rng)
    protocol = rng.choice([2, 2, 2, 2, 3, 4, 5])
    torch.save(made, path, pickle_protocol=protocol)
    return path


def tensors_in(value, path=()):
    """The tensors in what was loaded, by their names: [(name, tensor)]."""
    if isinstance(value, torch.Tensor):
        yield ".".join(path) or "tensor", value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from tensors_in(item, (*path, str(key)))
    elif isinstance(value, (list, tuple)):
        for place, item in enumerate(value):
            yield from tensors_in(item, (*path, str(place)))


def flat(tensor):
    """A tensor's dtype, shape and bytes in C order."""
    tensor = tensor.detach().resolve_conj().resolve_neg()
    name = str(tensor.dtype).removeprefix("torch.")
    whole = torch.empty(tensor.shape, dtype=tensor.dtype).copy_(tensor)
    return name, list(tensor.shape), whole.reshape(-1).view(torch.uint8).numpy().tobytes()


def read(path):
    """What PyTorch reads: {name: (dtype, shape, bytes)}; raises what it raises."""
    loaded = torch.load(path, weights_only=False, map_location="cpu")
    found = {}
    for name, tensor in tensors_in(loaded):
        found.setdefault(name, []).append(flat(tensor))
    return found
