"""A server that plays the daemon's part, well or badly."""

from __future__ import annotations

import array
import fcntl
import os
import socket
import struct
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from warmstart._protocol import message

# F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW and F_SEAL_WRITE.
SEALED = 0x1 | 0x2 | 0x4 | 0x8
_F_ADD_SEALS = 1033


class Peer:
    """One client's connection, as the daemon sees it."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        # The descriptors of the last call; closed with the next.
        self.descriptors: list[int] = []

    def call(self) -> Any:
        """The next call; None at the connection's end."""
        body = self.body()
        return None if body is None else message("Call").FromString(body)

    def body(self) -> bytes | None:
        """The next frame's message; None at the connection's end."""
        prefix = self._read(5)
        if prefix is None:
            return None
        flags, length = struct.unpack(">BI", prefix)
        assert flags == 0
        body = self._read(length)
        assert body is not None, "the connection ended within a frame"
        return body

    def send(self, data: bytes, descriptors: Sequence[int] = ()) -> None:
        """Sends bytes, with descriptors on the first."""
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
        sent = self.socket.sendmsg([data], rights if descriptors else [])
        self.socket.sendall(data[sent:])

    def reply(
        self, call: int, response: Any = b"", descriptors: Sequence[int] = (), **fields: Any
    ) -> None:
        """Sends a reply; what is not given is as it should be."""
        if not isinstance(response, bytes):
            response = response.SerializeToString()
        fields.setdefault("descriptor_count", len(descriptors))
        reply = message("Reply")(id=call, response=response, **fields)
        self.send(frame(reply.SerializeToString()), descriptors)

    def fail(self, call: int, code: int, text: str, *details: tuple[str, bytes]) -> None:
        """Sends a failure, with details of types."""
        reply = message("Reply")(id=call)
        reply.status.code, reply.status.message = code, text
        for kind, value in details:
            reply.status.details.add(type_url=f"type.googleapis.com/{kind}", value=value)
        self.send(frame(reply.SerializeToString()))

    def close(self) -> None:
        self._forget()
        self.socket.close()

    def _forget(self) -> None:
        while self.descriptors:
            os.close(self.descriptors.pop())

    def _read(self, count: int) -> bytes | None:
        if count == 5:
            self._forget()
        data = b""
        while len(data) < count:
            more, ancillary, _, _ = self.socket.recvmsg(
                count - len(data), socket.CMSG_SPACE(4 * 64), socket.MSG_CMSG_CLOEXEC
            )
            for _, _, rights in ancillary:
                numbers = array.array("i")
                numbers.frombytes(rights)
                self.descriptors += numbers
            if not more:
                assert not data, "the connection ended within a frame"
                return None
            data += more
        return data


def sealed_memory(data: bytes, seals: int = SEALED) -> int:
    """An arena as the daemon makes it."""
    descriptor = os.memfd_create("arena", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.pwrite(descriptor, data, 0)
    fcntl.fcntl(descriptor, _F_ADD_SEALS, seals)
    return descriptor


def frame(body: bytes, flags: int = 0) -> bytes:
    return struct.pack(">BI", flags, len(body)) + body


class Impostor:
    """Listens, and has a function play each connection on a thread of its own.

    `close` waits for all threads, and raises what one of them raised; a client that hangs up is not
    an error.
    """

    def __init__(self, directory: Path, play: Callable[[Peer], None]) -> None:
        self.socket = str(directory / "impostor")
        self.connections = 0
        self._play = play
        self._failures: list[Exception] = []
        self._threads: list[threading.Thread] = []
        self._peers: list[Peer] = []
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(self.socket)
        self._listener.listen()
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._acceptor.join()
        self._listener.close()
        for peer in self._peers:
            try:
                peer.socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for thread in self._threads:
            thread.join()
        os.unlink(self.socket)
        if self._failures:
            raise self._failures[0]

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            peer = Peer(connection)
            self._peers.append(peer)
            thread = threading.Thread(target=self._serve, args=(peer,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, peer: Peer) -> None:
        try:
            self._play(peer)
        except (ConnectionError, BrokenPipeError):
            pass
        except Exception as error:  # noqa: BLE001
            self._failures.append(error)
        finally:
            peer.close()


def method(call: Any) -> str:
    """A call's method without its service: "Open"."""
    name: str = call.method.rpartition("/")[2]
    return name


def opened(handle: int = 1) -> Any:
    """What the daemon says of a checkpoint that it opened."""
    return message("OpenReply")(handle=handle, generation="g", format="v2", tensor_count=1)
