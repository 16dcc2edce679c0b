"""The answer to an assignment map: memory, mapped and checked, and the arrays in it."""

from __future__ import annotations

import fcntl
import heapq
import math
import mmap
import os
import sys
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import (
    TYPE_CHECKING,
    Any,
    NamedTuple,
)

import numpy as np
import numpy.typing as npt

from . import _dtypes
from ._array import Origin, Place, SharedArray
from ._errors import WarmstartError, contradiction, reading, system_error
from ._map import Pair
from ._protocol import decode, read_column, read_names
from ._variables import Variable

if TYPE_CHECKING:
    from ._checkpoint import Checkpoint

_F_GET_SEALS = 1034
# F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW and F_SEAL_WRITE.
_SEALS = 0x1 | 0x2 | 0x4 | 0x8
_FILE, _ARENA = 1, 2
_PAGE = mmap.PAGESIZE
# Python has it from 3.13 on. On other machines it is another number.
_NORESERVE: int = getattr(
    mmap,
    "MAP_NORESERVE",
    0x4000 if os.uname().machine in ("x86_64", "aarch64", "riscv64", "s390x") else 0,
)
# numpy 2 has twice what it said before.
_MOST_AXES = getattr(np, "MAXDIMS", 64)


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
        self.regions: list[_Region] = []
        self._variables = variables
        self._pair_count = pair_count
        self._files = files
        # Whether handles say nothing of where the bytes are.
        self._plan = plan
        self._numbers = [_dtypes.NUMBERS[variable.dtype] for variable in variables]
        self.clear()

    def clear(self) -> None:
        """Forgets what was added: the call is made again."""
        self.close()
        self._answered: set[int] = set()
        # Of each handle, in the order in which they came.
        self.variables: list[int] = []
        self.dtypes: list[int] = []
        self.shapes: list[tuple[int, ...]] = []
        self.places: list[int] = []
        self.offsets: list[int] = []
        self.byte_counts: list[int] = []
        # Of those handles that have them, by position.
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

    # An interrupt may come where nobody closes it.
    __del__ = close

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
            try:
                seals = fcntl.fcntl(descriptor, _F_GET_SEALS)
            except OSError:
                # Of a pipe, or of a file on a disk.
                seals = 0
            if seals & _SEALS != _SEALS:
                raise contradiction("an arena that is not sealed")
        else:
            raise contradiction(f"a region of unknown kind {region.kind}")
        if region.byte_count > os.fstat(descriptor).st_size:
            raise contradiction("a region that is longer than its file")
        if region.kind == _ARENA:
            try:
                descriptor = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 0)
            except OSError as error:
                raise system_error("keep an arena", error) from None
        self.regions.append(_Region(region.kind, region.byte_count, descriptor, region.stability))

    def _add_handles(self, handles: Any) -> None:
        variables, dtypes = _list(handles.variables, "<u4"), _list(handles.dtypes, "<u4")
        ranks, lengths = _list(handles.ranks, "<i4"), _list(handles.lengths, "<u8")
        byte_counts, count = _list(handles.byte_counts, "<u8"), len(variables)
        if self._plan:
            regions = offsets = [0] * count
        else:
            regions, offsets = _list(handles.regions, "<u4"), _list(handles.offsets, "<u8")
        columns = (dtypes, ranks, regions, offsets, byte_counts)
        if any(len(column) != count for column in columns):
            raise contradiction("columns of handles that differ in length")
        if max(variables, default=-1) >= len(self._variables):
            raise contradiction("a handle of no variable")
        self._answered.update(variables)
        if len(self._answered) != len(self.variables) + count:
            raise contradiction("two handles of one variable")
        if max(regions, default=-1) >= len(self.regions) and not self._plan:
            raise contradiction("a handle in no region")
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
            raise contradiction("names of handles that differ in number")
        if handles.tensors.text:
            for position, name in enumerate(read_names(handles.tensors), first):
                if name:
                    self.tensors[position] = decode(name)

    def _add_shapes(self, variables: list[int], ranks: list[int], lengths: list[int]) -> None:
        """Adds the handles' shapes, which are their variables' as far as these are known."""
        declared, shapes, at = self._variables, self.shapes, 0
        for variable, rank in zip(variables, ranks):
            end = at + rank
            shape = tuple(lengths[at:end])
            if len(shape) != rank:
                raise contradiction("handles whose axes are not as many as their lengths")
            if rank > _MOST_AXES:
                raise WarmstartError.of(
                    "UNSUPPORTED",
                    f"variable {declared[variable].name} has {rank} axes, and numpy's arrays at "
                    f"most {_MOST_AXES}",
                )
            at = end
            known = declared[variable].shape
            if shape != known and not _fits(shape, known):
                raise contradiction("a handle of another shape than its variable")
            shapes.append(shape)
        if at != len(lengths):
            raise contradiction("handles whose axes are not as many as their lengths")

    def _check(
        self,
        variables: list[int],
        dtypes: list[int],
        regions: list[int],
        offsets: list[int],
        byte_counts: list[int],
    ) -> None:
        """What must hold before memory that another process made is used."""
        numbers, widths, is_plan = self._numbers, _dtypes.WIDTHS, self._plan
        rooms = [region.byte_count for region in self.regions]
        shapes = self.shapes[len(self.shapes) - len(variables) :]
        for variable, dtype, shape, region, offset, byte_count in zip(
            variables, dtypes, shapes, regions, offsets, byte_counts
        ):
            # numpy counts elements of empty arrays, too, by their other axes.
            if not byte_count and math.prod(filter(None, shape)) >= 2**58:
                raise contradiction("an empty handle that no array can be")
            if dtype != numbers[variable]:
                raise contradiction("a handle of another dtype than its variable")
            if dtype == _dtypes.STRING:
                if byte_count < 8 * (math.prod(shape) + 1) and not is_plan:
                    raise contradiction("a handle of strings without their offsets")
            elif not widths[dtype]:
                raise contradiction("a handle of a dtype that has no bytes")
            elif byte_count != math.prod(shape) * widths[dtype]:
                raise contradiction("a handle whose bytes are not what its shape needs")
            if not is_plan and offset + byte_count > rooms[region]:
                raise contradiction("a handle that ends after its region")

    def _add_axes(
        self, kept: dict[int, tuple[int, ...]], first: int, column: bytes, numbers: bytes
    ) -> None:
        """Adds a number for each axis of some handles, which the column names by position."""
        values, at = _list(numbers, "<u8"), 0
        for position in _list(column, "<u4"):
            if kept is self.strides and self.dtypes[first + position] == _dtypes.STRING:
                raise contradiction("strings with strides")
            end = at + len(self.shapes[first + position])
            kept[first + position] = tuple(values[at:end])
            at = end
        if at != len(values):
            raise contradiction("columns of slices that differ in length")


