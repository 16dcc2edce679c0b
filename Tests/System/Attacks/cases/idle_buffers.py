"""Connections that once sent much are idle; others ask for much and read nothing."""

import time

from bundle import MIB, Bundle
from outcome import mebibytes
from probe import expect_served
from protobuf import field, names, words
from wire import Connection, Ended, Refused

IDLE = 1024
UNREAD = 200
TENSORS = 20_000
REQUEST_BYTES = 1_000_000
MOST = 256 * MIB
# After the last call, the daemon gives freed memory back within 2 s.
SETTLE_SECONDS = 4


def junk_request():
    """A resolve that assigns nothing, with a map of some 1 MB."""
    keys = ["k" * 100 + str(number) for number in range(REQUEST_BYTES // 120)]
    pairs = field(1, names(keys)) + field(2, words([0] * len(keys)))
    pairs += field(3, words([1] * len(keys))) + field(4, names(["v"] * len(keys)))
    return field(1, field(1, 99)) + field(2, pairs)


def send_once(link, socket, count):
    """Makes connections that each send one long request and stay."""
    request = junk_request()
    connections, refused = [], 0
    for _ in range(count):
        try:
            connection = Connection(socket, 5)
            connections.append(connection)
            connection.call("Resolve", request)
        except Refused as status:
            # The handle does not exist.
            refused += status.of_connection
        except (Ended, OSError):
            refused += 1
    link.report(idle=len(connections) - refused)
    link.is_told_to_stop(60)


def never_read(link, socket, paths, count):
    connections = []
    for _ in range(count):
        try:
            connection = Connection(socket, 5)
            handle, _ = connection.open(paths)
            connection.send("List", field(1, field(1, handle)))
            connections.append(connection)
        except (Refused, Ended, OSError):
            continue
    link.report(sent=len(connections))
    link.is_told_to_stop(60)


def write_many(prefix):
    bundle = Bundle()
    for number in range(TENSORS):
        bundle.add(f"layer/{number:05}/" + "n" * 60, [1])
    return bundle.write(prefix)


def attack(bench, outcome):
    idle(bench, outcome)
    unread(bench, outcome)


def idle(bench, outcome):
    daemon = bench.start("--budget", "512M")
    quiet = bench.probe(daemon)
    before = daemon.anonymous_byte_count()
    attacker = bench.attacker(send_once, daemon.socket, IDLE)
    count = (attacker.read(40) or {}).get("idle", 0)
    time.sleep(SETTLE_SECONDS)
    above = daemon.anonymous_byte_count() - before
    outcome.note(f"{count} idle connections: {mebibytes(above)} more than before")
    outcome.expect(count > 0, "no connection could send")
    outcome.expect(above <= MOST, f"idle connections keep more than {mebibytes(MOST)}")
    expect_served(outcome, quiet, bench.probe(daemon))
    attacker.stop()
    daemon.stop()


def unread(bench, outcome):
    daemon = bench.start("--budget", "512M")
    paths = write_many(bench.path("many"))
    quiet = bench.probe(daemon)
    before = daemon.anonymous_byte_count()
    watch = bench.watch(daemon)
    attacker = bench.attacker(never_read, daemon.socket, paths, UNREAD)
    count = (attacker.read(40) or {}).get("sent", 0)
    during = bench.probe(daemon)
    most = (watch.stop() or {}).get("anonymous", 1 << 40)
    outcome.note(f"{count} unread calls: at most {mebibytes(most - before)} more than before")
    outcome.expect(count > 0, "no connection could send")
    outcome.expect(most - before <= MOST, f"unread calls take more than {mebibytes(MOST)}")
    expect_served(outcome, quiet, during)
    attacker.stop()
