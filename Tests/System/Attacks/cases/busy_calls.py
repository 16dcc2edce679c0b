"""A user's hundreds of connections call without a pause; another user's calls stay fast."""

import select
import time

from probe import expect_served
from wire import Connection

CONNECTIONS, CALLS, SECONDS = 200, 100, 12


def calls_of(connection):
    """The bytes of many calls, one after the other."""
    frames = []
    connection.send_bytes = lambda frame, descriptors=(): frames.append(frame)
    for _ in range(CALLS):
        connection.send("Status")
    return b"".join(frames)


class Busy:
    """A connection that always has calls in flight."""

    def __init__(self, socket):
        self.connection = Connection(socket)
        self.bytes = calls_of(self.connection)
        self.sent = 0
        self.connection.socket.setblocking(False)

    def go_on(self, events):
        try:
            if events & select.EPOLLIN:
                self.connection.socket.recv(1 << 18)
            if events & select.EPOLLOUT:
                self.sent += self.connection.socket.send(self.bytes[self.sent:])
                self.sent %= len(self.bytes)
        except BlockingIOError:
            pass


def storm(link, socket):
    busy = [Busy(socket) for _ in range(CONNECTIONS)]
    poll, known = select.epoll(), {}
    for one in busy:
        number = one.connection.socket.fileno()
        poll.register(number, select.EPOLLIN | select.EPOLLOUT)
        known[number] = one
    link.report(calling=CONNECTIONS)
    end = time.monotonic() + SECONDS
    while time.monotonic() < end and not link.is_told_to_stop():
        for number, events in poll.poll(0.1):
            known[number].go_on(events)


def attack(bench, outcome):
    daemon = bench.start()
    quiet = bench.probe(daemon)
    attacker = bench.attacker(storm, daemon.socket)
    report = attacker.read(10) or {}
    time.sleep(1)
    during = bench.probe(daemon)
    outcome.note(f"{report.get('calling')} connections call without a pause")
    expect_served(outcome, quiet, during)
