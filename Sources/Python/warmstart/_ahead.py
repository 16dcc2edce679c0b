"""Tensors that are read one after the other, of which more and more are asked for at once."""

from __future__ import annotations

import itertools
import os
import threading
import weakref
from collections.abc import Iterator, Sequence
from typing import Any

import numpy.typing as npt

from . import _dtypes
from ._checkpoint import Checkpoint, Tensor
from ._errors import WarmstartError
from ._options import ResolveOptions

# So many bytes may be read that nobody asked for. Chosen, not tuned.
_BYTES = 16 << 20


class Ahead:
    """The tensors of a checkpoint as arrays; each call of the daemon takes as long as many arrays.

    A call that one tensor needs asks for as many others as were taken so far, and as many bytes:
    they are taken next, or perhaps nobody wants them, and a large one may be cold. With
    `keeps_lease` the lease lasts as long as the arrays' memory, whatever becomes of the checkpoint.
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
        # Tensors that may be wanted next.
        self._next: Iterator[Tensor] | None = None
        _all.add(self)

    def forget_reader(self) -> None:
        """In a forked child: who reads was another thread of the parent."""
        self._lock = threading.Lock()

    def take(self, name: str) -> npt.NDArray[Any]:
        """The array of a tensor, the caller's own. Raises what `Checkpoint.array` does."""
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
                # Perhaps because of one that nobody wants.
                self._next = iter([])
        self._resolve([name])

    def _resolve(self, names: Sequence[str]) -> None:
        arrays = self._checkpoint.arrays(names, **self._options)
        self._ready.update(arrays)
        # All have the same handles; strings and empty arrays have none.
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
