"""The daemon restarts while clients keep its memory, for which its control group keeps paying."""

from bench import wait_until
from bundle import MIB, Bundle
from group import Group
from outcome import mebibytes
from wire import Connection, Ended, Refused, Part

LIMIT = 256 * MIB
RESTARTS, CLIENTS = 3, 2
PIECE = 24


def keep(link, socket, paths, first):
    """Takes arenas until one is refused, and keeps them whatever happens to the daemon."""
    kept, reasons = [], []
    try:
        with Connection(socket) as connection:
            handle, _ = connection.open(paths)
            for number in range(first, first + 4):
                part = Part(f"t{number}", [PIECE, MIB // 4])
                kept.append(connection.resolve(handle, [part], sealed=True))
    except (Refused, Ended, OSError) as error:
        reasons.append(str(error)[:80])
    link.report(kept=len(kept) * PIECE, reasons=reasons)
    link.is_told_to_stop(60)


def attack(bench, outcome):
    group = Group("warmstart-attack-restarts", LIMIT)
    bench.groups.append(group)
    bundle = Bundle()
    for number in range(4 * CLIENTS):
        bundle.add(f"t{number}", [PIECE, MIB // 4])
    paths = bundle.write(bench.path("kept"))
    kept = 0
    for restart in range(RESTARTS + 1):
        daemon = bench.start(group=group)
        for client in range(CLIENTS):
            report = bench.attacker(keep, daemon.socket, paths, 4 * client).read(20) or {}
            kept += report.get("kept", 0)
        lives = wait_until(lambda: not daemon.lives, 0.5) is None
        if not outcome.expect(
                lives and not group.kill_count, f"the daemon was killed after {restart} restarts"):
            break
        daemon.stop()
    outcome.note(
        f"{2 * (RESTARTS + 1)} clients keep {kept} MiB of {RESTARTS + 1} daemons at a limit of "
        f"{mebibytes(LIMIT)}, {group.kill_count} kills")
    outcome.expect(kept >= PIECE, "nothing was granted")
