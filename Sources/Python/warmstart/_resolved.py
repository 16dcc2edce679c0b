"""The answer to an assignment map: memory, mapped and checked, and the arrays in it."""

from __future__ import annotations

import fcntl
import mmap
import os
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import (
    TYPE_CHECKING,
    Any,
    NamedTuple,
)

import numpy as np
import numpy.typing as npt

from . import _dtypes
from ._array import Origin, Place, SharedArray
from ._errors import contradiction, reading
from ._map import Pair
from ._protocol import decode, read_column, read_names, starts_of
from ._variables import Variable

if TYPE_CHECKING:
    from ._checkpoint import Checkpoint

_F_GET_SEALS = 1034
# F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW and F_SEAL_WRITE.
_SEALS = 0x1 | 0x2 | 0x4 | 0x8
_FILE, _ARENA = 1, 2
_PAGE = mmap.PAGESIZE


class Skipped(NamedTuple):
    """A variable that a pair matches but that gets nothing.

    `stored_shape` is the shape of its tensor, which differs from the variable's, or None if the
    checkpoint has no such tensor.
    """

    variable: str
    tensor: str
    stored_shape: tuple[int, ...] | None


class Report(NamedTuple):
    """What a map came to.

    `assigned` has for each variable that got a value the name of its tensor. `skipped` are those
    that a pair matches but that got none. `uncovered` are those that no pair matches, such as new
    heads. `unused` are the keys and the names of the targets of pairs that matched no variable. `unused_tensor_count` is how many tensors of the checkpoint
    no variable got anything of, and `unused_tensors` the first names of these.
    """

    assigned: dict[str, str]
    skipped: list[Skipped]
    uncovered: list[str]
    unused: list[tuple[str, tuple[str, ...]]]
    unused_tensor_count: int
    unused_tensors: list[str]


class _Region(NamedTuple):
    kind: int
    byte_count: int
    # A descriptor that this answer owns until it is mapped; a file's is the checkpoint's.
    descriptor: int
    stability: str


