"""What an administrator sees of the daemon: the journal with its catalog, and the metrics."""

import json
import os
import re

HERE = os.path.dirname(os.path.abspath(__file__))
CHECKOUT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
UNIT = "warmstartd.service"
ADMIN = ("warmstartctl", "--socket", "/run/warmstart/admin.sock")
ASK = ("curl", "--silent", "--show-error", "--unix-socket", "/run/warmstart/metrics.sock")
DIRECTORY = "/var/lib/prometheus/node-exporter"


def kinds():
    """The ids of the daemon's events, by their kinds."""
    source = open(os.path.join(CHECKOUT, "Sources/Systemd/LogEvent.swift")).read()
    return dict(re.findall(r'case (\w+) = "([0-9a-f]{32})"', source))


class Journal:
    """The daemon's entries in the container's journal, from now on."""

    def __init__(self, container):
        self.container = container
        self.kinds = kinds()
        told = container.run("journalctl", "--quiet", "-n", "1", "-o", "json")
        self.cursor = json.loads(told)["__CURSOR"]

    def entries(self, kind):
        """The entries of a kind that the journal counts to the daemon's unit."""
        self.container.run("journalctl", "--sync")
        # With a match, journalctl of systemd 252 also skips the first entry after the cursor.
        told = self.container.run("journalctl", "--quiet", "--after-cursor", self.cursor, "-o", "json")
        entries = [json.loads(line) for line in told.splitlines()]
        return [one for one in entries if one.get("_SYSTEMD_UNIT") == UNIT
                and one.get("MESSAGE_ID") == self.kinds[kind]]

    def last(self, kind):
        entries = self.entries(kind)
        return entries[-1] if entries else {}


def events(container, expect):
    """Provokes events, and looks for each in the journal."""
    journal = Journal(container)
    container.run("systemctl", "restart", UNIT)
    entry = journal.last("stopped")
    expect("the journal knows which unit the daemon's last entry is from", entry, str(entry))
    entry = journal.last("started")
    expect("an entry has its fields", entry.get("WARMSTART_VERSION") == "0.1.0"
           and entry.get("PRIORITY") == "6" and entry.get("SYSLOG_IDENTIFIER") == "warmstartd",
           str(entry))

    container.run("sh", "-c", "cp -r /golden/v2_plain_resource /srv/seen && chmod -R a+rX /srv/seen")
    path = "/srv/seen/model.ckpt-1000"
    container.run("warmstartctl", "list", path, user="alice")
    entry = journal.last("loaded")
    expect("a load is logged with its user and its checkpoint", entry.get("WARMSTART_USER") == "alice"
           and entry.get("WARMSTART_CHECKPOINT") == path, str(entry))
    container.run(*ADMIN, "pin", "--name", "seen", "--allow-user", "root", path)
    entry = journal.last("pinned")
    expect("a pin is logged with its name", entry.get("WARMSTART_USER") == "root"
           and entry.get("WARMSTART_NAME") == "seen", str(entry))
    for _ in range(3):
        container.status("warmstartctl", "list", "name:seen", user="alice")
    found = journal.entries("refusedByPermission")
    expect("a refusal is logged once for a user", len(found) == 1
           and found[0].get("WARMSTART_USER") == "alice"
           and found[0].get("WARMSTART_REASON") == "NOT_ALLOWED", str(found))
    told = container.run("journalctl", "--quiet", "-x", "-n", "1", "-o", "short",
                         "MESSAGE_ID=" + journal.kinds["refusedByPermission"])
    expect("journalctl -x says what happened and what to do",
           "of user alice asked for something that the user is not allowed"
           in " ".join(told.replace("░░", "").split()) and "--allow-user" in told and "man:warmstartd(8)" in told, told)
    container.run(*ADMIN, "unpin", "name:seen")
    expect("the end of a name is logged", journal.last("unpinned").get("WARMSTART_NAME") == "seen")
    container.run(*ADMIN, "evict", "--all")
    entry = journal.last("evicted")
    expect("an eviction is logged with its reason", entry.get("WARMSTART_REASON") == "request"
           and entry.get("WARMSTART_CHECKPOINT") == path, str(entry))

    container.run("sh", "-c", f"printf x | dd of={path}.data-00000-of-00001 bs=1 conv=notrunc")
    container.status("warmstartctl", "verify", path, user="alice")
    entry = journal.last("checksumFailed")
    expect("damage is logged as an error", entry.get("PRIORITY") == "3"
           and entry.get("WARMSTART_CHECKPOINT") == path, str(entry))
    container.run("sh", "-c", "head -c 5000 /dev/urandom >/srv/seen/other.index; "
                  "touch /srv/seen/other.data-00000-of-00001; chmod a+r /srv/seen/*")
    code, told = container.status("warmstartctl", "list", "/srv/seen/other", user="alice")
    expect("a file that is no checkpoint is its client's mistake",
           code == 1 and "not a checkpoint" in told and not journal.entries("damaged"), told)

    listed = container.run("journalctl", "--list-catalog", *sorted(journal.kinds.values()))
    expect("the catalog explains every event", listed.count("warmstartd: ") == len(journal.kinds),
           listed)


