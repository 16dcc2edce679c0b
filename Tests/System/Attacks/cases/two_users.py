"""One user is at its limit in everything at once; another user works as before."""

from bench import ATTACKER, VICTIM
from bundle import MIB, zeros
from outcome import mebibytes
from probe import expect_served
from wire import Connection, Ended, Refused
from cases.all_connections import take_all
from cases.budget_hog import hog, need, write_hogged
from cases.descriptors import write_indexes
from cases.fairness import verify
from cases.idle_buffers import send_once

HELD, HOLDERS = 2000, 100
IDLE, VERIFYING = 200, 50
ARENAS = 3


def hold_checkpoints(link, socket, folder):
    """Keeps as many checkpoints open as it can get."""
    checkpoints = iter(write_indexes(folder, HELD))
    connections, held = [], 0
    for _ in range(HOLDERS):
        try:
            connection = Connection(socket, 5)
            connections.append(connection)
            for paths in checkpoints:
                connection.open(paths)
                held += 1
        except (Refused, Ended, OSError):
            continue
    link.report(held=held)
    link.is_told_to_stop(60)


def attack(bench, outcome):
    daemon = bench.start(
        "--budget", "512M", "--max-connections", "500", "--linger", "300", descriptor_limit=4096)
    hogged = write_hogged(bench.path("hogged"))
    needed = [zeros(bench.path(f"needed-{number}"), t=[20, MIB // 4]) for number in range(2 * ARENAS)]
    folder = bench.folder_of(ATTACKER)

    def arenas(checkpoints):
        answers = [
            bench.child(VICTIM, need, daemon.socket, paths).read(15) or {} for paths in checkpoints]
        return sum(answer.get("granted", False) for answer in answers)

    quiet = bench.probe(daemon)
    before = arenas(needed[:ARENAS])
    taken = bench.attacker(hog, daemon.socket, hogged).read(30) or {}
    verifier = bench.attacker(verify, daemon.socket, folder, VERIFYING)
    verifier.read(30)
    held = bench.attacker(hold_checkpoints, daemon.socket, folder).read(30) or {}
    idle = bench.attacker(send_once, daemon.socket, IDLE).read(30) or {}
    connections = bench.attacker(take_all, daemon.socket).read(30) or {}
    verifier.go_on()
    busy = verifier.read(30) or {}
    during = bench.probe(daemon)
    after = arenas(needed[ARENAS:])
    outcome.note(
        f"one user has {mebibytes(taken.get('taken', 0))} of arenas, {held.get('held')} checkpoints, "
        f"{idle.get('idle')} idle buffers, {busy.get('busy')} loads, "
        f"{connections.get('taken')} more connections; the daemon has "
        f"{daemon.descriptor_count()} descriptors, {mebibytes(daemon.anonymous_byte_count())}")
    outcome.note(f"victim's arenas of 20 MiB: {before} of {ARENAS} before, {after} during")
    outcome.expect(taken.get("taken"), "the attacker got no memory")
    outcome.expect(before == ARENAS, "the quiet daemon made not all arenas")
    outcome.expect(after == ARENAS, "the victim did not get its arenas")
    expect_served(outcome, quiet, during)
