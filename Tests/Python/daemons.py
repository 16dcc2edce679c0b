"""Daemons for tests: real processes of `warmstartd`, each in a directory of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
# Longer than anything takes on a busy machine; only a failing test waits that long.
PATIENCE = 60.0


def program() -> str:
    """The daemon: of $WARMSTARTD, else the one that was built last for release, or for debugging."""
    named = os.environ.get("WARMSTARTD")
    if named:
        return os.path.abspath(named)
    for kind in ("release", "debug"):
        built = REPOSITORY / ".build" / kind / "warmstartd"
        if built.exists():
            return str(built)
    raise RuntimeError("there is no warmstartd: run `make build`, or name it in $WARMSTARTD")


class Daemon:
    """A daemon that can be stopped, killed and started again at the same socket."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        self.socket = str(directory / "s")
        self.log = directory / "log"
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Daemon:
        """Starts it, and waits until it listens."""
        with open(self.log, "ab") as log:
            self._process = subprocess.Popen(
                [program(), "--socket", self.socket, *self._arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        assert wait_until(self._listens), f"the daemon does not listen:\n{self.log.read_text()}"
        return self

    @property
    def pid(self) -> int:
        assert self._process is not None, "the daemon was not started"
        return self._process.pid

    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def stop(self) -> int:
        """Asks it to end, as a service manager does; returns its exit status."""
        return self._end(signal.SIGTERM)

    def kill(self) -> int:
        """Ends it without a warning."""
        return self._end(signal.SIGKILL)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Keeps it from doing anything."""
        os.kill(self.pid, signal.SIGSTOP)
        try:
            os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WNOWAIT)
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)

    def descriptor_count(self) -> int:
        """How many files and sockets the daemon has open."""
        return sum(not name.startswith("anon_inode:") for name in self.descriptors())

    def descriptors(self) -> list[str]:
        """What they are of."""
        directory = f"/proc/{self.pid}/fd"
        found = []
        for name in os.listdir(directory):
            # A listed descriptor may be closed by now.
            with contextlib.suppress(FileNotFoundError):
                found.append(os.readlink(os.path.join(directory, name)))
        return found

    def complaints(self) -> list[str]:
        """Lines of its log that no daemon in health writes."""
        lines = self.log.read_text(errors="replace").splitlines()
        signs = ("Fatal error", "Crash", "crashed", "Backtrace", "Sanitizer", "SUMMARY:")
        return [line for line in lines if any(sign in line for sign in signs)]

    def _end(self, number: int) -> int:
        process = self._process
        assert process is not None, "the daemon was not started"
        process.send_signal(number)
        return process.wait(PATIENCE)

    def _listens(self) -> bool:
        assert self.is_running(), f"the daemon ended at once:\n{self.log.read_text()}"
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            try:
                connection.connect(self.socket)
            except OSError:
                return False
        return True


def wait_until(condition: Callable[[], bool], seconds: float = PATIENCE) -> bool:
    """Waits until a condition holds; returns whether it does."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return condition()
        time.sleep(0.005)
    return True
