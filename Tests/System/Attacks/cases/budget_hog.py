"""A user takes all memory that it can get; another user needs a little."""

from bundle import MIB, Bundle, zeros
from outcome import mebibytes
from probe import expect_served
from wire import Connection, Part, Refused

BUDGET = 512 * MIB
LARGE, SMALL = 40, 64


def hog(link, socket, paths):
    """Takes sealed tensors on one connection that keeps its lease, large ones first."""
    taken, reasons = 0, set()
    # Their descriptors stay open, because memory without a client would be free for others.
    kept = []
    with Connection(socket) as connection:
        handle, _ = connection.open(paths)
        for size, count in [(16, LARGE), (1, SMALL)]:
            for number in range(count):
                try:
                    part = Part(f"{size}-{number}", [size, MIB // 4])
                    kept.append(connection.resolve(handle, [part], sealed=True))
                    taken += size * MIB
                except Refused as refused:
                    reasons.add(refused.reason)
                    if refused.of_connection:
                        break
        link.report(taken=taken, reasons=sorted(reasons))
        link.is_told_to_stop(60)


def write_hogged(prefix):
    bundle = Bundle()
    for size, count in [(16, LARGE), (1, SMALL)]:
        for number in range(count):
            bundle.add(f"{size}-{number}", [size, MIB // 4])
    return bundle.write(prefix)


def need(link, socket, paths):
    """Makes an arena of 20 MiB."""
    with Connection(socket) as connection:
        handle, _ = connection.open(paths)
        try:
            connection.resolve(handle, [Part("t", [20, MIB // 4])], sealed=True).close()
            link.report(granted=True)
        except Refused as refused:
            link.report(granted=False, why=str(refused))


def attack(bench, outcome):
    daemon = bench.start("--budget", str(BUDGET))
    quiet = bench.probe(daemon)
    hogged = write_hogged(bench.path("hogged"))
    needed = zeros(bench.path("needed"), t=[20, MIB // 4])
    attacker = bench.attacker(hog, daemon.socket, hogged)
    report = attacker.read(60) or {}
    if not outcome.expect("taken" in report, f"the attacker saw {report}"):
        return
    outcome.note(
        f"taken {mebibytes(report['taken'])} of {mebibytes(BUDGET)}, then refused for "
        f"{', '.join(report['reasons'])}")
    outcome.expect(report["taken"] > 0, "nothing was granted")
    outcome.expect(report["taken"] < BUDGET, "more was granted than the budget")
    answer = bench.child(20002, need, daemon.socket, needed).read(20) or {}
    outcome.note(f"victim's 20 MiB {'granted' if answer.get('granted') else 'refused'}")
    outcome.expect(answer.get("granted"), f"the victim's 20 MiB: {answer.get('why', answer)}")
    expect_served(outcome, quiet, bench.probe(daemon))
