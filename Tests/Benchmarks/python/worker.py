"""What all measured processes do: wait for each other, then report how long they took.

A process prints "ready" when its imports are done, starts when its standard input ends, prints one
line of JSON, and stays, so that its memory can be counted, until it is killed.
"""

import gc
import json
import signal
import sys
import time


def wait():
    """Wait until all processes are ready."""
    gc.collect()  # The peers' times must not include freeing what imports left behind.
    print("ready", flush=True)
    sys.stdin.read()


def finish(**found):
    """Print the results, then keep all memory until killed."""
    print(json.dumps({"ended": time.monotonic(), **found}), flush=True)
    signal.pause()


class Stopwatch:
    """The seconds of each step, one after the other, and the processor's seconds of all."""

    def __init__(self):
        self.steps, self.cpu = {}, 0.0
        self.cpu_before = time.process_time()
        self.started = self.last = time.perf_counter()

    def step(self, name):
        now = time.perf_counter()
        self.steps[name] = now - self.last
        self.last = now
        self.cpu = time.process_time() - self.cpu_before

    @property
    def total(self):
        return self.last - self.started