class Answer:
    """Gathers the replies to one call; owns the descriptors of arenas until it is closed."""

    def __init__(
        self, variables: Sequence[Variable], pair_count: int, files: Sequence[int], plan: bool
    ) -> None:
        self._variables = variables
        self._pair_count = pair_count
        self._files = files
        # Whether handles say nothing of where the bytes are.
        self._plan = plan
        self._numbers = np.array([_dtypes.NUMBERS[v.dtype] for v in variables], "<u4")
        shapes = [variable.shape for variable in variables]
        self._ranks = np.array([-1 if s is None else len(s) for s in shapes], np.int64)
        self._lengths = np.array(
            [-1 if n is None else n for shape in shapes for n in shape or ()], np.int64
        )
        self.regions: list[_Region] = []
        self.clear()

    def clear(self) -> None:
        """Forgets what was added: the call is made again."""
        self.close()
        self.columns: dict[str, list[npt.NDArray[Any]]] = {}
        self.tensors: dict[int, str] = {}
        self.strides: dict[int, tuple[int, ...]] = {}
        self.starts: dict[int, tuple[int, ...]] = {}
        self.count = 0
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

    def add(self, reply: Any, received: Sequence[int]) -> None:
        """Adds a `ResolveReply`, whose descriptors stay the caller's."""
        with reading():
            for region in reply.regions:
                self._add_region(region, received)
            self._add_handles(reply.handles)
            self._add_report(reply)

    def _add_report(self, reply: Any) -> None:
        skipped = reply.skipped
        positions = self._positions(skipped.variables)
        ranks = read_column(skipped.ranks, "<i4")
        lengths = read_column(skipped.lengths, "<u8").tolist()
        names = read_names(skipped.tensors)
        if not len(positions) == len(ranks) == len(names):
            raise contradiction("columns of skipped variables that differ in length")
        at = 0
        for position, rank, name in zip(positions, ranks.tolist(), names):
            shape = None if rank < 0 else tuple(lengths[at : at + rank])
            at += max(rank, 0)
            self.skipped.append(Skipped(self._variables[position].name, decode(name), shape))
        self.uncovered += self._positions(reply.uncovered)
        self.unused += read_column(reply.unused, "<u4").tolist()
        if self.unused and max(self.unused) >= self._pair_count:
            raise contradiction("a position that no pair has")
        self.unused_tensor_count = reply.unused_tensor_count
        self.unused_tensors += map(decode, read_names(reply.unused_tensors))

    def _positions(self, column: bytes) -> list[int]:
        positions = read_column(column, "<u4")
        if len(positions) and positions.max() >= len(self._variables):
            raise contradiction("a position that no variable has")
        found: list[int] = positions.tolist()
        return found

    def _add_region(self, region: Any, received: Sequence[int]) -> None:
        if region.kind == _FILE:
            descriptor = self._files[region.file]
        elif region.kind == _ARENA:
            descriptor = received[region.descriptor]
            seals = fcntl.fcntl(descriptor, _F_GET_SEALS)
            if seals & _SEALS != _SEALS:
                raise contradiction("an arena that is not sealed")
        else:
            raise contradiction(f"a region of unknown kind {region.kind}")
        if region.byte_count > os.fstat(descriptor).st_size:
            raise contradiction("a region that is longer than its file")
        if region.kind == _ARENA:
            descriptor = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 0)
        self.regions.append(_Region(region.kind, region.byte_count, descriptor, region.stability))

    def _add_handles(self, handles: Any) -> None:
        variables = read_column(handles.variables, "<u4")
        count = len(variables)
        columns = {
            "variables": variables.astype(np.int64),
            "dtypes": read_column(handles.dtypes, "<u4"),
            "ranks": read_column(handles.ranks, "<i4").astype(np.int64),
            "regions": read_column(handles.regions, "<u4").astype(np.int64),
            "offsets": read_column(handles.offsets, "<u8"),
            "byte_counts": read_column(handles.byte_counts, "<u8"),
        }
        if self._plan:
            columns["regions"] = np.zeros(count, np.int64)
            columns["offsets"] = np.zeros(count, "<u8")
        lengths = read_column(handles.lengths, "<u8")
        if any(len(column) != count for column in columns.values()):
            raise contradiction("columns of handles that differ in length")
        if count:
            self._check(columns, lengths)
        axes = starts_of(columns["ranks"])
        strides = read_column(handles.strides, "<u8").tolist()
        starts = read_column(handles.starts, "<u8").tolist()
        for column, values, kept in (
            (handles.strided, strides, self.strides),
            (handles.sliced, starts, self.starts),
        ):
            at = 0
            for position in read_column(column, "<u4").tolist():
                rank = int(columns["ranks"][position])
                kept[self.count + position] = tuple(values[at : at + rank])
                at += rank
            if at != len(values):
                raise contradiction("columns of slices that differ in length")
        names = read_names(handles.tensors)
        if len(names) != count:
            raise contradiction("names of handles that differ in number")
        for position, name in enumerate(names):
            if name:
                self.tensors[self.count + position] = decode(name)
        columns["lengths"] = lengths
        columns["axes"] = axes[:-1] + sum(len(part) for part in self.columns.get("lengths", ()))
        for key, column in columns.items():
            self.columns.setdefault(key, []).append(column)
        self.count += count

    def _check(self, columns: dict[str, npt.NDArray[Any]], lengths: npt.NDArray[Any]) -> None:
        """What must hold before memory that another process made is used."""
        variables, ranks, dtypes = columns["variables"], columns["ranks"], columns["dtypes"]
        if variables.max() >= len(self._variables):
            raise contradiction("a handle of no variable")
        if ranks.min() < 0 or ranks.sum() != len(lengths):
            raise contradiction("handles whose axes are not as many as their lengths")
        if dtypes.max() >= len(_dtypes.WIDTHS):
            raise contradiction("a handle of unknown dtype")
        widths = _dtypes.WIDTHS[dtypes]
        if np.any((widths == 0) & (dtypes != _dtypes.STRING)):
            raise contradiction("a handle of a dtype that has no bytes")
        elements = np.ones(len(ranks), "<u8")
        magnitude = np.ones(len(ranks))
        ranked = np.flatnonzero(ranks)
        if len(ranked):
            begins = starts_of(ranks)[:-1][ranked]
            elements[ranked] = np.multiply.reduceat(lengths, begins)
            magnitude[ranked] = np.multiply.reduceat(lengths.astype(np.float64), begins)
        if np.any(magnitude * np.maximum(widths, 8) >= 2.0**62):
            raise contradiction("a handle larger than any memory")
        counts = columns["byte_counts"]
        if np.any((counts != elements * widths) & (dtypes != _dtypes.STRING)):
            raise contradiction("a handle whose bytes are not what its shape needs")
        if np.any(dtypes != self._numbers[variables]):
            raise contradiction("a handle of another dtype than its variable")
        self._check_shapes(variables, ranks, lengths)
        if self._plan:
            return
        strings = dtypes == _dtypes.STRING
        if np.any(counts[strings] < 8 * (elements[strings] + 1)):
            raise contradiction("a handle of strings without their offsets")
        if columns["regions"].max() >= len(self.regions):
            raise contradiction("a handle in no region")
        room = np.array([region.byte_count for region in self.regions], "<u8")[columns["regions"]]
        if np.any((columns["offsets"] > room) | (counts > room - columns["offsets"])):
            raise contradiction("a handle that ends after its region")

    def _check_shapes(
        self, variables: npt.NDArray[Any], ranks: npt.NDArray[Any], lengths: npt.NDArray[Any]
    ) -> None:
        """Each handle must have its variable's shape, as far as that is known."""
        known = self._ranks[variables]
        if np.any((known >= 0) & (known != ranks)):
            raise contradiction("a handle of another rank than its variable")
        axes = np.where(known < 0, 0, known)
        begins = starts_of(np.maximum(self._ranks, 0))[variables]
        ends = starts_of(axes)
        # For each axis of the variables that have handles, its position among all variables' axes.
        positions = np.repeat(begins - ends[:-1], axes) + np.arange(ends[-1])
        declared = self._lengths[positions]
        answered = lengths.astype(np.int64)[np.repeat(known >= 0, ranks)]
        if np.any((declared >= 0) & (declared != answered)):
            raise contradiction("a handle of another shape than its variable")


