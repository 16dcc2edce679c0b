"""A progress bar while a checkpoint is read."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any, Callable

from ._options import Progress


@contextlib.contextmanager
def showing(progress: Progress, path: str) -> Iterator[Callable[[int, int], None] | None]:
    """Returns a function of the bytes that are ready and all bytes; None to show nothing.

    A progress bar of the package tqdm is closed at the end. Without tqdm, the function prints lines
    to standard error.
    """
    if progress is False or progress is None:
        yield None
        return
    if progress is not True:
        if not callable(progress):
            raise TypeError(f"progress: expected True, False or a function, got {progress!r}")
        yield progress
        return
    try:
        from tqdm.auto import tqdm
    except ImportError:
        yield _lines(path)
        return
    bar: Any = None

    def show(ready: int, total: int) -> None:
        nonlocal bar
        if bar is None:
            bar = tqdm(total=total, desc=path, unit="B", unit_scale=True, unit_divisor=1024)
        bar.update(ready - bar.n)

    try:
        yield show
    finally:
        if bar is not None:
            bar.close()


def _lines(path: str) -> Callable[[int, int], None]:
    """Prints a line at each tenth."""
    shown = -1

    def show(ready: int, total: int) -> None:
        nonlocal shown
        tenth = 10 * ready // total if total else 10
        if tenth > shown:
            shown = tenth
            print(f"{path}: {ready >> 20} of {total >> 20} MiB", file=sys.stderr)

    return show
