"""Measures what a process copies as it takes variables from a checkpoint; test_memory.py runs it.

Each way runs in a separate process in which TensorFlow has done nothing yet: it keeps the memory of
freed tensors for later ones, which would hide a copy.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any, Callable

import numpy as np
import tensorflow as tf
import warmstart.tensorflow as wt

import memory

v1 = tf.compat.v1

# 16 MiB each.
SHAPE = [4096, 1024]
LARGE = np.arange(4 << 20, dtype=np.float32).reshape(SHAPE)
OTHER = np.ones(SHAPE, np.float32)


def write(directory: str) -> None:
    """Writes what the ways read. The first tensor keeps the others from being aligned."""
    tf.raw_ops.SaveV2(
        prefix=directory + "/model",
        tensor_names=["a", "large", "other"],
        shape_and_slices=[""] * 3,
        tensors=[tf.ones([3]), tf.constant(LARGE), tf.constant(OTHER)],
    )
    tf.train.Checkpoint(v=tf.Variable(LARGE)).write(directory + "/objects")


def shares(tensor: Any) -> bool:
    """Whether a tensor's memory is a mapping of a file, such as the daemon's, without private
    pages.
    """
    address = np.asarray(tensor).__array_interface__["data"][0]
    try:
        return memory.copied_bytes([address]) == 0
    except AssertionError:
        return False


class Steps:
    """How many of the variables' size each step added to the memory of this process."""

    def __init__(self) -> None:
        self.sizes: dict[str, float] = {}

    def run(self, name: str, work: Callable[[], Any]) -> Any:
        before = memory.private_bytes()
        result = work()
        self.sizes[name] = round((memory.private_bytes() - before) / LARGE.nbytes, 1)
        return result


def warm_up() -> None:
    """Does once whatever takes memory the first time."""
    v = tf.Variable(tf.zeros([8, 1024]))
    v.scatter_nd_add([[0]], tf.ones([1, 1024]))
    tf.reduce_sum(v).numpy()
    tf.gather(v, [0]).numpy()


def eager(directory: str) -> dict[str, Any]:
    warm_up()
    steps = Steps()
    tensors = steps.run("load", lambda: wt.load_tensors(directory + "/model"))
    v = steps.run("variable", lambda: tf.Variable(tensors["large"]))
    w = tf.Variable(tensors["other"])
    steps.run("read", lambda: tf.reduce_sum(v).numpy())
    steps.run("gather of the value", lambda: tf.gather(v.value(), [1, 2]).numpy())
    shared = [shares(tensors["large"]), shares(v.value()), shares(w.value())]
    steps.run("gather", lambda: tf.gather(w, [1, 2]).numpy())
    shared += [shares(w.value()), shares(v.value())]
    v.scatter_nd_add([[3]], tf.ones([1, 1024]))
    shared += [shares(v.value()), shares(tensors["large"])]
    is_right = bool((v.numpy()[3] == LARGE[3] + 1).all()) and bool((w.numpy() == 1).all())
    is_right &= bool((tensors["large"].numpy() == LARGE).all())
    return {"steps": steps.sizes, "shared": shared, "is right": is_right}


def assigned(directory: str) -> dict[str, Any]:
    v, w = tf.Variable(tf.zeros(SHAPE)), tf.Variable(tf.zeros(SHAPE))
    steps = Steps()
    path = directory + "/model"
    steps.run("assign", lambda: wt.init_from_checkpoint(path, {"large": v, "other": w}))
    shared = [shares(v.value()), shares(w.value())]
    v.assign_sub(tf.ones(SHAPE))
    shared += [shares(v.value()), shares(w.value())]
    is_right = bool((v.numpy() == LARGE - 1).all()) and bool((w.numpy() == 1).all())
    return {"steps": steps.sizes, "shared": shared, "is right": is_right}


def deferred(directory: str) -> dict[str, Any]:
    late = tf.train.Checkpoint()
    shared = []
    with wt.install():
        late.restore(directory + "/objects")
        late.v = tf.Variable(lambda: tf.zeros(SHAPE), shape=SHAPE)
        shared.append(shares(late.v.value()))
        # Now restored at once.
        late.restore(directory + "/objects")
        shared.append(shares(late.v.value()))
    return {"shared": shared, "is right": bool((late.v.numpy() == LARGE).all())}


