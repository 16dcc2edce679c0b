"""A file is changed in place after it was verified, in a way that its times do not show."""

import ctypes
import os
import time

from bench import ATTACKER
from bundle import Bundle
from wire import FILE, Connection, Part, Refused, close_all, open_all

COUNT = 4096
GOOD, BAD = b"\1\2\3\4" * COUNT, b"\5\6\7\10" * COUNT
TRIES = 200
WHOLE = [Part("t", [COUNT])]
CLONE_NEWNS = 0x20000
MS_PRIVATE_AND_RECURSIVE = (1 << 18) | (1 << 14)


def is_wrong(connection, handle, descriptors, parts, sealed=False):
    """Returns whether bytes that differ from the checksum are granted; a refusal is right."""
    try:
        resolved = connection.resolve(handle, parts, sealed)
    except Refused:
        return False
    region, offset, _ = resolved.handles[0]
    source = descriptors[region.file] if region.kind == FILE else region.descriptor
    wrong = os.pread(source, 4, offset) != GOOD[:4]
    resolved.close()
    return wrong


class Subject:
    """A checkpoint whose data file is changed in place."""

    def __init__(self, prefix):
        self.paths = Bundle().add("t", [COUNT], GOOD).write(prefix)
        self.prefix = prefix
        self.writer = os.open(self.paths[1], os.O_WRONLY | os.O_CLOEXEC)

    def put(self, data):
        os.pwrite(self.writer, data, 0)

    def end(self):
        os.close(self.writer)


def link_anew(socket, folder, order):
    """Verifies, changes the bytes, sets the time back, and links or unlinks; returns the faults."""
    subject = Subject(os.path.join(folder, order))
    link = subject.prefix + ".link"
    if order == "unlinked":
        os.link(subject.paths[1], link)
    # Old enough for the coarsest clock.
    time.sleep(0.1)
    descriptors = open_all(subject.paths)
    wrong = []
    with Connection(socket) as connection:
        handle, _ = connection.open_descriptors(descriptors)
        connection.resolve(handle, WHOLE)
        before = os.stat(subject.paths[1])
        subject.put(BAD)
        os.utime(subject.paths[1], ns=(before.st_atime_ns, before.st_mtime_ns))
        os.unlink(link) if order == "unlinked" else os.link(subject.paths[1], link)
        part = [Part("t", [COUNT], [0], [COUNT // 2])]
        if is_wrong(connection, handle, descriptors, WHOLE):
            wrong.append(f"{order}, the same question")
        if is_wrong(connection, handle, descriptors, part):
            wrong.append(f"{order}, another question")
        if is_wrong(connection, handle, descriptors, part, sealed=True):
            wrong.append(f"{order}, sealed")
        again = open_all(subject.paths)
        try:
            handle, _ = connection.open_descriptors(again)
            if is_wrong(connection, handle, again, WHOLE):
                wrong.append(f"{order}, opened again")
        except Refused:
            pass
        close_all(again)
    close_all(descriptors)
    subject.end()
    return wrong


def change_young(socket, folder):
    """Changes files right after they were verified; returns how often wrong bytes were granted."""
    subject = Subject(os.path.join(folder, "young"))
    wrong = granted = same_times = 0
    with Connection(socket) as connection:
        for number in range(TRIES):
            subject.put(GOOD)
            first = os.stat(subject.paths[1])
            descriptors = open_all(subject.paths)
            try:
                handle, _ = connection.open_descriptors(descriptors)
                connection.resolve(handle, WHOLE)
                granted += 1
                subject.put(BAD)
                second = os.stat(subject.paths[1])
                same_times += first.st_ctime_ns == second.st_ctime_ns
                if number % 2:
                    wrong += is_wrong(connection, handle, descriptors, WHOLE)
                connection.close(handle)
                if number % 2 == 0:
                    handle, _ = connection.open_descriptors(descriptors)
                    wrong += is_wrong(connection, handle, descriptors, WHOLE)
                    connection.close(handle)
            except Refused:
                # A daemon may refuse a file as young as this.
                pass
            close_all(descriptors)
    subject.end()
    return dict(wrong=wrong, granted=granted, same_times=same_times)


def change(link, socket, folder):
    wrong = link_anew(socket, folder, "linked") + link_anew(socket, folder, "unlinked")
    link.report(wrong=wrong, young=change_young(socket, folder))


def change_where_clocks_are_coarse(link, socket, folder):
    """The same on a private ramfs, whose times are the clock's ticks."""
    libc = ctypes.CDLL(None, use_errno=True)
    flags = MS_PRIVATE_AND_RECURSIVE
    if libc.unshare(CLONE_NEWNS) or libc.mount(b"none", b"/", None, flags, None):
        link.report(why="no mounts of its own")
        return
    if libc.mount(b"none", folder.encode(), b"ramfs", 0, None):
        link.report(why="no ramfs")
        return
    os.chown(folder, ATTACKER, ATTACKER)
    os.setgid(ATTACKER)
    os.setuid(ATTACKER)
    link.report(young=change_young(socket, folder))


def attack(bench, outcome):
    daemon = bench.start()
    folder = bench.folder_of(ATTACKER)
    report = bench.attacker(change, daemon.socket, folder).read(30) or {}
    if not outcome.expect("wrong" in report, f"the attacker saw {report}"):
        return
    wrong = report["wrong"]
    outcome.note(f"time put back and linked anew: wrong bytes granted in {len(wrong)} of 8 cases")
    outcome.expect(not wrong, f"granted: {'; '.join(wrong)}")
    note_young(outcome, report["young"], "files")
    coarse = bench.child(0, change_where_clocks_are_coarse, daemon.socket, folder).read(30) or {}
    if "young" in coarse:
        note_young(outcome, coarse["young"], "files whose clock is coarse")
    else:
        outcome.note(f"coarse clocks not tried: {coarse.get('why', coarse)}")


def note_young(outcome, young, what):
    outcome.note(
        f"{young['granted']} of {TRIES} young {what} granted, {young['same_times']} changed within a "
        f"tick, {young['wrong']} granted with wrong bytes")
    outcome.expect(not young["wrong"], f"young {what} were granted with wrong bytes")
