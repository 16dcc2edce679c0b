"""One user takes all connections that it can get; another user wants one."""

from probe import expect_served
from wire import Connection, Ended, Refused

ATTEMPTS = 700


def take_all(link, socket, attempts=ATTEMPTS):
    taken, refused = [], 0
    for _ in range(attempts):
        try:
            connection = Connection(socket, 5)
            connection.hello("one of many")
            taken.append(connection)
        except (Refused, Ended, OSError):
            refused += 1
    link.report(taken=len(taken), refused=refused)
    link.is_told_to_stop(60)


def attack(bench, outcome):
    daemon = bench.start("--max-connections", "500")
    quiet = bench.probe(daemon)
    attacker = bench.attacker(take_all, daemon.socket)
    report = attacker.read(40) or {}
    outcome.note(f"{report.get('taken')} of 500 connections taken, {report.get('refused')} refused")
    outcome.expect(report.get("taken", 0) > 0, "no connection could be made")
    outcome.expect(report.get("refused", 0) > 0, "no connection was refused")
    expect_served(outcome, quiet, bench.probe(daemon))
