"""A client keeps arenas by O_PATH references alone, without a descriptor, mapping or lease."""

import os

from bench import wait_until
from bundle import MIB, zeros
from outcome import mebibytes
from probe import expect_served
from wire import RESOURCE_EXHAUSTED, Connection, Part, Refused

BUDGET = 256 * MIB
TRIES = 24
# The MiB of an arena, made of this many rows of a tensor.
ARENA, ROWS = 32, 80


def take(socket, checkpoints, number):
    """Takes an arena and gives its lease back; returns references to it, which keep its memory."""
    with Connection(socket) as connection:
        handle, _ = connection.open(checkpoints[number % len(checkpoints)])
        part = Part("t", [ROWS, MIB // 4], [number % ARENA, 0], [ARENA, MIB // 4])
        resolved = connection.resolve(handle, [part], sealed=True)
        references = [
            os.open(f"/proc/self/fd/{descriptor}", os.O_PATH | os.O_CLOEXEC)
            for descriptor in resolved.descriptors]
        resolved.close()
        connection.close(handle)
    return references


def refer(link, socket, checkpoints):
    kept, refusals, codes = [], 0, set()
    for number in range(TRIES):
        try:
            kept += take(socket, checkpoints, number)
        except Refused as refused:
            refusals += 1
            codes.add(refused.code)
    arenas = {}
    for reference in kept:
        status = os.stat(f"/proc/self/fd/{reference}")
        arenas[status.st_ino] = status.st_blocks * 512
    link.report(
        held=sum(arenas.values()), granted=len(kept), refusals=refusals, codes=sorted(codes))
    link.wait(20)
    for reference in kept:
        os.close(reference)

    def fits():
        try:
            for reference in take(socket, checkpoints, TRIES):
                os.close(reference)
            return True
        except Refused:
            return False

    link.report(back=wait_until(fits, 5, 0.1))


def attack(bench, outcome):
    daemon = bench.start("--budget", str(BUDGET), "--linger", "0")
    quiet = bench.probe(daemon, 15)
    checkpoints = [
        zeros(bench.path(f"large-{number}"), t=[ROWS, MIB // 4]) for number in range(2)]
    attacker = bench.attacker(refer, daemon.socket, checkpoints)
    report = attacker.read(30) or {}
    if not outcome.expect("held" in report, f"the attacker saw {report}"):
        return
    outcome.note(
        f"{report['granted']} arenas of {TRIES} granted, which hold {mebibytes(report['held'])} of a "
        f"budget of {mebibytes(BUDGET)}, {report['refusals']} refused")
    outcome.expect(report["granted"] > 0, "nothing was granted")
    outcome.expect(report["held"] <= BUDGET, "more is held than the budget")
    outcome.expect(report["refusals"] > 0, "nothing was refused")
    outcome.expect(
        set(report["codes"]) <= {RESOURCE_EXHAUSTED}, f"refused with codes {report['codes']}")
    status = daemon.status()
    shown = max([status.arena_byte_count, *status.later_numbers])
    outcome.expect(shown >= report["held"] * 0.99, "status does not show what is held")
    expect_served(outcome, quiet, bench.probe(daemon, 15))
    attacker.go_on()
    back = (attacker.read(10) or {}).get("back")
    if outcome.expect(back is not None, "there was no room again 5 s after all was closed"):
        outcome.note(f"room again after {back:.1f} s")
