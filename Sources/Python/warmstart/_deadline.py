"""The time at which a call must end."""

from __future__ import annotations

import time

from ._errors import WarmstartError, brief

_YEAR = 365 * 86400.0


class Deadline:
    """The time at which a call must end; none without a timeout."""

    def __init__(self, timeout: float | None) -> None:
        try:
            is_wrong = timeout is not None and not timeout >= 0
        except TypeError:
            raise TypeError(f"timeout: expected seconds or None, got {brief(timeout)}") from None
        if is_wrong:
            raise ValueError(f"timeout: expected seconds from 0, got {timeout!r}")
        # More than a year counts as no limit, because system calls refuse numbers that are too
        # large.
        is_endless = timeout is None or timeout > _YEAR
        self._end = None if is_endless else time.monotonic() + (timeout or 0)

    def remaining(self) -> float | None:
        """Returns the seconds that are left, or None without a limit. Raises DEADLINE if none are
        left.
        """
        if self._end is None:
            return None
        left = self._end - time.monotonic()
        if left <= 0:
            raise deadline_passed()
        return left

    def ends_within(self, seconds: float) -> bool:
        """Returns whether the deadline comes within the given seconds."""
        return self._end is not None and self._end - time.monotonic() <= seconds


def deadline_passed() -> WarmstartError:
    return WarmstartError.of("DEADLINE", "the daemon did not answer before the timeout")
