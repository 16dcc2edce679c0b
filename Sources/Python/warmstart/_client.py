"""The client: one trainer's connection to the daemon of its machine."""

from __future__ import annotations

import collections
import contextlib
import os
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Callable, Union

from ._answer import Report
from ._checkpoint import Checkpoint
from ._connecting import standard_socket
from ._connection import SERVICE, Connection, ConnectionLost
from ._deadline import Deadline
from ._errors import WarmstartError
from ._locate import locate
from ._map import AssignmentMap
from ._open_files import Lease
from ._options import ResolveOptions
from ._pins import unpin
from ._protocol import message, parse
from ._resolved import Resolved
from ._tensors import Tensor
from ._variables import VariablesLike

if TYPE_CHECKING:
    from typing_extensions import Unpack

Path = Union[str, "os.PathLike[str]"]

_HEALTH = "/grpc.health.v1.Health/Check"
# The most repetitions of a call, on a new connection or where the daemon says that waiting may
# help.
_REPEATS = 3
# Half of the 64 checkpoints that a connection may have open.
_KEPT_LEASES = 32
_LONGEST_WAIT = 5.0
# Seconds; no longer than the pause before a second try to connect.
_GREETING_PATIENCE = 0.01
_numbers = iter(range(1, 1 << 62))


class Client:
    """A connection to the daemon, made by the first call that needs it, and made again when lost.

    Without a `socket` the client takes `$WARMSTART_SOCKET`, else `/run/warmstart/warmstart.sock`,
    else the socket in the user's runtime directory. `warmstartctl status` shows the `label`.

    Threads may share a client: their calls take turns. A forked child may use it too, and gets its
    own connection. Mapped memory stays mapped, whatever happens to the client or the daemon.
    """

    def __init__(self, socket: Path | None = None, *, label: str = "") -> None:
        self.socket = os.fsdecode(socket) if socket else standard_socket()
        self.label = label
        self._lock = threading.RLock()
        self._kept: weakref.WeakSet[Checkpoint] = weakref.WeakSet()
        # Whose turn it is. A weak reference, so that the turn ends with its call even if an
        # interrupt keeps the call from clearing it.
        self._turn_of: Callable[[], _Turn | None] = _nobody
        self._connection: Connection | None = None
        self._has_connected = False
        # Leases to close. A finalizer, which adds one, may run while this very thread makes a call.
        self._given_back: collections.deque[Lease] = collections.deque()
        _clients.add(self)

    def open(
        self, path: Path, *, expect: str | None = None, timeout: float | None = None
    ) -> Checkpoint:
        """Opens a checkpoint as TensorFlow finds it, and takes a lease on it.

        The path is one of these:

        - a directory with a file `checkpoint`, or with a model of the library transformers
        - the prefix of a V2 checkpoint
        - a file that holds tensors: V1, safetensors, or one of PyTorch, Keras or NumPy
        - a pattern of several, such as `model-*.safetensors`
        - the index of several, such as `model.safetensors.index.json`
        - `name:bert`, for the checkpoint that an administrator published as `bert`: no file is
          opened, and all bytes come in memory that cannot change

        This process opens the files with its own rights. `expect` is as in `ResolveOptions`.
        Raises CHECKPOINT_NOT_FOUND, CHECKPOINT_STATE_INVALID, NOT_ALLOWED, CHECKSUM_MISMATCH,
        CONNECTION, or what is wrong with the index.
        """
        return Checkpoint(self, locate(path)).open(timeout, expect)

    def resolve(
        self,
        path: Path,
        assignment_map: AssignmentMap,
        variables: VariablesLike,
        **options: Unpack[ResolveOptions],
    ) -> Resolved:
        """Opens a checkpoint and resolves an assignment map in one call.

        `path` is as for `open`. `Checkpoint.resolve` describes the map, the variables and the
        errors, and `ResolveOptions` the options. Returns a mapping from the names of the assigned
        variables to numpy arrays, which outlive the client.
        """
        return Checkpoint(self, locate(path)).resolve(assignment_map, variables, **options)

    def check(
        self,
        path: Path,
        assignment_map: AssignmentMap,
        variables: VariablesLike,
        **options: Unpack[ResolveOptions],
    ) -> Report:
        """Returns what `resolve` would report; reads no tensor. See `Checkpoint.check`."""
        with Checkpoint(self, locate(path)) as checkpoint:
            return checkpoint.check(assignment_map, variables, **options)

    def list_variables(
        self, path: Path, *, timeout: float | None = None
    ) -> list[tuple[str, list[int]]]:
        """Returns the sorted names and shapes of the tensors, as `tf.train.list_variables` does."""
        return [(name, list(t.shape)) for name, t in self.tensors(path, timeout=timeout).items()]

    def tensors(self, path: Path, *, timeout: float | None = None) -> dict[str, Tensor]:
        """Returns a checkpoint's tensors by name; its data files may be missing."""
        with Checkpoint(self, locate(path, needs_data=False)) as checkpoint:
            return checkpoint.list_tensors(timeout)

    def is_serving(self, *, timeout: float | None = 2.0) -> bool:
        """Returns whether the daemon serves; not while it stops. Raises CONNECTION or DEADLINE."""
        request = message("grpc.health.v1.HealthCheckRequest")().SerializeToString()
        states: list[int] = []

        def receive(connection: Connection, response: bytes, received: Sequence[int]) -> None:
            states.append(parse("grpc.health.v1.HealthCheckResponse", response).status)

        self.call(_HEALTH, lambda connection: (request, ()), receive, (), Deadline(timeout))
        return states[-1:] == [1]

    def status(self, *, timeout: float | None = 5.0) -> Any:
        """Returns the protocol's `StatusReply`: what the daemon holds, and this user's clients."""
        request = message("StatusRequest")().SerializeToString()
        replies: list[Any] = []

        def receive(connection: Connection, response: bytes, received: Sequence[int]) -> None:
            replies.append(parse("StatusReply", response))

        prepare = (request, ())
        self.call(SERVICE + "Status", lambda connection: prepare, receive, (), Deadline(timeout))
        return replies[-1]

    def unpin(self, pinned: str, *, timeout: float | None = 5.0) -> None:
        """Ends what `Checkpoint.pin` began: `name:NAME`, or a checkpoint's generation.

        The checkpoint stays as long as jobs have it. Raises CHECKPOINT_NOT_FOUND if that checkpoint
        is not pinned, and UNSUPPORTED on another socket than the administrators'.
        """
        unpin(self, pinned, timeout)

    def close(self) -> None:
        """Ends the connection and all its leases; arrays stay valid, and a later call connects
        again.

        Waits until the calls of other threads have ended.
        """
        with self._turn(Deadline(None)):
            self._drop()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return _client, (self.socket, self.label)

    def __del__(self) -> None:
        connection = getattr(self, "_connection", None)
        if connection is not None:
            connection.close()

    def call(
        self,
        method: str,
        prepare: Callable[[Connection], tuple[bytes, Sequence[int]]],
        receive: Callable[[Connection, bytes, Sequence[int]], None],
        features: Sequence[str],
        deadline: Deadline,
    ) -> None:
        """Makes a call; repeats it if the connection is lost, or if waiting may help.

        Repeating a call has no further effect. `prepare` makes the request and the descriptors for
        a connection, and must forget what `receive` gathered before.
        """
        repeats = 0
        with self._turn(deadline):
            while True:
                pause = 0.0
                try:
                    return self._try(method, prepare, receive, features, deadline)
                except ConnectionLost as lost:
                    if repeats == _REPEATS:
                        raise lost.take_error() from None
                    pause = 0.0 if repeats == 0 else 0.1 * repeats
                except WarmstartError as error:
                    if error.retry_after is None or repeats == _REPEATS:
                        raise
                    pause = min(error.retry_after, _LONGEST_WAIT)
                    if deadline.ends_within(pause):
                        raise
                repeats += 1
                time.sleep(pause)

    @contextlib.contextmanager
    def _turn(self, deadline: Deadline) -> Iterator[None]:
        """Waits until other threads' calls have ended; others wait until the block has ended."""
        if self._has_turn():
            raise RuntimeError(
                "this thread is in a call of this client already: a function for `progress` or a "
                "signal handler needs its own client"
            )
        lock, turn, remaining = self._lock, _Turn(), deadline.remaining()
        try:
            # An interrupt may come right after the lock is taken.
            if not lock.acquire(timeout=-1 if remaining is None else remaining):
                raise WarmstartError.of(
                    "DEADLINE",
                    "another thread's call on this client did not end before the timeout",
                )
            self._turn_of = weakref.ref(turn)
            yield
        finally:
            if self._has_turn():
                self._turn_of = _nobody
            _release(lock)
            self._close_given_back()

    def _try(
        self,
        method: str,
        prepare: Callable[[Connection], tuple[bytes, Sequence[int]]],
        receive: Callable[[Connection, bytes, Sequence[int]], None],
        features: Sequence[str],
        deadline: Deadline,
    ) -> None:
        connection = self._connection or self._connect(deadline)
        is_whole = False
        try:
            request, descriptors = prepare(connection)
            for response, received in connection.call(
                method, request, descriptors, features, deadline
            ):
                receive(connection, response, received)
            is_whole = True
        except WarmstartError as error:
            # An error that answers the call leaves the connection usable.
            is_whole = error.is_answer
            raise
        finally:
            if not is_whole:
                self._drop()

    def greet(self) -> None:
        """Connects, if there is no connection: the daemon greets while this thread makes a request.

        Hardly waits, and leaves a failure to the next call, which tries again.
        """
        deadline = Deadline(_GREETING_PATIENCE)
        if self._connection is None and not self._has_turn():
            with contextlib.suppress(ConnectionLost, WarmstartError), self._turn(deadline):
                if self._connection is None:
                    self._connect(deadline)

    def _connect(self, deadline: Deadline) -> Connection:
        number, is_first = next(_numbers), not self._has_connected
        connection = Connection(self.socket, number, self.label, deadline, is_first=is_first)
        self._connection, self._has_connected = connection, True
        return connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def give_back(self, lease: Lease) -> None:
        """Closes a handle now, or after the current call; never waits and never fails."""
        self._given_back.append(lease)
        self._close_given_back()

    def _close_given_back(self) -> None:
        """Closes the leases that were given back. During a call, the end of the call does it."""
        lock, turn, is_free = self._lock, _Turn(), True
        while self._given_back and is_free and not self._has_turn():
            try:
                is_free = lock.acquire(blocking=False)
                if is_free:
                    self._turn_of = weakref.ref(turn)
                    self._post_closes()
            finally:
                if self._has_turn():
                    self._turn_of = _nobody
                _release(lock)

    def _has_turn(self) -> bool:
        turn = self._turn_of()
        return turn is not None and turn.thread == threading.get_ident()

    def _post_closes(self) -> None:
        while self._given_back:
            lease = self._given_back.popleft()
            connection = self._connection
            # The daemon gives back what a lost connection held.
            if connection is not None and connection.number == lease.connection:
                request = message("CloseRequest")(handle=lease.handle)
                try:
                    connection.post(SERVICE + "Close", request.SerializeToString())
                except (ConnectionLost, WarmstartError):
                    self._drop()
                except BaseException:
                    # After an interrupt, whether the call was sent is unknown.
                    self._drop()
                    raise

    def keep(self, checkpoint: Checkpoint) -> bool:
        """Returns whether a checkpoint is one whose lease lasts as long as its arrays."""
        if len(self._kept) < _KEPT_LEASES:
            self._kept.add(checkpoint)
        return checkpoint in self._kept

    def _forget(self) -> None:
        """Closes the descriptor in a forked child, because the connection belongs to the parent."""
        self._drop()
        self._lock = threading.RLock()
        self._turn_of = _nobody
        self._given_back.clear()


class _Turn:
    """The call that a thread is making."""

    __slots__ = ("__weakref__", "thread")

    def __init__(self) -> None:
        self.thread = threading.get_ident()


def _nobody() -> _Turn | None:
    return None


def _release(lock: threading.RLock) -> None:
    """Releases a lock if this thread holds it, perhaps because an interrupt came before the
    release.
    """
    try:
        while True:
            lock.release()
    except RuntimeError:
        pass


_clients: weakref.WeakSet[Client] = weakref.WeakSet()


def _forget_all() -> None:
    for client in list(_clients):
        client._forget()


os.register_at_fork(after_in_child=_forget_all)


def _client(socket: str, label: str) -> Client:
    return Client(socket, label=label)
