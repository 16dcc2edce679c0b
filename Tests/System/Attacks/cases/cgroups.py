"""The daemon has less memory than the machine: it refuses requests, and is never killed."""

import mmap
import os

from bench import wait_until
from bundle import MIB, Bundle, zeros
from group import Group
from outcome import mebibytes
from wire import ARENA, RESOURCE_EXHAUSTED, Connection, Ended, Part, Refused, close_all, open_all

LIMITS = [16, 64, 256]
SIZES = [8, 40, 200]
# Pieces of this size are requested until one is refused.
PIECE, PIECES = 8, 64
GIB = 1 << 30


def write_tensors(prefix):
    bundle = Bundle()
    for size in SIZES:
        bundle.add(f"whole-{size}", [size, MIB // 4])
    for number in range(PIECES):
        bundle.add(f"piece-{number}", [PIECE, MIB // 4])
    return bundle.write(prefix)


def ask(link, socket, paths):
    """Asks for arenas of growing sizes, giving each back, then for pieces that it keeps."""
    answers = {}
    codes = set()
    granted = 0

    def resolve(name, size, keeps):
        try:
            with Connection(socket) as connection:
                handle, _ = connection.open(paths)
                part = Part(name, [size, MIB // 4])
                resolved = connection.resolve(handle, [part], sealed=True)
                resolved.close() if not keeps else kept.append(resolved)
                return "granted"
        except Refused as refused:
            codes.add(refused.code)
            return refused.reason
        except (Ended, OSError):
            return "daemon gone"

    kept = []
    for size in SIZES:
        answers[size] = resolve(f"whole-{size}", size, False)
    for number in range(PIECES):
        if resolve(f"piece-{number}", PIECE, True) != "granted":
            break
        granted += PIECE
    link.report(answers=answers, codes=sorted(codes), granted=granted)


def map_files(link, socket, paths, group):
    """Maps the file regions of a checkpoint and reads all their bytes, in a group if one is given."""
    descriptors = open_all(paths)
    with Connection(socket, 60) as connection:
        handle, _ = connection.open_descriptors(descriptors)
        resolved = connection.resolve(handle, [Part("t", [1024, MIB // 4])])
        region, offset, byte_count = resolved.handles[0]
        if region.kind == ARENA:
            link.report(read=0, kind="arena")
            return
        link.report(byte_count=byte_count)
        link.is_told_to_stop(30)
        total = 0
        with mmap.mmap(descriptors[region.file], 0, prot=mmap.PROT_READ) as memory:
            for start in range(offset, offset + byte_count, MIB):
                total += len(memory[start : start + MIB])
        link.report(read=total, usage=group.usage if group else 0)
    close_all(descriptors)


def attack(bench, outcome):
    paths = write_tensors(bench.path("sizes"))
    large = zeros(bench.path("large"), t=[1024, MIB // 4])
    for limit in LIMITS:
        refusals(bench, outcome, limit, paths, large)
    warm_files(bench, outcome, large)


def make_group(bench, name, limit=None):
    group = Group(f"warmstart-attack-{name}", limit)
    bench.groups.append(group)
    return group


def refusals(bench, outcome, limit, paths, large):
    group = make_group(bench, f"daemon-{limit}", limit * MIB)
    daemon = bench.start(group=group)
    report = bench.attacker(ask, daemon.socket, paths).read(40) or {}
    # A killed process may not have ended yet.
    lives = wait_until(lambda: not daemon.lives, 0.5) is None
    answers = ", ".join(f"{size} MiB {answer}" for size, answer in report.get("answers", {}).items())
    outcome.note(
        f"limit {limit} MiB: {answers}; pieces of {report.get('granted')} MiB kept, "
        f"daemon {'lives' if lives else 'was killed'}, {group.kill_count} kills")
    outcome.expect(
        lives and not group.kill_count, f"the daemon was killed at {limit} MiB")
    # A daemon that refuses everything is useless.
    smallest = report.get("answers", {}).get(str(SIZES[0]))
    outcome.expect(
        limit < 64 or smallest == "granted", f"{SIZES[0]} MiB at {limit} MiB: {smallest}")
    outcome.expect(
        set(report.get("codes", [0])) <= {RESOURCE_EXHAUSTED},
        f"answered with codes {report.get('codes')}")
    outcome.expect(
        "daemon gone" not in report.get("answers", {}).values(), "the daemon hung up")
    if not lives:
        return
    client = bench.attacker(map_files, daemon.socket, large, None)
    mapped = client.read(30) or {}
    outcome.expect(
        mapped.get("byte_count") == GIB and daemon.lives,
        f"files of 1 GiB at a limit of {limit} MiB: {mapped}")
    client.end()
    daemon.stop()


def warm_files(bench, outcome, large):
    """A client with little memory reads a warm checkpoint; the figures show which group is charged.
    """
    daemon_group = make_group(bench, "daemon")
    client_group = make_group(bench, "client", 64 * MIB)
    # What the attacks above have read is charged to their groups.
    with open(large[1], "rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    daemon = bench.start(group=daemon_group)
    client = bench.child(0, enter_and_map, daemon.socket, large, client_group)
    mapped = client.read(30) or {}
    if not outcome.expect(mapped.get("byte_count") == GIB, f"the client was told {mapped}"):
        return
    warm = daemon_group.usage
    client.tell_to_stop()
    read = client.read(30) or {}
    outcome.note(
        f"client of 64 MiB read {mebibytes(read.get('read', 0))} of a warm file; charged: daemon's "
        f"group {mebibytes(warm)}, client's group {mebibytes(read.get('usage', 0))}, "
        f"{client_group.kill_count} kills")
    outcome.expect(read.get("read") == GIB, f"the client did not live: {read}")


def enter_and_map(link, socket, paths, group):
    group.enter()
    os.setgid(20001)
    os.setuid(20001)
    map_files(link, socket, paths, group)
