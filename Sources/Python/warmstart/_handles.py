"""The memory that is mapped for variables, and the arrays in it."""

from __future__ import annotations

import ctypes
import heapq
import mmap
import operator
import os
import sys
import weakref
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from . import _dtypes
from ._answer import Answer, Region
from ._array import Origin, Place, SharedArray
from ._errors import contradiction, system_error
from ._variables import Variable

_PAGE = mmap.PAGESIZE
# Python has the constant since 3.13; it is different on other machines.
_NORESERVE: int = getattr(
    mmap,
    "MAP_NORESERVE",
    0x4000 if os.uname().machine in ("x86_64", "aarch64", "riscv64", "s390x") else 0,
)


class Handles:
    """Maps the variables' bytes and makes their arrays. Holds no lease and no descriptor."""

    def __init__(
        self,
        answer: Answer,
        variables: Sequence[Variable],
        origin: Origin,
        writable: bool,
        rearranged: Iterable[str] = (),
    ) -> None:
        self._variables = variables
        self._origin = origin
        self._writable = writable
        self._rearranged = frozenset(rearranged)
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

    def _map(self, regions: Sequence[Region], offsets: Sequence[int]) -> None:
        """Maps the part of each region that the handles need."""
        limits = list(map(operator.add, offsets, self.byte_counts))
        for at, strides in self._strides.items():
            if self.byte_counts[at]:
                limits[at] = offsets[at] + self._extent(at, strides)
        if self._writable:
            regions = self._part(regions, offsets, limits)
        starts = [region.byte_count for region in regions]
        ends = [0] * len(regions)
        for place, offset, end in zip(self._regions, offsets, limits):
            # Calls of min and max would be most of the loop's cost.
            if offset < end and offset < starts[place]:
                starts[place] = offset
            if offset < end and ends[place] < end:
                ends[place] = end
        self._files = [region.file for region in regions]
        self._memory: list[Any] = []
        for at, region in enumerate(regions):
            if ends[at] > region.byte_count:
                raise contradiction("a handle with strides ends after its region")
            starts[at] -= starts[at] % _PAGE
            length = ends[at] - starts[at]
            if not ends[at]:
                self._memory.append(b"")
                continue
            try:
                memory, lead = _mmap(region.descriptor, starts[at], length, self._writable)
            except (OSError, ValueError) as error:
                # mmap raises ValueError if the file has become shorter.
                raise system_error(f"map {length} bytes", error) from None
            self._memory.append(memory)
            starts[at] -= lead
        self._offsets = [offset - starts[place] for place, offset in zip(self._regions, offsets)]

    def _part(
        self, regions: Sequence[Region], offsets: Sequence[int], limits: Sequence[int]
    ) -> list[Region]:
        """Repeats regions so that no two handles share a byte of one mapping.

        Otherwise a write to a variable would show in another variable with the same tensor.
        """
        parted, self._regions = list(regions), list(self._regions)
        order = sorted(range(len(offsets)), key=lambda at: (self._regions[at], offsets[at]))
        current = -1
        # The end of the last handle in each mapping of the region, with the mapping; a heap.
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
        """Counts the bytes from a handle's first element to the end of its last, with strides."""
        lengths = self.shape(at)
        if len(strides) != len(lengths):
            raise contradiction(f"a handle has {len(strides)} strides for {len(lengths)} axes")
        width = _dtypes.WIDTHS[self._dtypes[at]]
        extent = sum((n - 1) * stride for n, stride in zip(lengths, strides)) + width
        if extent >= 2**62:
            raise contradiction("a handle with strides ends after its region")
        return extent if all(lengths) else 0

    def shape(self, at: int) -> tuple[int, ...]:
        return self._shapes[at]

    def tensor(self, at: int) -> str:
        return self._tensors.get(at) or self.names[at]

    def arrays(self, handles: Iterable[int]) -> list[npt.NDArray[Any]]:
        """Returns the arrays of handles; their memory lives as long as they do."""
        # Attribute look-ups in the loop would be most of its cost.
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

    def files(self, handles: Iterable[int]) -> set[int]:
        """Returns the positions of the files that the bytes of handles are in; none for arenas."""
        places = {self._regions[at] for at in handles if self.byte_counts[at]}
        return {self._files[place] for place in places} - {-1}

    def place(self, at: int) -> Place | None:
        """Returns what another process needs to map the same bytes in the same order.

        Returns None if it could not: for chosen rows, for axes in another order, for bytes that are
        not contiguous, and for writable memory, which may have changed.
        """
        variable = self._variables[self._positions[at]]
        if self._writable or at in self._strides or variable.name in self._rearranged:
            return None
        starts = self._starts.get(at)
        whole = variable.slice.full_shape if starts is not None and variable.slice else None
        return Place(
            self._origin, self.tensor(at), variable.dtype, self.shape(at), whole, starts or ()
        )

    def address(self, at: int) -> tuple[int, int]:
        """Returns where the bytes of a handle begin and end in this process."""
        data = np.frombuffer(self._memory[self._regions[at]], np.uint8)
        start: int = data.__array_interface__["data"][0] + self._offsets[at]
        return start, start + self.byte_counts[at]

    def keep(self, kept: object) -> None:
        """Keeps an object alive for as long as anything is mapped."""
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
            raise contradiction("the offsets of strings do not ascend to the end of their bytes")
        limits: list[int] = offsets.tolist()
        array: npt.NDArray[Any] = np.empty(count, object)
        array[:] = [bytes(text[limits[i] : limits[i + 1]]) for i in range(count)]
        array = array.reshape(shape)
        array.flags.writeable = self._writable
        return array


