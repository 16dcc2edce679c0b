"""Errors, as the daemon or this client reports them."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from google.protobuf.message import DecodeError

# The names of gRPC's codes, by number.
CODES = (
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
)

# The codes of the reasons that the client itself uses.
_CODE_OF_REASON = {
    "CHECKPOINT_NOT_FOUND": "NOT_FOUND",
    "CHECKPOINT_STATE_INVALID": "INVALID_ARGUMENT",
    "CORRUPT": "DATA_LOSS",
    "CHECKPOINT_CHANGED": "ABORTED",
    "TENSOR_NOT_FOUND": "NOT_FOUND",
    "PAIR_UNUSED": "INVALID_ARGUMENT",
    "INVALID_REQUEST": "INVALID_ARGUMENT",
    "UNSUPPORTED": "UNIMPLEMENTED",
    "NOT_ALLOWED": "PERMISSION_DENIED",
    "DEADLINE": "DEADLINE_EXCEEDED",
    "CONNECTION": "UNAVAILABLE",
    "QUOTA": "RESOURCE_EXHAUSTED",
    "SYSTEM": "INTERNAL",
}

# The most problems that the text of an error lists.
_LISTED_PROBLEMS = 20


class Problem(NamedTuple):
    """One problem, with the key, variable and tensor that it concerns, if any."""

    reason: str
    message: str
    key: str = ""
    variable: str = ""
    tensor: str = ""


# The options that the daemon's messages name by their words, and the axes for one of them.
_OPTION = re.compile(r"the option '(skip missing|skip mismatched|object names|cast)'")
_TRANSPOSE = re.compile(r"the option 'transpose' and axes (\([0-9, ]+\))")
# What regular expressions contain, and names hardly ever.
_EXPRESSION = re.compile(r"\.[*+]|\\[.dw]|\][*+]|\(\?")


def in_python(problem: Problem) -> Problem:
    """Returns a problem of the daemon's answer with what a program in Python can write."""
    message, name = problem.message, problem.variable
    if "of the partition" in message:
        name = re.sub(r"/part_[0-9]+$", "", name)
    message = _TRANSPOSE.sub(lambda found: f"transpose={{{name!r}: {found[1]}}}", message)
    message = _OPTION.sub(lambda found: f"{found[1].replace(' ', '_')}=True", message)
    if problem.reason in ("SCOPE_ONLY", "TENSOR_NOT_FOUND") and _EXPRESSION.search(problem.key):
        message += "; for a regular expression, use re.compile(…)"
    return problem._replace(message=message)


class WarmstartError(Exception):
    """A failed call.

    - `code`: gRPC's name of the kind of error ("NOT_FOUND")
    - `reason`: a word that programs can compare ("TENSOR_NOT_FOUND"); the protocol page lists all
    - `message`: a sentence for people
    - `problems`: the problems that were found, the deciding one first
    - `problem_count`: the number of problems that were found, if `problems` does not list all
    - `retry_after`: the seconds after which the call may succeed, or None if waiting does not help
    - `checkpoint`: the path, as the caller wrote it, of the checkpoint that the daemon's error
      concerns, or empty
    """

    def __init__(
        self,
        code: str,
        reason: str,
        message: str,
        problems: Sequence[Problem] = (),
        problem_count: int = 0,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(code, reason, message)
        self.code = code
        self.reason = reason
        self.message = message
        self.problems = tuple(problems) or (Problem(reason, message),)
        self.problem_count = max(problem_count, len(self.problems))
        self.retry_after = retry_after
        self.checkpoint = ""
        # Whether the error answers a call, which leaves the connection usable.
        self.is_answer = False

    @classmethod
    def of(cls, reason: str, message: str) -> WarmstartError:
        """Makes an error of one problem that this client found, with the code of its reason."""
        return cls(_CODE_OF_REASON[reason], reason, message)

    def __str__(self) -> str:
        kind = f"{self.code} ({self.reason})" if self.reason else self.code
        about = f"{self.checkpoint}: " if self.checkpoint else ""
        lines = [f"{kind}: {about}{self.message}"]
        lines += [f"  {problem.message}" for problem in self.problems[1:_LISTED_PROBLEMS]]
        # A message that is listed may stand for several problems, so the line gives the total.
        if self.problem_count > min(len(self.problems), _LISTED_PROBLEMS):
            lines.append(f"  … {self.problem_count} problems in all")
        # Paths and names need not be Unicode, but a message must be printable.
        return "\n".join(lines).encode("utf-8", "replace").decode("utf-8")

    def __reduce__(self) -> tuple[Any, ...]:
        # Subclasses take the same arguments.
        arguments = (
            self.code,
            self.reason,
            self.message,
            self.problems,
            self.problem_count,
            self.retry_after,
        )
        return type(self), arguments, {"checkpoint": self.checkpoint}


class WarmstartWarning(UserWarning):
    """A call did what was asked, but perhaps not what the caller meant, or at a higher cost."""


def contradiction(what: str) -> WarmstartError:
    """Returns the error of a reply that contradicts itself, nothing of which may be used."""
    return WarmstartError.of("CONNECTION", f"malformed reply: {what}")


def system_error(what: str, error: Exception) -> WarmstartError:
    """Returns the error of a system call that this process needs."""
    text = getattr(error, "strerror", None) or str(error)
    return WarmstartError.of("SYSTEM", f"cannot {what}: {text}")


def brief(value: Any) -> str:
    """Returns a value for a message: one line, cut to its beginning."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:79]}…"


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Returns the end of a message about an unknown name: the most similar known name, if any."""
    import difflib

    near = difflib.get_close_matches(name, names, 1)
    return f"; did you mean {near[0]}?" if near else ""


@contextlib.contextmanager
def reading() -> Iterator[None]:
    """Turns the exceptions of numpy, protobuf and indexing on a malformed reply into its error."""
    try:
        yield
    except WarmstartError:
        raise
    except (ValueError, IndexError, OverflowError, DecodeError) as error:
        raise contradiction(str(error)) from None
