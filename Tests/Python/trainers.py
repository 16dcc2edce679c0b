"""Eight trainers that write to what they share, each in a process of its own.

A trainer says what it found: whether all numbers were the stored ones when it began, and its own
ones in the end, after all others had written theirs; and how many bytes of the shared memory it had
copied after it had read everything, and after it had trained.
"""

from __future__ import annotations

import importlib.util
import multiprocessing
import traceback
from multiprocessing import forkserver
from typing import Any, Callable, NamedTuple

import numpy as np
import warmstart

from memory import copied_bytes

COUNT = 8
PATIENCE = 300
# The demo checkpoint's variables that are trained, and those that stay frozen. Both are 8 MiB.
TRAINED = "bert/embeddings/word_embeddings"
FROZEN = "bert/embeddings/word_embeddings/adam_m"
SIZE = 8192 * 256 * 4
STEPS = 3


class Outcome(NamedTuple):
    """What a trainer found."""

    began_right: bool
    ended_right: bool
    copied_by_reading: int
    copied_by_training: int


class Meeting:
    """Where all trainers wait for each other."""

    def __init__(self, barrier: Any) -> None:
        self._barrier = barrier

    def wait(self) -> None:
        self._barrier.wait(PATIENCE)


def prepare() -> None:
    """Starts the process of which trainers are forked: what it imports is not imported eight times.

    It lasts as long as this process, which keeps descriptors for it, and for the first barrier.
    """
    frameworks = [name for name in ("torch", "jax", "tensorflow") if importlib.util.find_spec(name)]
    forkserver.set_forkserver_preload(["trainers", *frameworks])
    forkserver.ensure_running()
    multiprocessing.get_context("forkserver").Barrier(1)


def train(kind: str, path: str, socket: str) -> list[Outcome]:
    """Has eight processes train with a framework at the same time."""
    context = multiprocessing.get_context("forkserver")
    barrier = context.Barrier(COUNT)
    results = context.SimpleQueue()
    processes = [
        context.Process(target=_run, args=(kind, path, socket, rank, barrier, results))
        for rank in range(1, COUNT + 1)
    ]
    for process in processes:
        process.start()
    outcomes = [results.get() for _ in processes]
    for process in processes:
        process.join(PATIENCE)
    failures = [outcome for outcome in outcomes if isinstance(outcome, str)]
    assert not failures, "\n".join(failures)
    assert [process.exitcode for process in processes] == [0] * COUNT
    return outcomes


def _run(kind: str, path: str, socket: str, rank: int, barrier: Any, results: Any) -> None:
    try:
        with warmstart.Client(socket) as client:
            # Copies that no other process can change.
            arrays = client.open(path).arrays([TRAINED, FROZEN])
            before = {name: array.copy() for name, array in arrays.items()}
            results.put(_TRAINERS[kind](client, path, rank, before, Meeting(barrier)))
    except Exception:  # noqa: BLE001
        barrier.abort()
        results.put(traceback.format_exc())


def _train_numpy(
    client: Any, path: str, rank: int, before: dict[str, np.ndarray], meeting: Meeting
) -> Outcome:
    variables = {name: ("float32", array.shape) for name, array in before.items()}
    arrays = client.resolve(path, {"/": "/"}, variables, writable=True).arrays()
    began_right = all(np.array_equal(arrays[name], before[name]) for name in before)
    addresses = [array.ctypes.data for array in arrays.values()]
    read = copied_bytes(addresses)
    meeting.wait()
    trained, expected = arrays[TRAINED], before[TRAINED].copy()
    for _ in range(STEPS):
        for array in (trained, expected):
            array -= 0.25 * rank
            array[rank::COUNT] *= 2.0
    np.add.at(trained, [rank, rank], 1.0)
    expected[rank] += 2.0
    meeting.wait()
    ended_right = np.array_equal(trained, expected)
    ended_right &= np.array_equal(arrays[FROZEN], before[FROZEN])
    return Outcome(began_right, ended_right, read, copied_bytes(addresses))


