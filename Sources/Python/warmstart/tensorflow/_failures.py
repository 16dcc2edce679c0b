"""Errors with our messages, in the classes that TensorFlow's own restoring raises."""

from __future__ import annotations

import re
from typing import Any

from tensorflow.python.framework import errors_impl

from .._errors import CODES, WarmstartError

# TensorFlow's reader raises Python's own classes for these codes; ours derive from both.


class _ReaderInvalidArgument(errors_impl.InvalidArgumentError, ValueError):  # type: ignore[misc]
    pass


class _ReaderOutOfRange(errors_impl.OutOfRangeError, IndexError):  # type: ignore[misc]
    pass


class _ReaderResourceExhausted(errors_impl.ResourceExhaustedError, MemoryError):  # type: ignore[misc]
    pass


_OF_READER = {
    "INVALID_ARGUMENT": _ReaderInvalidArgument,
    "OUT_OF_RANGE": _ReaderOutOfRange,
    "RESOURCE_EXHAUSTED": _ReaderResourceExhausted,
}

# If a Python function fails in a graph, TensorFlow raises an error without a class, with the
# exception's text; this part of the text names the class.
_MARK = re.compile(r"\[warmstart:([A-Z_]+)\]")


# A part of a message that names options, or a map's expressions, which these functions lack.
_OPTIONS = re.compile(
    r"; [^;\n]*((skip_\w+|cast|object_names)=True|transpose=\{|use re\.compile\()[^;\n]*"
)


class FailureInGraph(Exception):
    """The exception of a Python function in a graph; `of_message` finds the class again."""


def in_graph(error: WarmstartError) -> FailureInGraph:
    """Returns the exception to raise within a graph."""
    return FailureInGraph(f"{_text(error)} [warmstart:{error.code}]")


def in_eager_mode(error: WarmstartError) -> Exception:
    """Returns the exception to raise where an operation is executed at once."""
    return _made(_class_of(error.code), error)


def of_reader(error: WarmstartError) -> Exception:
    """Returns the exception to raise from a checkpoint reader."""
    return _made(_OF_READER.get(error.code) or _class_of(error.code), error)


def of_message(error: Any) -> Any:
    """Returns the error that a graph's `UnknownError` stands for, or the error itself."""
    if type(error) is not errors_impl.UnknownError:
        return error
    match = _MARK.search(error.message)
    if match is None:
        return error
    return _class_of(match[1])(error.node_def, error.op, error.message)


def _made(kind: Any, error: WarmstartError) -> Exception:
    made: Exception = kind(None, None, _text(error))
    made.__cause__ = error
    return made


def _text(error: WarmstartError) -> str:
    """Returns an error's message without our variables, whose names are only positions, and without
    our options.
    """
    return _OPTIONS.sub("", re.sub(r"\bvariable \d+, (?=tensor )", "", str(error)))


def _class_of(code: str) -> Any:
    if code not in CODES[1:]:
        return errors_impl.UnknownError
    return errors_impl.exception_type_from_error_code(CODES.index(code))