def _list(column: bytes, dtype: str) -> list[int]:
    values: list[int] = read_column(column, dtype).tolist()
    return values


def _fits(shape: tuple[int, ...], known: tuple[int | None, ...] | None) -> bool:
    """Whether a shape is one that is known in part."""
    return known is None or (
        len(shape) == len(known)
        and all(length in (None, found) for length, found in zip(known, shape))
    )


class Handles:
    """Where the variables' bytes are mapped; makes their arrays. Has no lease and no descriptor."""

    def __init__(
        self,
        answer: Answer,
        variables: Sequence[Variable],
        origin: Origin,
        writable: bool,
        gathered: Iterable[str] = (),
    ) -> None:
        self._variables = variables
        self._origin = origin
        self._writable = writable
        self._gathered = frozenset(gathered)
        self._tensors = answer.tensors
        self._strides = answer.strides
        self._starts = answer.starts
        self._dtypes = answer.dtypes
        self._shapes = answer.shapes
        self._regions = answer.places
        self._positions = answer.variables
        self.byte_counts = answer.byte_counts
        self.names = [variables[position].name for position in self._positions]
        self._map(answer.regions, answer.offsets)

    def _map(self, regions: Sequence[_Region], offsets: Sequence[int]) -> None:
        """Maps of each region what the handles need of it."""
        limits = [offset + count for offset, count in zip(offsets, self.byte_counts)]
        for at, strides in self._strides.items():
            if self.byte_counts[at]:
                limits[at] = offsets[at] + self._extent(at, strides)
        if self._writable:
            regions = self._part(regions, offsets, limits)
        starts = [region.byte_count for region in regions]
        ends = [0] * len(regions)
        for place, offset, end in zip(self._regions, offsets, limits):
            if end > offset:
                starts[place] = min(starts[place], offset)
                ends[place] = max(ends[place], end)
        self._memory: list[Any] = []
        for at, region in enumerate(regions):
            if ends[at] > region.byte_count:
                raise contradiction("a handle with strides that ends after its region")
            starts[at] -= starts[at] % _PAGE
            length = ends[at] - starts[at]
            if not ends[at]:
                self._memory.append(b"")
                continue
            try:
                memory = _mmap(region.descriptor, starts[at], length, self._writable)
            except (OSError, ValueError) as error:
                # ValueError if the file was cut meanwhile.
                raise system_error(f"map {length} bytes", error) from None
            self._memory.append(memory)
        self._offsets = [offset - starts[place] for place, offset in zip(self._regions, offsets)]

    def _part(
        self, regions: Sequence[_Region], offsets: Sequence[int], limits: Sequence[int]
    ) -> list[_Region]:
        """Repeats regions so that no two handles have a byte of the same mapping.

        Otherwise what is written to a variable would be seen in another that has the same tensor.
        """
        parted, self._regions = list(regions), list(self._regions)
        order = sorted(range(len(offsets)), key=lambda at: (self._regions[at], offsets[at]))
        current = -1
        # Where the last handle of each of the region's mappings ends, the first to end first.
        taken: list[tuple[int, int]] = []
        for at in order:
            if limits[at] == offsets[at]:
                continue
            if self._regions[at] != current:
                current = self._regions[at]
                taken = [(0, current)]
            if taken[0][0] <= offsets[at]:
                place = heapq.heappop(taken)[1]
            else:
                place = len(parted)
                parted.append(regions[current])
            self._regions[at] = place
            heapq.heappush(taken, (limits[at], place))
        return parted

    def _extent(self, at: int, strides: tuple[int, ...]) -> int:
        """The bytes from the first element of a handle with strides to the end of its last."""
        lengths = self.shape(at)
        if len(strides) != len(lengths):
            raise contradiction("strides that are not as many as the axes")
        width = _dtypes.WIDTHS[self._dtypes[at]]
        extent = sum((n - 1) * stride for n, stride in zip(lengths, strides)) + width
        if extent >= 2**62:
            raise contradiction("a handle with strides that ends after its region")
        return extent if all(lengths) else 0

    def shape(self, at: int) -> tuple[int, ...]:
        return self._shapes[at]

    def tensor(self, at: int) -> str:
        return self._tensors.get(at) or self.names[at]

    def arrays(self, handles: Iterable[int]) -> list[npt.NDArray[Any]]:
        """The arrays of handles; their memory lives as long as they do."""
        # What is looked up for each array is most of what making it costs.
        new, dtypes, shapes, strides = np.ndarray.__new__, self._dtypes, self._shapes, self._strides
        memory, regions, offsets = self._memory, self._regions, self._offsets
        number, dtype = -1, np.dtype(np.uint8)
        made: list[npt.NDArray[Any]] = []
        for at in handles:
            if dtypes[at] != number:
                number = dtypes[at]
                dtype = _dtypes.numpy_of(number)
            if number == _dtypes.STRING:
                made.append(self._strings(at, shapes[at]))
                continue
            array: SharedArray
            if self.byte_counts[at]:
                array = new(
                    SharedArray,
                    shapes[at],
                    dtype,
                    memory[regions[at]],
                    offsets[at],
                    strides.get(at),
                )
                array._place = (self, at)
            else:
                array = new(SharedArray, shapes[at], dtype)
                array.flags.writeable = self._writable
            made.append(array)
        return made

    def place(self, at: int) -> Place | None:
        """What another process needs to map the same bytes in the same order.

        None where it could not: of rows that were chosen, of bytes that do not lie together, and
        of memory that may have been written here.
        """
        variable = self._variables[self._positions[at]]
        if self._writable or at in self._strides or variable.name in self._gathered:
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

    def keep(self, kept: object) -> None:
        """Keeps an object for as long as anything is mapped."""
        for memory in self._memory:
            if isinstance(memory, mmap.mmap):
                weakref.finalize(memory, lambda _: None, kept).atexit = False

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
        made = self._made
        missing = {name: at for name, at in self._index.items() if name not in made}
        made.update(zip(missing, self._handles.arrays(missing.values())))
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

    def keep_lease(self) -> None:
        """Keeps the lease until the arrays' memory is unmapped, even if this object ends before.

        Without a lease the daemon may forget the checkpoint, and make another copy for later jobs.
        A client keeps no more than half of the 64 leases that a connection may have.
        """
        if self.checkpoint.is_kept():
            self._handles.keep(self.checkpoint)

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
            array = self._made[name] = self._handles.arrays([self._index[name]])[0]
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


def _mmap(descriptor: int, start: int, length: int, writable: bool) -> mmap.mmap:
    if writable:
        # Pages that are never written need no room in memory or swap.
        flags, protection = mmap.MAP_PRIVATE | _NORESERVE, mmap.PROT_READ | mmap.PROT_WRITE
    else:
        flags, protection = mmap.MAP_SHARED, mmap.PROT_READ
    if sys.version_info >= (3, 13):
        # Without it the mapping keeps a descriptor of its own.
        return mmap.mmap(descriptor, length, flags, protection, offset=start, trackfd=False)
    return mmap.mmap(descriptor, length, flags, protection, offset=start)