def _train_torch(
    client: Any, path: str, rank: int, before: dict[str, np.ndarray], meeting: Meeting
) -> Outcome:
    import torch
    import warmstart.torch

    torch.set_num_threads(1)
    module = torch.nn.Module()
    for name in ("trained", "frozen"):
        parameter = torch.nn.Parameter(torch.empty(8192, 256, device="meta"))
        module.register_parameter(name, parameter)
    module.frozen.requires_grad_(False)
    assignment_map = {TRAINED: "trained", FROZEN: "frozen"}
    warmstart.torch.load_into(module, path, assignment_map, client=client)
    began_right = all(
        bool(torch.eq(parameter, torch.from_numpy(before[name])).all())
        for name, parameter in ((TRAINED, module.trained), (FROZEN, module.frozen))
    )
    addresses = [parameter.data_ptr() for parameter in module.parameters()]
    read = copied_bytes(addresses)
    meeting.wait()
    for _ in range(STEPS):
        (module.trained.sum() * rank).backward()
        with torch.no_grad():
            # What an optimizer does; those of torch take seconds to import more of it.
            module.trained.sub_(module.trained.grad, alpha=0.25)
        module.trained.grad = None
    with torch.no_grad():
        module.trained[rank::COUNT].mul_(2.0)
        module.trained.index_add_(0, torch.tensor([rank, rank]), torch.ones(2, 256))
    expected = before[TRAINED] - STEPS * 0.25 * rank
    expected[rank::COUNT] *= 2.0
    expected[rank] += 2.0
    meeting.wait()
    ended_right = bool(np.array_equal(module.trained.detach().numpy(), expected))
    ended_right &= bool(np.array_equal(module.frozen.numpy(), before[FROZEN]))
    return Outcome(began_right, ended_right, read, copied_bytes(addresses))


def _train_jax(
    client: Any, path: str, rank: int, before: dict[str, np.ndarray], meeting: Meeting
) -> Outcome:
    import jax
    import warmstart.jax

    def step(array: jax.Array, rank: float) -> jax.Array:
        array = array - 0.25 * rank
        return array.at[3:5].multiply(2.0)

    update = jax.jit(step, donate_argnums=0)
    arrays = warmstart.jax.load(path, [TRAINED, FROZEN], client=client)
    began_right = all(bool((arrays[name] == before[name]).all()) for name in before)
    addresses = [array.unsafe_buffer_pointer() for array in arrays.values()]
    read = copied_bytes(addresses)
    meeting.wait()
    trained, expected = arrays.pop(TRAINED), before[TRAINED].copy()
    for _ in range(STEPS):
        trained = update(trained, float(rank))
        expected -= 0.25 * rank
        expected[3:5] *= 2.0
    # No donation has reached the memory of another process.
    shared = client.open(path).array(TRAINED)
    meeting.wait()
    ended_right = bool(np.array_equal(trained, expected))
    ended_right &= bool(np.array_equal(shared, before[TRAINED]))
    ended_right &= bool(np.array_equal(arrays[FROZEN], before[FROZEN]))
    return Outcome(began_right, ended_right, read, copied_bytes(addresses))


def _train_tensorflow(
    client: Any, path: str, rank: int, before: dict[str, np.ndarray], meeting: Meeting
) -> Outcome:
    import tensorflow as tf
    import warmstart.tensorflow

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tensors = warmstart.tensorflow.load_tensors(path, [TRAINED, FROZEN], client=client)
    trained, frozen = (tf.Variable(tensors[name]) for name in (TRAINED, FROZEN))
    began_right = np.array_equal(trained.numpy(), before[TRAINED])
    began_right &= np.array_equal(frozen.numpy(), before[FROZEN])
    # These alias the variables' memory; TensorFlow gives one that is updated a memory of its own.
    views = [np.asarray(variable.value()) for variable in (trained, frozen)]
    addresses = [view.__array_interface__["data"][0] for view in views]
    read = copied_bytes(addresses)
    meeting.wait()
    optimizer = tf.keras.optimizers.SGD(0.25)
    for _ in range(STEPS):
        optimizer.apply_gradients([(tf.fill(trained.shape, float(rank)), trained)])
    trained.scatter_nd_add([[rank], [rank]], tf.ones([2, 256]))
    expected = before[TRAINED] - STEPS * 0.25 * rank
    expected[rank] += 2.0
    meeting.wait()
    ended_right = np.array_equal(trained.numpy(), expected)
    ended_right &= np.array_equal(frozen.numpy(), before[FROZEN])
    # No shared page was written, not even as a private copy.
    ended_right &= np.array_equal(views[0], before[TRAINED])
    return Outcome(began_right, ended_right, read, copied_bytes(addresses))


_Trainer = Callable[[Any, str, int, "dict[str, np.ndarray]", Meeting], Outcome]
_TRAINERS: dict[str, _Trainer] = {
    "numpy": _train_numpy,
    "torch": _train_torch,
    "jax": _train_jax,
    "tensorflow": _train_tensorflow,
}
