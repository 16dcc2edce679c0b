"""The tensors of a checkpoint, as the daemon lists them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from . import _dtypes
from ._deadline import Deadline
from ._errors import reading
from ._protocol import decode, message, read_column, read_names

if TYPE_CHECKING:
    from ._checkpoint import Checkpoint


class Tensor(NamedTuple):
    """A tensor of a checkpoint.

    `dtype` is TensorFlow's name of the element type, and `byte_count` the number of stored bytes.
    `slices` are the stored slices of a tensor, each as its start and its length on each axis; a
    tensor that is stored whole has none.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    byte_count: int
    slices: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...] = ()


def list_tensors(checkpoint: Checkpoint, timeout: float | None) -> dict[str, Tensor]:
    """Does the work of `Checkpoint.list_tensors`."""
    tensors: dict[str, Tensor] = {}

    def add(reply: Any, received: Sequence[int]) -> None:
        with reading():
            listed = _tensors_of(reply.tensors)
        for tensor in listed:
            known = tensors.get(tensor.name)
            # The next reply continues the slices of this tensor.
            if known is not None:
                tensor = known._replace(slices=known.slices + tensor.slices)
            tensors[tensor.name] = tensor

    checkpoint.call("List", message("ListRequest")(), (), Deadline(timeout), tensors.clear, add)
    return tensors


def _tensors_of(reply: Any) -> list[Tensor]:
    """Reads the tensors of a message `Tensors`."""
    names = read_names(reply.names)
    dtypes = read_column(reply.dtypes, "<u4")
    ranks = read_column(reply.ranks, "<i4")
    lengths = read_column(reply.lengths, "<u8")
    byte_counts = read_column(reply.byte_counts, "<u8")
    starts = read_column(reply.starts, "<u8")
    counts = read_column(reply.counts, "<u8")
    if not len(names) == len(dtypes) == len(ranks) == len(byte_counts):
        raise ValueError("the columns of tensors differ in length")
    slices: dict[int, list[Any]] = {}
    at = 0
    for position in read_column(reply.sliced, "<u4"):
        end = at + ranks[position]
        slices.setdefault(position, []).append((tuple(starts[at:end]), tuple(counts[at:end])))
        at = end
    tensors = []
    at = 0
    for position, name in enumerate(names):
        end = at + ranks[position]
        number = dtypes[position]
        tensors.append(
            Tensor(
                decode(name),
                _dtypes.NAMES.get(number, str(number)),
                tuple(lengths[at:end]),
                byte_counts[position],
                tuple(slices.get(position, ())),
            )
        )
        at = end
    return tensors
