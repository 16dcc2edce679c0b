"""Having the daemon read a whole checkpoint before jobs ask for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ._deadline import Deadline
from ._errors import Problem, contradiction
from ._options import Progress, checked_alignment, expected_digest
from ._progress import showing
from ._protocol import decode, message

if TYPE_CHECKING:
    from ._checkpoint import Checkpoint


class Preloaded(NamedTuple):
    """What `Checkpoint.preload` or `Checkpoint.verify` read."""

    tensor_count: int
    """The number of tensors that were read, or were ready before."""
    byte_count: int
    """The stored bytes of these tensors."""
    unshared: tuple[Problem, ...]
    """Tensors that are not shared, such as variants, and were not read."""
    unchecked_byte_count: int
    """The stored bytes that the files have no checksum of: nothing shows that they have changed."""


def read_all(
    checkpoint: Checkpoint,
    *,
    alignment: int,
    sealed: bool,
    read_again: bool,
    progress: Progress,
    timeout: float | None,
    strides: bool = False,
    expect: str | None = None,
) -> Preloaded:
    """Makes the call `Preload`."""
    request = message("PreloadRequest")(
        alignment=checked_alignment(alignment),
        sealed=sealed,
        strides=strides,
        read_again=read_again,
    )
    digest = expected_digest(expect)
    last: list[Any] = []
    total = 0
    with showing(progress, checkpoint.path) as show:

        def add(reply: Any, received: Sequence[int]) -> None:
            nonlocal total
            if not reply.HasField("progress"):
                last.append(reply)
            elif show is not None:
                total = reply.progress.total_bytes
                show(reply.progress.ready_bytes, total)

        checkpoint.call("Preload", request, (), Deadline(timeout), last.clear, add, digest=digest)
        if show is not None and total:
            show(total, total)
    if not last:
        raise contradiction("no counts at the end of the replies")
    reply = last[-1]
    unshared = tuple(
        Problem(problem.reason, problem.message, tensor=decode(problem.tensor))
        for problem in reply.unshared
    )
    return Preloaded(reply.tensor_count, reply.byte_count, unshared, reply.unchecked_byte_count)
