"""`torch.load(…, mmap=True)` of files that the daemon has verified.

torch maps the pages of such a file, which all processes share already, but compares no checksum.
Once installed, the daemon reads and verifies the file first, once for all jobs, and torch maps the
very file that was verified. What a pickle holds beside tensors is read by torch alone.
"""

from __future__ import annotations

import functools
import os
import threading
from typing import Any

import torch

from ._client import Client
from ._connection import log
from ._default_client import default_client
from ._errors import WarmstartError

_lock = threading.Lock()
# torch's own function, while another is in its place.
_own: list[Any] = []


def install(*, client: Client | None = None, fallback: bool = True) -> None:
    """Has the daemon verify each file that `torch.load` maps (`mmap=True`), once for all jobs.

    `torch.load` then also raises CHECKSUM_MISMATCH, CORRUPT or TRUNCATED for a damaged file, and
    CHECKPOINT_CHANGED for one that changes while torch reads it. With `fallback`, torch loads what
    Warmstart does not serve: if no daemon answers, which the log ("warmstart") says, and files of
    other formats. Modules that imported the function by name before keep torch's.
    """
    with _lock:
        if not _own:
            _own.append(torch.load)
            torch.load = functools.wraps(torch.load)(functools.partial(_load, client, fallback))


def uninstall() -> None:
    """Undoes `install`, also for modules that took the function by name meanwhile."""
    with _lock:
        while _own:
            torch.load = _own.pop()


def _load(client: Client | None, fallback: bool, f: Any, *arguments: Any, **options: Any) -> Any:
    own = _own[0] if _own else torch.load
    is_mapped = bool(options.get("mmap")) and isinstance(f, (str, os.PathLike))
    if not _own or not is_mapped or not os.path.isfile(f):
        return own(f, *arguments, **options)
    try:
        checkpoint = (client or default_client()).open(f)
        if checkpoint.format == "torch":
            checkpoint.preload()
    except WarmstartError as error:
        if not fallback or error.reason not in ("CONNECTION", "UNSUPPORTED", "BUDGET", "QUOTA"):
            raise
        log.warning("%s; torch loads the file unverified", str(error))
        return own(f, *arguments, **options)
    with checkpoint, checkpoint.using() as files:
        if checkpoint.format != "torch":
            return own(f, *arguments, **options)
        # The path may lead to another file by now.
        loaded = own(f"/proc/self/fd/{files[0]}", *arguments, **options)
        checkpoint.check_files([0])
        return loaded
