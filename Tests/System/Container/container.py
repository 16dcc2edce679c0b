"""A container that boots real systemd, made of Debian packages. Needs root."""

import os
import shutil
import subprocess
import time

# With what our packages and their tests depend on, so that no test needs the network.
PACKAGES = ("systemd", "systemd-sysv", "dbus", "libprotobuf-c1", "libsnappy1v5", "libisal2",
            "libgcrypt20", "libstdc++6", "util-linux", "procps", "curl", "autopkgtest", "dpkg-dev",
            "python3-numpy", "python3-protobuf", "munge", "slurm-client", "slurmctld", "slurmd")


def run(*command, check=True, **options):
    """Runs a command and returns what it printed, both streams together."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          **options)
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}")
    return done.stdout


def mirror():
    """The address and the suite of this machine's own Debian packages."""
    lines = run("apt-get", "indextargets", "Created-By: Packages", "--format",
                "$(REPO_URI) $(CODENAME)").split("\n")
    codename = next(line.split("=")[1].strip('"\n') for line in open("/etc/os-release")
                    if line.startswith("VERSION_CODENAME="))
    for line in lines:
        address, _, suite = line.partition(" ")
        if suite == codename:
            return address, suite
    raise RuntimeError("apt knows no repository of " + codename)


def make_root(root, suite=None):
    """Makes a minimal root, once: later runs find it, unless they need other packages.

    The suite is by default that of this machine.
    """
    address, own_suite = mirror()
    options = ["--variant=minbase", "--include=" + ",".join(PACKAGES), suite or own_suite]
    wanted, complete = " ".join(options), os.path.join(root, ".complete")
    if os.path.exists(complete) and open(complete).read() == wanted:
        return
    shutil.rmtree(root, ignore_errors=True)
    run("debootstrap", *options, root, address)
    # Without a configuration, Slurm's services would keep the container from booting.
    run("systemctl", "--root", root, "disable", "munge", "slurmctld", "slurmd")
    with open(complete, "w") as file:
        file.write(wanted)


class Container:
    """A booted container; what happens in it is lost when it ends."""

    def __init__(self, root, binds):
        self.machine = f"warmstart-{os.getpid()}"
        self.log = open(os.path.join(os.path.dirname(root), "boot.log"), "w")
        command = ["systemd-nspawn", "-D", root, "--volatile=overlay", "--boot", "--register=no",
                   "--keep-unit", f"--machine={self.machine}", "--console=pipe"]
        command += [f"--bind-ro={source}:{target}" for source, target in binds]
        self.nspawn = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log,
                                       stderr=self.log)
        try:
            self.leader = self._find_leader()
            self._wait_until_booted()
        except BaseException:
            self.nspawn.kill()
            self.nspawn.wait()
            raise

    def _find_leader(self):
        path = f"/proc/{self.nspawn.pid}/task/{self.nspawn.pid}/children"
        for _ in range(300):
            children = open(path).read().split()
            for child in children:
                try:
                    if open(f"/proc/{child}/comm").read().strip() == "systemd":
                        return child
                except FileNotFoundError:
                    pass
            time.sleep(0.1)
        raise RuntimeError("the container's systemd did not start; see " + self.log.name)

    def _wait_until_booted(self):
        for _ in range(600):
            state = self.run("systemctl", "is-system-running", check=False).strip()
            if state in ("running", "degraded"):
                return
            time.sleep(0.1)
        raise RuntimeError(f"the container did not boot: {state}; see {self.log.name}")

    def command(self, *command, user=None):
        """The command line that runs a command in the container, as root or as a user."""
        enter = ["nsenter", "-t", self.leader, "-a"]
        if user is not None:
            enter += ["runuser", "-u", user, "--"]
        return enter + list(command)

    def run(self, *command, user=None, check=True):
        return run(*self.command(*command, user=user), check=check)

    def status(self, *command, user=None):
        """Runs a command and returns its exit status and what it printed."""
        done = subprocess.run(self.command(*command, user=user), stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
        return done.returncode, done.stdout

    def start(self, *command, user=None):
        """Starts a command with pipes for its input and output."""
        return subprocess.Popen(self.command(*command, user=user), stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def end(self):
        self.run("systemctl", "poweroff", check=False)
        try:
            self.nspawn.wait(20)
        except subprocess.TimeoutExpired:
            self.nspawn.kill()
            self.nspawn.wait()
        self.log.close()
