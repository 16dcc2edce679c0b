"""Connections pass sparse files as indexes; another user opens real ones."""

import time

from bundle import MIB
from probe import expect_served
from wire import RESOURCE_EXHAUSTED, Connection, Ended, Refused, close_all, open_all
from cases.descriptors import write_indexes

BUDGET = 2048 * MIB
# Reading an index may take sixteen times its size: one of the first or two of the second leave less
# of the budget than a real index needs.
SIZES = [128 * MIB - 6 * 1024, 64 * MIB - 5 * 1024]
CONNECTIONS = 12
OPENS = 40


def open_sparse(link, socket, paths):
    link.report(ready=True)
    count = 0
    while not link.is_told_to_stop() and count < 100_000:
        try:
            with Connection(socket) as connection:
                while not link.is_told_to_stop() and count < 100_000:
                    count += 1
                    descriptors = open_all(paths)
                    try:
                        connection.open_descriptors(descriptors)
                    except Refused as refused:
                        if refused.of_connection:
                            break
                        if refused.code == RESOURCE_EXHAUSTED:
                            time.sleep(0.005)
                    finally:
                        close_all(descriptors)
        except (Ended, Refused, OSError):
            continue
    link.report(count=count)


def open_honest(link, socket, checkpoints):
    failures = []
    with Connection(socket) as connection:
        for paths in checkpoints:
            try:
                handle, _ = connection.open(paths)
                connection.close(handle)
            except Refused as refused:
                failures.append(str(refused))
            time.sleep(0.02)
    link.report(failures=failures)


def attack(bench, outcome):
    daemon = bench.start("--budget", str(BUDGET))
    quiet = bench.probe(daemon)
    honest = write_indexes(bench.folder, OPENS)
    attackers = []
    for number in range(CONNECTIONS):
        # Each client has a separate file, so that none waits for another's reading.
        path = bench.path(f"sparse-{number}.index")
        with open(path, "wb") as file:
            file.truncate(SIZES[number % 2])
        attackers.append(bench.attacker(open_sparse, daemon.socket, [path]))
    for attacker in attackers:
        attacker.read(10)
    report = bench.child(20002, open_honest, daemon.socket, honest).read(40) or {}
    failures = report.get("failures", [str(report)])
    during = bench.probe(daemon)
    for attacker in attackers:
        attacker.tell_to_stop()
    count = sum((attacker.stop() or {}).get("count", 0) for attacker in attackers)
    outcome.note(f"{count} sparse indexes passed, {len(failures)} of {OPENS} honest opens refused")
    outcome.expect(not failures, f"refused with {failures[:1]}")
    expect_served(outcome, quiet, during)
