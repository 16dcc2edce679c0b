"""Fifty clients ask for one cold checkpoint at once; the daemon reads it once for all of them.

Also if the client that asked first is killed midway, or makes its descriptor, which the daemon
reads from, unusable: O_DIRECT belongs to the open file, not to the process.
"""

import fcntl
import os
import resource
import statistics
import struct
import time

from bench import ATTACKER, VICTIM
from bundle import MIB, Bundle
from checksum import crc32c_of_repeats
from outcome import milliseconds
from wire import FILE, Connection, Part, Resolved, close_all, open_all

CLIENTS = 50
TENSORS, BYTES = 16, 64 * MIB
PARTS = [Part(f"t{number:02}", [BYTES // 4]) for number in range(TENSORS)]
# How much more may be read than the files have.
ONCE = 1.05
# How much longer than one client's load all answers together may take, on a quiet machine.
SHARED = 1.25
QUIET_PATIENCE = 3
TIMEOUT = 40


def write_checkpoint(prefix):
    """Writes a checkpoint of which every element is the number of its tensor."""
    bundle = Bundle()
    for number, part in enumerate(PARTS):
        element = struct.pack("<f", number)
        crc = crc32c_of_repeats(element, BYTES // 4)
        bundle.add(part.tensor, part.shape, element * (BYTES // 4), crc)
    return bundle.write(prefix)


def cool(paths):
    """Drops the files from the page cache."""
    for path in paths:
        with open(path, "rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def own_read_byte_count():
    """Returns the bytes that this process read from the disk."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_inblock * 512


def read_byte_count(pid):
    """Returns the bytes that a process read from the disk."""
    with open(f"/proc/{pid}/io") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("read_bytes:"))


def ask(link, socket, paths, spoils):
    """Resolves everything when told to go on; `spoils` makes the descriptors unusable midway."""
    descriptors = open_all(paths)
    with Connection(socket, TIMEOUT) as connection:
        handle, _ = connection.open_descriptors(descriptors)
        before = own_read_byte_count()
        link.report(ready=True)
        link.wait(TIMEOUT)
        connection.send_resolve(handle, PARTS)
        if spoils:
            link.report(asked=True)
            link.wait(TIMEOUT)
            for descriptor in descriptors:
                fcntl.fcntl(descriptor, fcntl.F_SETFL, os.O_DIRECT)
        resolved = Resolved(connection.answer())
        ended = time.monotonic()
        read = own_read_byte_count() - before
    close_all(descriptors)
    link.report(ended=ended, read=read, right=is_right(resolved, paths))


def is_right(resolved, paths):
    """Looks at the last element of each tensor."""
    with open(paths[1], "rb") as file:
        return len(resolved.handles) == TENSORS and all(
            region.kind == FILE
            and os.pread(file.fileno(), 4, offset + count - 4) == struct.pack("<f", number)
            for number, (region, offset, count) in enumerate(resolved.handles))


class Crowd:
    """Clients of a fresh daemon with a cold checkpoint, ready to ask."""

    def __init__(self, bench, paths, count, spoils=False):
        self.daemon = bench.start()
        self.clients = [
            bench.child(
                VICTIM if number else ATTACKER, ask, self.daemon.socket, paths,
                spoils and number == 0)
            for number in range(count)]
        for client in self.clients:
            client.read(TIMEOUT)
        cool(paths)
        self.before = read_byte_count(self.daemon.pid)
        self.began = time.monotonic()

    def go(self, clients=None):
        for client in self.clients if clients is None else clients:
            client.go_on()

    def finish(self, clients=None):
        """Returns the seconds until the last answer, the bytes that were read, and the reports."""
        reports = [
            client.read(TIMEOUT) or {} for client in (self.clients if clients is None else clients)]
        read = read_byte_count(self.daemon.pid) - self.before
        read += sum(report.get("read", 0) for report in reports)
        seconds = max(report.get("ended", float("inf")) for report in reports) - self.began
        self.daemon.stop()
        return seconds, read, reports


def alone(bench, paths):
    crowd = Crowd(bench, paths, 1)
    crowd.go()
    return crowd.finish()


def together(bench, paths, load):
    crowd = Crowd(bench, paths, CLIENTS)
    crowd.go()
    return crowd.finish()


def first_is_killed(bench, paths, load):
    crowd = Crowd(bench, paths, CLIENTS)
    first, others = crowd.clients[0], crowd.clients[1:]
    crowd.go([first])
    time.sleep(0.2 * load)
    crowd.go(others)
    time.sleep(0.2 * load)
    first.end()
    return crowd.finish(others)


def first_spoils_its_descriptor(bench, paths, load):
    crowd = Crowd(bench, paths, CLIENTS, spoils=True)
    first, others = crowd.clients[0], crowd.clients[1:]
    crowd.go([first])
    first.read(TIMEOUT)
    time.sleep(0.2 * load)
    crowd.go(others)
    time.sleep(0.2 * load)
    first.go_on()
    return crowd.finish(others)


def attack(bench, outcome):
    paths = write_checkpoint(bench.path("cold"))
    size = sum(os.stat(path).st_size for path in paths)
    loads = [alone(bench, paths)[0] for _ in range(3)]
    load = statistics.median(loads)
    outcome.note(f"one client {', '.join(milliseconds(seconds) for seconds in loads)}")
    factor = 1 + (SHARED - 1) * max(1, outcome.patience / QUIET_PATIENCE)
    for name, scene in {
        "at once": together, "the first killed": first_is_killed,
        "the first one's descriptor spoiled": first_spoils_its_descriptor,
    }.items():
        seconds, read, reports = scene(bench, paths, load)
        outcome.note(f"{CLIENTS}, {name}: {seconds / load:.2f} of it, read {read / size:.2f} times")
        wrong = [report for report in reports if not report.get("right")]
        outcome.expect(not wrong, f"{name}: {len(wrong)} clients saw {wrong[:1]}")
        outcome.expect(read <= ONCE * size, f"{name}: {read} bytes were read of {size}")
        outcome.expect(seconds <= factor * load, f"{name}: the last answer came late")