def wrong_start(container, expect, eventually):
    """Whether the journal knows the unit of a daemon that ends at once."""
    journal = Journal(container)
    directory = f"/etc/systemd/system/{UNIT}.d"
    container.run("systemctl", "stop", UNIT)
    container.run("sh", "-c", f"mkdir -p {directory} && printf '[Service]\\nExecStart=\\n"
                  f"ExecStart=/usr/bin/warmstartd --bugdet 8G\\nRestart=no\\n' >{directory}/wrong.conf")
    container.run("systemctl", "daemon-reload")
    count = 10
    for _ in range(count):
        container.status("systemctl", "start", UNIT)
    expect("each failed start names the wrong option in the unit's journal", eventually(
        lambda: len([one for one in journal.entries("startRefused") if "--bugdet" in one["MESSAGE"]])
        == count), str(journal.entries("startRefused")))
    container.run("rm", "-r", directory)
    container.run("systemctl", "daemon-reload")
    container.run("systemctl", "reset-failed", UNIT)
    container.run("systemctl", "start", UNIT)


def hanging_journal(container, expect):
    """The daemon goes on while the journal hangs, and says later what was lost."""
    journal = Journal(container)
    pid = container.run("systemctl", "show", "-P", "MainPID", UNIT).strip()
    journald = container.run("systemctl", "show", "-P", "MainPID", "systemd-journald").strip()
    container.run("kill", "-STOP", journald)
    try:
        # More than any queue takes. A signal that is pending already counts once, hence the pauses.
        container.run("sh", "-c", f"for i in $(seq 600); do kill -USR1 {pid}; sleep 0.005; done")
        code, told = container.status("warmstartctl", "health", user="alice")
    finally:
        container.run("kill", "-CONT", journald)
    expect("the daemon serves while the journal hangs", code == 0, told)
    container.run("kill", "-USR1", pid)
    expect("the journal says how many entries were lost",
           int(journal.last("dropped").get("WARMSTART_COUNT", 0)) > 0, str(journal.last("dropped")))
    expect("the same process goes on",
           container.run("systemctl", "show", "-P", "MainPID", UNIT).strip() == pid)


def metrics(container, expect):
    """Asks for the metrics as a monitoring system does."""
    address = "http://warmstart/metrics"
    code, told = container.status(*ASK, address, user="alice")
    expect("only members of the group may ask for metrics", code == 7, told)
    container.run("gpasswd", "--add", "alice", "warmstart-metrics")
    container.run("warmstartctl", "list", "/golden/demo")
    code, text = container.status(*ASK, address, user="alice")
    expect("a member asks with curl", code == 0 and text.endswith("\n# EOF\n")
           and 'path="/golden/demo/model.ckpt' in text, text)
    head = container.run(*ASK, "--head", address)
    kind = "\nContent-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\n"
    expect("the answer is OpenMetrics", head.startswith("HTTP/1.1 200 OK\n") and kind in head, head)
    told = container.run(*ASK, "--output", "/dev/null", "--write-out", "%{http_code}",
                         "http://warmstart/")
    expect("other paths are not found", told == "404", told)

    container.run("mkdir", "-p", DIRECTORY)
    container.run("systemctl", "start", "warmstart-textfile.timer")
    container.run("systemctl", "start", "warmstart-textfile.service")
    text = container.run("cat", f"{DIRECTORY}/warmstart.prom")
    expect("a timer writes a file for node_exporter",
           "# TYPE warmstart_opens_total counter\n" in text and "EOF" not in text, text)
    left = container.run("ls", DIRECTORY)
    expect("the file is replaced at once", left == "warmstart.prom\n", left)
    container.run("systemctl", "stop", UNIT)
    container.run("systemctl", "start", "warmstart-textfile.service")
    state = container.run("systemctl", "is-active", UNIT, check=False).strip()
    expect("the timer does not start the daemon", state == "inactive", state)
    left = container.run("ls", DIRECTORY)
    expect("and removes the file, whose values are old", left == "", left)
    container.run("systemctl", "stop", "warmstart-textfile.timer")
    container.run("rm", "-r", "/var/lib/prometheus", "/srv/seen")


def socket_only(container, expect):
    """A client that sees only the daemon's socket, as a pod does that mounts nothing else."""
    container.run(*ADMIN, "pin", "--name", "pod", "/golden/demo")
    pod = ("systemd-run", "--quiet", "--pipe", "--wait", "--collect", "--property=User=alice",
           "--property=TemporaryFileSystem=/golden:ro", "--property=PrivateNetwork=yes")
    code, told = container.status(*pod, "warmstartctl", "list", "/golden/demo")
    expect("a pod without the files cannot open them", code == 1, told)
    code, told = container.status(*pod, "warmstartctl", "list", "name:pod")
    expect("and gets a published name through the socket", code == 0, told)
    container.run(*ADMIN, "unpin", "name:pod")


def seeing(container, expect, eventually):
    events(container, expect)
    wrong_start(container, expect, eventually)
    hanging_journal(container, expect)
    socket_only(container, expect)
    metrics(container, expect)
