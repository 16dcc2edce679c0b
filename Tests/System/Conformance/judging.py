"""Whether two answers are the same: values, or errors of the same class for the same reason."""
import collections
import json
import pathlib
import re

from cases import Refusal

LIST = pathlib.Path(__file__).parent / "differences.json"

# The code of each of our reasons.
CODES = {
    "CHECKPOINT_NOT_FOUND": "NOT_FOUND", "CHECKPOINT_STATE_INVALID": "INVALID_ARGUMENT",
    "TENSOR_NOT_FOUND": "NOT_FOUND", "SCOPE_ONLY": "INVALID_ARGUMENT",
    "SHAPE_MISMATCH": "INVALID_ARGUMENT", "SLICES_DIFFER": "INVALID_ARGUMENT",
    "DTYPE_MISMATCH": "INVALID_ARGUMENT", "SLICES_INCOMPLETE": "INVALID_ARGUMENT",
    "SLICES_OVERLAP": "INTERNAL", "CHECKSUM_MISMATCH": "DATA_LOSS", "CORRUPT": "DATA_LOSS",
    "TRUNCATED": "OUT_OF_RANGE", "VERSION_MISMATCH": "INVALID_ARGUMENT",
    "UNSUPPORTED": "UNIMPLEMENTED", "INVALID_REQUEST": "INVALID_ARGUMENT",
}  # fmt: skip

# What TensorFlow raises and says, and our reason for it; the first match counts. The design page's
# table says which class belongs to which reason.
RULES = [
    ("ValueError", "Assignment map with scope only name", "SCOPE_ONLY"),
    ("ValueError", "Slices must all be from the same tensor", "SLICES_DIFFER"),
    ("AttributeError", "'NoneType' object has no attribute 'full_name'", "SLICES_DIFFER"),
    ("ValueError", "doesn't match with shape of tensor", "SHAPE_MISMATCH"),
    ("ValueError", "is not found in", "TENSOR_NOT_FOUND"),
    ("ValueError", "did not contain values for all variables", "TENSOR_NOT_FOUND"),
    # A scope with a variable merely named like a partition.
    ("AttributeError", "'NoneType' object has no attribute 'dtype'", "INVALID_REQUEST"),
    ("InvalidArgumentError", "does not equal original dtype", "DTYPE_MISMATCH"),
    ("InvalidArgumentError", "Expected to restore a tensor of type", "DTYPE_MISMATCH"),
    ("InvalidArgumentError", "does not match the shape stored in checkpoint", "SHAPE_MISMATCH"),
    ("InvalidArgumentError", "does not match the shape in the save file", "SHAPE_MISMATCH"),
    ("InvalidArgumentError", "Assign requires shapes of both tensors", "SHAPE_MISMATCH"),
    ("InvalidArgumentError", "Does not have sufficient slices", "SLICES_INCOMPLETE"),
    # So much for V1 of what V2 says in the words above.
    ("InvalidArgumentError", "Error copying slice data", "SLICES_INCOMPLETE"),
    ("InternalError", "Overlapping slices", "SLICES_OVERLAP"),
    ("ValueError", "Checkpoint ignored", "CHECKPOINT_STATE_INVALID"),
    ("ValueError", "Invalid checkpoint state loaded from", "CHECKPOINT_STATE_INVALID"),
    ("UnicodeDecodeError", "", "CHECKPOINT_STATE_INVALID"),
    ("ValueError", "Couldn't find 'checkpoint' file or checkpoints", "CHECKPOINT_NOT_FOUND"),
    ("NotFoundError", "Unsuccessful TensorSliceReader constructor", "CHECKPOINT_NOT_FOUND"),
    ("NotFoundError", "Key", "TENSOR_NOT_FOUND"),
    ("NotFoundError", "not found in checkpoint files", "TENSOR_NOT_FOUND"),
    ("NotFoundError", "No such file or directory", "CHECKPOINT_NOT_FOUND"),
    ("DataLossError", "Checksum does not match", "CHECKSUM_MISMATCH"),
    ("DataLossError", "length checksum does not match", "CHECKSUM_MISMATCH"),
    ("DataLossError", "block checksum mismatch", "CHECKSUM_MISMATCH"),
    ("DataLossError", "", "CORRUPT"),
    ("OutOfRangeError", "Read less bytes than requested", "TRUNCATED"),
    # The reader's classes for OUT_OF_RANGE and INVALID_ARGUMENT.
    ("IndexError", "Read less bytes than requested", "TRUNCATED"),
    ("ValueError", "Checkpoint min consumer version", "VERSION_MISMATCH"),
    ("ValueError", "Checkpoint producer version", "VERSION_MISMATCH"),
    ("ValueError", "Checkpoint disallows consumer version", "VERSION_MISMATCH"),
]  # fmt: skip


