"""The replies to one call that resolves a map, checked as they arrive."""

from __future__ import annotations

import fcntl
import math
import os
from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from . import _dtypes
from ._errors import WarmstartError, contradiction, reading, system_error
from ._map import Pair
from ._protocol import decode, read_column, read_names
from ._variables import Variable

_F_GET_SEALS = 1034
# F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW and F_SEAL_WRITE.
_SEALS = 0x1 | 0x2 | 0x4 | 0x8
_FILE, _ARENA = 1, 2
# The largest rank of an array; numpy 1 names it, numpy 2 has this one.
_MOST_AXES = getattr(np, "MAXDIMS", 64)


class Skipped(NamedTuple):
    """A variable that a pair matches but that gets no value.

    `stored_shape` is the shape of its tensor, which differs from the variable's, or None if the
    checkpoint lacks the tensor.
    """

    variable: str
    tensor: str
    stored_shape: tuple[int, ...] | None


class Report(NamedTuple):
    """What a map assigned and what it left undone.

    - `assigned`: the name of the tensor of each variable that got a value
    - `skipped`: the variables that a pair matches but that got no value
    - `uncovered`: the variables that no pair matches, such as new heads
    - `unused`: the pairs that matched no variable, each as its key and its targets' names
    - `unused_tensor_count`: the number of the checkpoint's tensors that no variable uses
    - `unused_tensors`: the first names of these tensors
    """

    assigned: dict[str, str]
    skipped: list[Skipped]
    uncovered: list[str]
    unused: list[tuple[str, tuple[str, ...]]]
    unused_tensor_count: int
    unused_tensors: list[str]


class Region(NamedTuple):
    """A run of memory to map."""

    kind: int
    byte_count: int
    # An arena's descriptor belongs to this answer until it is mapped; a file's to the checkpoint.
    descriptor: int
    # The position among the checkpoint's files; -1 for an arena.
    file: int


