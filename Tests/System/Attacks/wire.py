"""Talks to the daemon: frames, the descriptors that ride on them, and the calls of the attacks."""

import array
import os
import socket
import struct

from protobuf import Message, field, longs, names, read_longs, read_words, words

SERVICE = "/warmstart.v1.Warmstart/"
MAXIMUM_DESCRIPTORS = 64
RESOURCE_EXHAUSTED = 8
ABORTED = 10
FILE, ARENA = 1, 2


class Refused(Exception):
    """The daemon answered a call, or the connection, with a status."""

    def __init__(self, status, of_connection):
        self.code, self.message = status.number(1), status.text(2)
        # google.rpc.Status: the first of its details is an ErrorInfo.
        self.reason = status.messages(3)[0].messages(2)[0].text(1)
        self.of_connection = of_connection
        super().__init__(f"{self.reason}: {self.message}")


class Ended(Exception):
    """The daemon closed the connection."""


class Region:
    """Granted memory: its kind, its size, and for an arena the descriptor."""

    def __init__(self, message, descriptors):
        self.id, self.kind = message.number(1), message.number(2)
        self.byte_count, self.file = message.number(3), message.number(4)
        self.descriptor = descriptors[message.number(5)] if self.kind == ARENA else None


class Resolved:
    """The grants of a resolve; handles are (region, offset, byte count) in the order of variables.
    """

    def __init__(self, replies):
        self.regions, handles = [], {}
        for response, descriptors in replies:
            message = Message(response)
            self.regions += [Region(region, descriptors) for region in message.messages(2)]
            columns = Message(message.bytes(3))
            rows = zip(
                read_words(columns.bytes(1)), read_words(columns.bytes(6)),
                read_longs(columns.bytes(7)), read_longs(columns.bytes(8)))
            for variable, region, offset, byte_count in rows:
                handles[variable] = (self.regions[region], offset, byte_count)
        self.handles = [handles[variable] for variable in sorted(handles)]

    @property
    def descriptors(self):
        return sorted({region.descriptor for region in self.regions if region.kind == ARENA})

    def close(self):
        for descriptor in self.descriptors:
            os.close(descriptor)


class Part:
    """A variable that is a slice of a tensor, or all of it."""

    def __init__(self, tensor, shape, offset=None, count=None):
        self.tensor, self.shape = tensor, shape
        self.offset, self.count = offset, count


class Connection:
    """One connection to the daemon."""

    def __init__(self, path, timeout=10):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        try:
            self.socket.connect(path)
        except BaseException:
            self.socket.close()
            raise
        self.last_id = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        self.socket.close()

    # Frames

    def send(self, method, request=b"", descriptors=(), features=()):
        """Sends a call without waiting for its answer."""
        self.last_id += 1
        call = field(1, self.last_id) + field(2, SERVICE + method) + field(3, request)
        if descriptors:
            call += field(4, len(descriptors))
        for feature in features:
            call += field(6, feature)
        self.send_bytes(b"\0" + struct.pack(">I", len(call)) + call, descriptors)

    def send_bytes(self, frame, descriptors=()):
        ancillary = []
        if descriptors:
            packed = array.array("i", descriptors)
            ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, packed)]
        try:
            sent = self.socket.sendmsg([frame], ancillary, socket.MSG_NOSIGNAL)
            if sent < len(frame):
                self.socket.sendall(memoryview(frame)[sent:])
        except (BrokenPipeError, ConnectionResetError):
            self.raise_last_words()

    def raise_last_words(self):
        """Raises the daemon's last reply, if it sent one before it closed."""
        while True:
            self.receive()

    def receive(self):
        """Receives one reply: its response, its descriptors, and whether more follow."""
        prefix, descriptors = self._receive_some(5)
        _, length = struct.unpack(">BI", prefix)
        body = bytearray()
        while len(body) < length:
            try:
                piece = self.socket.recv(length - len(body))
            except ConnectionResetError:
                piece = b""
            if not piece:
                raise Ended
            body += piece
        reply = Message(body)
        if reply.all(3):
            raise Refused(Message(reply.bytes(3)), reply.number(1) == 0)
        return reply.bytes(4), descriptors, reply.number(5) != 0

    def _receive_some(self, count):
        room = socket.CMSG_SPACE(MAXIMUM_DESCRIPTORS * 4)
        data, descriptors = b"", array.array("i")
        while len(data) < count:
            try:
                piece, ancillary, _, _ = self.socket.recvmsg(
                    count - len(data), room, socket.MSG_CMSG_CLOEXEC)
            except ConnectionResetError:
                piece = b""
            if not piece:
                raise Ended
            for _, kind, packed in ancillary:
                if kind == socket.SCM_RIGHTS:
                    descriptors.frombytes(packed[: len(packed) - len(packed) % 4])
            data += piece
        return data, list(descriptors)

    def answer(self):
        """Receives all replies to the next call: pairs of response and descriptors."""
        replies = []
        while True:
            response, descriptors, more = self.receive()
            replies.append((response, descriptors))
            if not more:
                return replies

    def call(self, method, request=b"", descriptors=(), features=()):
        self.send(method, request, descriptors, features)
        return self.answer()

    # Calls

    def hello(self, label):
        self.call("Hello", field(1, 1) + field(2, label))

    def attach(self, descriptors):
        return Message(self.call("Attach", b"", descriptors)[0][0]).all(1)

    def open_descriptors(self, descriptors, label="", shards=None):
        """Opens the checkpoint of an index and its data files; returns the handle and the generation.

        `shards` has the shard number that the call gives each data file, if not their order.
        """
        request = field(1, reference(len(descriptors), label, shards))
        reply = Message(self.call("Open", request, descriptors)[0][0])
        return reply.number(1), reply.text(2)

    def open(self, paths, label=""):
        descriptors = open_all(paths)
        try:
            return self.open_descriptors(descriptors, label)
        finally:
            close_all(descriptors)

    def close(self, handle):
        self.call("Close", field(1, handle))

    def list(self, handle):
        return self.call("List", field(1, field(1, handle)))

    def send_resolve(self, handle, parts, sealed=False):
        request = field(1, field(1, handle)) + question(parts)
        request += field(5, 1) if sealed else b""
        self.send("Resolve", request, features=["sealed"] if sealed else [])

    def resolve(self, handle, parts, sealed=False):
        self.send_resolve(handle, parts, sealed)
        return Resolved(self.answer())

    def status(self):
        return Status(self.call("Status")[0][0])