def training(directory: str) -> dict[str, Any]:
    """Training with a frozen layer, and with XLA."""
    tensors = wt.load_tensors(directory + "/model", ["large", "other"])
    inputs = tf.keras.layers.Input((SHAPE[0],))
    frozen = tf.keras.layers.Dense(SHAPE[1], use_bias=False, trainable=False)
    head = tf.keras.layers.Dense(1)
    model = tf.keras.Sequential([inputs, frozen, head])
    frozen.kernel.assign(tensors["other"])
    model.compile("sgd", "mse", jit_compile=True)
    model.fit(np.ones((4, SHAPE[0])), np.ones((4, 1)), epochs=2, verbose=0)
    model.predict(np.ones((4, SHAPE[0])), verbose=0)
    v = tf.Variable(tensors["large"])

    @tf.function(jit_compile=True)
    def update() -> None:
        v.assign(v * 2.0)

    update()
    shared = [shares(frozen.kernel.value.value()), shares(v.value()), shares(tensors["large"])]
    is_right = bool((v.numpy() == 2 * LARGE).all())
    is_right &= bool((tensors["large"].numpy() == LARGE).all())
    return {"shared": shared, "is right": is_right}


def replicas(directory: str) -> dict[str, Any]:
    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    with strategy.scope():
        v = tf.Variable(tf.zeros(SHAPE))
        wt.init_from_checkpoint(directory + "/model", {"large": v})
    first, second = (replica.value() for replica in strategy.experimental_local_results(v))
    shared = [shares(first), shares(second)]
    # A replica's update is not the other's.
    strategy.experimental_local_results(v)[0].assign_add(tf.ones(SHAPE))
    third, fourth = (replica.value() for replica in strategy.experimental_local_results(v))
    shared += [shares(third), shares(fourth)]
    is_right = bool((third == LARGE + 1).numpy().all() and (fourth == LARGE).numpy().all())
    return {"shared": shared, "is right": is_right}


def graph(directory: str) -> dict[str, Any]:
    steps = Steps()
    with tf.Graph().as_default(), v1.Session() as session:
        made = {
            name: v1.get_variable(
                name, SHAPE, use_resource=kind, initializer=v1.zeros_initializer()
            )
            for name, kind in (("large", True), ("other", False))
        }
        total = tf.reduce_sum(made["large"])
        row = tf.ones([1, SHAPE[1]])
        update = made["large"].scatter_nd_add([[3]], row)
        wt.init_from_checkpoint(directory + "/model", {"/": "/"})
        session.run(row)
        steps.run("resource variable", lambda: session.run(made["large"].initializer))
        steps.run("read", lambda: session.run(total))
        steps.run("reference variable", lambda: session.run(made["other"].initializer))
        steps.run("update", lambda: session.run(update.op))
        is_right = bool((session.run(made["large"])[3] == LARGE[3] + 1).all())
        session.run(made["large"].initializer)
        is_right &= bool((session.run(made["large"]) == LARGE).all())
    return {"steps": steps.sizes, "is right": is_right}


def saver(directory: str) -> dict[str, Any]:
    steps = Steps()
    with tf.Graph().as_default(), v1.Session() as session, wt.install():
        v = v1.get_variable("large", SHAPE, initializer=v1.zeros_initializer(), use_resource=True)
        restorer = v1.train.Saver()
        session.run(tf.constant(0))
        steps.run("restore", lambda: restorer.restore(session, directory + "/model"))
        is_right = bool((session.run(v) == LARGE).all())
    return {"steps": steps.sizes, "is right": is_right}


WAYS = (eager, assigned, deferred, training, replicas, graph, saver)


def main(directory: str) -> None:
    """Prints the result of each way as JSON."""
    found = {}
    for way in (write, *WAYS):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.write(writing, json.dumps(way(directory)).encode())
                os._exit(0)
            except BaseException:  # noqa: BLE001
                sys.excepthook(*sys.exc_info())
                os._exit(1)
        os.close(writing)
        with os.fdopen(reading) as pipe:
            text = pipe.read()
        assert os.waitpid(child, 0)[1] == 0, way.__name__
        found[way.__name__] = json.loads(text)
    print(json.dumps(found))
