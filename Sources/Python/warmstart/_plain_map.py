"""The quick way to read a weight map whose pairs are plain strings, all written alike.

Programs write maps so. The JSON parser makes a string of each of 100,000 keys; this looks only at
the quotes, which in text without escapes begin and end strings, four in a pair, and at what must be
alike. It reads the file part by part into one buffer: memory that is new to a process costs more
than reading.
"""

from __future__ import annotations

import json
import re
from typing import Any, BinaryIO

import numpy as np

# JSON's white space, as much of it as a program writes between two words; chosen, not tuned.
_SPACE = rb"[ \t\r\n]{0,64}"
# The beginning of a map, up to its first pair and what follows that.
_HEAD = re.compile(
    rb'"weight_map"%s:%s\{(?P<lead>%s)"[^"]*"(?P<inside>%s:%s)"[^"]*"(?P<between>%s,%s)?'
    % ((_SPACE,) * 7)
)
# Names of files, in bytes: one that a word of 8 bytes fits in, and the longest that Linux has.
_LENGTHS = range(8, 256)
# What the processor's cache holds; a longer pair is left to the JSON parser.
_PART_BYTE_COUNT = 256 << 10


def plain_values(file: BinaryIO, limit: int) -> set[str] | None:
    """Returns the different values of a map, or None if it is not written so.

    At most `limit` bytes that follow the pairs are read.
    """
    reader = _Reader(file)
    found = reader.values()
    if found is None:
        return None
    rest = reader.before + reader.after + file.read(limit)
    if rest.count(b'"weight_map"') != 1:
        return None
    try:
        outside = json.loads(rest)
    except (ValueError, RecursionError):
        return None
    if not isinstance(outside, dict) or outside.get("weight_map") != {}:
        return None
    return {value.decode() for value in found}


class _Reader:
    """Reads pairs; `before` and `after` are what was read of the text around them."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._data = bytearray(_PART_BYTE_COUNT)
        self._characters = np.frombuffer(self._data, np.uint8)
        # The 8 bytes from each position, as a number.
        self._words: Any = np.ndarray(len(self._data) - 7, "<u8", self._data, strides=(1,))
        self._end = 0
        self.before = self.after = b""

    def values(self) -> set[bytes] | None:
        """Returns the different values up to the end of the map."""
        self._fill(0)
        head = _HEAD.search(self._data, 0, self._end)
        if head is None:
            return None
        self.before = bytes(self._data[: head.start("lead")])
        inside, between = bytes(head["inside"]), bytes(head["between"] or b"")
        found: set[bytes] = set()
        start, end = head.end("lead"), -1
        while end < 0:
            # What is read again in a part: its first pair, with which the next is compared.
            end = self._data.find(b"}", start, self._end)
            quotes = self._quotes(start, end)
            if quotes is None or not self._are_alike(start, end, quotes, inside, between):
                return None
            values = self._distinct(quotes[2::4] + 1, quotes[3::4])
            if values is None:
                return None
            found |= values
            if end < 0:
                start = self._keep(int(quotes[-4]))
        self.after = bytes(self._data[end : self._end])
        return found

    def _fill(self, at: int) -> None:
        self._end = at + self._file.readinto(memoryview(self._data)[at:])  # type: ignore[attr-defined]

    def _keep(self, start: int) -> int:
        """Moves what follows a position to the front, reads on, and returns its new position."""
        # A word may begin before the first pair.
        count = self._end - start
        self._data[8 : 8 + count] = self._data[start : self._end]
        self._fill(8 + count)
        return 8

    def _quotes(self, start: int, end: int) -> Any:
        """Returns the positions of the quotes of whole pairs.

        Returns None unless there are two pairs, or all pairs up to the end of the map.
        """
        stop = self._end if end < 0 else end
        part = self._characters[start:stop]
        if part.max(initial=0) > 127 or self._data.find(b"\\", start, stop) >= 0:
            return None
        quotes = np.flatnonzero(part == ord('"')) + start
        if end < 0:
            return quotes[: quotes.size // 4 * 4] if quotes.size >= 8 else None
        return quotes if quotes.size and quotes.size % 4 == 0 else None

    def _are_alike(self, start: int, end: int, quotes: Any, inside: bytes, between: bytes) -> bool:
        """Returns whether JSON allows the strings and what is around them."""
        keys = quotes[4::4]
        if (keys.size and not between) or not (
            self._end_with(b'"%s"' % inside, quotes[2::4] + 1)
            and self._end_with(b'"%s"' % between, keys + 1)
        ):
            return False
        # JSON has no control characters in strings: all must be in what was compared.
        stop, control_count = int(quotes[-4]), int(keys.size) * _control_count(inside + between)
        if end >= 0:
            trail = bytes(self._data[quotes[-1] + 1 : end])
            if trail.strip(b" \t\r\n"):
                return False
            stop, control_count = end, control_count + _control_count(inside + trail)
        found = np.count_nonzero(self._characters[start:stop] < ord(" "))
        return int(found) == control_count

    def _end_with(self, expected: bytes, ends: Any) -> bool:
        """Returns whether the same bytes end at all of some positions."""
        for done in range(0, len(expected), 8):
            part = expected[: len(expected) - done][-8:]
            shift = np.uint64(8 * (8 - len(part)))
            wanted = np.uint64(int.from_bytes(part, "little"))
            if np.any(self._words[ends - (done + 8)] >> shift != wanted):
                return False
        return True

    def _distinct(self, starts: Any, ends: Any) -> set[bytes] | None:
        """Returns the different runs of bytes; None if one has an unusual length."""
        lengths = ends - starts
        shortest, longest = int(lengths.min()), int(lengths.max())
        if shortest not in _LENGTHS or longest not in _LENGTHS:
            return None
        # Most equal the one before.
        is_new = np.ones(len(starts), bool)
        is_new[1:] = lengths[1:] != lengths[:-1]
        for done in range(0, longest, 8):
            found = self._words[np.maximum(ends - (done + 8), starts)]
            is_new[1:] |= found[1:] != found[:-1]
        return {bytes(self._data[start:end]) for start, end in zip(starts[is_new], ends[is_new])}


def _control_count(blank: bytes) -> int:
    return len(blank.translate(None, b" :,"))
