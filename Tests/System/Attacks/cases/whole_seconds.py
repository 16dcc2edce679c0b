"""A file is rewritten in the second in which it was verified; its times are whole seconds."""

import os
import time

from bench import ATTACKER
from mounts import ext4_of_whole_seconds
from wire import Connection, Part, Refused, close_all, open_all
from cases.changed_in_place import BAD, COUNT, GOOD, WHOLE, Subject, is_wrong

SECONDS = 8
HALF = [Part("t", [COUNT], [0], [COUNT // 2])]


def rewrite(link, socket, folder):
    subject = Subject(os.path.join(folder, "rewritten"))
    figures = dict(granted=0, refused=0, wrong=0, same_times=0, whole=True)
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        # Early in a second, so that there is time for both.
        time.sleep(1 - time.time() % 1 + 0.01)
        subject.put(GOOD)
        first = os.stat(subject.paths[1]).st_ctime_ns
        # No longer young for a clock that ticks.
        time.sleep(0.05)
        descriptors = open_all(subject.paths)
        try:
            with Connection(socket) as connection:
                handle, _ = connection.open_descriptors(descriptors)
                connection.resolve(handle, WHOLE)
                figures["granted"] += 1
                subject.put(BAD)
                second = os.stat(subject.paths[1]).st_ctime_ns
                figures["same_times"] += first == second
                figures["whole"] &= first % 10**9 == 0 and second % 10**9 == 0
                for parts in (WHOLE, HALF):
                    figures["wrong"] += is_wrong(connection, handle, descriptors, parts)
                handle, _ = connection.open_descriptors(descriptors)
                figures["wrong"] += is_wrong(connection, handle, descriptors, WHOLE)
        except Refused:
            figures["refused"] += 1
        close_all(descriptors)
    subject.end()
    link.report(**figures)


def attack(bench, outcome):
    folder = bench.folder_of(ATTACKER)
    with ext4_of_whole_seconds(bench.path("image"), folder, ATTACKER):
        daemon = bench.start()
        report = bench.attacker(rewrite, daemon.socket, folder).read(30) or {}
        if not outcome.expect("wrong" in report, f"the attacker saw {report}"):
            return
        outcome.note(
            f"{report['granted']} granted, {report['refused']} refused, {report['same_times']} "
            f"rewritten within the second, {report['wrong']} grants of other bytes")
        outcome.expect(report["granted"] > 0, "nothing was granted")
        outcome.expect(report["whole"], "the times were not whole seconds")
        outcome.expect(not report["wrong"], "other bytes were granted than were verified")
