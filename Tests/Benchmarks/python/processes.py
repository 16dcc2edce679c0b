"""Processes that start at the same moment, and the memory that they have in the end."""

import json
import os
import pathlib
import subprocess
import tempfile
import time


class Processes:
    """Workers (see worker.py), as long as the block runs."""

    def __init__(self, count, command, environment=None):
        # One pipe for all: closing it releases all at once.
        barrier, self.release = os.pipe()
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self.workers = [
            subprocess.Popen(
                [str(part) for part in command], env=environment, text=True,
                stdin=barrier, stdout=subprocess.PIPE, stderr=self.errors,
            )
            for _ in range(count)
        ]  # fmt: skip
        os.close(barrier)
        self.is_ready = False

    def __enter__(self):
        return self

    def memory_when_ready(self):
        """The memory of all processes before they start."""
        self.wait_until_ready()
        return self.memory()

    def wait_until_ready(self):
        if not self.is_ready:
            for worker in self.workers:
                self.line(worker)
        self.is_ready = True

    def run(self):
        """What each process printed, with `wall`: its seconds since all were released."""
        self.wait_until_ready()
        started = time.monotonic()
        os.close(self.release)
        self.release = None
        found = [json.loads(self.line(worker)) for worker in self.workers]
        return [{**one, "wall": one["ended"] - started} for one in found]

    def line(self, worker):
        line = worker.stdout.readline()
        if not line:
            self.errors.seek(0)
            raise SystemExit(f"{' '.join(worker.args)} failed:\n{self.errors.read()}")
        return line

    def memory(self):
        """The sum over all processes of their PSS and private dirty pages, in MiB."""
        sums = {"Pss": 0, "Private_Dirty": 0}
        for worker in self.workers:
            rollup = pathlib.Path(f"/proc/{worker.pid}/smaps_rollup").read_text()
            for line in rollup.splitlines():
                name, _, value = line.partition(":")
                if name in sums:
                    sums[name] += int(value.split()[0])
        return {name: kib / 1024 for name, kib in sums.items()}

    def __exit__(self, *_):
        for worker in self.workers:
            worker.kill()
        for worker in self.workers:
            worker.stdout.close()
            worker.wait()
        self.errors.close()
        if self.release is not None:
            os.close(self.release)
