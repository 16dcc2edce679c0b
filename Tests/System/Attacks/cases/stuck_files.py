"""Files lie on a file system that their user runs, and that stops answering."""

import os
import signal
import time

from bench import ATTACKER, VICTIM, wait_until
from bundle import Bundle
from daemon import Daemon
from fuse import FLUSH, GETATTR, READ, STATX, StuckMount, make_mounts_private
from outcome import Outcome, milliseconds
from probe import expect_served, run_probes
from protobuf import field
from wire import Connection, Ended, Part, Refused, open_all

SECONDS = 15
LINGER = 2
LIMIT = 1024
# Descriptors that must be free for accepting at any time.
ROOM = 8
COUNT = 4096
FIRST, SECOND = [Part("one", [COUNT])], [Part("two", [COUNT])]
QUIET_PROBES = 30
# More than there is time for.
PROBES = 1000
PAUSE = 0.05
TIMEOUT = 2
# An answer this late will not come any more.
PATIENCE = 0.05
CROWD = 300
MAXIMUM_CONNECTIONS = 20
SECONDS_TO_END = 10
CHECKPOINTS = ["lingering", "closed", "killed", "more"]


# The attackers' work. They keep no file open that will hang, because closing it would stop them,
# too.


def be_killed(link, socket, paths):
    """Opens a checkpoint, and asks for more of it once it hangs."""
    connection = Connection(socket)
    handle, _ = connection.open(paths)
    connection.resolve(handle, FIRST)
    link.report(ready=True)
    link.wait(60)
    connection.send_resolve(handle, SECOND)
    link.report(asked=True)
    link.is_told_to_stop(60)


def close(link, socket, lingering, closed):
    """Leaves one checkpoint to linger, and closes another once it hangs."""
    connection, other = Connection(socket), Connection(socket)
    handle, _ = connection.open(closed)
    connection.resolve(handle, FIRST)
    lingering_handle, _ = other.open(lingering)
    other.resolve(lingering_handle, FIRST)
    other.close(lingering_handle)
    link.report(ready=True)
    link.wait(60)
    connection.send("Close", field(1, handle))
    link.report(asked=True)
    link.is_told_to_stop(60)


def grow(link, socket, paths):
    """Opens, asks and hangs up again and again, so that more and more files hang."""
    descriptors = open_all(paths)
    link.report(ready=True)
    link.wait(60)
    done = unanswered = refused = 0
    while not link.is_told_to_stop(0.01):
        try:
            with Connection(socket, PATIENCE) as connection:
                handle, _ = connection.open_descriptors(descriptors)
                connection.resolve(handle, SECOND).close()
                done += 1
        except (Refused, Ended):
            refused += 1
        except OSError:
            unanswered += 1
    link.report(done=done, unanswered=unanswered, refused=refused)
    link.is_told_to_stop(60)


def crowd(link, socket, paths):
    """Passes the files on many connections; hangs up on some and leaves the others."""
    descriptors = open_all(paths)
    link.report(ready=True)
    link.wait(60)
    left, done, refused, unanswered = [], 0, 0, 0
    for number in range(CROWD):
        try:
            connection = Connection(socket, PATIENCE)
            left.append(connection)
            connection.send("Attach", b"", descriptors)
            connection.answer()
            done += 1
        except (Refused, Ended):
            refused += 1
        except OSError:
            unanswered += 1
        if number % 3 and left:
            left.pop().end()
        time.sleep(0.01)
    link.report(done=done, unanswered=unanswered, refused=refused)
    link.is_told_to_stop(60)


# The measures meanwhile.


def watch(link, daemon):
    """Asks for the status again and again, and reports the maximum of every figure."""
    most = dict(seconds=0, descriptors=0, threads=0, late=0)
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        began = time.monotonic()
        try:
            with Connection(daemon.admin_socket, TIMEOUT) as connection:
                connection.status()
        except (OSError, Refused, Ended):
            most["late"] += 1
        most["seconds"] = max(most["seconds"], time.monotonic() - began)
        most["descriptors"] = max(most["descriptors"], daemon.descriptor_count())
        most["threads"] = max(most["threads"], daemon.thread_count())
        time.sleep(0.2)
    link.report(**most)


