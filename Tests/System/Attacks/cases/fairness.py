"""Hundreds of connections of one user verify files without end; another user loads a small one."""

import os
import select
import time

from bundle import MIB, Bundle, zeros
from probe import expect_served
from wire import Connection, Ended, Part, Refused

CONNECTIONS = 200
GIB = 1 << 30
SECONDS = 60


def write_sparse(folder, count, byte_count=4 * GIB):
    """Writes checkpoints of one large tensor of zeros that share an index; each is a separate load.
    """
    bundle = Bundle().add("t", [byte_count // 4])
    index = os.path.join(folder, "sparse.index")
    with open(index, "wb") as file:
        file.write(bundle.index())
    checkpoints = []
    for number in range(count):
        data = os.path.join(folder, f"sparse-{number}")
        bundle.write_data(data)
        checkpoints.append([index, data])
    return checkpoints


class Verifier:
    """Connections that each make the daemon verify a large file, again and again."""

    def __init__(self, socket, folder, count, byte_count):
        self.socket, self.part = socket, Part("t", [byte_count // 4])
        self.checkpoints = write_sparse(folder, count, byte_count)
        self.poll, self.busy = select.poll(), {}
        self.answered = self.refused = 0

    def open(self, number):
        """Opens a checkpoint on a new connection; returns None if the daemon refuses."""
        # Touched, so that these bytes are not verified yet.
        os.utime(self.checkpoints[number][1])
        try:
            connection = Connection(self.socket, 5)
            handle, _ = connection.open(self.checkpoints[number])
            return connection, handle
        except (Refused, Ended, OSError):
            self.refused += 1
            return None

    def ask(self, number, opened):
        if opened is None:
            return
        connection, handle = opened
        try:
            connection.send_resolve(handle, [self.part])
        except (Refused, Ended, OSError):
            self.refused += 1
            return
        self.poll.register(connection.socket, select.POLLIN)
        self.busy[connection.socket.fileno()] = (number, connection)

    def open_all(self):
        """Opens everything before the first load slows that down."""
        self.opened = [self.open(number) for number in range(len(self.checkpoints))]

    def begin(self):
        for number, opened in enumerate(self.opened):
            self.ask(number, opened)

    def go_on(self):
        """Asks again on each connection that got an answer."""
        for descriptor, _ in self.poll.poll(100):
            number, connection = self.busy.pop(descriptor)
            self.poll.unregister(descriptor)
            try:
                connection.answer()
                self.answered += 1
            except (Refused, Ended, OSError):
                self.refused += 1
                time.sleep(0.005)
            connection.end()
            self.ask(number, self.open(number))


def verify(link, socket, folder, count=CONNECTIONS, byte_count=4 * GIB):
    """Opens and reports that; begins on the first order, and stops on the second."""
    verifier = Verifier(socket, folder, count, byte_count)
    verifier.open_all()
    link.report(opened=count - verifier.refused)
    link.wait(60)
    verifier.begin()
    link.report(busy=len(verifier.busy))
    end = time.monotonic() + SECONDS
    while verifier.busy and time.monotonic() < end and not link.is_told_to_stop():
        verifier.go_on()
    link.report(answered=verifier.answered, refused=verifier.refused)


def attack(bench, outcome):
    daemon = bench.start("--budget", "512M")
    count = 8
    fresh = [zeros(bench.path(f"fresh-{number}"), whole=[28 * MIB]) for number in range(2 * count)]
    quiet = bench.load(daemon, fresh[:count])
    quiet_probes = bench.probe(daemon)
    attacker = bench.attacker(verify, daemon.socket, bench.folder_of(20001))
    attacker.read(30)
    attacker.go_on()
    busy = (attacker.read(30) or {}).get("busy")
    during = bench.load(daemon, fresh[count:])
    probes = bench.probe(daemon)
    report = attacker.stop() or {}
    outcome.note(
        f"{busy} connections verified 4 GiB each, {report.get('answered')} were answered, "
        f"{report.get('refused')} refused")
    outcome.expect(busy, "no connection got so far")
    outcome.note("loads:")
    expect_served(outcome, quiet, during)
    outcome.note("probes:")
    expect_served(outcome, quiet_probes, probes)
