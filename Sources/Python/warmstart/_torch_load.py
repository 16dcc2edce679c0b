"""`torch.load(…, mmap=True)` of files that the daemon has verified.

torch maps the pages of such a file, which all processes share already, but compares no checksum.
Once installed, the daemon reads and verifies the file first, once for all jobs, and torch maps the
very file that was verified. Tensors that are only parts of their storages are not compared: an
archive has a checksum of each storage as a whole.
"""

from __future__ import annotations

import functools
import os
import threading
from typing import Any, NamedTuple

import torch

from ._checkpoint import Checkpoint
from ._client import Client
from ._connection import log
from ._default_client import default_client
from ._errors import WarmstartError
from ._locate import WHOLE, File, Location

# The first bytes of a file that torch takes for a zip archive.
_ZIP = b"PK\x03\x04"
# The names of tensors that a message lists.
_LISTED = 3


class _Installed(NamedTuple):
    own: Any
    client: Client | None
    fallback: bool


_lock = threading.Lock()
# torch's own function and the options, while another function is in its place.
_installed: list[_Installed] = []


def install(*, client: Client | None = None, fallback: bool = True) -> None:
    """Has the daemon verify each file that `torch.load` maps, once for all jobs.

    torch maps a file with `mmap=True`, or with `torch.utils.serialization.config.load.mmap`.
    `torch.load` then also raises CHECKSUM_MISMATCH, CORRUPT or TRUNCATED for a damaged file, and
    CHECKPOINT_CHANGED for one that changes while torch reads it. Modules that imported the function
    by name before keep torch's. Another call changes the options.

    Some bytes are not compared: those of tensors that are only parts of their storages, such as
    `x[:, :5]`; those of tensors that Warmstart does not serve, such as sparse ones; and all of a
    file that was saved without checksums. With `fallback`, torch loads such tensors, and also whole
    files unverified: if no daemon answers (CONNECTION), if it refuses memory (BUDGET, QUOTA), and
    what it does not serve (UNSUPPORTED), such as a pickle with a class that it does not know. The
    log ("warmstart") then has a warning. Without `fallback` these are errors; tensors that are not
    compared are UNSUPPORTED. Files that are no zip archives are torch's own: it maps none of them.
    """
    with _lock:
        own = _installed[0].own if _installed else torch.load
        is_first = not _installed
        _installed[:] = [_Installed(own, client, fallback)]
        if is_first:
            torch.load = functools.wraps(own)(functools.partial(_load))


def uninstall() -> None:
    """Undoes `install`, also for modules that took the function by name meanwhile."""
    with _lock:
        if _installed:
            torch.load = _installed[0].own
            _installed.clear()


def _load(f: Any, *arguments: Any, **options: Any) -> Any:
    installed = next(iter(_installed), None)
    if installed is None:
        return torch.load(f, *arguments, **options)
    is_mapped = _is_mapped(f, options.get("mmap"))
    checkpoint = _verified(os.fsdecode(f), installed) if is_mapped else None
    if checkpoint is None:
        return installed.own(f, *arguments, **options)
    with checkpoint, checkpoint.using() as files:
        # The path may lead to another file by now.
        loaded = installed.own(f"/proc/self/fd/{files[0]}", *arguments, **options)
        checkpoint.check_files([0])
        return loaded


def _is_mapped(f: Any, mmap: bool | None) -> bool:
    """Returns whether torch maps a file; it refuses to map what is no zip archive."""
    if mmap is None:
        mmap = _maps_by_default()
    if not mmap or not isinstance(f, (str, os.PathLike)) or not os.path.isfile(f):
        return False
    try:
        with open(f, "rb") as file:
            return file.read(len(_ZIP)) == _ZIP
    except OSError:
        # torch raises its own error.
        return False


def _maps_by_default() -> bool:
    """Returns torch's setting; older versions have none."""
    try:
        from torch.utils.serialization import config
    except ImportError:
        return False
    return bool(getattr(config.load, "mmap", False))


def _verified(path: str, installed: _Installed) -> Checkpoint | None:
    """Returns a file whose tensors the daemon has verified; None if torch is to load it alone."""
    client = installed.client or default_client()
    # The path is that of a file for torch, whatever else `locate` would find for it.
    checkpoint = Checkpoint(client, Location(path, path, [File(path, WHOLE)]))
    is_verified = False
    try:
        checkpoint.open()
        if checkpoint.format == "torch":
            _verify(checkpoint, installed.fallback)
            is_verified = True
    except WarmstartError as error:
        reasons = ("CONNECTION", "UNSUPPORTED", "BUDGET", "QUOTA")
        if not installed.fallback or error.reason not in reasons:
            raise
        log.warning("%s; now torch is asked to map the file, unverified", str(error))
    finally:
        if not is_verified:
            checkpoint.close()
    return checkpoint if is_verified else None


def _verify(checkpoint: Checkpoint, fallback: bool) -> None:
    """Has the daemon verify the tensors; warns of bytes that it compares with nothing, or refuses
    them.
    """
    # torch maps views as they lie in the file, and needs no copies of them.
    read = checkpoint.preload(strides=True)
    unchecked, unread = read.unchecked_byte_count, [problem.tensor for problem in read.unshared]
    if unchecked:
        _note(checkpoint, fallback, f"{unchecked} bytes of tensors have no checksum of their own")
    if unread:
        names = ", ".join(unread[:_LISTED]) + (", …" if len(unread) > _LISTED else "")
        _note(checkpoint, fallback, f"tensors that are not shared were not read: {names}")


def _note(checkpoint: Checkpoint, fallback: bool, message: str) -> None:
    if not fallback:
        raise _unverified(checkpoint, message)
    log.warning("%s; torch loads these unverified", str(_unverified(checkpoint, message)))


def _unverified(checkpoint: Checkpoint, message: str) -> WarmstartError:
    error = WarmstartError.of("UNSUPPORTED", message)
    error.checkpoint = checkpoint.label
    return error