class Handles:
    """Where the variables' bytes are mapped; makes their arrays. Has no lease and no descriptor."""

    def __init__(
        self,
        answer: Answer,
        variables: Sequence[Variable],
        origin: Origin,
        writable: bool,
        gathered: Collection[str] = (),
    ) -> None:
        self._variables = variables
        self._origin = origin
        self._writable = writable
        self._gathered = gathered
        columns = {
            key: parts[0] if len(parts) == 1 else np.concatenate(parts)
            for key, parts in answer.columns.items()
        }
        self._tensors = answer.tensors
        self._strides = answer.strides
        self._starts = answer.starts
        self._numbers: list[int] = columns["dtypes"].tolist()
        self._ranks: list[int] = columns["ranks"].tolist()
        self._axes: list[int] = columns["axes"].tolist()
        self._lengths: list[int] = columns["lengths"].tolist()
        self._regions: list[int] = columns["regions"].tolist()
        self._positions: list[int] = columns["variables"].tolist()
        self.byte_counts: list[int] = columns["byte_counts"].tolist()
        self.names = [variables[position].name for position in self._positions]
        self._map(answer.regions, columns)

    def _map(self, regions: Sequence[_Region], columns: dict[str, npt.NDArray[Any]]) -> None:
        """Maps of each region what the handles need of it."""
        offsets = columns["offsets"].astype(np.int64)
        counts = columns["byte_counts"].astype(np.int64)
        ends = offsets + counts
        for at, strides in self._strides.items():
            ends[at] = offsets[at] + self._extent(at, strides)
        self._memory: list[Any] = []
        for position, region in enumerate(regions):
            mine = np.flatnonzero((columns["regions"] == position) & (counts > 0))
            if not len(mine):
                self._memory.append(b"")
                continue
            start = int(offsets[mine].min()) // _PAGE * _PAGE
            length = int(ends[mine].max()) - start
            if start + length > region.byte_count:
                raise contradiction("a handle with strides that ends after its region")
            self._memory.append(_mmap(region.descriptor, start, length, self._writable))
            offsets[mine] -= start
        self._offsets: list[int] = offsets.tolist()

    def _extent(self, at: int, strides: tuple[int, ...]) -> int:
        """The bytes from the first element of a handle with strides to the end of its last."""
        lengths = self.shape(at)
        if len(strides) != len(lengths):
            raise contradiction("strides that are not as many as the axes")
        width = int(_dtypes.WIDTHS[self._numbers[at]])
        extent = sum((n - 1) * stride for n, stride in zip(lengths, strides)) + width
        if extent >= 2**62:
            raise contradiction("a handle with strides that ends after its region")
        return extent if all(lengths) else 0

    def shape(self, at: int) -> tuple[int, ...]:
        axis = self._axes[at]
        return tuple(self._lengths[axis : axis + self._ranks[at]])

    def tensor(self, at: int) -> str:
        return self._tensors.get(at) or self.names[at]

    def array(self, at: int) -> npt.NDArray[Any]:
        """The array of a handle; its memory lives as long as the array."""
        axis = self._axes[at]
        shape, number = tuple(self._lengths[axis : axis + self._ranks[at]]), self._numbers[at]
        if number == _dtypes.STRING:
            return self._strings(at, shape)
        dtype = _dtypes.numpy_of(number)
        if not self.byte_counts[at]:
            empty: SharedArray = np.ndarray.__new__(SharedArray, shape, dtype)
            empty.flags.writeable = self._writable
            return empty
        memory = self._memory[self._regions[at]]
        offset = self._offsets[at]
        strides = self._strides.get(at) if self._strides else None
        array: SharedArray = np.ndarray.__new__(SharedArray, shape, dtype, memory, offset, strides)
        array._place = (self, at)
        return array

    def place(self, at: int) -> Place | None:
        """What another process needs to map the same bytes; None for rows that were chosen."""
        variable = self._variables[self._positions[at]]
        if variable.name in self._gathered:
            return None
        starts = self._starts.get(at)
        whole = variable.slice.full_shape if starts is not None and variable.slice else None
        return Place(
            self._origin, self.tensor(at), variable.dtype, self.shape(at), whole, starts or ()
        )

    def address(self, at: int) -> tuple[int, int]:
        """Where the bytes of a handle begin and end in this process."""
        data = np.frombuffer(self._memory[self._regions[at]], np.uint8)
        start: int = data.__array_interface__["data"][0] + self._offsets[at]
        return start, start + self.byte_counts[at]

    def _strings(self, at: int, shape: tuple[int, ...]) -> npt.NDArray[Any]:
        memory = memoryview(self._memory[self._regions[at]])
        start = self._offsets[at]
        data = memory[start : start + self.byte_counts[at]]
        count = int(np.prod(shape, dtype=np.int64))
        offsets = np.frombuffer(data, "<u8", count + 1)
        text = data[8 * (count + 1) :]
        if offsets[0] != 0 or np.any(offsets[1:] < offsets[:-1]) or offsets[-1] != len(text):
            raise contradiction("strings whose offsets do not ascend to their end")
        limits: list[int] = offsets.tolist()
        array: npt.NDArray[Any] = np.empty(count, object)
        array[:] = [bytes(text[limits[i] : limits[i + 1]]) for i in range(count)]
        array = array.reshape(shape)
        array.flags.writeable = self._writable
        return array


