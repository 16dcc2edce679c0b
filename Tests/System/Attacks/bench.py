"""The place of one attack: folders, a daemon, two users' processes; the end removes all of them."""

import os
import shutil
import tempfile
import time

from child import Child
from daemon import Daemon
from probe import Probes, run_loads, run_probes, write_checkpoint

ATTACKER, VICTIM = 20001, 20002
PROBES = 30


class Bench:
    def __init__(self, binaries, seconds=600, rounds=24):
        self.binaries = binaries
        # The length of the soak in seconds, and the number of changes of `changing_files`.
        self.seconds, self.rounds = seconds, rounds
        self.folder = tempfile.mkdtemp(prefix="attack-")
        os.chmod(self.folder, 0o755)
        self.children, self.daemons, self.groups = [], [], []
        self.victims_paths = write_checkpoint(self.path("victims"))

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def folder_of(self, uid):
        """Makes a folder that the user can write to and both users can read."""
        folder = self.path(str(uid))
        if not os.path.isdir(folder):
            os.mkdir(folder, 0o755)
            os.chown(folder, uid, uid)
        return folder

    def start(self, *options, **others):
        folder = self.path(f"daemon-{len(self.daemons)}")
        os.mkdir(folder, 0o755)
        daemon = Daemon(self.binaries, folder, *options, **others)
        self.daemons.append(daemon)
        return daemon

    def child(self, uid, function, *arguments):
        child = Child(uid, function, *arguments)
        self.children.append(child)
        return child

    def attacker(self, function, *arguments):
        return self.child(ATTACKER, function, *arguments)

    def probe(self, daemon, count=PROBES, pause=0.03, timeout=5):
        """Makes the victim do its work this many times."""
        victim = self.child(VICTIM, run_probes, daemon.socket, self.victims_paths, count, pause, timeout)
        return self.probes_of(victim, count, timeout)

    def load(self, daemon, checkpoints, pause=0.03, timeout=20):
        """Makes the victim verify each of the checkpoints, which are fresh."""
        victim = self.child(VICTIM, run_loads, daemon.socket, checkpoints, pause, timeout)
        return self.probes_of(victim, len(checkpoints), timeout)

    @staticmethod
    def probes_of(victim, count, timeout):
        report = victim.read(30 + 4 * timeout)
        victim.end()
        return Probes(report, count)

    def watch(self, daemon):
        """Measures the daemon again and again, until the child is stopped."""
        return self.child(0, watch, daemon)

    def close(self):
        for child in self.children:
            child.end()
        for daemon in self.daemons:
            if daemon.lives:
                daemon.process.kill()
            daemon.process.wait()
        for group in self.groups:
            group.remove()
        shutil.rmtree(self.folder, ignore_errors=True)


def watch(link, daemon):
    """Reports the maximum of every measure."""
    most = dict(descriptors=0, arenas=0, anonymous=0, threads=0)
    try:
        while not link.is_told_to_stop(0.05):
            most["descriptors"] = max(most["descriptors"], daemon.descriptor_count())
            most["arenas"] = max(most["arenas"], len(daemon.arenas()))
            most["anonymous"] = max(most["anonymous"], daemon.anonymous_byte_count())
            most["threads"] = max(most["threads"], daemon.thread_count())
    except (FileNotFoundError, ProcessLookupError):
        pass
    link.report(**most)


def wait_until(condition, seconds, pause=0.05):
    """Waits until a condition holds; returns the seconds that it took, or None."""
    began = time.monotonic()
    while True:
        if condition():
            return time.monotonic() - began
        if time.monotonic() - began > seconds:
            return None
        time.sleep(pause)
