"""What of a process's memory is its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterable
from typing import Any


def private_bytes() -> int:
    """How many bytes of memory this process has of its own: made by itself, or copied on write.

    These are the pages that Linux calls anonymous. `Private_Dirty` would also count pages of the
    shared memory that no other process has mapped at the moment.
    """
    with open("/proc/self/smaps_rollup") as lines:
        return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("Anonymous:"))


def copied_bytes(addresses: Iterable[int]) -> int:
    """How many bytes this process has copied by writing to the mappings of these addresses.

    Fails if one of them is outside a file's mapping, because it is then a copy.
    """
    copied: dict[str, int] = {}
    for address in addresses:
        name, lines = _mapping(address)
        assert name.split()[4] != "0", f"{address:x} is in memory of no file: {name}"
        copied[name] = 1024 * sum(int(x.split()[1]) for x in lines if x.startswith("Anonymous:"))
    return sum(copied.values())


def _mapping(address: int) -> tuple[str, list[str]]:
    """The line of /proc/self/smaps with the mapping of an address, and those that follow it."""
    with open("/proc/self/smaps") as smaps:
        found: tuple[str, list[str]] | None = None
        for line in smaps:
            match = re.match("([0-9a-f]+)-([0-9a-f]+) ", line)
            if match is None:
                if found is not None:
                    found[1].append(line)
            elif found is not None:
                break
            elif int(match[1], 16) <= address < int(match[2], 16):
                found = line, []
    assert found is not None, f"{address:x} is not mapped"
    return found


def in_fresh_process(program: str, *arguments: str) -> Any:
    """Runs a program in a process of its own; returns what it printed as JSON.

    Other memory of this process would blur the amount that the program adds.
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