class Resolved(Mapping[str, npt.NDArray[Any]]):
    """What a map assigned: an array for each variable, by the variable's name.

    Arrays are made when they are asked for, in memory that is mapped already, and stay valid for as
    long as they live, whatever is closed. They are read-only, or with `writable` private copies
    page by page as they are written. An array of strings has dtype object and holds `bytes`.
    """

    def __init__(
        self, handles: Handles, report: Report, checkpoint: Checkpoint, seconds: float
    ) -> None:
        self._handles = handles
        self._made: dict[str, npt.NDArray[Any]] = {}
        self._index = dict(zip(handles.names, range(len(handles.names))))
        self.report = report
        """What was assigned, skipped, not covered and not used."""
        self.checkpoint = checkpoint
        """The open checkpoint, for further calls; its lease ends with `close` or with it."""
        self.seconds = seconds
        """How long it took, from the start of the call until everything was mapped."""

    @property
    def byte_count(self) -> int:
        """The bytes of all arrays."""
        return sum(self._handles.byte_counts)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """All arrays by their variables' names, in the order of the variables."""
        made, make = self._made, self._handles.array
        for name, at in self._index.items():
            if name not in made:
                made[name] = make(at)
        return {name: made[name] for name in self._index}

    def parts(self, name: str) -> list[npt.NDArray[Any]]:
        """The partitions of a variable, in the order of their numbers; KeyError if there are none."""
        parts: list[npt.NDArray[Any]] = []
        while f"{name}/part_{len(parts)}" in self._index:
            parts.append(self[f"{name}/part_{len(parts)}"])
        if not parts:
            raise KeyError(f"{name}/part_0")
        return parts

    def tensor(self, variable: str) -> str:
        """The name of the tensor that a variable got its value of."""
        return self._handles.tensor(self._index[variable])

    def close(self) -> None:
        """Gives back the lease on the checkpoint; the arrays stay."""
        self.checkpoint.close()

    def __enter__(self) -> Resolved:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        array = self._made.get(name)
        if array is None:
            array = self._made[name] = self._handles.array(self._index[name])
        return array

    def __iter__(self) -> Iterator[str]:
        return iter(self._index)

    def __len__(self) -> int:
        return len(self._index)

    def __contains__(self, name: object) -> bool:
        return name in self._index

    def __repr__(self) -> str:
        return f"<Resolved: {len(self)} variables of {self.checkpoint.path}>"


def report_of(answer: Answer, pairs: Sequence[Pair], variables: Sequence[Variable]) -> Report:
    """What the replies to a call say of its map."""
    assigned: dict[str, str] = {}
    at = 0
    for column in answer.columns.get("variables", ()):
        for position in column.tolist():
            name = variables[position].name
            assigned[name] = answer.tensors.get(at, name)
            at += 1
    return Report(
        assigned,
        answer.skipped,
        [variables[position].name for position in answer.uncovered],
        [(pairs[position].key, pairs[position].names) for position in answer.unused],
        answer.unused_tensor_count,
        answer.unused_tensors,
    )


def _mmap(descriptor: int, start: int, length: int, writable: bool) -> mmap.mmap:
    if writable:
        flags, protection = mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE
        # Pages that are never written need no room in memory or swap.
        flags |= getattr(mmap, "MAP_NORESERVE", 0)
    else:
        flags, protection = mmap.MAP_SHARED, mmap.PROT_READ
    if sys.version_info >= (3, 13):
        # Without it the mapping keeps a descriptor of its own.
        return mmap.mmap(descriptor, length, flags, protection, offset=start, trackfd=False)
    return mmap.mmap(descriptor, length, flags, protection, offset=start)
