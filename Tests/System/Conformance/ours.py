"""Warmstart's answers, from a separate daemon and warmstartctl."""
import json
import pathlib
import shutil
import subprocess
import tempfile
import time

import numpy as np

from cases import LOW_BITS, Refusal


class Warmstart:
    """A daemon for the length of the block, and the answers of its command."""

    def __init__(self, programs):
        self.programs = pathlib.Path(programs).resolve()

    def __enter__(self):
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="warmstart-"))
        self.socket = self.scratch / "socket"
        self.log = open(self.scratch / "log", "w+b")
        self.daemon = subprocess.Popen(
            [self.programs / "warmstartd", "--socket", self.socket], stderr=self.log
        )
        while not self.socket.exists():
            if self.daemon.poll() is not None:
                raise SystemExit(f"warmstartd: {self.said()}")
            time.sleep(0.01)
        return self

    def said(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def __exit__(self, *_):
        ended = self.daemon.poll()
        self.daemon.terminate()
        status = self.daemon.wait(timeout=30)
        said = self.said()
        self.log.close()
        shutil.rmtree(self.scratch)
        if ended is not None or status != 0:
            raise SystemExit(f"warmstartd ended with {status}: {said}")

    def run(self, case, *arguments):
        command = [self.programs / "warmstartctl", *arguments, "--socket", self.socket, "--json"]
        try:
            return subprocess.run(
                command, capture_output=True, text=True, cwd=case.directory, timeout=120
            )
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(command, -1, "", "no answer in 120 seconds")

    def answer(self, case):
        """{part's name: value}, or a refusal."""
        return self.listed(case) if case.question == "list" else self.resolved(case)

    def listed(self, case):
        run = self.run(case, "list", case.path)
        if run.returncode != 0:
            return refusal(run)
        tensors = json.loads(run.stdout)["tensors"]
        return {tensor["name"]: (tensor["dtype"], tensor["shape"]) for tensor in tensors}

    def resolved(self, case):
        map_file, variables = self.scratch / "map.json", self.scratch / "variables.json"
        map_file.write_text(json.dumps(case.pairs))
        entries = [e for variable in case.variables for e in variable.entries(case.spelled_out)]
        variables.write_text(json.dumps({"variables": entries}))
        output = self.scratch / "output"
        shutil.rmtree(output, ignore_errors=True)
        run = self.run(
            case, "resolve", case.path, "--map", map_file, "--variables", variables,
            "--output", output, "--lenient", *case.options,
        )  # fmt: skip
        if run.returncode != 0:
            return refusal(run)
        tensors = json.loads(run.stdout)["tensors"]
        return {tensor["variable"]: value(output, tensor) for tensor in tensors}


def refusal(run):
    last = run.stderr.splitlines()[-1] if run.stderr else ""
    if run.returncode != 1 or not last.startswith('{"error"'):
        return Refusal("Failed", f"exit {run.returncode}: {run.stderr[:300]}")
    error = json.loads(last)["error"]
    reasons = tuple(detail["reason"] for detail in error["details"])
    return Refusal(f"{error['code']} {error['reason']}", error["message"], reasons=reasons)


def value(output, tensor):
    array = np.load(output / tensor["file"])
    if tensor["dtype"] != "string":
        data = array.tobytes()
        if tensor["dtype"] in LOW_BITS:
            assert all(byte <= LOW_BITS[tensor["dtype"]] for byte in data)
        return tensor["shape"], data
    data = np.load(output / tensor["bytes_file"]).tobytes()
    return tensor["shape"], [data[start:end] for start, end in zip(array[:-1], array[1:])]
