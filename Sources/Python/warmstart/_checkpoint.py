"""A checkpoint that the daemon holds for this client."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Callable

import numpy.typing as npt

from . import _dtypes
from ._answer import Report
from ._connection import SERVICE, Connection
from ._deadline import Deadline
from ._errors import WarmstartError
from ._files import from_root
from ._locate import Location
from ._map import AssignmentMap
from ._neighbours import nearest_hint
from ._open_files import Lease, OpenFiles
from ._options import Progress, ResolveOptions, expected_digest, options_of
from ._pins import UserOrGroup, pin
from ._preload import Preloaded, read_all
from ._protocol import message, parse
from ._resolve import check, resolve
from ._resolved import Resolved
from ._tensors import Tensor, list_tensors
from ._variables import Slice, Variable, VariablesLike

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._array import Place
    from ._client import Client


class Checkpoint:
    """An open checkpoint, on which the daemon gives this client a lease. `Client.open` makes it.

    `close`, the end of the `with` block, or the end of the last reference gives the lease back. The
    checkpoint's arrays stay valid after that. Several threads may use a checkpoint, and so may a
    forked child; in the child, and after a restart of the daemon, the next call passes the files
    again.
    """

    def __init__(self, client: Client, location: Location) -> None:
        self._client = client
        self._files = OpenFiles(location)
        self._close = weakref.finalize(self, self._files.close)
        self._close.atexit = False
        self.label = location.label
        """The path as the user wrote it."""
        self.path = location.prefix
        """The path as TensorFlow reports it: the prefix of a V2 checkpoint. For a published
        checkpoint, `name:` and the name."""
        self.full_path = location.prefix if location.name else from_root(location.prefix)
        """The absolute path, which stays right when the working directory changes."""
        self._tensors: dict[str, Tensor] | None = None
        self.generation = ""
        """The identity of the checkpoint's bytes, which differs after any change to the files."""
        self.format = ""
        """The format of the files, such as "v2"."""
        self.tensor_count = 0
        self.byte_count = 0
        self.sha256 = ""
        """The digest of the files in hexadecimal digits, if the daemon knew it then."""

    @property
    def socket(self) -> str:
        """Where the daemon listens."""
        return self._client.socket

    def greet(self) -> None:
        """Connects ahead of a call; see `Client.greet`."""
        self._client.greet()

    def is_kept(self) -> bool:
        """Marks the checkpoint as kept for its arrays; returns False if the client keeps enough
        others.
        """
        return self._client.keep(self)

    def using(self) -> contextlib.AbstractContextManager[Sequence[int]]:
        """Returns the descriptors of the files, in the order in which the daemon gets them.

        They stay open until the end of the block, even if another thread closes the checkpoint.
        """
        return self._files.using()

    @property
    def tensors(self) -> dict[str, Tensor]:
        """The tensors by name, in the order of their names. The first access asks the daemon."""
        return self.known_tensors(Deadline(None))

    def known_tensors(self, deadline: Deadline) -> dict[str, Tensor]:
        """Returns `tensors`, waiting for the daemon no longer than the deadline."""
        if self._tensors is None:
            self._tensors = self.list_tensors(deadline.remaining())
        return self._tensors

    def list_tensors(self, timeout: float | None = None) -> dict[str, Tensor]:
        """Asks the daemon for the tensors; returns them by name, in the order of their names."""
        return list_tensors(self, timeout)

    def open(self, timeout: float | None = None, expect: str | None = None) -> Checkpoint:
        """Asks the daemon to open the checkpoint now, not with the first call that needs it."""
        digest = expected_digest(expect)
        request = message("OpenRequest")()
        self.call(
            "Open", request, (), Deadline(timeout), lambda: None, lambda *_: None, digest=digest
        )
        return self

    def call(
        self,
        method: str,
        request: Any,
        features: Sequence[str],
        deadline: Deadline,
        begin: Callable[[], None],
        add: Callable[[Any, Sequence[int]], None],
        *,
        digest: bytes = b"",
    ) -> None:
        """Makes a call about this checkpoint, and repeats it on a new connection if that is lost.

        The daemon refuses files that do not have the SHA-256 `digest`, unless it is empty. `begin`
        runs before each try. `add` runs for each reply with the reply's descriptors, which
        it must not keep.
        """

        noted: Lease | None = None

        def forget() -> None:
            # A failed call leaves no lease: the daemon gave back what it had opened.
            if noted is not None and self._files.lease is noted:
                self._files.lease = None

        def prepare(connection: Connection) -> tuple[bytes, Sequence[int]]:
            forget()
            begin()
            request.ClearField("checkpoint")
            descriptors = self._files.refer(
                request.checkpoint, self.full_path, connection, deadline
            )
            request.checkpoint.expected_sha256 = digest
            return request.SerializeToString(), descriptors

        def receive(connection: Connection, response: bytes, received: Sequence[int]) -> None:
            nonlocal noted
            reply = parse(method + "Reply", response)
            opened = reply if method == "Open" else reply.checkpoint
            if opened.handle:
                noted = self._files.lease = Lease(self._client, connection.number, opened.handle)
                self._note(opened)
            add(reply, received)

        if self._files.name:
            features = (*features, "names")
        if digest:
            features = (*features, "expect")
        with self.using():
            try:
                self._client.call(SERVICE + method, prepare, receive, features, deadline)
            except BaseException as error:
                forget()
                if isinstance(error, WarmstartError) and error.is_answer:
                    error.checkpoint = self.label
                raise

    def resolve(
        self,
        assignment_map: AssignmentMap,
        variables: VariablesLike,
        **options: Unpack[ResolveOptions],
    ) -> Resolved:
        """Resolves an assignment map, and returns arrays for the variables.

        The map is a mapping or a list of pairs, as TensorFlow's `init_from_checkpoint` takes it:

        - `"scope/": "other/"`: all variables below `other/`, from the tensors of the same names
          below `scope/`; `"/"` is the root
        - `"scope/tensor": "scope/variable"`: a variable by name, partitioned or not
        - `"tensor": variable`: a `Variable`; `"tensor": [variable, …]`: the partitions of one
          variable, or their names
        - `"tensor": (target, …)`: several variables that all get the tensor
        - `re.compile("(.*)/w"): r"\\1/kernel"`: each tensor whose whole name matches, for the
          variable that the template names, if that variable exists

        `variables` are all variables of the trainer: a list of `Variable`, or a mapping from names
        to `(dtype, shape)` or to arrays. `ResolveOptions` describes the options.

        Waits while the daemon reads what is not warm. Raises `WarmstartError` with all problems of
        the map (TENSOR_NOT_FOUND, SHAPE_MISMATCH, DTYPE_MISMATCH, SCOPE_ONLY, PAIR_UNUSED,
        NOTHING_ASSIGNED and others), with what is wrong with the files, or with BUDGET, QUOTA,
        DEADLINE or CONNECTION.
        """
        return resolve(self, assignment_map, variables, options_of(options))

    def check(
        self,
        assignment_map: AssignmentMap,
        variables: VariablesLike,
        **options: Unpack[ResolveOptions],
    ) -> Report:
        """Returns what `resolve` with the same arguments would report, without reading any tensor.

        Raises every error of `resolve` that does not depend on the tensors' bytes.
        """
        return check(self, assignment_map, variables, options_of(options))

    def preload(
        self,
        *,
        alignment: int = 0,
        sealed: bool = False,
        strides: bool = False,
        progress: Progress = False,
        expect: str | None = None,
        timeout: float | None = None,
    ) -> Preloaded:
        """Has the daemon read and verify all tensors, so that later jobs wait for nothing.

        The options are those of `resolve` (`ResolveOptions`): with the alignment, or the seal, that
        jobs will ask for, the arrays that need copies are made now; with `strides`, views with
        steps are verified where they lie and not copied. The checkpoint stays warm as long as any
        job has it, and for the daemon's `--linger` (300 s) after that. Copies that no job maps
        still give way when memory is short; only `pin` keeps them.

        A damaged tensor does not keep the others from being read: CHECKSUM_MISMATCH, CORRUPT or
        TRUNCATED is raised after them, with a problem for each. Raises BUDGET if memory is short.
        """
        return read_all(
            self,
            alignment=alignment,
            sealed=sealed,
            strides=strides,
            read_again=False,
            progress=progress,
            expect=expect,
            timeout=timeout,
        )

    def verify(self, *, progress: Progress = False, timeout: float | None = None) -> Preloaded:
        """Has the daemon read all stored bytes from the files again and compare their checksums.

        Raises CHECKSUM_MISMATCH, CORRUPT or TRUNCATED with a problem for each damaged tensor.
        """
        return read_all(
            self, alignment=0, sealed=False, read_again=True, progress=progress, timeout=timeout
        )

    def pin(
        self,
        name: str | None = None,
        *,
        users: Iterable[UserOrGroup] = (),
        groups: Iterable[UserOrGroup] = (),
        lock: bool = False,
        timeout: float | None = None,
    ) -> str | None:
        """Keeps the checkpoint resident, with all that was read or made of it.

        `Client.unpin` ends that. Only for clients of the administrators' socket:
        `Client("/run/warmstart/admin.sock")`. With a `name`, clients that cannot open the files ask
        for `name:NAME`: those of `users` and `groups` (numbers, or names of this machine), or all
        if both are empty. Preload the checkpoint before, with `sealed` if it gets a name. `lock`
        keeps what is warm in memory, whatever else needs it. `warmstartctl pin` does the same.

        Returns the path of the checkpoint that had the name until now; None if there was none.
        Raises UNSUPPORTED on another socket, QUOTA and BUDGET.
        """
        return pin(self, name, users, groups, lock, timeout)

    def arrays(
        self, names: Iterable[str] | None = None, **options: Unpack[ResolveOptions]
    ) -> dict[str, npt.NDArray[Any]]:
        """Returns the tensors by name as arrays like those of `resolve`; `names` selects some.

        Without `names`, tensors that have no array (variants, resources) are left out. Raises
        TENSOR_NOT_FOUND.
        """
        if isinstance(names, str):
            raise TypeError(f"names: expected several names, got the string {names!r}")
        deadline = Deadline(options.get("timeout"))
        known = self.known_tensors(deadline)
        if names is None:
            chosen = [
                tensor for tensor in known.values() if tensor.dtype not in _dtypes.WITHOUT_ARRAYS
            ]
        else:
            chosen = [self._tensor(name) for name in dict.fromkeys(names)]
        variables = [Variable(tensor.name, tensor.dtype, tensor.shape) for tensor in chosen]
        pairs = [(variable.name, variable) for variable in variables]
        options.setdefault("lenient", True)
        options["timeout"] = deadline.remaining()
        return self.resolve(pairs, variables, **options).arrays()

    def array(self, name: str, **options: Unpack[ResolveOptions]) -> npt.NDArray[Any]:
        """Returns one tensor as an array like those of `arrays`."""
        return self.arrays([name], **options)[name]

    def check_files(self, positions: Iterable[int]) -> None:
        """Raises CHECKPOINT_CHANGED if one of some files has changed since it was opened."""
        if positions:
            self._files.check(positions)

    def close(self) -> None:
        """Gives back the lease and closes the files, at any time; arrays stay valid."""
        self._close()

    def __enter__(self) -> Checkpoint:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Checkpoint {self.path}: {self.tensor_count} tensors>"

    def restore(self, place: Place) -> npt.NDArray[Any]:
        """Returns the array of a place that another process pickled."""
        whole = place.full_shape
        cut = None if whole is None else Slice(place.tensor, whole, place.starts)
        variable = Variable("restored", place.dtype, place.shape, False, cut)
        target: Any = variable if cut is None else [variable]
        origin = place.origin
        pairs = [(place.tensor, target)]
        resolved = self.resolve(
            pairs,
            [variable],
            alignment=origin.alignment,
            sealed=origin.sealed,
            cast=origin.cast,
        )
        return resolved[variable.name]

    def lacks(self, name: str, hint: bool = True) -> str:
        """Returns the message about a missing tensor, with the nearest name."""
        near = nearest_hint(name, self.tensors) if hint else ""
        return f"{self.path} has no tensor {name}{near}"

    def _tensor(self, name: str) -> Tensor:
        try:
            return self.tensors[name]
        except KeyError:
            raise WarmstartError.of("TENSOR_NOT_FOUND", self.lacks(name)) from None

    def _note(self, reply: Any) -> None:
        """Stores what an `OpenReply` says; raises CHECKPOINT_CHANGED if the files have changed."""
        if self.generation and reply.generation != self.generation:
            raise WarmstartError.of(
                "CHECKPOINT_CHANGED",
                f"the files of {self.path} have changed since they were opened: "
                "open the checkpoint again",
            )
        self.generation, self.format = reply.generation, reply.format
        self.tensor_count, self.byte_count = reply.tensor_count, reply.byte_count
        self.sha256 = reply.sha256.hex() or self.sha256
