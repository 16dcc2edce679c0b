"""Checkpoints change while they are loaded and granted; no client sees bytes of another version.

One process truncates, overwrites, replaces and deletes the files of a checkpoint, round after round,
while others open and resolve it. Every eight bytes hold the number of the version and of the tensor,
so that a mixture is seen. Clients also pass shards in another order, under wrong numbers, and from
two checkpoints that differ in nothing but their bytes.
"""

import mmap
import os
import random
import struct
import time

from bench import ATTACKER
from bundle import MIB, Bundle
from checksum import crc32c_of_repeats
from wire import FILE, Connection, Part, Refused, close_all, open_all

SHARDS = 4
BYTES = 2 * MIB
PARTS = [Part(f"t{tensor}", [BYTES // 4]) for tensor in range(SHARDS)]
CLIENTS = 4
# Pauses between changes are at most this long; a load takes a few hundredths.
PAUSE = 0.15
TWINS = [1_000_001, 1_000_002]
TIMES = (1_700_000_000, 1_700_000_000)


def contents(version, tensor):
    return struct.pack("<II", version, tensor) * (BYTES // 8)


def named_by(data):
    """Returns the version and the tensor that all of the bytes name, or None for a mixture."""
    names = struct.unpack("<II", data[:8]) if len(data) == BYTES else None
    return names if names and data == contents(*names) else None


def bundle_of(version):
    bundle = Bundle(SHARDS)
    for tensor, part in enumerate(PARTS):
        unit = struct.pack("<II", version, tensor)
        bundle.add(
            part.tensor, part.shape, unit * (BYTES // 8), crc32c_of_repeats(unit, BYTES // 8), tensor)
    return bundle


class Ledger:
    """Memory of all processes: a count that is odd during a change, and the version at rest."""

    def __init__(self, version):
        self.memory = mmap.mmap(-1, 16)
        self._write(0, version)

    def read(self):
        """Returns the count, and the version or None during a change."""
        count, version = struct.unpack("<QQ", self.memory[:])
        return count, None if count % 2 else version

    # Only one process changes it.

    def begin(self):
        self._write(self.read()[0] + 1, 0)

    def end(self, version):
        self._write(self.read()[0] + 1, version)

    def _write(self, count, version):
        self.memory[:] = struct.pack("<QQ", count, version)


# Changes: each takes the paths and a new version. Afterwards the index and the data may disagree.

def write_into(path, data):
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    os.pwrite(descriptor, data, 0)
    os.close(descriptor)


def truncate(paths, version):
    path = random.choice(paths)
    os.truncate(path, random.randrange(os.stat(path).st_size))


def overwrite(paths, version):
    new = bundle_of(version)
    whole = [new.index(), *[shard[0][1] for shard in new.contents]]
    for path, data in random.sample(list(zip(paths, whole)), len(paths)):
        write_into(path, data)


def overwrite_one_shard(paths, version):
    write_into(random.choice(paths[1:]), contents(version, random.randrange(SHARDS)))


def replace(paths, version):
    new = bundle_of(version).write(paths[0].removesuffix(".index") + ".new")
    for old, path in random.sample(list(zip(paths, new)), len(paths)):
        os.rename(path, old)


def delete_and_write(paths, version):
    """A file system likes to give the new files the inodes of the old ones."""
    delete(paths, version)
    bundle_of(version).write(paths[0].removesuffix(".index"))


def delete(paths, version):
    for path in filter(os.path.exists, paths):
        os.unlink(path)


REPAIRS = [overwrite, replace, delete_and_write]
CHANGES = [truncate, overwrite_one_shard, delete, *REPAIRS]


def change_on(link, ledger, paths, rounds):
    """Changes the checkpoint in every way in turn, between damage and repair."""
    made = 0
    for number in range(rounds):
        change = CHANGES[number % len(CHANGES)]
        time.sleep(random.random() * PAUSE)
        for step in [change] if change in REPAIRS else [change, random.choice(REPAIRS[1:])]:
            _, version = ledger.read()
            ledger.begin()
            step(paths, number + 2)
            if random.random() < 0.5:
                for path in filter(os.path.exists, paths):
                    os.utime(path, TIMES)
            # Damage leaves the version of the index, whose bytes nobody can get any more.
            ledger.end(number + 2 if step in REPAIRS else version)
            time.sleep(random.random() * PAUSE)
        made += 1
    link.report(made=made)


class Client:
    """Opens and resolves again and again, and judges all bytes that it is granted."""

    def __init__(self, socket, ledger):
        self.socket, self.ledger = socket, ledger
        self.granted = self.overtaken = 0
        self.refusals, self.wrong = {}, []

    def converse(self, what, paths, numbers, twin=None):
        """Opens files under shard numbers, and resolves all tensors from files and from arenas.

        The files of a twin never change. Returns whether everything was granted.
        """
        before = self.ledger.read()
        try:
            descriptors = open_all(paths)
        except FileNotFoundError:
            return False
        expected = twin or (before[1] if self.ledger.read() == before else None)
        try:
            with Connection(self.socket, 20) as connection:
                handle, _ = connection.open_descriptors(descriptors, what, numbers)
                for sealed in random.sample([False, True], 2):
                    asked = self.ledger.read()
                    files, arenas = self.bytes_of(connection.resolve(handle, PARTS, sealed), descriptors)
                    self.granted += 1
                    self.overtaken += self.ledger.read() != before
                    # A file that changes after it was granted changes for the client as well.
                    is_still = twin or (asked[1] and self.ledger.read() == asked)
                    self.judge(what, {**arenas, **files} if is_still else arenas, expected)
            return True
        except Refused as refused:
            self.refusals[refused.reason] = self.refusals.get(refused.reason, 0) + 1
            return False
        finally:
            close_all(descriptors)

    @staticmethod
    def bytes_of(resolved, descriptors):
        """Returns what the bytes of each tensor name: for those in files, and for those in arenas."""
        files, arenas = {}, {}
        for tensor, (region, offset, count) in enumerate(resolved.handles):
            if region.kind == FILE:
                files[tensor] = named_by(os.pread(descriptors[region.file], count, offset))
            else:
                arenas[tensor] = named_by(os.pread(region.descriptor, count, offset))
        resolved.close()
        return files, arenas

    def judge(self, what, found, expected):
        """Expects the bytes of each tensor to be its own, and all of one version."""
        versions = {names and names[0] for names in found.values()}
        misplaced = any(names is None or names[1] != tensor for tensor, names in found.items())
        if misplaced or len(versions) > 1 or (expected and versions - {expected}):
            self.wrong.append(f"{what}: {found}, expected version {expected}")


def use(link, socket, ledger, paths, twins):
    client, unserved = Client(socket, ledger), []
    turn = random.randrange(4)
    while not link.is_told_to_stop():
        turn += 1
        order = random.sample(range(SHARDS), SHARDS)
        if turn % 4:
            # The files in another order, each with its right number.
            client.converse("changing", [paths[0], *[paths[1 + shard] for shard in order]], order)
            continue
        # One twin, files of both, or one twin whose shards have wrong numbers.
        one = random.randrange(2)
        mixed = [twins[one][0], *[random.choice(twins)[1 + shard] for shard in range(SHARDS)]]
        files, numbers = random.choice([(twins[one], None), (mixed, None), (twins[one], order)])
        granted = client.converse("twin", files, numbers, TWINS[one])
        if granted != (files == twins[one] and numbers in (None, sorted(order))):
            unserved.append(f"twin {one} by {files} under {numbers}: granted is {granted}")
    link.report(
        granted=client.granted, overtaken=client.overtaken, refusals=client.refusals,
        wrong=client.wrong[:3], unserved=unserved[:3])


def attack(bench, outcome):
    daemon = bench.start("--budget", "512M", "--linger", "1")
    folder = bench.folder_of(ATTACKER)
    paths = bundle_of(1).write(os.path.join(folder, "changing"))
    twins = [bundle_of(version).write(os.path.join(folder, f"{version}")) for version in TWINS]
    for path in [*twins[0], *twins[1]]:
        os.utime(path, TIMES)
    for path in paths:
        os.chown(path, ATTACKER, ATTACKER)
    ledger = Ledger(1)
    clients = [
        bench.attacker(use, daemon.socket, ledger, paths, twins) for _ in range(CLIENTS)]
    changer = bench.attacker(change_on, ledger, paths, bench.rounds)
    made = (changer.read(30 + 2 * bench.rounds) or {}).get("made", 0)
    reports = [client.stop(30) or {} for client in clients]

    def total(name):
        return sum(report.get(name, 0) for report in reports)

    refusals = {}
    for report in reports:
        for reason, count in report.get("refusals", {}).items():
            refusals[reason] = refusals.get(reason, 0) + count
    outcome.note(
        f"{made} changes; {total('granted')} answers granted, {total('overtaken')} of them "
        f"overtaken by a change; refused: {refusals}")
    outcome.expect(made == bench.rounds, f"only {made} of {bench.rounds} changes were made")
    outcome.expect(all("granted" in report for report in reports), f"clients saw {reports}")
    outcome.expect(total("granted") > 0 and total("overtaken") > 0, "changes and grants did not meet")
    for report in reports:
        for fault in report.get("wrong", []) + report.get("unserved", []):
            outcome.expect(False, fault)
    outcome.expect(daemon.lives, "the daemon ended")
    served = bench.probe(daemon, 5)
    outcome.expect(not served.failures, f"afterwards the victim saw {served.failures[:1]}")
