"""Frames, and the descriptors that ride on them."""

from __future__ import annotations

import array
import logging
import os
import socket
import struct
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from ._connecting import connect
from ._deadline import Deadline, deadline_passed
from ._errors import CODES, Problem, WarmstartError, contradiction, in_python
from ._protocol import decode, message, parse, printable

SERVICE = "/warmstart.v1.Warmstart/"
MAXIMUM_DESCRIPTORS = 64
MAXIMUM_REQUEST = 16 << 20
MAXIMUM_REPLY = 4 << 20

_PREFIX = struct.Struct(">BI")
_ROOM = socket.CMSG_SPACE(4 * MAXIMUM_DESCRIPTORS)
_NO_SIGNAL = socket.MSG_NOSIGNAL
# Seconds without an answer after which the log says what the client is waiting for.
_PATIENCE = 1.0

log = logging.getLogger("warmstart")


class ConnectionLost(Exception):
    """The connection is unusable; the call may be repeated on another.

    `refusal` is the error from a daemon that is stopping, if it sent one.
    """

    def __init__(self, message: str, refusal: WarmstartError | None = None) -> None:
        super().__init__(message)
        self.refusal = refusal

    def take_error(self) -> WarmstartError:
        """Returns the error for the caller. The two do not refer to each other, so that both end
        with their last use.
        """
        refusal, self.refusal = self.refusal, None
        return refusal or WarmstartError.of("CONNECTION", f"the connection was lost: {self}")


