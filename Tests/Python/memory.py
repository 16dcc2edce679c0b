"""What of a process's memory is its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from typing import Any


def private_bytes() -> int:
    """How many bytes of memory this process has of its own: made by itself, or copied on write.

    These are the pages that Linux calls anonymous. `Private_Dirty` would also count pages of the
    shared memory that no other process has mapped at the moment.
    """
    with open("/proc/self/smaps_rollup") as lines:
        return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("Anonymous:"))


def in_fresh_process(program: str, *arguments: str) -> Any:
    """Runs a program in a process of its own; returns what it printed as JSON.

    What else this process has in memory would blur how much the program adds.
    """
    here = os.path.dirname(os.path.abspath(__file__))
    path = os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH"))))
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), *arguments],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        check=False,
        text=True,
        timeout=300,
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)