def has_ended(daemon):
    """Returns whether the daemon exited; the kernel may still hold some of its threads."""
    if not daemon.lives:
        return True
    with open(f"/proc/{daemon.pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] == "Z"


class Scenario:
    """A separate daemon, and a file system that hangs in one way."""

    def __init__(self, bench, number, name, operations, pest, *options):
        self.bench, self.name, self.pest = bench, name, pest
        self.outcome = Outcome()
        self.daemon = bench.start("--linger", str(LINGER), *options, descriptor_limit=LIMIT)
        source = bench.path(f"source-{number}")
        os.mkdir(source)
        for checkpoint in CHECKPOINTS:
            bundle = Bundle().add("one", [COUNT]).add("two", [COUNT])
            bundle.write(os.path.join(source, checkpoint))
        self.mount = StuckMount(
            bench, source, bench.path(f"mount-{number}"), ATTACKER, operations)
        self.seconds_to_end = None

    def paths(self, checkpoint):
        prefix = os.path.join(self.mount.mountpoint, checkpoint)
        return [f"{prefix}.index", f"{prefix}.data-00000-of-00001"]

    def start_victim(self, count, seconds):
        self.expected = count
        self.victim = self.bench.child(
            VICTIM, run_probes, self.daemon.socket, self.bench.victims_paths, count, PAUSE, TIMEOUT,
            seconds)

    def end_victim(self):
        return self.bench.probes_of(self.victim, self.expected, TIMEOUT)

    def prepare(self):
        """Makes attackers open files, and measures the victim's quiet times."""
        self.mount.wait_until_mounted()
        self.quiet = self.end_victim()
        socket = self.daemon.socket
        self.killed = self.bench.attacker(be_killed, socket, self.paths("killed"))
        self.other = self.bench.attacker(self.pest, socket, self.paths("more"))
        for child in (self.killed, self.other):
            self.expect_ready(child)

    def expect_ready(self, child):
        report = child.read(10)
        self.outcome.expect(report == {"ready": True}, f"an attacker could not begin: {report}")

    def get_stuck(self):
        """Leaves a checkpoint to linger; then the file system hangs, and attackers close and die.
        """
        self.closer = self.bench.attacker(
            close, self.daemon.socket, self.paths("lingering"), self.paths("closed"))
        self.expect_ready(self.closer)
        self.mount.get_stuck()
        for child in (self.killed, self.closer):
            child.go_on()
            child.read(5)
        # Time for the daemon to begin with the requests.
        time.sleep(0.05)
        os.kill(self.killed.pid, signal.SIGKILL)
        self.other.go_on()
        self.watcher = self.bench.child(0, watch, self.daemon)
        self.start_victim(PROBES, SECONDS)

    def judge_service(self):
        expect_served(self.outcome, self.quiet, self.end_victim())
        most = self.watcher.read(SECONDS + 3 * TIMEOUT) or {}
        self.outcome.note(
            f"status took at most {milliseconds(most.get('seconds', 0))}; at most "
            f"{most.get('descriptors')} descriptors of {LIMIT}, {most.get('threads')} threads")
        self.outcome.expect(most.get("late") == 0, f"status was not answered: {most}")
        self.outcome.expect(
            most.get("descriptors", LIMIT) <= LIMIT - ROOM, "descriptors ran out")
        self.other.tell_to_stop()
        self.outcome.note(f"another attacker: {self.other.read(5)}")
        withheld = self.mount.count_withheld()
        self.outcome.note(f"{withheld} requests withheld")
        self.outcome.expect(withheld > 0, "nothing got stuck")

    def notes_end(self, began):
        """Checks whether the daemon has ended since then, and notes when."""
        if self.seconds_to_end is None and has_ended(self.daemon):
            self.seconds_to_end = time.monotonic() - began
        return self.seconds_to_end is not None

    def judge_end(self):
        """Checks that the daemon ended, and another can replace it while the file system hangs.

        Threads whose requests were taken and not answered cannot even be killed; the kernel keeps
        them, and the process as a zombie, until the file system is unmounted.
        """
        if not self.outcome.expect(
            self.seconds_to_end is not None,
            f"SIGTERM did not end the daemon within {SECONDS_TO_END} s"
        ):
            return
        kept = self.daemon.thread_count() - 1 if self.daemon.lives else 0
        self.outcome.note(
            f"ended {self.seconds_to_end:.1f} s after SIGTERM, {kept} threads kept by the kernel")
        try:
            folder = os.path.dirname(self.daemon.socket)
            self.bench.daemons.append(Daemon(self.bench.binaries, folder))
        except (RuntimeError, OSError, Refused, Ended) as error:
            self.outcome.expect(False, f"no other daemon can take its place: {error!r}")
        self.mount.abort()
        self.outcome.expect(
            self.daemon.stop(5) is not None, "the daemon was there without the file system, too")

    def tell(self, outcome):
        outcome.note(f"{self.name} stuck: {'; '.join(self.outcome.figures)}")
        for fault in self.outcome.faults:
            outcome.expect(False, f"{self.name} stuck: {fault}")


KINDS = [
    ("FLUSH", {FLUSH}, grow),
    ("GETATTR", {GETATTR, STATX}, grow),
    ("READ", {READ}, grow),
    ("FLUSH among a crowd", {FLUSH}, crowd,
     "--max-connections-per-user", str(MAXIMUM_CONNECTIONS))]


def end_all(scenarios):
    began = time.monotonic()
    for scenario in scenarios:
        scenario.daemon.process.send_signal(signal.SIGTERM)
    wait_until(lambda: all([scenario.notes_end(began) for scenario in scenarios]), SECONDS_TO_END)


def attack(bench, outcome):
    # All at the same time, because each takes long.
    make_mounts_private()
    scenarios = []
    try:
        for number, kind in enumerate(KINDS):
            scenarios.append(Scenario(bench, number, *kind))
        for scenario in scenarios:
            scenario.start_victim(QUIET_PROBES, SECONDS)
        for scenario in scenarios:
            scenario.prepare()
        for scenario in scenarios:
            scenario.get_stuck()
        for scenario in scenarios:
            scenario.judge_service()
        end_all(scenarios)
        for scenario in scenarios:
            scenario.judge_end()
    finally:
        # A process with such an open file ends only after its file system.
        for scenario in scenarios:
            scenario.mount.abort()
    for scenario in scenarios:
        scenario.tell(outcome)
