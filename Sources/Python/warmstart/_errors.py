"""What goes wrong, as the daemon or this client says it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from google.protobuf.message import DecodeError

# gRPC's codes by number.
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

# The codes of the reasons that a client gives itself.
_CODE_OF_REASON = {
    "CHECKPOINT_NOT_FOUND": "NOT_FOUND",
    "CHECKPOINT_STATE_INVALID": "INVALID_ARGUMENT",
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

# How many problems the text of an error lists.
_LISTED_PROBLEMS = 20


class Problem(NamedTuple):
    """One thing that was found wrong, and the key, variable and tensor that it is about, if any."""

    reason: str
    message: str
    key: str = ""
    variable: str = ""
    tensor: str = ""


class WarmstartError(Exception):
    """A call that failed.

    `code` is gRPC's name of the kind ("NOT_FOUND"), `reason` a word that programs can compare
    ("TENSOR_NOT_FOUND"; the protocol page lists all), `message` is for people. `problems` are all
    problems that were found, the deciding one first; `problem_count` is how many there are if not
    all are listed. `retry_after` is in seconds, where waiting may help, else None. `checkpoint` is
    the path of the checkpoint that the daemon says it of, as the caller wrote it, or empty.
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
        # Whether the daemon answered a call with it, which leaves the connection as it is.
        self.is_answer = False

    @classmethod
    def of(cls, reason: str, message: str) -> WarmstartError:
        """An error of one problem that this client found, with the code of its reason."""
        return cls(_CODE_OF_REASON[reason], reason, message)

    def __str__(self) -> str:
        kind = f"{self.code} ({self.reason})" if self.reason else self.code
        about = f"{self.checkpoint}: " if self.checkpoint else ""
        lines = [f"{kind}: {about}{self.message}"]
        lines += [f"  {problem.message}" for problem in self.problems[1:_LISTED_PROBLEMS]]
        more = self.problem_count - min(len(self.problems), _LISTED_PROBLEMS)
        if more > 0:
            lines.append(f"  and {more} more problem{'s' if more > 1 else ''}")
        # Paths and names need not be Unicode, and a message must be printable.
        return "\n".join(lines).encode("utf-8", "replace").decode("utf-8")

    def __reduce__(self) -> tuple[Any, ...]:
        # The subclasses have the same arguments.
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
    """What was done as asked, but perhaps not as it was meant, or dearer than it need be."""


def contradiction(what: str) -> WarmstartError:
    """The daemon's answer contradicts itself: nothing of it may be used."""
    return WarmstartError.of("CONNECTION", f"the daemon's answer contradicts itself: {what}")


def system_error(what: str, error: Exception) -> WarmstartError:
    """A system call that this process needs failed."""
    text = getattr(error, "strerror", None) or str(error)
    return WarmstartError.of("SYSTEM", f"cannot {what}: {text}")


def brief(value: Any) -> str:
    """A value in a message: on one line, and no more than its beginning."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:79]}…"


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """The end of a message about a name that is unknown: the one that it is like, if there is one."""
    import difflib

    near = difflib.get_close_matches(name, names, 1)
    return f"; did you mean {near[0]}?" if near else ""


@contextlib.contextmanager
def reading() -> Iterator[None]:
    """Turns what numpy, protobuf and indexing raise on a malformed answer into a contradiction."""
    try:
        yield
    except WarmstartError:
        raise
    except (ValueError, IndexError, OverflowError, DecodeError) as error:
        raise contradiction(str(error)) from None
