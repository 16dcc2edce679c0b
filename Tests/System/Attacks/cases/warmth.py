"""A user at its limit of files asks for more again and again; others' checkpoints stay warm."""

import os

from probe import expect_served
from wire import Connection, Ended, Refused

FRAMES = 8
FILES = 64
CONNECTIONS = 100
PAUSE = 0.02


class Taker:
    """Passes the same file as often as the daemon allows."""

    def __init__(self, socket, path):
        self.socket, self.descriptors = socket, [os.open(path, os.O_RDONLY)] * FILES
        self.connections = []
        self.frames = FRAMES
        self.taken = self.refused = 0

    def take(self):
        """Passes files once; returns whether the daemon accepted them."""
        try:
            if self.frames == FRAMES:
                self.connections.append(Connection(self.socket))
                self.frames = 0
            self.connections[-1].attach(self.descriptors)
            self.frames += 1
            self.taken += FILES
            return True
        except (Refused, Ended, OSError) as error:
            self.refused += 1
            # The daemon dropped the connection and its files; it connects and passes them again.
            if not isinstance(error, Refused) or error.of_connection:
                self.frames = FRAMES
            return False


def take_more(link, socket, path):
    taker = Taker(socket, path)
    while len(taker.connections) < CONNECTIONS and taker.take():
        pass
    link.report(taken=taker.taken)
    before = taker.refused
    while not link.is_told_to_stop(PAUSE):
        taker.take()
    link.report(refused=taker.refused - before)


def attack(bench, outcome):
    daemon = bench.start("--linger", "300")
    quiet = bench.probe(daemon)
    attacker = bench.attacker(take_more, daemon.socket, bench.victims_paths[1])
    taken = (attacker.read(20) or {}).get("taken", 0)
    before = daemon.status().counters
    # Long pauses, in which the victim's checkpoint has no lease.
    during = bench.probe(daemon, 15, pause=0.2)
    after = daemon.status().counters
    refused = (attacker.stop() or {}).get("refused", 0)
    grown = {
        name: after[name] - before[name]
        for name in ("checkpoints_evicted", "indexes_parsed", "runs_verified")}
    outcome.note(
        f"{taken} files taken, more refused {refused} times; "
        + ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in grown.items()))
    outcome.expect(taken > 0 and refused > 0, "the attacker was not at its limit")
    for name, count in grown.items():
        outcome.expect(count == 0, f"{name} grew, so that the victim's checkpoint did not stay warm")
    expect_served(outcome, quiet, during)
