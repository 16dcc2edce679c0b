"""Small useful pieces were made together with junk; a user who needs them does not pay for the
junk.
"""

from bundle import MIB, Bundle
from outcome import mebibytes
from wire import Connection, Part, Refused

BUDGET = 512 * MIB
PIECES = 12
SMALL = 256
# The MiB of a junk tensor, nearly all of which is requested: an arena by itself.
LARGE, JUNK = 60, 56
# What the victim then wants for itself.
OWN = 4


def write_shared(prefix):
    bundle = Bundle()
    for number in range(PIECES):
        bundle.add(f"small-{number}", [SMALL])
        bundle.add(f"large-{number}", [LARGE, MIB // 4])
    return bundle.write(prefix)


def small(number):
    return Part(f"small-{number}", [SMALL], [0], [SMALL - 1])


def large(number, first=0):
    return Part(f"large-{number}", [LARGE, MIB // 4], [first, 0], [JUNK, MIB // 4])


def ask_for_both(link, socket, paths):
    """Asks for each small piece together with junk, and leaves on the order to stop."""
    made = 0
    with Connection(socket) as connection:
        handle, _ = connection.open(paths)
        for number in range(PIECES):
            try:
                parts = [small(number), large(number)]
                connection.resolve(handle, parts, sealed=True).close()
                made += 1
            except Refused:
                break
        link.report(made=made)
        link.wait(20)
    link.report(gone=True)


def need(link, socket, paths):
    """Takes all small pieces, and further arenas after the other user has left."""
    with Connection(socket) as connection:
        handle, _ = connection.open(paths)
        link.report(ready=True)
        link.wait(20)
        kept = [connection.resolve(handle, [small(number) for number in range(PIECES)], sealed=True)]
        link.report(small=len(kept[0].handles))
        link.wait(20)
        granted, why = 0, None
        for number in range(OWN):
            try:
                kept.append(connection.resolve(handle, [large(number, 1)], sealed=True))
                granted += 1
            except Refused as refused:
                why = str(refused)
        link.report(granted=granted, why=why)


def attack(bench, outcome):
    daemon = bench.start("--budget", str(BUDGET))
    paths = write_shared(bench.path("shared"))
    victim = bench.child(20002, need, daemon.socket, paths)
    victim.read(10)
    attacker = bench.attacker(ask_for_both, daemon.socket, paths)
    made = (attacker.read(20) or {}).get("made", 0)
    victim.go_on()
    taken = victim.read(10) or {}
    attacker.go_on()
    attacker.read(10)
    attacker.end()
    victim.go_on()
    answer = victim.read(20) or {}
    outcome.note(
        f"{made} pieces made with {JUNK} MiB of junk each, the victim took {taken.get('small')}; then "
        f"{answer.get('granted')} of {OWN} arenas of {JUNK} MiB were granted to it of a budget of "
        f"{mebibytes(BUDGET)}")
    outcome.expect(made > 0, "the attacker got nothing")
    outcome.expect(taken.get("small") == PIECES, f"the victim's pieces: {taken}")
    outcome.expect(answer.get("granted") == OWN, f"the victim paid for junk: {answer.get('why', answer)}")
