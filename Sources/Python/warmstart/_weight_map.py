"""The file beside a model in several files that says which of them holds which tensor.

The library transformers writes it, as `model.safetensors.index.json`, and Keras, as
`model.weights.json`, where a group of variables may be in several files. The client reads only
which files there are; the daemon reads the rest.
"""

from __future__ import annotations

import json
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
            text = file.read(_MAXIMUM_BYTE_COUNT + 1)
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


_HEAD = re.compile(rb'"weight_map"\s*:\s*\{')
_BLANK = b" \t\r\n"
_QUOTE = ord('"')


def _plain_values(text: bytes) -> set[str] | None:
    """Returns the names of files if the map has only pairs of plain strings; else None.

    Takes a fraction of the time of the JSON parser, which makes a string of each of 100,000 keys. In
    text without escapes, quotes only begin and end strings, four in a pair.
    """
    if text.count(b'"weight_map"') != 1 or b"\\" in text or not text.isascii():
        return None
    head = _HEAD.search(text)
    end = -1 if head is None else text.find(b"}", head.end())
    if head is None or end < 0:
        return None
    body = np.frombuffer(text, np.uint8, end - head.end(), head.end())
    quotes = np.flatnonzero(body == _QUOTE)
    if quotes.size == 0 or quotes.size % 4:
        return None
    # JSON has none of these in strings, which lie between an odd quote and the next.
    controls = np.flatnonzero(body < ord(" "))
    if np.any(np.searchsorted(quotes, controls) % 2):
        return None
    around = {text[head.end() : head.end() + quotes[0]], text[head.end() + quotes[-1] + 1 : end]}
    inside = _distinct(body, quotes[1::4], quotes[2::4])
    between = _distinct(body, quotes[3:-1:4], quotes[4::4])
    values = _distinct(body, quotes[2::4], quotes[3::4])
    if inside is None or between is None or values is None:
        return None
    separators = [{part.strip(_BLANK) for part in parts} for parts in (around, inside, between)]
    if separators[0] != {b""} or separators[1] != {b":"} or not separators[2] <= {b","}:
        return None
    try:
        rest = json.loads(text[: head.end()] + text[end:])
    except (ValueError, RecursionError):
        return None
    if not isinstance(rest, dict) or rest.get("weight_map") != {}:
        return None
    return {part.decode() for part in values}


# The most different lengths of runs, each of which takes a look at all of them, and the longest run,
# because the lengths are counted in a table; chosen, not tuned.
_MAXIMUM_LENGTHS = 16
_MAXIMUM_LENGTH = 4096


def _distinct(text: Any, before: Any, after: Any) -> set[bytes] | None:
    """Returns the different runs between two positions each, which are not in the runs.

    Returns None if the runs have many different lengths, or one is long.
    """
    starts, lengths = before + 1, after - before - 1
    found: set[bytes] = set()
    if lengths.max(initial=0) > _MAXIMUM_LENGTH:
        return None
    different = np.flatnonzero(np.bincount(lengths)).tolist()
    if len(different) > _MAXIMUM_LENGTHS:
        return None
    for length in different:
        if length == 0:
            found.add(b"")
            continue
        rows = np.lib.stride_tricks.sliding_window_view(text, length)[starts[lengths == length]]
        # Most runs equal the one before.
        is_new = np.ones(len(rows), bool)
        is_new[1:] = (rows[1:] != rows[:-1]).any(axis=1)
        found.update(row.tobytes() for row in rows[is_new])
    return found


def _is_plain(name: str) -> bool:
    return name not in ("", ".", "..") and not any(mark in name for mark in "/\0")


def _invalid(path: str, words: str) -> _files.LocateError:
    return _files.LocateError("CORRUPT", f"'{path}' is not valid: {words}")
