"""Hints: what the user may have meant by a path that leads to no checkpoint."""

from __future__ import annotations

import itertools
import os

from . import _files, _state_file
from ._neighbours import Neighbours, is_checkpoint, is_file, latest, nearest_name


def moved(directory: str, path: str) -> str | None:
    """Returns a hint for a checkpoint that is not where its state file says.

    Users copy state files with their directories, also from other machines and from Windows.
    """
    name = _files.split(path)[1]
    windows_name = ([part for part in name.split("\\") if part] or [name])[-1]
    for candidate in (name, windows_name):
        here = os.path.join(directory, candidate)
        if candidate and here != path and is_checkpoint(here):
            return f"was the directory moved? '{here}' is here: name it instead"
    found = latest(directory)
    return None if found is None else f"'{found}' is here: name it instead"


def whole(path: str) -> str | None:
    """Returns a hint for a file that belongs to a checkpoint without being its name."""
    prefix = _files.data_file_prefix(path)
    if prefix is not None:
        return f"it is one data file of a checkpoint: {_naming(prefix)}"
    if path.endswith(".meta"):
        return f"it is a graph: {_naming(path[: -len('.meta')])}"
    directory, name = _files.split(path)
    if name == _state_file.NAME:
        return _state(directory)
    if not name.endswith((".pb", ".pbtxt")):
        return None
    found = latest(directory)
    return "it is a graph" + ("" if found is None else f": name the checkpoint '{found}'")


def nearby(path: str) -> str | None:
    """Returns a hint for a path that almost names a checkpoint beside it."""
    found = whole(path)
    if found is not None:
        return found
    directory, name = _files.split(path)
    if not name:
        prefix = path.rstrip("/")
        if prefix and is_file(prefix + ".index"):
            return f"'{prefix}' is a checkpoint: name it without the slash"
        return _misspelled(path)
    try:
        for shard in _files.shards_beside(path):
            return f"'{path}.data-{shard.text}' is there, but its index is not"
    except _files.LocateError:
        pass
    return Neighbours(directory).nearest(name.removesuffix(".index")) or _misspelled(path)


# The most names that a search for a directory's name looks at; chosen, not tuned.
_MAXIMUM_DIRECTORIES = 4096


def _misspelled(path: str) -> str | None:
    """Returns a hint for a path with a directory that does not exist, if one like it does."""
    if _files.is_remote(path):
        return None
    missing, rest = path.rstrip("/"), ""
    directory, name = _files.split(missing)
    while missing and not os.path.isdir(directory or "."):
        missing, rest = directory.rstrip("/"), f"/{name}{rest}"
        directory, name = _files.split(missing)
    if not missing or os.path.isdir(missing):
        return None
    if rest and is_file(missing):
        return f"'{missing}' is not a directory"
    start = os.path.join(directory, "")
    try:
        names = list(itertools.islice(_files.names(directory), _MAXIMUM_DIRECTORIES + 1))
    except _files.LocateError:
        return None
    # Of too many names, another may be nearer; and a longer name is not a misspelled one.
    if len(names) > _MAXIMUM_DIRECTORIES:
        return None
    others = (other for other in names if not other.startswith(name))
    near = nearest_name(name, (other for other in others if os.path.isdir(start + other)))
    if near is None:
        return None
    found = start + near
    target = found + rest
    if not rest or os.path.isdir(target) or is_checkpoint(target):
        return f"'{target}' is there"
    return f"there is a directory '{found}'"


def _naming(prefix: str) -> str:
    """Returns how to name the checkpoint of a prefix, or which part of it is missing."""
    if is_checkpoint(prefix):
        return f"name the prefix '{prefix}'"
    directory, name = _files.split(prefix)
    shards = Neighbours(directory).shards(name)
    if shards is not None:
        return f"name the checkpoint '{shards}'"
    return f"name the prefix '{prefix}', whose index is not there"


def _state(directory: str) -> str | None:
    """Returns a hint for a state file, which only names checkpoints."""
    try:
        target = os.path.join(directory, _state_file.target(directory))
    except _files.LocateError:
        return None
    if target != os.path.join(directory, _state_file.NAME) and is_checkpoint(target):
        return f"it is a state file: name the checkpoint '{target}'"
    elsewhere = moved(directory, target)
    return f"it is a state file, which names '{target}'" + (
        "" if elsewhere is None else f"; {elsewhere}"
    )
