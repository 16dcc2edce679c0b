"""Eight clients do everything for minutes; memory and descriptors must not grow."""

import os
import random
import time

from bench import ATTACKER, VICTIM
from bundle import MIB
from wire import RESOURCE_EXHAUSTED, Connection, Part, Refused

CLIENTS = 8
SAMPLE_SECONDS = 5
KEPT = 8
PAUSE = 0.005
# What may be added in a minute: MiB of each memory, and descriptors.
MOST_MEBIBYTES, MOST_DESCRIPTORS = 1.0, 5.0


def write_copies(paths, folder, count):
    """Copies the victim's checkpoint for users who touch it."""
    copies = []
    for number in range(count):
        copy = [os.path.join(folder, f"copy-{number}{end}") for end in (".index", ".data-00000-of-00001")]
        for source, target in zip(paths, copy):
            with open(source, "rb") as file, open(target, "wb") as made:
                made.write(file.read())
        copies.append(copy)
    return copies


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
            starts = [chance.randrange(200), chance.randrange(50)]
            counts = [chance.randrange(1, 56), chance.randrange(1, 14)]
            part = Part(chance.choice(["one", "two", "three"]), [256, 64], starts, counts)
            kept.append(connection.resolve(handle, [part], sealed=kind > 2))
        while len(kept) > KEPT:
            kept.pop(chance.randrange(len(kept))).close()
    if chance.random() < 0.7:
        connection.close(handle)


def mix(link, socket, paths, folder, seconds):
    """Converses on ever new connections; refusals for memory are answers too."""
    chance = random.Random()
    copies = write_copies(paths, folder, 2)
    kept, calls, refused = [], 0, 0
    end = time.monotonic() + seconds + 60
    while time.monotonic() < end and not link.is_told_to_stop(PAUSE):
        with Connection(socket) as connection:
            connection.hello("soak")
            for _ in range(chance.randrange(1, 6)):
                chosen = chance.choice([paths, *copies])
                if chosen is not paths and chance.random() < 0.1:
                    os.utime(chosen[0])
                try:
                    converse(connection, chosen, chance, kept)
                except Refused as status:
                    if status.code != RESOURCE_EXHAUSTED:
                        raise
                    refused += 1
                calls += 1
    link.report(conversations=calls, refused=refused)


def slope(points):
    """Fits a line; returns how much is added in a minute."""
    middle = sum(time for time, _ in points) / len(points)
    spread = sum((time - middle) ** 2 for time, _ in points)
    return 60 * sum((time - middle) * value for time, value in points) / spread if spread else 0.0


def attack(bench, outcome):
    daemon = bench.start("--budget", "64M", "--linger", "10")
    clients = []
    for number in range(CLIENTS):
        uid = ATTACKER if number % 2 else VICTIM
        folder = os.path.join(bench.folder_of(uid), str(number))
        os.mkdir(folder)
        os.chown(folder, uid, uid)
        clients.append(
            bench.child(uid, mix, daemon.socket, bench.victims_paths, folder, bench.seconds))
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
    failed = [report for report in reports if "conversations" not in report]
    outcome.note(
        f"{sum(report.get('conversations', 0) for report in reports)} conversations, "
        f"{sum(report.get('refused', 0) for report in reports)} refused for memory")
    outcome.expect(not failed, f"{len(failed)} clients failed: {failed[:1]}")
    outcome.expect(daemon.lives, "the daemon ended")
    half = samples[len(samples) // 2 :]
    for column, name, most in [
        (1, "MiB of its own memory", MOST_MEBIBYTES), (2, "MiB of shared memory", MOST_MEBIBYTES),
        (3, "descriptors", MOST_DESCRIPTORS),
    ]:
        added = slope([(sample[0], sample[column]) for sample in half])
        last = samples[-1][column]
        outcome.note(f"{last:.1f} {name} at the end, {added:+.2f} a minute")
        outcome.expect(added <= most, f"{name} grow")
