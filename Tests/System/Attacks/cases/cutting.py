"""One client cuts a tensor in ever new ways; pieces that no client has must make room."""

from bundle import MIB, zeros
from wire import Connection, Part, Refused

BUDGET = 64 * MIB
ROWS, COLUMNS = 512, 10240
WAYS = [2, 3, 5, 6, 7]


def parts_of(ways):
    """Cuts the inner axis into this many parts that are almost alike."""
    ends = [COLUMNS * number // ways for number in range(ways + 1)]
    return [
        Part("t", [ROWS, COLUMNS], [0, start], [ROWS, end - start])
        for start, end in zip(ends, ends[1:])]


def cut(link, socket, paths):
    refused = {"closed after each": [], "one lease, arenas closed": []}
    with Connection(socket) as connection:
        for ways in WAYS:
            handle, _ = connection.open(paths)
            try:
                connection.resolve(handle, parts_of(ways), sealed=True).close()
            except Refused as status:
                refused["closed after each"].append(f"{ways} ways: {status.reason}")
            connection.close(handle)
    with Connection(socket) as connection:
        handle, _ = connection.open(paths)
        for ways in WAYS:
            try:
                connection.resolve(handle, parts_of(ways), sealed=True).close()
            except Refused as status:
                refused["one lease, arenas closed"].append(f"{ways} ways: {status.reason}")
    link.report(refused=refused)


def attack(bench, outcome):
    daemon = bench.start("--budget", str(BUDGET))
    paths = zeros(bench.path("cut"), t=[ROWS, COLUMNS])
    report = bench.attacker(cut, daemon.socket, paths).read(40) or {}
    if not outcome.expect("refused" in report, f"the client saw {report}"):
        return
    for name, refusals in report["refused"].items():
        outcome.note(f"{name}: {len(refusals)} of {len(WAYS)} refused")
        outcome.expect(not refusals, f"{name}: {', '.join(refusals)}")
