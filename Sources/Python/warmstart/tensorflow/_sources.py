"""The checkpoints that are being restored, and what was resolved of them in advance.

TensorFlow restores variable by variable: a graph of 300 variables has 300 operations, and eager
mode calls 300 times. Each would call the daemon. A `Group` therefore knows everything that a graph,
or one call of `init_from_checkpoint`, will ask for; the first request resolves all of it in one
call.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _files
from .._ahead import Ahead
from .._checkpoint import Checkpoint
from .._client import Client
from .._default_client import default_client
from .._errors import WarmstartError
from .._locate import locate
from .._options import ResolveOptions
from ._keys import Key, declared

# Seconds without a request after which files are closed and leases given back. Chosen, not tuned.
_IDLE = 5.0

# TensorFlow shares memory with at least this alignment.
ALIGNMENT = 64
# Only private pages are written: no other job sees them, and TensorFlow copies before it writes.
OPTIONS: ResolveOptions = {"alignment": ALIGNMENT, "writable": True}

Array = npt.NDArray[Any]


class Group:
    """Keys of one checkpoint that the program will ask for one after the other."""

    def __init__(self, keys: Sequence[Key] = ()) -> None:
        self.keys = dict.fromkeys(keys)
        # Whether one of the keys is wrong, so that they cannot be resolved together.
        self.is_broken = False

    def add(self, keys: Sequence[Key]) -> None:
        self.keys.update(dict.fromkeys(keys))
        self.is_broken = False


class Source:
    """An open checkpoint; the end of the last reference closes it."""

    def __init__(self, client: Client, prefix: str) -> None:
        try:
            location = locate(prefix)
        except WarmstartError:
            # The index alone has names and shapes, and perhaps the program wants nothing else.
            location = locate(prefix, needs_data=False)
        self._paths = [file.path for file in location.files]
        self._stamp = self._stamps()
        self._lock = threading.Lock()
        self._ready: dict[Key, Array] = {}
        self.client = client
        self.checkpoint = Checkpoint(client, location)
        self._ahead = Ahead(self.checkpoint, OPTIONS, keeps_lease=True)
        self.last_use = time.monotonic()

    def is_current(self) -> bool:
        """Returns whether the files are still those that were opened."""
        return self._stamp is not None and self._stamp == self._stamps()

    def fetch(self, keys: Sequence[Key], group: Group | None = None) -> list[Array]:
        """Returns the arrays of keys; pages that the process writes become its own copies.

        No array is returned twice.
        """
        with self._lock:
            if all(key in self._ready for key in keys):
                pass
            elif group is not None and not group.is_broken and len(group.keys) > len(keys):
                self._prepare(keys, group)
            elif len(keys) == 1 and self._is_whole(keys[0]):
                return [self._ahead.take(keys[0].tensor).view(np.ndarray)]
            else:
                return self._resolve(keys)
            # The same key may occur twice.
            arrays = [self._ready[key] for key in keys]
            for key in keys:
                self._ready.pop(key, None)
            return arrays

    def gathered(self, key: Key, axes: Mapping[int, Any]) -> Array:
        """Returns chosen rows or columns of a tensor, with zeros where the index is -1."""
        variables, pairs = declared([key])
        resolved = self.checkpoint.resolve(
            pairs, variables, alignment=ALIGNMENT, writable=True, gather={"0": axes}
        )
        resolved.keep_lease()
        return resolved["0"].view(np.ndarray)

    def _is_whole(self, key: Key) -> bool:
        """Returns whether a key is a whole stored tensor, which can be read ahead."""
        tensor = self.checkpoint.tensors.get(key.tensor)
        return not key.spec and tensor is not None and tensor.dtype == key.dtype

    def _prepare(self, keys: Sequence[Key], group: Group) -> None:
        """Resolves all of a group; if that fails, only the keys, so that an error is about them
        alone.
        """
        wanted = list({**dict.fromkeys(keys), **group.keys})
        wanted = [key for key in wanted if key not in self._ready]
        try:
            self._ready.update(zip(wanted, self._resolve(wanted)))
        except WarmstartError as error:
            if error.reason == "CONNECTION":
                raise
            group.is_broken = True
            self._ready.update(zip(keys, self._resolve(keys)))

    def _resolve(self, keys: Sequence[Key]) -> list[Array]:
        variables, pairs = declared(keys)
        resolved = self.checkpoint.resolve(pairs, variables, **OPTIONS)
        resolved.keep_lease()
        # TensorFlow would not share the memory of a subclass of numpy's array.
        return [resolved[variable.name].view(np.ndarray) for variable in variables]

    def _stamps(self) -> Any:
        try:
            states = [os.stat(path) for path in self._paths]
        except OSError:
            return None
        return [(s.st_dev, s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns) for s in states]


class Sources:
    """The checkpoints that were used last, by client and prefix."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sources: dict[tuple[str, str], Source] = {}
        self._timer: threading.Timer | None = None

    def open(self, client: Client | None, prefix: str) -> Source:
        """Opens a checkpoint, or returns the open one if its files are still the same."""
        client = client or default_client()
        key = (client.socket, os.path.abspath(_files.without_scheme(prefix)))
        with self._lock:
            source = self._sources.get(key)
        if source is None or source.client is not client or not source.is_current():
            source = Source(client, prefix)
        source.last_use = time.monotonic()
        with self._lock:
            self._sources[key] = source
            self._watch()
        return source

    def clear(self) -> None:
        """Drops all: closes files and gives leases back unless others need them."""
        with self._lock:
            dropped = list(self._sources.values())
            self._sources.clear()
        del dropped

    def forget_timer(self) -> None:
        """Resets the state in a forked child, which has the parent's timer but not its thread."""
        self._lock = threading.Lock()
        self._timer = None
        self._sources.clear()

    def _watch(self) -> None:
        if self._timer is None:
            self._timer = threading.Timer(_IDLE, self._drop_idle)
            self._timer.daemon = True
            self._timer.start()

    def _drop_idle(self) -> None:
        with self._lock:
            self._timer = None
            oldest = time.monotonic() - _IDLE
            idle = [key for key, source in self._sources.items() if source.last_use <= oldest]
            dropped = [self._sources.pop(key) for key in idle]
            if self._sources:
                self._watch()
        del dropped


sources = Sources()
os.register_at_fork(after_in_child=sources.forget_timer)
