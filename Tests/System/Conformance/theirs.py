"""TensorFlow's answers.

Run as a program, it answers the pickled cases that come on standard input: TensorFlow ends its
process on some damaged checkpoints.
"""
import logging
import os
import pickle
import re
import resource
import subprocess
import sys
import threading

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
import tensorflow as tf

import arrays
from cases import Case, Refusal, flat

tf1 = tf.compat.v1
DEVICES = 3
CONFIG = tf1.ConfigProto(
    device_count={"CPU": DEVICES}, intra_op_parallelism_threads=1, inter_op_parallelism_threads=1
)
# Some variables can be declared, but not assigned.
CONFIG.graph_options.place_pruned_graph = True


class Warnings(logging.Handler):
    """TensorFlow's messages beside its exception, such as that a state file was ignored."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.said = []

    def emit(self, record):
        self.said.append(record.getMessage())


WARNINGS = Warnings()
tf.get_logger().handlers[:] = [WARNINGS]
tf.get_logger().setLevel(logging.WARNING)
tf.get_logger().propagate = False


def declare(variable):
    """The variable in TensorFlow's graph: {the part's name: TensorFlow's object}."""
    dtype = tf.as_dtype(variable.dtype)

    def nothing(shape, dtype=dtype, **_):
        # Only variables that a map reaches are initialized, with the map's values.
        return tf1.placeholder(dtype, shape)

    options = {"use_resource": variable.resource}
    if variable.store:
        partitioner = (lambda shape, dtype: variable.counts) if variable.counts else None
        made = tf1.get_variable(
            variable.name, variable.shape, dtype, nothing, partitioner=partitioner, **options
        )
    else:
        made = tf1.Variable(nothing(variable.shape), name=variable.name, dtype=dtype, **options)
    if variable.slice:
        full_name, full_shape, offset = variable.slice
        made._set_save_slice_info(
            tf1.Variable.SaveSliceInfo(full_name, full_shape, list(offset), variable.shape)
        )
    objects = list(made) if variable.counts else [made]
    return {part.op.name: part for part in objects}


def is_reached(variable):
    """Whether the variable's initializer reads a checkpoint."""
    initializer = variable.initializer
    waiting = list(getattr(initializer, "op", initializer).inputs)
    while waiting:
        op = waiting.pop().op
        if "checkpoint_initializer" in op.name:
            return True
        if op.type not in ("VarHandleOp", "VariableV2"):
            waiting += op.inputs
    return False


def refusal(error, at_run_time):
    said = "".join(f"\n{warning}" for warning in WARNINGS.said)
    message = str(error)
    if at_run_time:
        # Without the trace of the place that made the graph.
        message = message.removeprefix("Graph execution error:\n\n")
        message = re.sub(r"Detected at node .*?\nNode: [^\n]*\n", "", message, flags=re.DOTALL)
        message = message.split("\n\nOriginal stack trace")[0].split("\n\t [[{{node")[0]
    return Refusal(type(error).__name__, message + said, at_run_time)


def resolved(case, train):
    with tf.Graph().as_default():
        objects, dtypes = {}, {}
        for variable in case.variables:
            made = declare(variable)
            objects |= made
            dtypes |= dict.fromkeys(made, variable.dtype)

        def target(value):
            if isinstance(value, str):
                return value
            if "variable" in value:
                return objects[value["variable"]]
            return [objects[name] for name in value["variables"]]

        try:
            if case.question == "warm_start":
                train.warm_start(case.path)
            else:
                train.init_from_checkpoint(case.path, [(k, target(v)) for k, v in case.pairs])
        except Exception as error:  # Any exception is the answer.
            return refusal(error, False)
        reached = {name: made for name, made in objects.items() if is_reached(made)}
        if not reached:
            return {}
        # The value that would be assigned, for a type that no variable can have.
        initial = {
            name: made.initializer.inputs[1]
            for name, made in reached.items()
            if dtypes[name] in arrays.NOT_ASSIGNABLE
        }
        steps = [initial.get(name, made.initializer) for name, made in reached.items()]
        reads = {name: made.read_value() for name, made in reached.items()} | initial
        with tf1.Session(config=CONFIG) as session:
            try:
                session.run(steps)
            except Exception:
                # One after the other, so that the first failure decides.
                for step in steps:
                    try:
                        session.run(step)
                    except Exception as error:
                        return refusal(error, True)
            values = session.run(reads)
    return {name: flat(dtypes[name], value) for name, value in values.items()}


def listed(case, train):
    """{name: (dtype, shape)}"""
    try:
        reader = train.load_checkpoint(case.path)
        shapes, dtypes = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
        return {name: (dtypes[name].name, list(shapes[name])) for name in shapes}
    except Exception as error:
        return refusal(error, False)


def answer(case: Case, train=tf1.train):
    """{part's name: value}, or a refusal; by TensorFlow's functions, or others of their names."""
    WARNINGS.said.clear()
    before = os.getcwd()
    try:
        if case.directory:
            os.chdir(case.directory)
        return listed(case, train) if case.question == "list" else resolved(case, train)
    finally:
        os.chdir(before)


class Expendable:
    """TensorFlow in a separate process, which is restarted when it has ended."""

    SECONDS = 120

    def __init__(self):
        self.process = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process:
            self.process.stdin.close()
            self.process.stdout.close()
            self.process.wait()

    def answer(self, case):
        if self.process is None:
            self.process = subprocess.Popen(
                [sys.executable, "-B", __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )  # fmt: skip
        alarm = threading.Timer(self.SECONDS, self.process.kill)
        alarm.start()
        try:
            pickle.dump(case, self.process.stdin)
            self.process.stdin.flush()
            return pickle.load(self.process.stdout)
        except (EOFError, BrokenPipeError, pickle.UnpicklingError):
            status = self.process.wait()
            self.process = None
            return Refusal("Ended", f"the process ended with {status}")
        finally:
            alarm.cancel()


def main():
    # An unchecked length must not take the machine's memory.
    limit = 16 << 30
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    while True:
        try:
            case = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        pickle.dump(answer(case), answers)
        answers.flush()


if __name__ == "__main__":
    main()