def reason_of(refusal):
    """Our reason for TensorFlow's error, or None."""
    for name, words, reason in RULES:
        if refusal.name == name and words in refusal.message:
            return reason
    return None


class Differences:
    """The list of accepted differences, and how often each occurred.

    An entry's `case`, `tensorflow_says` and `warmstart_says` are regular expressions that must all
    be found: in the case's kind and path, and in each side's answer (`values`, `values of another
    shape`, or an error).
    """

    def __init__(self):
        self.entries = json.loads(LIST.read_text())
        self.used = collections.Counter()

    def find(self, case, theirs, ours):
        asked = f"{case.kind} {case.path}"
        for entry in self.entries:
            if (
                re.search(entry.get("case", ""), asked)
                and re.search(entry["tensorflow_says"], theirs, re.DOTALL)
                and re.search(entry["warmstart_says"], ours, re.DOTALL)
            ):
                return entry
        return None


def said(case, answer):
    """Returns the answer in the words that the list of differences uses."""
    if isinstance(answer, Refusal):
        return str(answer)
    if case.question == "list":
        return "values"
    shapes = {part.name: list(part.shape) for v in case.variables for part in v.parts()}
    other = any(list(shape) != shapes[name] for name, (shape, _) in answer.items())
    return "values of another shape" if other else "values"


def unlike(name, theirs, ours):
    """Returns how two sets of values differ; None if they do not."""
    if sorted(theirs) != sorted(ours):
        return f"{name} has {sorted(theirs)}, Warmstart {sorted(ours)}"
    for key, value in theirs.items():
        if tuple(value) != tuple(ours[key]):
            return f"{key}: {name} has {str(value)[:300]}, Warmstart {str(ours[key])[:300]}"
    return None


def plainly_different(theirs, ours):
    """Returns how the answers differ, without exceptions; None if they do not."""
    if not isinstance(theirs, Refusal):
        if isinstance(ours, Refusal):
            return f"TensorFlow has {sorted(theirs)}, Warmstart refuses"
        return unlike("TensorFlow", theirs, ours)
    if not isinstance(ours, Refusal):
        return f"TensorFlow refuses, Warmstart has {sorted(ours)}"
    reason = reason_of(theirs)
    # The trainer decides the order in which initializers run.
    reasons = ours.reasons if theirs.at_run_time else ()
    if reason is None or ours.name != f"{CODES[reason]} {reason}" and reason not in reasons:
        return f"TensorFlow's error is {reason or 'none that we know'} to us"
    return None


def judge(case, theirs, ours, differences):
    """(The difference's id or None, what is wrong or None)."""
    found = plainly_different(theirs, ours)
    if found is None:
        return None, None
    entry = differences.find(case, said(case, theirs), said(case, ours))
    if entry is None:
        return None, f"{found}\n  TensorFlow: {said(case, theirs)[:600]}\n  Warmstart: {said(case, ours)}"
    differences.used[entry["id"]] += 1
    if not isinstance(ours, Refusal) and case.question != "list":
        # If only Warmstart has values, they must be those that were saved.
        if case.saved is None:
            return None, f"{entry['id']}: nobody knows what was saved"
        expected = {name: value for name, value in case.saved.items() if name in ours}
        found = unlike("what was saved", expected, ours)
        if found:
            return entry["id"], found
    return entry["id"], None
