"""The file beside a model in several files that says which of them holds which tensor.

The library transformers writes it, as `model.safetensors.index.json`, and Keras, as
`model.weights.json`, where a group of variables may be in several files. The client reads only
which files there are; the daemon reads the rest.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from . import _files

SUFFIXES = (".index.json", ".weights.json")

# As in the client of Swift: some 2 million tensors.
_MAXIMUM_BYTE_COUNT = 256 << 20


def file_names(path: str) -> list[str]:
    """Returns the names of the files that a map names, in ascending order of their bytes.

    Raises LocateError: CORRUPT if the file is no map or names files of other directories, SYSTEM.
    """
    try:
        with open(path, "rb") as file:
            # No more than the file has, because memory that is asked for anew costs time.
            byte_count = os.fstat(file.fileno()).st_size
            text = file.read(min(byte_count, _MAXIMUM_BYTE_COUNT) + 1)
    except OSError as error:
        raise _files.system_error(error, path) from None
    if len(text) > _MAXIMUM_BYTE_COUNT:
        raise _invalid(path, f"it has more than {_MAXIMUM_BYTE_COUNT} bytes")
    names: set[str] = set()
    for name in _plain_values(text) or _values(path, text):
        # Most tensors are in the file of another.
        if isinstance(name, str) and name in names:
            continue
        if not isinstance(name, str) or not _is_plain(name):
            raise _invalid(path, f"it names the file {name!r}, expected names in its own directory")
        names.add(name)
    if not names:
        raise _invalid(path, "it has no weight_map that names a file")
    if len(names) >= _files.MAXIMUM_FILE_COUNT:
        raise _files.TooManyFiles(path)
    return sorted(names, key=lambda name: name.encode("utf-8", "surrogatepass"))


def _values(path: str, text: bytes) -> Iterator[Any]:
    """Returns what stands for the names of files in a map."""
    try:
        index = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _invalid(path, f"it is not JSON: {error}") from None
    weights = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(weights, dict) or not weights:
        raise _invalid(path, "it has no weight_map that names a file")
    for value in weights.values():
        if isinstance(value, list):
            yield from value
        else:
            yield value


# JSON's white space, as much of it as a program writes between two words; chosen, not tuned.
_SPACE = rb"[ \t\r\n]{0,64}"
# The beginning of a map, up to its first pair and what follows that.
_HEAD = re.compile(
    rb'"weight_map"%s:%s\{(?P<lead>%s)"[^"]*"(?P<inside>%s:%s)"[^"]*"(?P<between>%s,%s)?'
    % ((_SPACE,) * 7)
)
# Names of files, in bytes: one that a word of 8 bytes fits in, and the longest that Linux has.
_LENGTHS = range(8, 256)
_PART_BYTE_COUNT = 1 << 18


def _plain_values(text: bytes) -> set[str] | None:
    """Returns the names of files if the map has only pairs of plain strings, all written alike.

    Returns None for other maps. Takes a fraction of the time of the JSON parser, which makes a
    string of each of 100,000 keys. In text without escapes, quotes only begin and end strings, four
    in a pair.
    """
    head = None if b"\\" in text or not text.isascii() else _HEAD.search(text)
    end = -1 if head is None else text.find(b"}", head.end())
    if head is None or end < 0:
        return None
    quotes, control_count = _scan(text, head.start("lead"), end)
    if quotes.size % 4 or (quotes.size > 4 and head["between"] is None):
        return None
    lead, inside, between = head["lead"], head["inside"], head["between"] or b""
    trail = text[quotes[-1] + 1 : end]
    words = np.ndarray(len(text) - 7, "<u8", text, strides=(1,))
    if (
        trail.strip(b" \t\r\n")
        or not _end_alike(words, quotes[2::4] + 1, b'"%s"' % inside)
        or not _end_alike(words, quotes[4::4] + 1, b'"%s"' % between)
    ):
        return None
    # JSON has no control characters in strings: all must be in what was compared.
    pair_count = quotes.size // 4
    known = [lead, inside * pair_count, between * (pair_count - 1), trail]
    if control_count != sum(len(part.translate(None, b" :,")) for part in known):
        return None
    values = _distinct(text, words, quotes[2::4] + 1, quotes[3::4])
    rest = text[: head.start("lead")] + text[end:]
    if values is None or rest.count(b'"weight_map"') != 1:
        return None
    try:
        outside = json.loads(rest)
    except (ValueError, RecursionError):
        return None
    if not isinstance(outside, dict) or outside.get("weight_map") != {}:
        return None
    return {value.decode() for value in values}


def _scan(text: bytes, start: int, end: int) -> tuple[Any, int]:
    """Returns the positions of quotes in a part of a text, and the number of control characters.

    Works on parts that the processor's cache holds.
    """
    characters = np.frombuffer(text, np.uint8)
    quotes, control_count = [], 0
    for at in range(start, end, _PART_BYTE_COUNT):
        part = characters[at : min(at + _PART_BYTE_COUNT, end)]
        control_count += int(np.count_nonzero(part < ord(" ")))
        quotes.append((np.flatnonzero(part == ord('"')) + at).astype(np.int32))
    return np.concatenate(quotes), control_count


def _end_alike(words: Any, ends: Any, expected: bytes) -> bool:
    """Returns whether the same bytes end at all of some positions.

    `words` has the 8 bytes from each position of the text as a number.
    """
    for done in range(0, len(expected), 8):
        part = expected[: len(expected) - done][-8:]
        shift = np.uint64(8 * (8 - len(part)))
        wanted = np.uint64(int.from_bytes(part, "little"))
        if np.any(words[ends - (done + 8)] >> shift != wanted):
            return False
    return True


def _distinct(text: bytes, words: Any, starts: Any, ends: Any) -> set[bytes] | None:
    """Returns the different values between two positions each.

    Returns None if one has an unusual length.
    """
    lengths = ends - starts
    shortest, longest = int(lengths.min()), int(lengths.max())
    if shortest not in _LENGTHS or longest not in _LENGTHS:
        return None
    # Most values equal the one before.
    is_new = np.ones(len(starts), bool)
    is_new[1:] = lengths[1:] != lengths[:-1]
    for done in range(0, longest, 8):
        found = words[np.maximum(ends - (done + 8), starts)]
        is_new[1:] |= found[1:] != found[:-1]
    return {text[start:end] for start, end in zip(starts[is_new], ends[is_new])}


def _is_plain(name: str) -> bool:
    return name not in ("", ".", "..") and not any(mark in name for mark in "/\0")


def _invalid(path: str, words: str) -> _files.LocateError:
    return _files.LocateError("CORRUPT", f"'{path}' is not valid: {words}")
