"""The file beside a model in several files that says which of them holds which tensor.

The library transformers writes it, as `model.safetensors.index.json`, and Keras, as
`model.weights.json`, where a group of variables may be in several files. The client reads only
which files there are; the daemon reads the rest.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from typing import Any

from . import _files
from ._plain_map import plain_values

SUFFIXES = (".index.json", ".weights.json")

# As in the client of Swift: some 2 million tensors.
_MAXIMUM_BYTE_COUNT = 256 << 20


def file_names(path: str) -> list[str]:
    """Returns the names of the files that a map names, in ascending order of their bytes.

    Raises LocateError: CORRUPT if the file is no map or names files of other directories, SYSTEM.
    """
    values: Iterable[Any] | None
    try:
        with open(path, "rb") as file:
            byte_count = os.fstat(file.fileno()).st_size
            if byte_count > _MAXIMUM_BYTE_COUNT:
                raise _invalid(path, f"it has more than {_MAXIMUM_BYTE_COUNT} bytes")
            values = plain_values(file, byte_count)
            if values is None:
                file.seek(0)
                values = _values(path, file.read(byte_count))
    except OSError as error:
        raise _files.system_error(error, path) from None
    names: set[str] = set()
    for name in values:
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


def _is_plain(name: str) -> bool:
    return name not in ("", ".", "..") and not any(mark in name for mark in "/\0")


def _invalid(path: str, words: str) -> _files.LocateError:
    return _files.LocateError("CORRUPT", f"'{path}' is not valid: {words}")
