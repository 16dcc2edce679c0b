"""Has the daemon verify a file of torch where it lies, once for all jobs.

`Checkpoint.preload` also makes a contiguous copy of each view with steps, such as a transposed
tensor. torch reads the file itself and needs no copies. So the tensors of a file with such views
are asked for as they are stored, and each is verified in its place. The answer does not say which
of them have a checksum; the archive does: those that are all of an entry with a checksum.
"""

from __future__ import annotations

import contextlib
import struct
import zipfile
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from . import _dtypes
from ._answer import Answer
from ._errors import WarmstartError
from ._options import Options
from ._resolve import ask
from ._variables import Variable

if TYPE_CHECKING:
    from ._checkpoint import Checkpoint
    from ._tensors import Tensor

# The most tensors of one call; a request has room for more. Chosen, not tuned.
_BATCH = 10_000
# A local header of a zip entry, which ends with the lengths of the name and the extra field.
_HEADER = struct.Struct("<26x2H")


class Verified(NamedTuple):
    """What of a file was not compared with a checksum."""

    unchecked_byte_count: int
    """The stored bytes of tensors that have no checksum of their own."""
    unread: Sequence[str]
    """Tensors that the daemon does not serve, and has not read."""


def verify(checkpoint: Checkpoint) -> Verified:
    """Waits until the daemon has verified all tensors. Raises as `Checkpoint.preload`."""
    tensors = list(checkpoint.tensors.values())
    served: list[Tensor] = []
    has_steps = False
    for batch in _batches(tensors):
        known, have_steps = _served(checkpoint, batch)
        served += known
        has_steps = has_steps or have_steps
    unchecked = _verify_in_place(checkpoint, served) if has_steps else None
    if unchecked is None:
        read = checkpoint.preload()
        return Verified(read.unchecked_byte_count, [problem.tensor for problem in read.unshared])
    names = {tensor.name for tensor in served}
    return Verified(unchecked, [tensor.name for tensor in tensors if tensor.name not in names])


def _batches(tensors: Sequence[Tensor]) -> Iterator[Sequence[Tensor]]:
    for start in range(0, len(tensors), _BATCH):
        yield tensors[start : start + _BATCH]


def _served(checkpoint: Checkpoint, tensors: Sequence[Tensor]) -> tuple[Sequence[Tensor], bool]:
    """Returns the tensors that the daemon serves, and whether some are views with steps."""
    while tensors:
        try:
            with contextlib.closing(_ask(checkpoint, tensors, plan=True)) as answer:
                return tensors, bool(answer.strides)
        except WarmstartError as error:
            refused = {p.tensor for p in error.problems if p.reason == "UNSUPPORTED"}
            served = [tensor for tensor in tensors if tensor.name not in refused]
            if len(served) == len(tensors):
                raise
            tensors = served
    return tensors, False


def _verify_in_place(checkpoint: Checkpoint, tensors: Sequence[Tensor]) -> int | None:
    """Has the daemon verify tensors as they are stored; returns the bytes without a checksum.

    Returns None if a tensor is not in the file as this machine needs it: then the place of its
    bytes is unknown.
    """
    with checkpoint.using() as files:
        checked = _checked(f"/proc/self/fd/{files[0]}")
    unchecked = 0
    for batch in _batches(tensors):
        with contextlib.closing(_ask(checkpoint, batch, plan=False)) as answer:
            if any(region.file < 0 for region in answer.regions):
                return None
            places = zip(answer.offsets, _spans(answer))
            unchecked += sum(span for offset, span in places if checked.get(offset) != span)
    return unchecked


def _ask(checkpoint: Checkpoint, tensors: Sequence[Tensor], *, plan: bool) -> Answer:
    variables = [Variable(tensor.name, tensor.dtype, tensor.shape) for tensor in tensors]
    pairs = [(variable.name, variable) for variable in variables]
    options = Options(lenient=True, strides=True)
    with checkpoint.using() as files:
        return ask(checkpoint, files, pairs, variables, options, plan=plan)[1]


def _spans(answer: Answer) -> Iterator[int]:
    """Yields the bytes from the first to the last one of each tensor."""
    for position, byte_count in enumerate(answer.byte_counts):
        steps = answer.strides.get(position)
        if steps is None:
            yield byte_count
        else:
            last = sum((n - 1) * step for n, step in zip(answer.shapes[position], steps))
            yield last + _dtypes.WIDTHS[answer.dtypes[position]]


def _checked(path: str) -> dict[int, int]:
    """Returns the places and lengths of the entries of an archive that have a checksum.

    torch stores 0 as the checksum of entries for which it computed none.
    """
    found: dict[int, int] = {}
    with open(path, "rb") as file, zipfile.ZipFile(file) as archive:
        for entry in archive.infolist():
            # The extra field, which aligns the data, is not that of the directory.
            file.seek(entry.header_offset)
            start = (
                entry.header_offset + _HEADER.size + sum(_HEADER.unpack(file.read(_HEADER.size)))
            )
            if entry.CRC:
                found[start] = entry.file_size
    return found