def _mmap(descriptor: int, start: int, length: int, writable: bool) -> tuple[mmap.mmap, int]:
    """Maps a part of a file; returns the memory, and where in it the part begins."""
    if writable:
        # MAP_NORESERVE: pages that are never written need no room in memory or swap.
        flags, protection = mmap.MAP_PRIVATE | _NORESERVE, mmap.PROT_READ | mmap.PROT_WRITE
    else:
        flags, protection = mmap.MAP_SHARED, mmap.PROT_READ
    if length >= _HUGE_PAGE:
        return _mmap_aligned(descriptor, start, length, flags, protection)
    if sys.version_info >= (3, 13):
        # With trackfd the mapping would keep its own descriptor.
        memory = mmap.mmap(descriptor, length, flags, protection, offset=start, trackfd=False)
    else:
        memory = mmap.mmap(descriptor, length, flags, protection, offset=start)
    return memory, 0


def _mmap_aligned(
    descriptor: int, start: int, length: int, flags: int, protection: int
) -> tuple[mmap.mmap, int]:
    """Maps a part of a file as `_mmap` does, at its offset's place in a huge page.

    Only there can the processor use the huge pages that the file or arena has. Python cannot map at
    an address, so this replaces most of an anonymous mapping, which Python unmaps as a whole.
    """
    if os.fstat(descriptor).st_size < start + length:
        # A page past the end would raise SIGBUS.
        raise ValueError("the file has become shorter")
    room = mmap.mmap(-1, length + _HUGE_PAGE, mmap.MAP_PRIVATE | _NORESERVE, protection)
    data = np.frombuffer(room, np.uint8)
    address: int = data.__array_interface__["data"][0]
    lead = (start - address) % _HUGE_PAGE
    placed = _LIBC.mmap(address + lead, length, protection, flags | _MAP_FIXED, descriptor, start)
    if placed != address + lead:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return room, lead


# On x86-64, and on arm64 with pages of 4 KiB.
_HUGE_PAGE = 2 << 20
_MAP_FIXED = 0x10
_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.mmap.restype = ctypes.c_void_p
_LIBC.mmap.argtypes = [
    ctypes.c_void_p,
    ctypes.c_size_t,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_long,
]
