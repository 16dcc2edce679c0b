"""Finds the daemon's socket and connects to it."""

from __future__ import annotations

import errno
import os
import socket
import stat
import time

from ._deadline import Deadline, deadline_passed
from ._errors import WarmstartError, system_error

_SYSTEM_SOCKET = "/run/warmstart/warmstart.sock"
ADMINISTRATION_SOCKET = "/run/warmstart/admin.sock"
_GROUPS = {_SYSTEM_SOCKET: "warmstart-clients", ADMINISTRATION_SOCKET: "warmstart-admin"}
# Seconds to wait for a daemon that is being restarted without systemd and does not listen yet.
_REFUSED_PATIENCE, _RESTART_PATIENCE, _ABSENT_PATIENCE = 2.0, 10.0, 0.02


def standard_socket() -> str:
    """Returns the daemon's socket: the environment's, the system's, or the user's own.

    The user's own counts only if this user may not use the system's.
    """
    path = os.environ.get("WARMSTART_SOCKET")
    if path:
        return path
    directory = os.environ.get("XDG_RUNTIME_DIR")
    if directory and not os.access(_SYSTEM_SOCKET, os.W_OK, effective_ids=True):
        own = os.path.join(directory, "warmstart", "warmstart.sock")
        if os.path.exists(own):
            return own
    return _SYSTEM_SOCKET


def connect(path: str, deadline: Deadline, is_first: bool) -> socket.socket:
    """Connects; waits a moment for a daemon that is being restarted.

    During a restart the socket is missing or refuses connections: a daemon that finds an old socket
    removes it just before it makes its own. If the first connection finds no socket, no daemon is
    running, and waiting longer would not help.
    """
    start, longest = time.monotonic(), _REFUSED_PATIENCE if is_first else _RESTART_PATIENCE
    patience = {errno.ECONNREFUSED: longest, errno.ENOENT: longest}
    if is_first:
        patience[errno.ENOENT] = _ABSENT_PATIENCE
    pause = 0.01
    while True:
        try:
            connecting = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        except OSError as error:
            raise system_error("make a socket", error) from None
        try:
            connecting.settimeout(deadline.remaining())
            connecting.connect(path)
            return connecting
        except socket.timeout:
            connecting.close()
            raise deadline_passed() from None
        except OSError as error:
            connecting.close()
            # With a timeout set, connect(2) fails at once if the listener's queue is full.
            is_full = error.errno == errno.EAGAIN
            if error.errno == errno.ECONNREFUSED:
                patience[errno.ENOENT] = longest
            left = start + patience.get(error.errno or 0, 0.0) - time.monotonic()
            # "No daemon listens" says more than "the time is over".
            if not is_full and (left < pause or deadline.ends_within(pause)):
                raise _cannot_connect(path, error) from None
        except BaseException:
            connecting.close()
            raise
        remaining = deadline.remaining()
        time.sleep(pause if remaining is None else min(pause, remaining))
        pause = min(2 * pause, 0.2)


def _cannot_connect(path: str, error: OSError) -> WarmstartError:
    group = _GROUPS.get(path)
    if error.errno == errno.ECONNREFUSED and not _is_socket(path):
        return WarmstartError.of(
            "CONNECTION", f"{path} is not a socket: expected the socket of a daemon"
        )
    if error.errno in (errno.ENOENT, errno.ECONNREFUSED):
        start = (
            "start it with: sudo systemctl start warmstartd.socket, "
            "or set WARMSTART_SOCKET to the socket of another daemon"
            if group
            else f"start it with: warmstartd --socket {path}"
        )
        return WarmstartError.of("CONNECTION", f"no daemon listens at {path}; {start}")
    if error.errno == errno.EACCES:
        # The user needs both steps, because a session gets its groups at its beginning.
        join = f'sudo usermod -aG {group} "$USER", and log in again'
        member = f"; it must be in the group {group}: {join}" if group else ""
        return WarmstartError.of("NOT_ALLOWED", f"this user may not connect to {path}{member}")
    return WarmstartError.of("CONNECTION", f"cannot connect to {path}: {error.strerror or error}")


def _is_socket(path: str) -> bool:
    """Returns False only if the path is certainly something else; it may have been removed."""
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        return True
