"""systemd uses the files of `systemd/examples`."""

import json

EXAMPLES = "/usr/share/doc/warmstartd/examples"
ADMIN = ("warmstartctl", "--socket", "/run/warmstart/admin.sock")
CHECKPOINT = "/golden/demo"


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
