"""`torch.load(…, mmap=True)` of files that the daemon has verified.

torch maps the pages of such a file, which all processes share already, but compares no checksum.
Once installed, the daemon reads and verifies the file first, once for all jobs, and torch maps the
very file that was verified. The pickle, which torch reads alone, is not compared, and neither are
tensors that are only parts of their storages: an archive has a checksum of each storage as a whole.
"""

from __future__ import annotations

import functools
import os
import threading
from typing import TYPE_CHECKING, Any

import torch

from ._client import Client
from ._connection import log
from ._default_client import default_client
from ._errors import WarmstartError

if TYPE_CHECKING:
    from ._checkpoint import Checkpoint

_lock = threading.Lock()
# torch's own function, while another is in its place.
_own: list[Any] = []


def install(*, client: Client | None = None, fallback: bool = True) -> None:
    """Has the daemon verify each file that `torch.load` maps (`mmap=True`), once for all jobs.

    `torch.load` then also raises CHECKSUM_MISMATCH, CORRUPT or TRUNCATED for a damaged file, and
    CHECKPOINT_CHANGED for one that changes while torch reads it. Modules that imported the function
    by name before keep torch's.

    Some bytes are not compared: those of the pickle; those of tensors that are only parts of their
    storages, such as `x[:, :5]`; and all of a file that was saved without checksums. With
    `fallback`, torch loads such tensors, and also whole files unverified: if no daemon answers
    (CONNECTION), if it refuses memory (BUDGET, QUOTA), and what it does not serve (UNSUPPORTED),
    such as a pickle with a class that it does not know. The log ("warmstart") then has a warning.
    Without `fallback` these are errors; tensors without checksums are UNSUPPORTED.
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
            _check(checkpoint, checkpoint.preload().unchecked_byte_count, fallback)
    except WarmstartError as error:
        if not fallback or error.reason not in ("CONNECTION", "UNSUPPORTED", "BUDGET", "QUOTA"):
            raise
        log.warning("%s; now torch is asked to map the file, unverified", str(error))
        return own(f, *arguments, **options)
    with checkpoint, checkpoint.using() as files:
        if checkpoint.format != "torch":
            return own(f, *arguments, **options)
        # The path may lead to another file by now.
        loaded = own(f"/proc/self/fd/{files[0]}", *arguments, **options)
        checkpoint.check_files([0])
        return loaded


def _check(checkpoint: Checkpoint, unchecked: int, fallback: bool) -> None:
    """Warns of bytes that nothing was compared with, or refuses them."""
    if not unchecked:
        return
    error = WarmstartError.of(
        "UNSUPPORTED", f"{unchecked} bytes of tensors have no checksum of their own"
    )
    error.checkpoint = checkpoint.label
    if not fallback:
        raise error
    log.warning("%s; torch loads these unverified", str(error))
