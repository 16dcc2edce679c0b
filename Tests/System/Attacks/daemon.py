"""Starts the daemon by hand, and measures it from outside."""

import os
import resource
import signal
import subprocess
import time

from wire import Connection


class Daemon:
    """A running daemon, with its sockets in a separate folder."""

    def __init__(
        self, binaries, folder, *options, descriptor_limit=None, group=None, stderr=None, uid=None
    ):
        self.socket = os.path.join(folder, "clients")
        self.admin_socket = os.path.join(folder, "administrators")
        self.log = os.path.join(folder, "log")

        def prepare():
            if descriptor_limit:
                resource.setrlimit(resource.RLIMIT_NOFILE, (descriptor_limit, descriptor_limit))
            if group:
                group.enter()
            if uid is not None:
                os.setgroups([])
                os.setgid(uid)
                os.setuid(uid)

        if uid is not None:
            os.chown(folder, uid, uid)
        command = [
            os.path.join(binaries, "warmstartd"), "--socket", self.socket,
            "--admin-socket", self.admin_socket, *options]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log,
                stderr=log if stderr is None else stderr, preexec_fn=prepare)
        self.pid = self.process.pid
        self.wait_until_ready()

    def wait_until_ready(self):
        for _ in range(1000):
            if self.process.poll() is not None:
                break
            try:
                with Connection(self.admin_socket) as connection:
                    connection.status()
                return
            except OSError:
                time.sleep(0.01)
        self.stop()
        raise RuntimeError(f"the daemon did not start: {self.log_text()}")

    def log_text(self):
        with open(self.log, errors="replace") as file:
            return file.read()

    @property
    def lives(self):
        return self.process.poll() is None

    def stop(self, seconds=10):
        """Stops the daemon; returns the seconds that it took, or None if it had to be killed."""
        began = time.monotonic()
        if self.lives:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(seconds)
            return time.monotonic() - began
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return None

    def status(self):
        """Returns the administrator's status, which shows all users."""
        with Connection(self.admin_socket) as connection:
            return connection.status()

    # Measures

    def descriptor_count(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def arenas(self):
        """Returns the memory files that the daemon has open: bytes by inode."""
        found = {}
        folder = f"/proc/{self.pid}/fd"
        for name in os.listdir(folder):
            try:
                if os.readlink(f"{folder}/{name}").startswith("/memfd:"):
                    status = os.stat(f"{folder}/{name}")
                    found[status.st_ino] = status.st_blocks * 512
            except FileNotFoundError:
                continue
        return found

    def thread_count(self):
        return len(os.listdir(f"/proc/{self.pid}/task"))

    def anonymous_byte_count(self):
        """Returns RssAnon: the daemon's own memory, without that of files."""
        with open(f"/proc/{self.pid}/status") as file:
            for line in file:
                if line.startswith("RssAnon:"):
                    return int(line.split()[1]) * 1024
        return 0
