"""Prints what a finding sees, and compares it with what the finding describes."""

import atexit
import os
import re
import sys

_changed = []


def see(what, value, expected=True):
    """Prints a value that was seen; the script ends with status 1 if another was expected."""
    print(f"{what}: {value}")
    if value != expected:
        print(f"  CHANGED, the finding describes: {expected}")
        _changed.append(what)


def error(function):
    """Returns the function's error as "Type: first line", or "no error".

    The names of TensorFlow's nodes and operations are left out.
    """
    try:
        function()
    except Exception as raised:
        first = re.sub(r"{{.*?}} | \[Op:.*", "", str(raised)).strip().splitlines()[0]
        return f"{type(raised).__name__}: {first}"
    return "no error"


@atexit.register
def _end():
    sys.stdout.flush()
    if _changed:
        os._exit(1)
