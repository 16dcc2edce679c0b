"""Keeping checkpoints resident, for administrators."""

from __future__ import annotations

import contextlib
import grp
import pwd
import re
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Union

from ._connecting import ADMINISTRATION_SOCKET
from ._connection import SERVICE
from ._deadline import Deadline
from ._errors import WarmstartError
from ._protocol import column, message, parse

if TYPE_CHECKING:
    from ._checkpoint import Checkpoint
    from ._client import Client

_GENERATION = re.compile("[0-9a-f]{16}")

# A number, or a name of this machine.
UserOrGroup = Union[int, str]


def pin(
    checkpoint: Checkpoint,
    name: str | None,
    users: Iterable[UserOrGroup],
    groups: Iterable[UserOrGroup],
    lock: bool,
    timeout: float | None,
) -> str | None:
    """Does the work of `Checkpoint.pin`."""
    request = message("PinRequest")(lock=lock)
    user_ids = _numbers(users, "users", lambda word: pwd.getpwnam(word).pw_uid)
    group_ids = _numbers(groups, "groups", lambda word: grp.getgrnam(word).gr_gid)
    if name is not None:
        request.publication.name = name
        request.publication.users = column(user_ids, "<u4")
        request.publication.groups = column(group_ids, "<u4")
    elif user_ids or group_ids:
        raise ValueError("users, groups: expected a name that they may use")
    replaced: list[str] = []

    def add(reply: Any, _: Any) -> None:
        if reply.replaced_generation:
            replaced[:] = [reply.replaced_label]

    features = () if name is None else ("names",)
    with _explaining(checkpoint.socket):
        checkpoint.call("Pin", request, features, Deadline(timeout), replaced.clear, add)
    return replaced[0] if replaced else None


def unpin(client: Client, pinned: str, timeout: float | None) -> None:
    """Does the work of `Client.unpin`."""
    request = message("UnpinRequest")()
    is_name = pinned.startswith("name:")
    if not is_name and not _GENERATION.fullmatch(pinned):
        raise ValueError(
            f"unpin: expected name:NAME or a generation of 16 hexadecimal digits, got {pinned!r}"
        )
    if is_name:
        request.name = pinned.removeprefix("name:")
    else:
        request.generation = pinned
    packed = request.SerializeToString()
    with _explaining(client.socket):
        client.call(
            SERVICE + "Unpin",
            lambda connection: (packed, ()),
            lambda connection, response, received: parse("UnpinReply", response),
            ("names",) if is_name else (),
            Deadline(timeout),
        )


@contextlib.contextmanager
def _explaining(socket: str) -> Iterator[None]:
    """Says what to do when the daemon refuses a call that only administrators may make."""
    try:
        yield
    except WarmstartError as error:
        if error.reason != "UNSUPPORTED" or "administrators' socket" not in error.message:
            raise
        raise WarmstartError.of(
            "UNSUPPORTED",
            f"{socket} is not the administrators' socket: pin and unpin with "
            f'Client("{ADMINISTRATION_SOCKET}"), or, if the daemon was started by hand, with a '
            "Client of its --admin-socket",
        ) from None


def _numbers(given: Iterable[UserOrGroup], what: str, find: Callable[[str], int]) -> list[int]:
    if isinstance(given, str):
        raise TypeError(f"{what}: expected several names or numbers, got the string {given!r}")
    found = []
    for word in given:
        try:
            found.append(find(word) if isinstance(word, str) else int(word))
        except KeyError:
            raise ValueError(f"{what}: this machine has no {word!r}") from None
    for number in found:
        if not 0 <= number < 1 << 32:
            raise ValueError(f"{what}: expected numbers from 0 to 2^32 - 1, got {number}")
    return found
