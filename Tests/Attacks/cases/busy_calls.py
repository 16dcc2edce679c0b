"""A user has hundreds of connections that call without a pause; another's calls take no longer."""

import os
import threading
import time

from probe import expect_served
from wire import Connection, Ended, Refused

CONNECTIONS, PROCESSES, SECONDS = 200, 2, 12


def call_without_pause(socket, end):
    try:
        with Connection(socket) as connection:
            while time.monotonic() < end:
                connection.status()
    except (Ended, Refused, OSError):
        return


def storm(link, socket):
    """Calls from many threads of a few processes, so that the daemon has always many calls."""
    end = time.monotonic() + SECONDS
    children = []
    for _ in range(PROCESSES):
        pid = os.fork()
        if pid == 0:
            threads = [
                threading.Thread(target=call_without_pause, args=(socket, end))
                for _ in range(CONNECTIONS // PROCESSES)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            os._exit(0)
        children.append(pid)
    link.report(calling=CONNECTIONS)
    for pid in children:
        os.waitpid(pid, 0)


def attack(bench, outcome):
    daemon = bench.start()
    quiet = bench.probe(daemon)
    attacker = bench.attacker(storm, daemon.socket)
    report = attacker.read(10) or {}
    time.sleep(1)
    during = bench.probe(daemon)
    outcome.note(f"{report.get('calling')} connections call without a pause")
    expect_served(outcome, quiet, during)