class Status:
    """Returns the daemon's status."""

    def __init__(self, response):
        message = Message(response)
        self.client_count, self.lease_count = message.number(4), message.number(5)
        self.arena_byte_count, self.budget = message.number(7), message.number(8)
        self.generations = [row.text(1) for row in message.messages(9)]
        self.users = [row.number(2) for row in message.messages(10)]
        self.counters = {row.text(1): row.number(2) for row in message.messages(11)}
        # Fields of later daemons about granted memory whose lease has ended.
        self.later_numbers = [
            value for number, values in message.values.items() if number > 11
            for value in values if isinstance(value, int)]


def reference(count, label="", shards=None):
    """Encodes a CheckpointReference of an index and its data files, in the order of descriptors."""
    files = field(2, field(1, 1) + field(4, 0))
    for number, shard in enumerate(range(count - 1) if shards is None else shards):
        files += field(2, field(1, 2) + field(2, shard) + field(3, count - 1) + field(4, number + 1))
    return files + (field(4, label) if label else b"")


def question(parts):
    """Encodes the map and the variables of a resolve: one pair for each part."""
    variables = [f"v{number}" + ("/part_0" if part.offset else "") for number, part in enumerate(parts)]
    own = [part.count if part.offset else part.shape for part in parts]
    pairs = field(1, names([part.tensor for part in parts]))
    # A whole variable is a single object, a part one element of a list.
    targets = [2 if part.offset else 1 for part in parts]
    pairs += field(2, words(targets)) + field(3, words([1] * len(parts)))
    pairs += field(4, names(variables))
    declared = field(1, names(variables)) + field(2, words([1] * len(parts)))
    declared += field(3, words([len(shape) for shape in own])) + field(4, longs(sum(own, [])))
    cut = [number for number, part in enumerate(parts) if part.offset]
    if cut:
        places = field(1, words(cut)) + field(2, names([f"v{number}" for number in cut]))
        places += field(3, words([len(parts[number].shape) for number in cut]))
        places += field(4, longs(sum((parts[number].shape for number in cut), [])))
        places += field(5, longs(sum((parts[number].offset for number in cut), [])))
        declared += field(6, places)
    return field(2, pairs) + field(3, declared)


def open_all(paths):
    return [os.open(path, os.O_RDONLY | os.O_CLOEXEC) for path in paths]


def close_all(descriptors):
    for descriptor in descriptors:
        os.close(descriptor)
