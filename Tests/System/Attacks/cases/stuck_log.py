"""No process reads the daemon's log; a user causes many log lines."""

import fcntl
import os

from outcome import milliseconds
from probe import expect_served
from wire import Connection, Ended, Refused

COMPLAINTS = 5000
IDLE = 20
F_SETPIPE_SZ = 1031


class Provoker:
    """Causes log lines; counts the answered and the late calls."""

    def __init__(self, socket, damaged):
        self.socket, self.damaged = socket, damaged
        self.number = self.done = self.late = 0

    def provoke(self):
        """Sends a malformed frame, or opens a damaged checkpoint."""
        self.number += 1
        try:
            with Connection(self.socket, 0.2) as connection:
                if self.number % 2:
                    connection.send_bytes(b"GET / HTTP/1.1\r\n\r\n")
                    connection.receive()
                else:
                    connection.open([self.damaged[self.number // 2 % len(self.damaged)]])
        except (Refused, Ended):
            self.done += 1
        except OSError:
            self.late += 1

    def crowd(self):
        """Makes more connections than a user may have."""
        idle = []
        for _ in range(2 * IDLE):
            try:
                idle.append(Connection(self.socket, 0.2))
            except OSError:
                self.late += 1
        return idle


def provoke(link, socket, damaged):
    provoker = Provoker(socket, damaged)
    for _ in range(10):
        provoker.provoke()
    idle = provoker.crowd()
    link.report(ready=True)
    while provoker.number < COMPLAINTS and provoker.late < 40 and not link.is_told_to_stop():
        if provoker.number % 500 == 0:
            idle = provoker.crowd()
        provoker.provoke()
        while idle:
            idle.pop().end()
    link.report(done=provoker.done, late=provoker.late)
    link.is_told_to_stop(30)


def fill(pipe):
    """Fills a pipe without changing the mode of its writers."""
    own = os.open(f"/proc/self/fd/{pipe}", os.O_WRONLY | os.O_NONBLOCK)
    try:
        for _ in range(1 << 20):
            os.write(own, b"\n")
    except BlockingIOError:
        pass
    finally:
        os.close(own)


def attack(bench, outcome):
    unread, log = os.pipe()
    fcntl.fcntl(log, F_SETPIPE_SZ, 4096)
    try:
        daemon = bench.start("--max-connections-per-user", str(IDLE), stderr=log)
        quiet = bench.probe(daemon)
        fill(log)
        damaged = []
        for number in range(100):
            damaged.append(bench.path(f"damaged-{number}.index"))
            with open(damaged[-1], "wb") as file:
                file.write(bytes(4096))
        attacker = bench.attacker(provoke, daemon.socket, damaged)
        attacker.read(10)
        during = bench.probe(daemon, pause=0.1, timeout=2)
        report = attacker.stop() or {}
        outcome.note(f"{report.get('done')} refusals, {report.get('late')} unanswered")
        expect_served(outcome, quiet, during)
        seconds = daemon.stop(10)
        if outcome.expect(seconds is not None, "SIGTERM did not end the daemon within 10 s"):
            outcome.note(f"ended {milliseconds(seconds)} after SIGTERM")
    finally:
        os.close(unread)
        os.close(log)
