"""Replies that carry arenas are never received; the kernel counts their descriptors as the
daemon's.

For a daemon without privileges, sends beyond RLIMIT_NOFILE fail with ETOOMANYREFS, whoever the
receiver is.
"""

import socket as sockets

from outcome import Skipped
from probe import COLUMNS, ROWS, expect_served
from wire import Connection, Ended, Part, Refused

DAEMON = 20009
LIMIT = 1024
CONNECTIONS, REQUESTS = 80, 30
# One of this many connections stays open, the others are shut down.
KEPT = 4
PART = [Part("one", [ROWS, COLUMNS], [0, 1], [4, 3])]


class Unread(Connection):
    """A connection that leaves its replies unread even after it was shut down."""

    def raise_last_words(self):
        raise Ended


def ask_and_not_receive(link, socket, paths):
    """Asks for arenas on many connections, and never receives the replies."""
    connections, asked, refused = [], 0, 0
    for number in range(CONNECTIONS):
        try:
            connection = Unread(socket, 1)
            connections.append(connection)
            handle, _ = connection.open(paths)
            connection.resolve(handle, PART, sealed=True).close()
            connection.socket.settimeout(0.05)
            for _ in range(REQUESTS):
                connection.send_resolve(handle, PART, sealed=True)
                asked += 1
        except (Refused, Ended):
            refused += 1
        except OSError:
            # The daemon takes no more requests while its replies are not received.
            pass
        if number % KEPT:
            try:
                # The replies stay in flight until this end is closed.
                connections[-1].socket.shutdown(sockets.SHUT_RDWR)
            except OSError:
                pass
    link.report(asked=asked, refused=refused)
    link.is_told_to_stop(30)


def attack(bench, outcome):
    try:
        daemon = bench.start(uid=DAEMON, descriptor_limit=LIMIT)
    except PermissionError:
        raise Skipped("other users cannot run the daemon where it is") from None
    quiet = bench.probe(daemon)
    attacker = bench.attacker(ask_and_not_receive, daemon.socket, bench.victims_paths)
    report = attacker.read(30) or {}
    during = bench.probe(daemon, timeout=2)
    outcome.note(
        f"{report.get('asked')} arenas asked for and not received on {CONNECTIONS} connections, "
        f"{report.get('refused')} of which were refused")
    outcome.expect(report.get("asked", 0) > 0, f"the attacker saw {report}")
    outcome.expect(
        "Too many references" not in daemon.log_text(), "too many descriptors were on their way")
    expect_served(outcome, quiet, during)
    attacker.stop()
    again = bench.probe(daemon, 5, timeout=2)
    outcome.expect(not again.failures, f"the victim's failed afterwards: {again.failures[:1]}")
