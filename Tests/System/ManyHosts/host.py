"""Hosts of a small cluster on one machine, each with namespaces of its own."""

import os
import subprocess
import time

# The first process of a host. It ends when its input does, so at the latest with the test. The
# kernel then ends all other processes of the host, and with them its mounts and its network.
FIRST = "ip link set lo up && mount -t tmpfs -o mode=755 none /run && echo ready && read"


class Host:
    """Network, mounts, processes and a name like those of another machine; `/run` is its own."""

    def __init__(self, name, logs):
        self.name, self.logs = name, logs
        self.unshare = subprocess.Popen(
            ["unshare", "--net", "--mount", "--uts", "--pid", "--fork", "--mount-proc",
             "bash", "-c", f"hostname {name} && {FIRST}"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if self.unshare.stdout.readline() != b"ready\n":
            raise RuntimeError(f"there can be no host {name}")
        with open(f"/proc/{self.unshare.pid}/task/{self.unshare.pid}/children") as children:
            self.first = children.read().split()[0]

    def command(self, command, uid=0, **variables):
        """The command line that runs a command on the host, with these variables alone."""
        variables = {"PATH": os.environ["PATH"], "HOME": "/run", **variables}
        return [
            "nsenter", "--target", self.first, "--net", "--mount", "--uts", "--pid", "--",
            "setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups",
            "env", "--ignore-environment", *(f"{key}={value}" for key, value in variables.items()),
            *map(str, command)]

    def run(self, *command, uid=0, timeout=60, **variables):
        """Runs a command on the host and returns its output; raises if it fails."""
        done = subprocess.run(
            self.command(command, uid, **variables), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=timeout)
        if done.returncode != 0:
            raise RuntimeError(
                f"{self.name}: {' '.join(map(str, command))}: exit {done.returncode}\n"
                f"{done.stdout}{done.stderr}")
        return done.stdout

    def start(self, name, *command, uid=0, **variables):
        """Starts a program that runs until the host ends, with a log of this name."""
        with open(os.path.join(self.logs, f"{self.name}-{name}.log"), "w") as log:
            return subprocess.Popen(
                self.command(command, uid, **variables), stdin=subprocess.DEVNULL, stdout=log,
                stderr=log)

    def show(self, paths):
        """Lets all users of the host reach directories in the home directory of root.

        Others may not search it. On this host, a directory with only these takes its place.
        """
        home = os.path.expanduser("~")
        hidden = sorted({path for path in paths if os.path.commonpath([path, home]) == home})
        if not hidden or os.stat(home).st_mode & 0o001:
            return
        for number, path in enumerate(hidden):
            self.run("mkdir", "-p", f"/run/shown/{number}")
            self.run("mount", "--bind", path, f"/run/shown/{number}")
        self.run("mount", "-t", "tmpfs", "-o", "mode=755", "none", home)
        for number, path in enumerate(hidden):
            self.run("mkdir", "-p", path)
            self.run("mount", "--move", f"/run/shown/{number}", path)

    def end(self):
        self.unshare.stdin.close()
        self.unshare.wait()


class Network:
    """A bridge on one host, which is 10.77.0.1; others get a link to it each."""

    def __init__(self, middle):
        self.middle, self.count = middle, 0
        middle.run("ip", "link", "add", "bridge", "type", "bridge")
        middle.run("ip", "address", "add", "10.77.0.1/24", "dev", "bridge")
        middle.run("ip", "link", "set", "bridge", "up")

    def add(self, host):
        """Connects a host; returns its address."""
        self.count += 1
        link, address = f"link{self.count}", f"10.77.0.{self.count + 1}"
        # Only this process and not the middle host knows the other host's first process.
        subprocess.run(
            ["nsenter", "--target", self.middle.first, "--net", "ip", "link", "add", link,
             "type", "veth", "peer", "name", "uplink", "netns", host.first], check=True)
        self.middle.run("ip", "link", "set", link, "master", "bridge", "up")
        host.run("ip", "address", "add", f"{address}/24", "dev", "uplink")
        host.run("ip", "link", "set", "uplink", "up")
        return address


def wait_until(condition, what, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError(f"{what}: not within {seconds} s")
        time.sleep(0.05)
