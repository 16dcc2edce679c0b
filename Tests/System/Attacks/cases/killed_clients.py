"""Thousands of clients are killed, idle, or come and go; the daemon keeps nothing of them."""

import os
import random
import signal
import time

from bench import wait_until
from bundle import MIB, Bundle
from outcome import mebibytes
from probe import expect_served
from wire import Connection, Part, Refused
from cases.all_connections import take_all

LINGER = 3
KILLED, BATCH = 1000, 25
IDLE = 1024
OPENED = 20_000
# A few threads wait for the next connections.
SPARE_THREADS = 4
MEMORY = 16 * MIB


def work_until_killed(socket, paths):
    """The work of each client that is killed."""
    with Connection(socket) as connection:
        handle, _ = connection.open(paths)
        for number in range(10_000):
            part = Part("one", [256, 64], [number % 200, number % 60], [1 + number % 50, 3])
            connection.resolve(handle, [part], sealed=number % 3 == 0).close()
            # Without this, the killer would get no processor time.
            time.sleep(0.002)


def be_killed(link, socket, paths):
    """Starts clients batch by batch, and kills each after a random time."""
    chance = random.Random()
    killed = 0
    for _ in range(KILLED // BATCH):
        pids = []
        for _ in range(BATCH):
            pid = os.fork()
            if pid == 0:
                try:
                    signal.alarm(20)
                    work_until_killed(socket, paths)
                finally:
                    os._exit(0)
            pids.append(pid)
        for pid in pids:
            time.sleep(chance.random() * 0.005)
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            killed += 1
    link.report(killed=killed)


def open_and_close(link, socket, folder):
    """Opens and closes; the file is touched each time, so that it is a new checkpoint."""
    paths = Bundle().add("t", [4]).write(os.path.join(folder, "touched"))
    opened = refused = 0
    words = ""
    with Connection(socket) as connection:
        for _ in range(OPENED):
            os.utime(paths[0])
            try:
                handle, _ = connection.open(paths)
                connection.close(handle)
                opened += 1
            except Refused as status:
                refused += 1
                words = str(status)
                if status.of_connection:
                    break
                time.sleep(0.0005)
    link.report(opened=opened, refused=refused, words=words)


class Levels:
    """Measures every resource of the daemon."""

    def __init__(self, daemon):
        self.descriptors, self.threads = daemon.descriptor_count(), daemon.thread_count()
        self.memory = daemon.anonymous_byte_count()

    def is_back_at(self, other):
        return (self.descriptors <= other.descriptors
                and self.threads <= other.threads + SPARE_THREADS
                and self.memory <= other.memory + MEMORY)

    def __str__(self):
        return f"{self.descriptors} descriptors, {self.threads} threads, {mebibytes(self.memory)}"


def attack(bench, outcome):
    daemon = bench.start("--budget", "512M", "--linger", str(LINGER))
    # The baseline includes what a daemon keeps after its first use.
    crowd = bench.attacker(take_all, daemon.socket, 64)
    crowd.read(10)
    bench.probe(daemon)
    crowd.stop()
    time.sleep(LINGER + 3)
    baseline = Levels(daemon)
    quiet = bench.probe(daemon)

    killer = bench.attacker(be_killed, daemon.socket, bench.victims_paths)
    during = bench.probe(daemon)
    report = killer.read(40) or {}
    seconds = wait_until(lambda: daemon.status().lease_count == 0, 1)
    outcome.note(f"{report.get('killed')} clients killed")
    outcome.expect(report.get("killed") == KILLED, f"the killer saw {report}")
    expect_served(outcome, quiet, during)
    outcome.expect(seconds is not None, "leases were there a second after their clients")

    idle = bench.attacker(take_all, daemon.socket, IDLE)
    count = (idle.read(40) or {}).get("taken")
    idle.end()
    seconds = wait_until(lambda: daemon.status().client_count <= 1, 1)
    outcome.note(f"{count} idle ones gone")
    outcome.expect(seconds is not None, "idle connections were there a second after their end")

    report = bench.attacker(
        open_and_close, daemon.socket, bench.folder_of(20001)).read(40) or {}
    outcome.note(f"{report.get('opened')} opened and closed, {report.get('refused')} refused")
    # On a busy machine, files may be closed too late to make room for one more.
    outcome.expect((report.get("opened") or 0) >= OPENED * 0.999, f"many were refused: {report}")
    outcome.expect(daemon.status().lease_count == 0, "leases of closed checkpoints are counted")

    seconds = wait_until(lambda: Levels(daemon).is_back_at(baseline), LINGER + 7, 0.2)
    outcome.note(f"before: {baseline}; after: {Levels(daemon)}")
    if outcome.expect(seconds is not None, "not all was given back"):
        outcome.note(f"back after {seconds:.1f} s")