class Connection:
    """A connection to the daemon; its leases end with it.

    One thread at a time may use it. After any exception but a `WarmstartError` from the daemon it
    must be closed, because a late answer would be taken for the answer to another call.
    """

    def __init__(
        self, path: str, number: int, label: str, deadline: Deadline, *, is_first: bool = True
    ) -> None:
        self.number = number
        self._path = path
        self._last_id = 0
        # The calls whose answers are dropped.
        self._posted: list[int] = []
        self._hello = 0
        self._has_answered = False
        self._socket = connect(path, deadline, is_first)
        try:
            request = message("HelloRequest")(
                version=1,
                label=printable(label),
                # A program that embeds Python may have no arguments.
                command=printable("".join(getattr(sys, "argv", [])[:1])[:256]),
            )
            self._hello = self.post(SERVICE + "Hello", request.SerializeToString())
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Closes the descriptor without sending anything: in a forked child the connection is the
        parent's.
        """
        self._socket.close()

    def post(self, method: str, request: bytes) -> int:
        """Sends a call whose answer will be dropped, and does not wait for it."""
        identifier = self._send(method, request, (), (), Deadline(None))
        self._posted.append(identifier)
        return identifier

    def call(
        self,
        method: str,
        request: bytes,
        descriptors: Sequence[int],
        features: Sequence[str],
        deadline: Deadline,
    ) -> Iterator[tuple[bytes, list[int]]]:
        """Makes a call; yields each reply's response and its descriptors, and closes these
        afterwards.
        """
        identifier = self._send(method, request, descriptors, features, deadline)
        more = True
        while more:
            reply, received = self._receive(deadline)
            try:
                if self._posted and reply.id == self._posted[0]:
                    self._posted.pop(0)
                    if reply.id == self._hello and reply.HasField("status"):
                        raise error_of(reply.status)
                    continue
                if reply.HasField("status"):
                    raise _refusal_of(reply, identifier)
                if reply.id != identifier:
                    raise ConnectionLost(
                        f"a reply to call {reply.id}, expected one to call {identifier}"
                    )
                more = reply.more
                if more and not reply.response:
                    raise contradiction("a reply is empty, but more replies are to follow")
                yield reply.response, received
            finally:
                for descriptor in received:
                    os.close(descriptor)

    def _send(
        self,
        method: str,
        request: bytes,
        descriptors: Sequence[int],
        features: Sequence[str],
        deadline: Deadline,
    ) -> int:
        self._last_id += 1
        remaining = deadline.remaining()
        body: bytes = message("Call")(
            id=self._last_id,
            method=method,
            request=request,
            descriptor_count=len(descriptors),
            # The daemon's time begins when the call arrives, so the client's time ends first.
            timeout_ms=0 if remaining is None else max(1, int(remaining * 1000)),
            required_features=features,
        ).SerializeToString()
        if len(body) > MAXIMUM_REQUEST:
            raise WarmstartError.of(
                "INVALID_REQUEST",
                f"the request has {len(body)} bytes, expected at most {MAXIMUM_REQUEST} "
                "(some 150,000 variables)",
            )
        frame = _PREFIX.pack(0, len(body)) + body
        rights = array.array("i", descriptors)
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)] if descriptors else []
        try:
            self._socket.settimeout(remaining)
            sent = self._socket.sendmsg([frame], ancillary, _NO_SIGNAL)
            while sent < len(frame):
                self._socket.settimeout(deadline.remaining())
                sent += self._socket.send(memoryview(frame)[sent:], _NO_SIGNAL)
        except socket.timeout:
            raise deadline_passed() from None
        except (BrokenPipeError, ConnectionResetError) as error:
            raise self._last_words(error) from None
        except OSError as error:
            raise ConnectionLost(str(error)) from None
        return self._last_id

    def _last_words(self, error: OSError) -> Exception:
        """Returns why a send failed: a daemon that refuses a connection sends the reason, then
        closes.
        """
        deadline = Deadline(0.1)
        try:
            while True:
                reply, received = self._receive(deadline)
                for descriptor in received:
                    os.close(descriptor)
                if reply.id == 0 and reply.HasField("status"):
                    refusal = error_of(reply.status)
                    if refusal.reason == "DRAINING":
                        return ConnectionLost(refusal.message, refusal)
                    return refusal
        except (ConnectionLost, WarmstartError):
            return ConnectionLost(str(error))

    def _receive(self, deadline: Deadline) -> tuple[Any, list[int]]:
        """Returns one reply and its descriptors, which the caller must close."""
        received: list[int] = []
        try:
            flags, length = _PREFIX.unpack(self._read(_PREFIX.size, received, deadline))
            if flags or length > MAXIMUM_REPLY:
                raise ConnectionLost(
                    f"malformed frame: {length} bytes and flags {flags}, "
                    f"expected at most {MAXIMUM_REPLY} and 0"
                )
            body = self._read(length, received, deadline)
            reply = parse("Reply", bytes(body))
            if reply.descriptor_count != len(received):
                raise ConnectionLost(
                    f"{len(received)} descriptors with a reply, expected {reply.descriptor_count}"
                )
            return reply, received
        except BaseException:
            for descriptor in received:
                os.close(descriptor)
            raise

    def _read(self, count: int, received: list[int], deadline: Deadline) -> bytearray:
        """Reads exactly `count` bytes: the next byte may carry the descriptors of another frame."""
        data = bytearray(count)
        view = memoryview(data)
        at = 0
        while at < count:
            try:
                size, ancillary, flags, _ = self._wait(view[at:], deadline)
            except OSError as error:
                raise ConnectionLost(str(error)) from None
            for level, kind, value in ancillary:
                if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                    rights = array.array("i")
                    rights.frombytes(value[: len(value) - len(value) % rights.itemsize])
                    received.extend(rights)
            if flags & socket.MSG_CTRUNC:
                raise WarmstartError.of(
                    "SYSTEM",
                    "descriptors from the daemon were lost: this process has too many open files",
                )
            if not size:
                raise ConnectionLost("the daemon closed the connection")
            at += size
        return data

    def _wait(self, room: memoryview, deadline: Deadline) -> Any:
        """Receives within the deadline; the log says once that the client is waiting."""
        remaining = deadline.remaining()
        if not self._has_answered and (remaining is None or remaining > _PATIENCE):
            self._has_answered = True
            try:
                self._socket.settimeout(_PATIENCE)
                return self._socket.recvmsg_into([room], _ROOM, socket.MSG_CMSG_CLOEXEC)
            except socket.timeout:
                log.warning("waiting for the daemon at %s to answer", self._path)
            remaining = deadline.remaining()
        try:
            self._socket.settimeout(remaining)
            return self._socket.recvmsg_into([room], _ROOM, socket.MSG_CMSG_CLOEXEC)
        except socket.timeout:
            raise deadline_passed() from None


def _refusal_of(reply: Any, identifier: int) -> Exception:
    """Returns what to raise for a reply to a call that has a status.

    A function that raises an exception which a local of its own refers to keeps that exception
    until the cyclic garbage collector runs, with all files that its callers have open.
    """
    error = error_of(reply.status)
    error.is_answer = reply.id == identifier
    if reply.id == 0 and error.reason == "DRAINING":
        return ConnectionLost(error.message, error)
    return error


def error_of(status: Any) -> WarmstartError:
    """Makes the error of a `google.rpc.Status`."""
    reason, problems, count, retry_after = "", [], 0, None
    for detail in status.details:
        name = detail.type_url.rpartition("/")[2]
        if name == "google.rpc.ErrorInfo":
            info = parse(name, detail.value)
            reason = info.reason if info.domain == "warmstart" else reason
        elif name == "warmstart.v1.Problems":
            value = parse("Problems", detail.value)
            count = value.problem_count
            problems = [
                in_python(Problem(p.reason, p.message, *map(decode, (p.key, p.variable, p.tensor))))
                for p in value.problems
            ]
        elif name == "google.rpc.RetryInfo":
            delay = parse(name, detail.value).retry_delay
            retry_after = max(0.0, delay.seconds + delay.nanos / 1e9)
    code = CODES[status.code] if 0 <= status.code < len(CODES) else str(status.code)
    # The first problem is the one that the status reports.
    text = problems[0].message if problems else status.message
    return WarmstartError(code, reason, text, problems, count, retry_after)
