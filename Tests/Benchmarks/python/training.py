"""One training process: it starts all variables from the checkpoint, and reads every byte.

usage: training.py PEER MODE SOCKET PREFIX TABLE

PEER is `tensorflow`, `warmstart`, or `nothing`, which imports TensorFlow and stops there. MODE is
`eager`, `assign` or `graph`. Both peers run the same code, but for the module whose functions they
call. What they do before they open the checkpoint, such as making a graph, is timed apart.
"""

import json
import os
import sys
import time

import worker


def eager(tf, train, prefix, rows):
    """Variables made from the values that load_checkpoint returns."""
    yield "built"
    checkpoint = train.load_checkpoint(prefix)
    variables = [tf.Variable(checkpoint.get_tensor(name), name=kind(name)) for name, _ in rows]
    yield "load"
    total = sum(float(tf.reduce_sum(variable)) for variable in variables)
    yield "read"
    return total, variables


def assign(tf, train, prefix, rows):
    """Variables that have values, which init_from_checkpoint replaces."""
    variables = {name: tf.Variable(tf.zeros(shape), name=kind(name)) for name, shape in rows}
    yield "built"
    train.init_from_checkpoint(prefix, variables)
    yield "load"
    total = sum(float(tf.reduce_sum(variable)) for variable in variables.values())
    yield "read"
    return total, variables


def graph(tf, train, prefix, rows):
    """A program for TensorFlow 1: a graph whose initializers read the checkpoint."""
    v1 = tf.compat.v1
    with tf.Graph().as_default():
        zeros = v1.zeros_initializer()
        variables = [v1.get_variable(name, shape, tf.float32, zeros) for name, shape in rows]
        sums = [tf.reduce_sum(variable) for variable in variables]
        session = v1.Session()
        yield "built"
        train.init_from_checkpoint(prefix, {"/": "/"})
        session.run(v1.global_variables_initializer())
        yield "load"
        total = sum(float(value) for value in session.run(sums))
        yield "read"
    return total, session


def kind(name):
    """The name that Keras gives a variable: the last part only."""
    return name.rpartition("/")[2]


def nothing(*_):
    yield "built"
    return None, None


def main(peer, mode, socket, prefix, table):
    os.environ["WARMSTART_SOCKET"] = socket
    with open(table) as file:
        rows = [(name, tuple(shape)) for name, shape, _ in json.load(file)]
    before = time.perf_counter()
    import tensorflow as tf

    if peer == "warmstart":
        import warmstart.tensorflow as train
    else:
        train = tf.train if mode == "eager" else tf.compat.v1.train
    tf.reduce_sum(tf.zeros([1]))  # TensorFlow initializes itself at its first operation
    imported = time.perf_counter()
    program = nothing if peer == "nothing" else globals()[mode]
    steps = program(tf, train, prefix, rows)
    next(steps)
    built = time.perf_counter()
    worker.wait()
    watch = worker.Stopwatch()
    found = None
    while found is None:
        try:
            watch.step(next(steps))
        except StopIteration as end:
            found = end.value
    worker.finish(
        imports=imported - before,
        build=built - imported,
        steps=watch.steps,
        cpu=watch.cpu,
        digest=found[0],
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
