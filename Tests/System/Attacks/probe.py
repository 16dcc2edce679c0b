"""The victim's work, repeated and timed: connect, open, resolve twice, close."""

import os
import random
import statistics
import struct
import time

from bundle import Bundle
from outcome import milliseconds
from wire import Connection, Part

TENSORS = ["one", "two", "three"]
ROWS, COLUMNS = 256, 64
# Below this many seconds a slow answer is noise of the machine.
FLOOR = 0.020
FAILURES_IN_A_ROW = 3
# Fewer samples than this say nothing about slow answers.
MOST_SECONDS = 12


def write_checkpoint(prefix):
    """Writes the victim's checkpoint, whose elements are their own indices."""
    bundle = Bundle()
    data = struct.pack(f"<{ROWS * COLUMNS}f", *range(ROWS * COLUMNS))
    for name in TENSORS:
        bundle.add(name, [ROWS, COLUMNS], data)
    return bundle.write(prefix)


def probe(socket, paths, chance, timeout):
    """Does the work once; returns the seconds that it took."""
    began = time.monotonic()
    with Connection(socket, timeout) as connection:
        handle, _ = connection.open(paths)
        row, column = chance.randrange(ROWS - 8), chance.randrange(COLUMNS - 8)
        rows, columns = chance.randrange(1, 8), chance.randrange(1, 8)
        lying = [Part(name, [ROWS, COLUMNS], [row, 0], [rows, COLUMNS]) for name in TENSORS]
        resolved = connection.resolve(handle, lying)
        expect(resolved, paths, row * COLUMNS)
        resolved.close()
        cut = [Part(name, [ROWS, COLUMNS], [row, column], [rows, columns]) for name in TENSORS]
        resolved = connection.resolve(handle, cut, sealed=True)
        expect(resolved, paths, row * COLUMNS + column)
        resolved.close()
        connection.close(handle)
    return time.monotonic() - began


def expect(resolved, paths, first):
    """Compares the first element of each handle with its index."""
    if len(resolved.handles) != len(TENSORS):
        raise ValueError(f"{len(resolved.handles)} handles")
    for region, offset, _ in resolved.handles:
        if region.descriptor is None:
            with open(paths[region.file], "rb") as file:
                element = os.pread(file.fileno(), 4, offset)
        else:
            element = os.pread(region.descriptor, 4, offset)
        if element != struct.pack("<f", first):
            raise ValueError("other bytes than the checkpoint's")


def load(socket, paths, timeout):
    """Verifies a fresh checkpoint; returns the seconds that it took."""
    began = time.monotonic()
    with Connection(socket, timeout) as connection:
        handle, _ = connection.open(paths)
        connection.resolve(handle, [Part("whole", [os.stat(paths[1]).st_size // 4])])
    return time.monotonic() - began


def repeat(link, count, pause, attempt, seconds=MOST_SECONDS):
    """Does the work this many times; reports latencies and failures; gives up on a dead daemon."""
    latencies, failures, in_a_row = [], [], 0
    end = time.monotonic() + seconds
    for number in range(count):
        if time.monotonic() > end:
            break
        if in_a_row == FAILURES_IN_A_ROW:
            failures += ["not tried"] * (count - number)
            break
        try:
            latencies.append(attempt(number))
            in_a_row = 0
        except Exception as error:
            failures.append(f"{type(error).__name__} {error}"[:160])
            in_a_row += 1
        time.sleep(pause)
    link.report(latencies=latencies, failures=failures)


def run_probes(link, socket, paths, count, pause, timeout, seconds=MOST_SECONDS):
    chance = random.Random()
    repeat(link, count, pause, lambda _: probe(socket, paths, chance, timeout), seconds)


def run_loads(link, socket, checkpoints, pause, timeout):
    repeat(link, len(checkpoints), pause, lambda number: load(socket, checkpoints[number], timeout))


class Probes:
    """The victim's results."""

    def __init__(self, report, expected):
        self.latencies = report["latencies"] if report and "latencies" in report else []
        self.failures = report.get("failures", []) if report else ["no report"] * expected
        if report and "error" in report:
            self.failures = [report["error"]] * expected

    @property
    def median(self):
        return statistics.median(self.latencies) if self.latencies else float("inf")

    def __str__(self):
        count = len(self.latencies) + len(self.failures)
        text = f"{len(self.latencies)} of {count}"
        if self.latencies:
            text += f", median {milliseconds(self.median)}, at most {milliseconds(max(self.latencies))}"
        return text


def expect_served(outcome, quiet, during):
    """Checks that the victim is served: everything succeeds, in at most a multiple of the quiet
    time.
    """
    outcome.note(f"victim quiet {quiet}, during {during}")
    outcome.expect(not quiet.failures, f"quiet probes failed: {quiet.failures[:1]}")
    if outcome.expect(
        not during.failures, f"{len(during.failures)} of the victim's failed: {during.failures[:1]}"
    ):
        limit = max(outcome.patience * quiet.median, FLOOR)
        outcome.expect(
            during.median <= limit,
            f"the victim's median is above {milliseconds(limit)}")
