"""The open files of a checkpoint, and the lease that the daemon gave for them."""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ._connection import MAXIMUM_DESCRIPTORS, SERVICE, Connection
from ._deadline import Deadline
from ._errors import WarmstartError
from ._locate import Location, open_file
from ._protocol import parse, printable

if TYPE_CHECKING:
    from ._client import Client


class Lease(NamedTuple):
    """The lease that a connection holds on a checkpoint."""

    client: Client
    connection: int
    handle: int


class OpenFiles:
    """The open files of a checkpoint, and the lease that the daemon gave for them.

    A published checkpoint has a name instead of files.
    """

    def __init__(self, location: Location) -> None:
        self.files = location.files
        self.name = location.name
        self.lease: Lease | None = None
        self._descriptors: list[int] = []
        # The state of each file when it was opened.
        self._states: list[os.stat_result] = []
        self._lock = threading.Lock()
        self._users = 0
        self._is_closed = False
        _all_files.add(self)
        try:
            for file in location.files:
                self._descriptors.append(open_file(file))
                self._states.append(os.fstat(self._descriptors[-1]))
        except BaseException:
            self.close()
            raise

    @contextlib.contextmanager
    def using(self) -> Iterator[Sequence[int]]:
        """Returns the descriptors, open until the end of the block; ValueError once they are
        closed.
        """
        is_used = False
        try:
            with self._lock:
                if self._is_closed:
                    raise ValueError("the checkpoint is closed")
                self._users += 1
                # An interrupt may come right after the lock is released.
                is_used = True
            yield self._descriptors
        finally:
            if is_used:
                with self._lock:
                    self._users -= self._users > 0
                self._close_unused()

    def refer(
        self, reference: Any, label: str, connection: Connection, deadline: Deadline
    ) -> Sequence[int]:
        """Fills a message `CheckpointReference`; returns the descriptors to send with the call.

        To be called while the files are in use.
        """
        lease = self.lease
        if lease is not None and lease.connection == connection.number:
            reference.handle = lease.handle
            return ()
        if self.name:
            reference.name = self.name
            return ()
        reference.label = printable(label)
        attached = _attach(connection, self._descriptors, deadline)
        for position, file in enumerate(self.files):
            reference.files.add(role=file.role, shard=file.shard, shard_count=file.shard_count)
            if attached:
                reference.files[-1].attached = attached[position]
            else:
                reference.files[-1].descriptor = position
        return () if attached else self._descriptors

    def check(self, positions: Iterable[int]) -> None:
        """Raises CHECKPOINT_CHANGED if one of the files has changed since it was opened."""
        with self.using() as descriptors:
            for position in positions:
                change = _change(self._states[position], os.fstat(descriptors[position]))
                if change is not None:
                    raise WarmstartError.of(
                        "CHECKPOINT_CHANGED",
                        f"{self.files[position].path} {change} since it was opened; "
                        "open the checkpoint again",
                    )

    def close(self) -> None:
        self._is_closed = True
        self._close_unused()

    def forget_users(self) -> None:
        """Resets the state in a forked child: the other users were threads of the parent."""
        self._lock = threading.Lock()
        self._users = 0

    def _close_unused(self) -> None:
        with self._lock:
            if not self._is_closed or self._users:
                return
            descriptors, self._descriptors = self._descriptors, []
            lease, self.lease = self.lease, None
        for descriptor in descriptors:
            os.close(descriptor)
        if lease is not None:
            lease.client.give_back(lease)


def _attach(connection: Connection, descriptors: Sequence[int], deadline: Deadline) -> list[int]:
    """Passes files that do not fit on one frame; returns their ids, or none if they fit."""
    ids: list[int] = []
    if len(descriptors) <= MAXIMUM_DESCRIPTORS:
        return ids
    for start in range(0, len(descriptors), MAXIMUM_DESCRIPTORS):
        batch = descriptors[start : start + MAXIMUM_DESCRIPTORS]
        for response, _ in connection.call(SERVICE + "Attach", b"", batch, (), deadline):
            ids += parse("AttachReply", response).ids
    if len(ids) != len(descriptors):
        raise WarmstartError.of("SYSTEM", f"{len(ids)} ids for {len(descriptors)} files")
    return ids


def _change(then: os.stat_result, now: os.stat_result) -> str | None:
    """Returns what happened to a file, in words, or None if its bytes are still the same.

    A link that was added or removed, as when the file is replaced, changes one of its times and no
    byte.
    """
    if now.st_size < then.st_size:
        return f"was truncated from {then.st_size} to {now.st_size} bytes"
    if now.st_size > then.st_size:
        return f"grew from {then.st_size} to {now.st_size} bytes"
    if now.st_mtime_ns != then.st_mtime_ns:
        return "was written"
    if now.st_ctime_ns != then.st_ctime_ns and now.st_nlink == then.st_nlink:
        return "was changed or renamed"
    return None


_all_files: weakref.WeakSet[OpenFiles] = weakref.WeakSet()


def _forget_users() -> None:
    for files in list(_all_files):
        files.forget_users()


os.register_at_fork(after_in_child=_forget_users)