class Answer:
    """Gathers the replies to one call, and owns the descriptors of arenas until it is closed."""

    def __init__(
        self, variables: Sequence[Variable], pair_count: int, files: Sequence[int], plan: bool
    ) -> None:
        self.regions: list[Region] = []
        self._variables = variables
        self._pair_count = pair_count
        self._files = files
        # A plan's handles do not say where the bytes are.
        self._plan = plan
        self._numbers = [_dtypes.NUMBERS[variable.dtype] for variable in variables]
        self.clear()

    def clear(self) -> None:
        """Forgets what was added, because the call is made again."""
        self.close()
        self._answered: set[int] = set()
        # One element for each handle, in the order of arrival.
        self.variables: list[int] = []
        self.dtypes: list[int] = []
        self.shapes: list[tuple[int, ...]] = []
        self.places: list[int] = []
        self.offsets: list[int] = []
        self.byte_counts: list[int] = []
        # Only for the handles that have them, by position.
        self.tensors: dict[int, str] = {}
        self.strides: dict[int, tuple[int, ...]] = {}
        self.starts: dict[int, tuple[int, ...]] = {}
        self.skipped: list[Skipped] = []
        self.uncovered: list[int] = []
        self.unused: list[int] = []
        self.unused_tensor_count = 0
        self.unused_tensors: list[str] = []

    def close(self) -> None:
        for region in self.regions:
            if region.kind == _ARENA:
                os.close(region.descriptor)
        self.regions = []

    # An interrupt may come before the caller closes the answer.
    __del__ = close

    def add(self, reply: Any, received: Sequence[int]) -> None:
        """Adds a `ResolveReply`. Its descriptors still belong to the caller."""
        with reading():
            for region in reply.regions:
                self._add_region(region, received)
            self._add_handles(reply.handles)
            self._add_report(reply)

    def _add_report(self, reply: Any) -> None:
        skipped = reply.skipped
        positions = self._positions(skipped.variables)
        ranks = read_column(skipped.ranks, "<i4")
        lengths = read_column(skipped.lengths, "<u8")
        names = read_names(skipped.tensors)
        if not len(positions) == len(ranks) == len(names):
            raise contradiction("the columns of skipped variables differ in length")
        at = 0
        for position, rank, name in zip(positions, ranks, names):
            shape = None if rank < 0 else tuple(lengths[at : at + rank])
            at += max(rank, 0)
            self.skipped.append(Skipped(self._variables[position].name, decode(name), shape))
        self.uncovered += self._positions(reply.uncovered)
        self.unused += read_column(reply.unused, "<u4")
        if self.unused and max(self.unused) >= self._pair_count:
            raise contradiction(
                f"an unused pair has position {max(self.unused)} of {self._pair_count}"
            )
        self.unused_tensor_count = reply.unused_tensor_count
        self.unused_tensors += map(decode, read_names(reply.unused_tensors))

    def _positions(self, column: bytes) -> list[int]:
        positions = read_column(column, "<u4")
        if max(positions, default=-1) >= len(self._variables):
            raise contradiction(
                f"a variable has position {max(positions)} of {len(self._variables)}"
            )
        return positions

    def _add_region(self, region: Any, received: Sequence[int]) -> None:
        file = -1
        if region.kind == _FILE:
            descriptor, file = self._files[region.file], region.file
        elif region.kind == _ARENA:
            descriptor = received[region.descriptor]
            try:
                seals = fcntl.fcntl(descriptor, _F_GET_SEALS)
            except OSError:
                # The descriptor is a pipe's, or that of a file on a disk.
                seals = 0
            if seals & _SEALS != _SEALS:
                raise contradiction("an arena is not sealed")
        else:
            raise contradiction(f"a region has the unknown kind {region.kind}")
        if region.byte_count > os.fstat(descriptor).st_size:
            raise contradiction("a region is longer than its file")
        if region.kind == _ARENA:
            try:
                descriptor = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 0)
            except OSError as error:
                raise system_error("keep an arena", error) from None
        self.regions.append(Region(region.kind, region.byte_count, descriptor, file))

    def _add_handles(self, handles: Any) -> None:
        variables = read_column(handles.variables, "<u4")
        dtypes = read_column(handles.dtypes, "<u4")
        ranks = read_column(handles.ranks, "<i4")
        lengths = read_column(handles.lengths, "<u8")
        byte_counts = read_column(handles.byte_counts, "<u8")
        count = len(variables)
        regions = [0] * count if self._plan else read_column(handles.regions, "<u4")
        offsets = [0] * count if self._plan else read_column(handles.offsets, "<u8")
        columns = (dtypes, ranks, regions, offsets, byte_counts)
        if any(len(column) != count for column in columns):
            raise contradiction("the columns of handles differ in length")
        if max(variables, default=-1) >= len(self._variables):
            raise contradiction(
                f"a handle names variable {max(variables)} of {len(self._variables)}"
            )
        self._answered.update(variables)
        if len(self._answered) != len(self.variables) + count:
            raise contradiction("two handles name one variable")
        if max(regions, default=-1) >= len(self.regions) and not self._plan:
            raise contradiction(f"a handle names region {max(regions)} of {len(self.regions)}")
        first = len(self.shapes)
        self._add_shapes(variables, ranks, lengths)
        self._check(variables, dtypes, regions, offsets, byte_counts)
        self.variables += variables
        self.dtypes += dtypes
        self.places += regions
        self.offsets += offsets
        self.byte_counts += byte_counts
        self._add_axes(self.strides, first, handles.strided, handles.strides)
        self._add_axes(self.starts, first, handles.sliced, handles.starts)
        if len(handles.tensors.lengths) != 4 * count:
            raise contradiction(f"the names of {count} handles differ in number")
        if handles.tensors.text:
            for position, name in enumerate(read_names(handles.tensors), first):
                if name:
                    self.tensors[position] = decode(name)

    def _add_shapes(self, variables: list[int], ranks: list[int], lengths: list[int]) -> None:
        """Adds the handles' shapes, which must fit the declared shapes of their variables."""
        declared, shapes, at = self._variables, self.shapes, 0
        if min(ranks, default=0) < 0 or sum(ranks) != len(lengths):
            raise contradiction("the axes of the handles and their lengths differ in number")
        # Most answers have the declared shapes; comparing them all at once is much faster.
        expected: list[Any] = [declared[variable].shape for variable in variables]
        if (
            None not in expected
            and max(ranks, default=0) <= _MOST_AXES
            and list(map(len, expected)) == ranks
            and list(chain.from_iterable(expected)) == lengths
        ):
            shapes += expected
            return
        for variable, rank in zip(variables, ranks):
            shape = tuple(lengths[at : at + rank])
            at += rank
            if rank > _MOST_AXES:
                raise WarmstartError.of(
                    "UNSUPPORTED",
                    f"variable {declared[variable].name} has {rank} axes; numpy's arrays have at "
                    f"most {_MOST_AXES}",
                )
            known = declared[variable].shape
            if shape != known and not _fits(shape, known):
                raise contradiction(
                    f"the handle of variable {declared[variable].name} has shape {shape}"
                )
            shapes.append(shape)

    def _check(
        self,
        variables: list[int],
        dtypes: list[int],
        regions: list[int],
        offsets: list[int],
        byte_counts: list[int],
    ) -> None:
        """Checks what must hold before this process uses memory that another process made."""
        numbers, widths, is_plan = self._numbers, _dtypes.WIDTHS, self._plan
        rooms = [region.byte_count for region in self.regions]
        shapes = self.shapes[len(self.shapes) - len(variables) :]
        for variable, dtype, shape, region, offset, byte_count in zip(
            variables, dtypes, shapes, regions, offsets, byte_counts
        ):
            if dtype != numbers[variable]:
                raise contradiction(
                    f"a handle has dtype number {dtype}, expected {numbers[variable]}"
                )
            if not byte_count or byte_count != math.prod(shape) * widths[dtype]:
                self._check_size(dtype, shape, byte_count)
            if not is_plan and offset + byte_count > rooms[region]:
                raise contradiction(
                    f"a handle ends at {offset + byte_count} in a region of {rooms[region]} bytes"
                )

    def _check_size(self, dtype: int, shape: tuple[int, ...], byte_count: int) -> None:
        """Checks the bytes of strings, of empty handles, and of those that have too many or few."""
        # numpy multiplies the other axes of an empty array, too.
        if not byte_count and math.prod(filter(None, shape)) >= 2**58:
            raise contradiction(f"an empty handle has shape {shape}, which no array can have")
        if dtype == _dtypes.STRING:
            if byte_count < 8 * (math.prod(shape) + 1) and not self._plan:
                raise contradiction(
                    f"a handle of strings has {byte_count} bytes, too few for its offsets"
                )
        elif not _dtypes.WIDTHS[dtype]:
            raise contradiction(f"a handle has dtype number {dtype}, whose elements have no bytes")
        elif byte_count != math.prod(shape) * _dtypes.WIDTHS[dtype]:
            raise contradiction(f"a handle of shape {shape} has {byte_count} bytes")

    def _add_axes(
        self, kept: dict[int, tuple[int, ...]], first: int, column: bytes, numbers: bytes
    ) -> None:
        """Adds one number for each axis of the handles whose positions the column lists."""
        values, at = read_column(numbers, "<u8"), 0
        for position in read_column(column, "<u4"):
            if kept is self.strides and self.dtypes[first + position] == _dtypes.STRING:
                raise contradiction("a handle of strings has strides")
            end = at + len(self.shapes[first + position])
            kept[first + position] = tuple(values[at:end])
            at = end
        if at != len(values):
            raise contradiction("the columns of slices differ in length")


def _fits(shape: tuple[int, ...], known: tuple[int | None, ...] | None) -> bool:
    """Returns whether a shape agrees with one of which only some lengths may be known."""
    return known is None or (
        len(shape) == len(known)
        and all(length in (None, found) for length, found in zip(known, shape))
    )


def report_of(answer: Answer, pairs: Sequence[Pair], variables: Sequence[Variable]) -> Report:
    """Returns the report of a map from the replies to its call."""
    names = [variables[position].name for position in answer.variables]
    assigned = dict(zip(names, names))
    assigned.update((names[at], tensor) for at, tensor in answer.tensors.items())
    return Report(
        assigned,
        answer.skipped,
        [variables[position].name for position in answer.uncovered],
        [(pairs[position].key, pairs[position].names) for position in answer.unused],
        answer.unused_tensor_count,
        answer.unused_tensors,
    )
