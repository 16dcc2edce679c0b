"""The daemon and the Plasma store, each running as long as its block."""

import contextlib
import pathlib
import subprocess
import time


@contextlib.contextmanager
def service(command, socket, log):
    """Run a program that listens on a socket."""
    with open(log, "w+") as output:
        process = subprocess.Popen([str(part) for part in command], stdout=output, stderr=output)
        try:
            while not pathlib.Path(socket).exists():
                if process.poll() is not None:
                    raise SystemExit(f"{command[0]} ended:\n{pathlib.Path(log).read_text()}")
                time.sleep(0.01)
            yield process
        finally:
            process.terminate()
            process.wait()
            pathlib.Path(socket).unlink(missing_ok=True)


def warmstartd(programs, directory):
    socket = directory / "warmstart.sock"
    return service([programs / "warmstartd", "--socket", socket], socket, directory / "daemon.log")


def plasma_store(venv, directory, size):
    socket = directory / "plasma.sock"
    # Run by the interpreter, because the program names the path where the venv was made.
    command = [venv / "bin/python3", venv / "bin/plasma_store", "-s", socket, "-m", size]
    return service(command, socket, directory / "plasma.log")
