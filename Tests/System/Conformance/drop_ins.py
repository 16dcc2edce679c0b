"""The answers of `warmstart.tensorflow`, which stands in for TensorFlow's own functions."""
import os
import pathlib
import re
import sys
import warnings

sys.path.insert(0, str(pathlib.Path(__file__).parents[3] / "Sources" / "Python"))

import warmstart.tensorflow

import theirs
from cases import Refusal
from judging import CODES, plainly_different, reason_of

# gRPC's names for the classes of TensorFlow's errors; its reader raises Python's own classes.
CLASSES = {
    "NOT_FOUND": {"NotFoundError", "ValueError"},
    "INVALID_ARGUMENT": {"InvalidArgumentError", "ValueError", "_ReaderInvalidArgument"},
    "DATA_LOSS": {"DataLossError"},
    "OUT_OF_RANGE": {"OutOfRangeError", "IndexError", "_ReaderOutOfRange"},
    "UNIMPLEMENTED": {"UnimplementedError"},
    "INTERNAL": {"InternalError"},
}  # fmt: skip


def connect(socket):
    os.environ["WARMSTART_SOCKET"] = str(socket)
    # TensorFlow is silent here, and the scenarios mean it.
    warnings.simplefilter("ignore", warmstart.tensorflow.WarmstartWarning)


def answer(case):
    """{part's name: value}, or a refusal."""
    return theirs.answer(case, warmstart.tensorflow)


def judge(case, tensorflow, command, answered, difference):
    """Returns the fault of the drop-in's answer, or None.

    The answer must be TensorFlow's or, where a difference is listed, the one that `warmstartctl`
    gives.
    """
    if same(tensorflow, answered) or difference and same(command, answered):
        return None
    # For an ambiguous name it takes the same tensor as TensorFlow, even if only Warmstart can read
    # it.
    if (
        difference == "ambiguous-names"
        and isinstance(tensorflow, Refusal)
        and re.search(r"Dtype \w+ not supported", tensorflow.message)
        and not isinstance(answered, Refusal)
    ):
        return None
    return f"TensorFlow: {shown(tensorflow)}\n  warmstart.tensorflow: {shown(answered)}"


def same(expected, answered):
    if not isinstance(expected, Refusal) or not isinstance(answered, Refusal):
        return not plainly_different(expected, answered)
    if expected.name == answered.name:
        return True
    reason = reason_of(expected)
    code = CODES[reason] if reason else expected.name.split(" ")[0]
    return answered.name in CLASSES.get(code, ())


def shown(answer):
    return str(answer)[:600]
