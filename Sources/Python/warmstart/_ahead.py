"""Tensors that are read one after the other, fetched in batches that grow."""

from __future__ import annotations

import itertools
import os
import threading
import weakref
from collections.abc import Iterator, Sequence
from typing import Any

import numpy.typing as npt

from . import _dtypes
from ._checkpoint import Checkpoint
from ._errors import WarmstartError
from ._options import ResolveOptions
from ._tensors import Tensor

# The most bytes that a batch reads ahead of the caller. Chosen, not tuned.
_BYTES = 16 << 20


class Ahead:
    """The tensors of a checkpoint as arrays, fetched from the daemon in batches of doubling size.

    The call that fetches a missing tensor fetches as many further ones, and as many further bytes,
    as the caller has taken so far. The caller will probably take them next; but it may want none of
    them, and a large one may be cold. With `keeps_lease` the lease lasts as long as the arrays'
    memory, whatever happens to the checkpoint.
    """

    def __init__(
        self, checkpoint: Checkpoint, options: ResolveOptions, keeps_lease: bool = False
    ) -> None:
        self._checkpoint = checkpoint
        self._options = options
        self._keeps_lease = keeps_lease
        self._lock = threading.Lock()
        self._ready: dict[str, npt.NDArray[Any]] = {}
        self._asked: set[str] = set()
        self._taken_count = self._taken_bytes = 0
        # The tensors that the caller may want next.
        self._next: Iterator[Tensor] | None = None
        _all.add(self)

    def forget_reader(self) -> None:
        """Resets the state in a forked child, where the thread that was reading does not exist."""
        self._lock = threading.Lock()

    def take(self, name: str) -> npt.NDArray[Any]:
        """Returns the array of a tensor, which then belongs to the caller. Raises as
        `Checkpoint.array`.
        """
        with self._lock:
            if name not in self._ready:
                self._read(name)
            array = self._ready.pop(name)
            self._taken_count += 1
            self._taken_bytes += array.nbytes
            return array

    def _read(self, name: str) -> None:
        names = [name, *self._others()]
        self._asked.update(names)
        if len(names) > 1:
            try:
                return self._resolve(names)
            except WarmstartError:
                # The cause may be a tensor that the caller does not want.
                self._next = iter([])
        self._resolve([name])

    def _resolve(self, names: Sequence[str]) -> None:
        arrays = self._checkpoint.arrays(names, **self._options)
        self._ready.update(arrays)
        # All arrays have the same handles; strings and empty arrays have none.
        places = (getattr(array, "_place", None) for array in arrays.values())
        place = next((place for place in places if place is not None), None)
        if self._keeps_lease and place is not None and self._checkpoint.is_kept():
            place[0].keep(self._checkpoint)

    def _others(self) -> Iterator[str]:
        if self._next is None:
            tensors = self._checkpoint.tensors.values()
            self._next = iter([t for t in tensors if t.dtype not in _dtypes.WITHOUT_ARRAYS])
        room = max(_BYTES, self._taken_bytes)
        for tensor in itertools.islice(self._next, self._taken_count):
            room -= tensor.byte_count
            if room < 0:
                return
            if tensor.name not in self._asked:
                yield tensor.name


_all: weakref.WeakSet[Ahead] = weakref.WeakSet()


def _forget_readers() -> None:
    for ahead in list(_all):
        ahead.forget_reader()


os.register_at_fork(after_in_child=_forget_readers)
