"""Slurm and systemd use the files of `systemd/examples`."""

import json
import socket

EXAMPLES = "/usr/share/doc/warmstartd/examples"
ADMIN = ("warmstartctl", "--socket", "/run/warmstart/admin.sock")
CHECKPOINT = "/golden/demo"
# One node for everything. The container has the machine's network, so the ports must be free there.
SLURM = """\
ClusterName=test
SlurmctldHost=localhost
SlurmUser=slurm
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
StateSaveLocation=/var/lib/slurm/controller
SlurmdSpoolDir=/var/lib/slurm/node
SlurmctldPort={}
SlurmdPort={}
Prolog=/etc/slurm/prolog
PrologFlags=Alloc
NodeName=localhost NodeAddr=127.0.0.1
PartitionName=all Nodes=ALL Default=YES
"""


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def warm(told):
    """The checkpoints of a status report all of whose bytes are verified."""
    return [one["label"] for one in json.loads(told)["checkpoints"]
            if one["verified_bytes"] == one["byte_count"]]


def slurm(container, expect, eventually):
    """Has Slurm run the prolog before jobs of users who may and may not connect to the daemon."""
    writing = container.start("sh", "-c", "cat >/etc/slurm/slurm.conf")
    writing.communicate(SLURM.format(*free_ports(2)))
    container.run("sh", "-c", "echo 127.0.0.1 localhost $(hostname) >/etc/hosts; "
                  "install -d -o slurm /var/lib/slurm/controller; install -d /var/lib/slurm/node; "
                  f"install -m 755 {EXAMPLES}/slurm-prolog.sh /etc/slurm/prolog")
    container.run("systemctl", "restart", "munge", "slurmctld", "slurmd")
    ready = eventually(lambda: container.run("sinfo", "-h", "-o", "%T", check=False) == "idle\n")
    expect("Slurm has a node", ready,
           container.run("journalctl", "-q", "-u", "slurmctld", "-u", "slurmd"))
    container.run(*ADMIN, "evict", "--all")
    job = ("srun", "--quiet", "--chdir=/", "--immediate=20")
    status = ("warmstartctl", "status", "--json")
    code, told = container.status(*job, *status, user="alice")
    expect("a job without a comment starts with nothing warm", code == 0 and not warm(told), told)
    code, told = container.status(
        *job, f"--comment=warmstart:{CHECKPOINT}", *status, user="alice")
    expect("a job that names its checkpoint finds all of it warm",
           code == 0 and [one.startswith(CHECKPOINT) for one in warm(told)] == [True], told)
    for user, path in (("alice", "/golden/missing"), ("bob", CHECKPOINT)):
        code, told = container.status(*job, f"--comment=warmstart:{path}", "id", "-un", user=user)
        expect(f"{user}'s job with {path} runs, too", code == 0 and told.endswith(user + "\n"), told)
        container.run("journalctl", "--sync")
        told = container.run("journalctl", "-q", "-o", "cat", "-t", "warmstart-prolog")
        expect(f"and the log says that it is not warm for {user}",
               told.endswith(f": {path} is not warm\n"), told)
    container.run("systemctl", "stop", "slurmd", "slurmctld", "munge")


def newer_systemd(container, expect):
    """Adds the drop-in for newer versions of systemd, which an older one ignores."""
    unit = "warmstartd.service"
    directory = f"/etc/systemd/system/{unit}.d"

    def stored():
        return int(container.run("systemctl", "show", "-P", "NFileDescriptorStore", unit))

    container.run("sh", "-c", f"mkdir -p {directory}; cp {EXAMPLES}/newer-systemd.conf {directory}/")
    container.run("systemctl", "daemon-reload")
    container.run("systemctl", "restart", unit)
    container.run(*ADMIN, "pin", "--align", "64", CHECKPOINT)
    before = stored()
    container.run("systemctl", "stop", unit)
    left = stored()
    container.run("systemctl", "start", unit)
    counters = json.loads(container.run(*ADMIN, "status", "--json"))["counters"]
    told = (before, left, counters)
    if int(container.run("systemctl", "--version").split()[1]) >= 254:
        expect("with the drop-in a stop keeps systemd's store", left == before > 0, told)
        expect("and the next start reads nothing again",
               counters["checkpoints_restored"] == 1 and counters["loads_begun"] == 0, told)
        container.run("systemctl", "stop", unit)
        container.run("systemctl", "clean", "--what=fdstore", unit)
        expect("systemctl clean empties the store", stored() == 0)
    else:
        expect("an older systemd ignores the drop-in, and empties its store at a stop",
               before > left == 0 == counters["checkpoints_restored"], told)
    container.run("rm", f"{directory}/newer-systemd.conf")
    container.run("systemctl", "daemon-reload")
    container.run("systemctl", "restart", unit)
