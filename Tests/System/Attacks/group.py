"""Makes memory control groups, of version 1 or 2."""

import os
import time

from outcome import Skipped

ROOT = "/sys/fs/cgroup"


class Group:
    """A memory control group; processes enter it themselves."""

    def __init__(self, name, limit=None):
        old = os.path.isdir(os.path.join(ROOT, "memory"))
        parent = os.path.join(ROOT, "memory") if old else ROOT
        self.limit_file = "memory.limit_in_bytes" if old else "memory.max"
        self.usage_file = "memory.usage_in_bytes" if old else "memory.current"
        self.kills_file = "memory.oom_control" if old else "memory.events"
        self.folder = os.path.join(parent, f"{name}-{os.getpid()}")
        try:
            if not old:
                with open(os.path.join(ROOT, "cgroup.subtree_control"), "w") as file:
                    file.write("+memory")
            os.mkdir(self.folder)
        except OSError as error:
            raise Skipped(f"no memory control group can be made: {error}") from None
        try:
            if not os.path.exists(self.path(self.limit_file)):
                raise Skipped("there is no memory controller")
            if limit:
                with open(self.path(self.limit_file), "w") as file:
                    file.write(str(limit))
        except BaseException:
            self.remove()
            raise

    def path(self, name):
        return os.path.join(self.folder, name)

    def enter(self):
        """Moves the calling process into the group."""
        with open(self.path("cgroup.procs"), "w") as file:
            file.write(str(os.getpid()))

    @property
    def usage(self):
        with open(self.path(self.usage_file)) as file:
            return int(file.read())

    @property
    def kill_count(self):
        with open(self.path(self.kills_file)) as file:
            for line in file:
                if line.startswith("oom_kill "):
                    return int(line.split()[1])
        return 0

    def remove(self):
        for _ in range(100):
            try:
                os.rmdir(self.folder)
                return
            except FileNotFoundError:
                return
            except OSError:
                time.sleep(0.02)
