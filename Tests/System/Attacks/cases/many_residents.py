"""A user leaves thousands of checkpoints behind; another user's connections stay as fast."""

from bench import ATTACKER
from probe import expect_served
from wire import Connection, Ended, Refused
from cases.descriptors import write_indexes

CHECKPOINTS = 5_000


def leave(link, socket, folder):
    """Opens and closes checkpoints, which linger."""
    left = 0
    with Connection(socket) as connection:
        for paths in write_indexes(folder, CHECKPOINTS):
            try:
                handle, _ = connection.open(paths)
                connection.close(handle)
                left += 1
            except (Refused, Ended, OSError):
                break
    link.report(left=left)


def attack(bench, outcome):
    daemon = bench.start("--linger", "300", descriptor_limit=16_384)
    quiet = bench.probe(daemon)
    report = bench.attacker(leave, daemon.socket, bench.folder_of(ATTACKER)).read(60) or {}
    outcome.note(f"{report.get('left')} checkpoints linger")
    outcome.expect(report.get("left") == CHECKPOINTS, f"the attacker saw {report}")
    expect_served(outcome, quiet, bench.probe(daemon))
