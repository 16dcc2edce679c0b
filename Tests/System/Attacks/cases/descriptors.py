"""A client opens and closes checkpoints without end, and asks for arenas of one element."""

import os
import time

from bundle import Bundle, zeros
from probe import expect_served
from wire import Connection, Ended, Part, Refused

LIMIT = 1024
# Descriptors that must be free for accepting at any time.
ROOM = 8
CHECKPOINTS = 3000
SLICES = 1000
SECONDS = 12


def write_indexes(folder, count):
    """Writes indexes of the same small checkpoint; each opens as a different one."""
    bundle = Bundle().add("t", [4])
    data = os.path.join(folder, "small.data-00000-of-00001")
    bundle.write_data(data)
    index = bundle.index()
    checkpoints = []
    for number in range(count):
        path = os.path.join(folder, f"small-{number}.index")
        with open(path, "wb") as file:
            file.write(index)
        checkpoints.append([path, data])
    return checkpoints


def open_and_close(link, socket, folder):
    """Opens and closes again and again, and reconnects if the daemon drops it."""
    checkpoints = write_indexes(folder, CHECKPOINTS)
    link.report(ready=True)
    end = time.monotonic() + SECONDS
    opened = refused = number = 0
    while time.monotonic() < end and not link.is_told_to_stop():
        try:
            with Connection(socket, 2) as connection:
                while time.monotonic() < end and not link.is_told_to_stop():
                    number += 1
                    try:
                        handle, _ = connection.open(checkpoints[number % CHECKPOINTS])
                        connection.close(handle)
                        opened += 1
                    except Refused as status:
                        refused += 1
                        if status.of_connection:
                            break
                        time.sleep(0.001)
        except (Ended, Refused, OSError):
            refused += 1
            time.sleep(0.05)
    link.report(opened=opened, refused=refused)


def cut_single_elements(link, socket, paths):
    """Leases one checkpoint and asks for one element at a time, sealed."""
    granted = refused = 0
    try:
        with Connection(socket, 5) as connection:
            handle, _ = connection.open(paths)
            for number in range(SLICES):
                try:
                    part = Part("t", [SLICES], [number], [1])
                    connection.resolve(handle, [part], sealed=True).close()
                    granted += 1
                except Refused:
                    refused += 1
            link.report(granted=granted, refused=refused)
            link.is_told_to_stop(30)
    except (Ended, Refused, OSError) as error:
        link.report(granted=granted, refused=refused, error=repr(error))


def attack(bench, outcome):
    single_elements(bench, outcome)
    many_checkpoints(bench, outcome)


def single_elements(bench, outcome):
    daemon = bench.start("--linger", "300", descriptor_limit=LIMIT)
    quiet = bench.probe(daemon)
    before = len(daemon.arenas())
    paths = zeros(bench.path("slices"), t=[SLICES])
    cutter = bench.attacker(cut_single_elements, daemon.socket, paths)
    report = cutter.read(20) or {}
    arenas = len(daemon.arenas()) - before
    outcome.note(
        f"{SLICES} single elements: {report.get('granted')} granted, {arenas} memory files held, "
        f"{daemon.descriptor_count()} descriptors of {LIMIT}")
    outcome.expect(report.get("granted", 0) > 0, f"no element was granted: {report}")
    outcome.expect(arenas < SLICES / 5, "small pieces do not share arenas")
    expect_served(outcome, quiet, bench.probe(daemon, 15, timeout=1))
    cutter.stop()
    daemon.stop()


def many_checkpoints(bench, outcome):
    daemon = bench.start("--linger", "300", descriptor_limit=LIMIT)
    quiet = bench.probe(daemon)
    watch = bench.watch(daemon)
    opener = bench.attacker(
        open_and_close, daemon.socket, bench.folder_of(20001))
    opener.read(10)
    time.sleep(1)
    during = bench.probe(daemon, timeout=1)
    report = opener.stop() or {}
    most = watch.stop() or {}
    outcome.note(
        f"{report.get('opened')} opened and closed, {report.get('refused')} refused, at most "
        f"{most.get('descriptors')} descriptors of {LIMIT}")
    outcome.expect(report.get("opened", 0) > 0, "nothing could be opened")
    outcome.expect(most.get("descriptors", LIMIT) <= LIMIT - ROOM, "descriptors ran out")
    expect_served(outcome, quiet, during)
