"""Eight clients do everything for minutes; memory and descriptors must not grow."""

import os
import random
import time

from bench import ATTACKER, VICTIM, wait_until
from bundle import MIB, zeros
from wire import RESOURCE_EXHAUSTED, Connection, Ended, Part, Refused

CLIENTS = 8
SAMPLE_SECONDS = 5
LINGER = 10
KEPT = 8
ROWS, COLUMNS = 512, 256
PAUSE = 0.005
# The most growth per minute: MiB of each memory, and descriptors.
MOST_MEBIBYTES, MOST_DESCRIPTORS = 1.0, 5.0


def write(prefix):
    return zeros(prefix, one=[ROWS, COLUMNS], two=[ROWS, COLUMNS], three=[ROWS, COLUMNS])


def converse(connection, paths, chance, kept):
    """One conversation of random calls; some arenas are kept for a while."""
    handle, _ = connection.open(paths, "soak")
    for _ in range(chance.randrange(1, 8)):
        kind = chance.randrange(5)
        if kind == 0:
            connection.list(handle)
        elif kind == 1:
            connection.status()
        else:
            starts = [chance.randrange(ROWS // 2), chance.randrange(COLUMNS // 2)]
            counts = [chance.randrange(1, ROWS // 2), chance.randrange(1, COLUMNS // 2)]
            name = chance.choice(["one", "two", "three"])
            part = Part(name, [ROWS, COLUMNS], starts, counts)
            kept.append(connection.resolve(handle, [part], sealed=kind > 2))
        while len(kept) > KEPT:
            kept.pop(chance.randrange(len(kept))).close()
    if chance.random() < 0.7:
        connection.close(handle)


class Mixer:
    """Converses on ever new connections; refusals for memory are fine, lost connections are not."""

    def __init__(self, socket, common, folder):
        self.socket = socket
        self.common = common
        self.own = [write(os.path.join(folder, f"own-{number}")) for number in range(2)]
        self.chance, self.kept = random.Random(), []
        self.conversations = self.refused = self.lost = 0

    def connect(self):
        with Connection(self.socket) as connection:
            connection.hello("soak")
            for _ in range(self.chance.randrange(1, 6)):
                self.converse(connection)

    def converse(self, connection):
        chosen = self.chance.choice([self.common, *self.own])
        if chosen is not self.common and self.chance.random() < 0.1:
            os.utime(chosen[0])
        try:
            converse(connection, chosen, self.chance, self.kept)
            self.conversations += 1
        except Refused as status:
            if status.of_connection or status.code != RESOURCE_EXHAUSTED:
                raise
            self.refused += 1


def mix(link, socket, common, folder, seconds):
    mixer = Mixer(socket, common, folder)
    end = time.monotonic() + seconds + 60
    why = ""
    while time.monotonic() < end and not link.is_told_to_stop(PAUSE):
        try:
            mixer.connect()
        except (Refused, Ended, OSError) as error:
            mixer.lost += 1
            why = str(error)
            time.sleep(0.1)
    link.report(
        conversations=mixer.conversations, refused=mixer.refused, lost=mixer.lost, why=why)


def slope(points):
    """Fits a line; returns the growth per minute, and its uncertainty."""
    count = len(points)
    middle = sum(time for time, _ in points) / count
    level = sum(value for _, value in points) / count
    spread = sum((time - middle) ** 2 for time, _ in points)
    if count < 3:
        return 0.0, 0.0
    added = sum((time - middle) * value for time, value in points) / spread
    off = sum((value - level - added * (time - middle)) ** 2 for time, value in points)
    return 60 * added, 60 * (off / (count - 2) / spread) ** 0.5


def attack(bench, outcome):
    daemon = bench.start("--budget", "64M", "--linger", str(LINGER))
    # One more descriptor watches arenas, from the first dropped one on.
    before = daemon.descriptor_count() + 1
    common = write(bench.path("common"))
    clients = []
    for number in range(CLIENTS):
        uid = ATTACKER if number % 2 else VICTIM
        folder = os.path.join(bench.folder_of(uid), str(number))
        os.mkdir(folder)
        os.chown(folder, uid, uid)
        clients.append(
            bench.child(uid, mix, daemon.socket, common, folder, bench.seconds))
    samples = []
    began = time.monotonic()
    while time.monotonic() - began < bench.seconds and daemon.lives:
        time.sleep(SAMPLE_SECONDS)
        samples.append((
            time.monotonic() - began, daemon.anonymous_byte_count() / MIB,
            sum(daemon.arenas().values()) / MIB, daemon.descriptor_count()))
    for client in clients:
        client.tell_to_stop()
    reports = [client.stop() or {} for client in clients]
    failed = [report for report in reports if report.get("lost", 1)]
    outcome.note(
        f"{sum(report.get('conversations', 0) for report in reports)} conversations, "
        f"{sum(report.get('refused', 0) for report in reports)} refused for memory")
    outcome.expect(not failed, f"{len(failed)} clients lost connections: {failed[:1]}")
    outcome.expect(daemon.lives, "the daemon ended")
    if not samples:
        return
    half = samples[len(samples) // 2 :]
    for column, name, most in [
        (1, "MiB of its own memory", MOST_MEBIBYTES), (2, "MiB of shared memory", MOST_MEBIBYTES),
        (3, "descriptors", MOST_DESCRIPTORS),
    ]:
        added, error = slope([(sample[0], sample[column]) for sample in half])
        outcome.note(f"{half[-1][column]:.1f} {name} at the end, {added:+.2f} ± {error:.2f} a minute")
        # Random variation is not growth.
        outcome.expect(added - 3 * error <= most, f"{name} grow")
    seconds = wait_until(
        lambda: not daemon.arenas() and daemon.descriptor_count() <= before, LINGER + 7)
    if outcome.expect(seconds is not None, f"{len(daemon.arenas())} arenas, "
                      f"{daemon.descriptor_count()} descriptors stay"):
        outcome.note(f"all given back {seconds:.1f} s after the last client")
