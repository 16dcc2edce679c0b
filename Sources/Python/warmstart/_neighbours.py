"""The checkpoints in a directory, found by the names of their files alone, for hints.

A hint is made after a search has failed, and never changes what is found; a directory that cannot
be listed gives none. A hint spells the directory as the user did, so that it can be pasted.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable
from typing import Any, NamedTuple

from . import _files, _pattern

# The most checkpoints that are kept, those with the greatest steps; chosen, not tuned.
_MAXIMUM_COUNT = 4096

# A file of another format than TensorFlow's that mostly holds a model; one of several has a number.
_MODEL = re.compile(
    r"(?P<base>.+?)(-[0-9]{5}-of-(?P<total>[0-9]{5}))?"
    r"(?P<suffix>\.(safetensors|pt|pth|ckpt|h5|hdf5|keras|npz|bin))",
    re.DOTALL,
)
# A file that lists the tensors of such files.
_WEIGHT_MAP = re.compile(r"(?P<base>.+)\.((safetensors|bin)\.index|weights)\.json", re.DOTALL)

# What wrote a checkpoint: the greatest is the best guess.
_MODEL_KIND, _WEIGHT_MAP_KIND, _TENSORFLOW_KIND = range(3)


class _Neighbour(NamedTuple):
    # The name to use: a V2 prefix, the pattern of a V1 checkpoint's shards, a weight map, a file of
    # another format, or the pattern of such files.
    name: str
    # The name without the pattern and the suffix.
    base: str
    kind: int = _TENSORFLOW_KIND

    @property
    def order(self) -> tuple[int, int, bytes]:
        """The kind, the step, and the name.

        TensorFlow counts the number at the end of the base as the step.
        """
        digits = re.search("[0-9]*$", self.base)
        step = int(digits[0]) if digits and digits[0] else -1
        return (self.kind, step, os.fsencode(self.name))


class Neighbours:
    """The checkpoints in a directory, those with the greatest steps first."""

    def __init__(self, directory: str) -> None:
        """Lists a directory; the empty string is the working directory."""
        self._directory = os.path.join(directory, "")
        self._are_cut = False
        found: set[_Neighbour] = set()
        try:
            for name in _files.names(directory):
                neighbour = _neighbour(name)
                if neighbour is not None:
                    found.add(neighbour)
                if len(found) >= 2 * _MAXIMUM_COUNT:
                    found = set(_latest_first(found))
                    self._are_cut = True
        except _files.LocateError:
            # The names that were listed before the error still count.
            pass
        self._are_cut = self._are_cut or len(found) > _MAXIMUM_COUNT
        self._latest_first = _latest_first(found)

    def latest(self) -> str | None:
        """Returns the checkpoint with the greatest step; None if the directory has none."""
        return self._directory + self._latest_first[0].name if self._latest_first else None

    def shards(self, name: str) -> str | None:
        """Returns the V1 checkpoint whose shards have a name before their numbers."""
        for neighbour in self._latest_first:
            if neighbour.kind == _TENSORFLOW_KIND and neighbour.base == name != neighbour.name:
                return self._directory + neighbour.name
        return None

    def nearest(self, name: str) -> str | None:
        """Returns a hint at the checkpoint that the name most likely meant; None if no name is
        similar.
        """
        for neighbour in self._latest_first:
            if name == neighbour.base or name.startswith(neighbour.base + "."):
                return f"'{self._directory}{neighbour.name}' is there"
        # A model in several files and the file that lists them are one: the first of a base counts.
        bases: dict[str, str] = {}
        for other in self._latest_first:
            if other.base.startswith(name):
                bases.setdefault(other.base, other.name)
        longer = list(bases.values())
        if len(longer) > 1:
            count = "" if self._are_cut else f" of {len(longer)}"
            return f"'{self._directory}{longer[0]}' is the latest{count} there"
        all_names = [neighbour.name for neighbour in self._latest_first]
        found = longer[0] if longer else nearest_name(name, all_names)
        if found is None and len(all_names) == 1:
            found = all_names[0]
        return None if found is None else f"'{self._directory}{found}' is there"


def latest(directory: str) -> str | None:
    """Returns what to name instead of a directory without a usable state file.

    That is the checkpoint in it with the greatest step, or the variables of a SavedModel.
    """
    found = Neighbours(directory).latest()
    if found is not None:
        return found
    variables = os.path.join(directory, "variables/variables")
    return variables if is_checkpoint(variables) else None


def is_checkpoint(path: str) -> bool:
    """Returns whether a path leads to files that a checkpoint could have."""
    if _files.is_impossible(path) or _files.is_remote(path):
        return False
    if is_file(path + ".index") or is_file(path):
        return True
    try:
        return _pattern.is_special(path) and any(map(is_file, _pattern.matches(path)))
    except _files.LocateError:
        return False


def is_file(path: str) -> bool:
    """Returns whether a regular file that this user may read exists at a path."""
    try:
        return _files.has_regular(path)
    except _files.LocateError:
        return False


def _latest_first(found: set[_Neighbour]) -> list[_Neighbour]:
    return sorted(found, key=lambda neighbour: neighbour.order, reverse=True)[:_MAXIMUM_COUNT]


def _neighbour(name: str) -> _Neighbour | None:
    if name.endswith(".index"):
        prefix = name[: -len(".index")]
        return _Neighbour(prefix, prefix) if prefix else None
    table = _files.split_table(name)
    if table is None or not table[0] or _files.data_file_prefix(name) is not None:
        return _model_file(name)
    base, shard = table
    return _Neighbour(f"{base}-{shard.pattern}", base)


def _model_file(name: str) -> _Neighbour | None:
    """Returns a weight map, a file of another format, or the pattern of several such files."""
    match = _WEIGHT_MAP.fullmatch(name)
    if match is not None:
        return _Neighbour(name, match["base"], _WEIGHT_MAP_KIND)
    match = _MODEL.fullmatch(name)
    if match is None:
        return None
    base, total = match["base"], match["total"]
    if match["suffix"] == ".bin" and not base.endswith("model"):
        return None
    shown = name if total is None else f"{base}-?????-of-{total}{match['suffix']}"
    return _Neighbour(shown, base, _MODEL_KIND)


# The nearest of some names to one that was not found.

# The most edits between similar names: a third of a short name, but never all of it.
_MAXIMUM_EDITS = 8
# The most table cells of edit distances in one search: some 100 ms; chosen, not tuned.
_MAXIMUM_CELLS = 400_000


def nearest_name(sought: str, candidates: Iterable[str]) -> str | None:
    """Returns the first of the names that need the fewest edits; None if none is similar."""
    wanted = sought.encode("utf-8", "surrogatepass")
    cells = _MAXIMUM_CELLS
    best: str | None = None
    limit = min(_MAXIMUM_EDITS, max(1, len(wanted) // 3), len(wanted) - 1)
    for candidate in candidates:
        name = candidate.encode("utf-8", "surrogatepass")
        if limit <= 0 or cells <= 0:
            break
        if abs(len(wanted) - len(name)) > limit:
            continue
        edits, used = _edits(wanted, name, limit)
        cells -= used
        if edits <= limit:
            best, limit = candidate, edits - 1
    return best


def nearest_hint(sought: str, candidates: Collection[str]) -> str:
    """Returns the end of a message about an unknown name of a tensor or variable: the nearest name.

    That is a similar one, or else one that only lacks a scope in front, or has one too many.
    """
    near = nearest_name(sought, candidates)
    if near is None:
        found = (name for name in candidates if _ends(name, sought) or _ends(sought, name))
        near = next(found, None)
    return f"; nearest: {near}" if near else ""


class NameNotFound(KeyError):
    """A KeyError whose message ends in the nearest name, which is sought when the message is read."""

    def __init__(
        self, what: str, name: object, known: Callable[[], Collection[str]] = tuple
    ) -> None:
        super().__init__(what, name)
        self._known = known

    def __str__(self) -> str:
        what, name = self.args
        return f"no {what} {name}{nearest_hint(str(name), self._known())}"

    def __reduce__(self) -> Any:
        # A copy knows no other names.
        return NameNotFound, self.args


def _ends(whole: str, end: str) -> bool:
    return bool(end) and whole.endswith((f"/{end}", f".{end}"))


def _edits(left: bytes, right: bytes, limit: int) -> tuple[int, int]:
    """Returns the edit distance (insertions, deletions, changes, swaps of neighbours) and its
    cells.

    A distance beyond the limit is returned only as some number beyond it.
    """
    while left and right and left[0] == right[0]:
        left, right = left[1:], right[1:]
    while left and right and left[-1] == right[-1]:
        left, right = left[:-1], right[:-1]
    before: list[int] = []
    previous = list(range(len(right) + 1))
    for row, byte in enumerate(left, 1):
        current = [row]
        for column, other in enumerate(right, 1):
            edits = min(
                previous[column - 1] + (byte != other), previous[column] + 1, current[-1] + 1
            )
            if row > 1 < column and byte == right[column - 2] and other == left[row - 2]:
                edits = min(edits, before[column - 2] + 1)
            current.append(edits)
        if min(current) > limit:
            return limit + 1, row * len(right)
        before, previous = previous, current
    return previous[-1], len(left) * len(right)
