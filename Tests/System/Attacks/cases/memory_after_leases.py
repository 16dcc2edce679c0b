"""A client keeps memory of arenas whose leases it gave back; it stays charged to a user."""

import ctypes
import os
import time

from bench import wait_until
from bundle import MIB, zeros
from outcome import mebibytes
from probe import expect_served
from wire import RESOURCE_EXHAUSTED, Connection, Part, Refused

BUDGET = 512 * MIB
ROWS = 80
PROT_READ, MAP_SHARED = 1, 1


class Map:
    """A mapping that keeps no descriptor, unlike Python's own."""

    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]

    def __init__(self, descriptor, byte_count):
        self.byte_count = byte_count
        self.address = Map.libc.mmap(None, byte_count, PROT_READ, MAP_SHARED, descriptor, 0)
        if self.address == ctypes.c_void_p(-1).value:
            raise OSError(ctypes.get_errno(), "mmap")

    def end(self):
        Map.libc.munmap(self.address, self.byte_count)


class Keeper:
    """Takes arenas and keeps half of them as descriptors, half as mappings."""

    def __init__(self, socket, checkpoints):
        self.socket, self.checkpoints = socket, checkpoints
        self.descriptors, self.maps, self.sizes = [], [], {}

    def take(self, number, rows):
        """Takes an arena of this many MiB, and gives the lease back at once."""
        with Connection(self.socket) as connection:
            handle, _ = connection.open(self.checkpoints[number % len(self.checkpoints)])
            part = Part("t", [ROWS, MIB], [number % 16, 0], [rows // 4, MIB])
            resolved = connection.resolve(handle, [part], sealed=True)
            for descriptor in resolved.descriptors:
                status = os.fstat(descriptor)
                self.sizes[status.st_ino] = status.st_blocks * 512
                if number % 2:
                    self.maps.append(Map(descriptor, status.st_size))
                    os.close(descriptor)
                else:
                    self.descriptors.append(descriptor)
            connection.close(handle)

    def let_go(self):
        for descriptor in self.descriptors:
            os.close(descriptor)
        for kept in self.maps:
            kept.end()


def keep(link, socket, checkpoints):
    keeper = Keeper(socket, checkpoints)
    refusals, codes, first = 0, set(), None
    for rows in [256] * 10 + [64] * 10:
        # Smaller requests follow after a refusal.
        if rows < 256 and not refusals:
            break
        try:
            keeper.take(len(keeper.sizes), rows)
            first = first or rows
        except Refused as refused:
            refusals += 1
            codes.add(refused.code)
    link.report(
        kept=sum(keeper.sizes.values()), granted=len(keeper.sizes), refusals=refusals,
        codes=sorted(codes))
    link.is_told_to_stop(20)
    keeper.let_go()

    def fits():
        try:
            Keeper(socket, checkpoints).take(11, first)
            return True
        except Refused:
            return False

    link.report(back=wait_until(fits, 5, 0.1) if first else None)


def attack(bench, outcome):
    daemon = bench.start("--budget", str(BUDGET))
    quiet = bench.probe(daemon)
    checkpoints = [zeros(bench.path(f"large-{number}"), t=[ROWS, MIB]) for number in range(2)]
    attacker = bench.attacker(keep, daemon.socket, checkpoints)
    report = attacker.read(60) or {}
    if not outcome.expect("kept" in report, f"the attacker saw {report}"):
        return
    status = daemon.status()
    shown = max([status.arena_byte_count, *status.later_numbers])
    outcome.note(
        f"kept {mebibytes(report['kept'])} in {report['granted']} arenas of a budget of "
        f"{mebibytes(BUDGET)}, {report['refusals']} refused, status shows {mebibytes(shown)}")
    outcome.expect(report["granted"] > 0, "nothing was granted")
    outcome.expect(report["kept"] <= BUDGET, "more is kept than the budget")
    outcome.expect(report["refusals"] > 0, "nothing was refused")
    outcome.expect(
        set(report["codes"]) <= {RESOURCE_EXHAUSTED}, f"refused with codes {report['codes']}")
    outcome.expect(shown >= report["kept"] * 0.99, "status does not show what is kept")
    expect_served(outcome, quiet, bench.probe(daemon))
    began = time.monotonic()
    attacker.tell_to_stop()
    back = attacker.read(15) or {}
    held = back.get("back") is not None
    outcome.expect(held, "there was no room again 5 s after all was let go")
    if held:
        outcome.note(f"room again after {time.monotonic() - began:.1f} s")
