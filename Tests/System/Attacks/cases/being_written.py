"""A file is always being written, so that its state never settles; no other client waits for it."""

import os
import time

from bench import ATTACKER, wait_until
from bundle import Bundle
from mounts import ext4_of_whole_seconds, ramfs
from outcome import Skipped, milliseconds
from probe import expect_served
from wire import Connection, Ended, Refused, close_all, open_all

COUNT = 4096
DATA = b"\1\2\3\4" * COUNT
PAUSE = 0.001
# Longer than any answer may take.
TIMEOUT = 5
ENOUGH = 2
# With times of whole seconds, a second must pass before a file is known to be settled.
ENOUGH_OF_WHOLE_SECONDS = 3
OPENERS = 4
HANGING_UP = 20


def write_on(link, prefix):
    paths = Bundle().add("t", [COUNT], DATA).write(prefix)
    writer = os.open(paths[1], os.O_WRONLY)
    link.report(paths=paths)
    while not link.is_told_to_stop(PAUSE):
        os.pwrite(writer, DATA[:4], 0)


def open_once(socket, paths):
    """Returns the answer to an Open, and the seconds that it took."""
    began = time.monotonic()
    try:
        with Connection(socket, TIMEOUT) as connection:
            connection.open(paths)
            answer = "opened"
    except Refused as refused:
        answer = refused.reason
    except (Ended, OSError) as error:
        answer = type(error).__name__
    return answer, time.monotonic() - began


def open_many(link, socket, paths):
    """Opens again and again."""
    answers, longest = set(), 0
    link.report(ready=True)
    while not link.is_told_to_stop():
        answer, seconds = open_once(socket, paths)
        answers.add(answer)
        longest = max(longest, seconds)
    link.report(answers=sorted(answers), longest=longest)
    # This goes on while the daemon is stopped.
    while True:
        open_once(socket, paths)


def hang_up(link, socket, paths):
    """Opens, and hangs up before the answer."""
    descriptors = open_all(paths)
    for _ in range(HANGING_UP):
        with Connection(socket, 0.01) as connection:
            try:
                connection.open_descriptors(descriptors)
            except (Refused, Ended, OSError):
                pass
    close_all(descriptors)
    link.report(done=True)


def attack(bench, outcome):
    folder = bench.folder_of(ATTACKER)
    with ramfs(folder, ATTACKER):
        judge(bench, outcome, folder, "coarse clock", ENOUGH)
    try:
        mount = ext4_of_whole_seconds(bench.path("image"), folder, ATTACKER)
    except Skipped as reason:
        outcome.note(f"whole seconds not tried: {reason}")
        return
    with mount:
        judge(bench, outcome, folder, "whole seconds", ENOUGH_OF_WHOLE_SECONDS)


def judge(bench, outcome, folder, name, enough):
    daemon = bench.start()
    quiet = bench.probe(daemon, 15)
    writer = bench.attacker(write_on, os.path.join(folder, "written"))
    paths = writer.read(5)["paths"]
    bench.attacker(hang_up, daemon.socket, paths).read(10)
    # Only the last client asks this.
    gone = wait_until(lambda: daemon.status().client_count <= 1, ENOUGH)
    outcome.expect(gone is not None, f"{name}: sessions went on after their clients had hung up")
    openers = [bench.attacker(open_many, daemon.socket, paths) for _ in range(OPENERS)]
    for opener in openers:
        opener.read(5)
    during = bench.probe(daemon, 15)
    for opener in openers:
        opener.tell_to_stop()
    reports = [opener.read(TIMEOUT + 5) or {} for opener in openers]
    longest = max(report.get("longest", float("inf")) for report in reports)
    answers = sorted({answer for report in reports for answer in report.get("answers", ["none"])})
    seconds = daemon.stop()
    outcome.note(f"{name}: answered {' or '.join(answers)} within {milliseconds(longest)}")
    outcome.expect(
        set(answers) <= {"opened", "CHECKPOINT_CHANGED"}, f"{name}: there were other answers than these")
    outcome.expect(longest <= enough, f"{name}: Open was not answered in time")
    expect_served(outcome, quiet, during)
    writer.end()
    if outcome.expect(seconds is not None, f"{name}: SIGTERM did not end the daemon"):
        outcome.note(f"ended {milliseconds(seconds)} after SIGTERM")
        outcome.expect(seconds <= ENOUGH, f"{name}: SIGTERM took long")
