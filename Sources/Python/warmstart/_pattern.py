"""Patterns of file names, in the dialect in which TensorFlow finds V1 files.

``*`` matches any run of characters and ``?`` any one, a leading dot included; ``[abc]``, ``[a-z]``
and ``[!a]`` are sets; a backslash takes the next character literally. None of them matches a slash,
and nothing else is special: ``**`` is ``*``, and braces are literal. See ``glob(7)``.
"""

from __future__ import annotations

import os
from typing import NamedTuple, Optional

from . import _files


class TooManyMatches(_files.LocateError):
    """More names match the pattern than a checkpoint may have files."""

    def __init__(self, pattern: str) -> None:
        super().__init__(
            "CHECKPOINT_NOT_FOUND",
            f"the pattern '{pattern}' matches more than {_files.MAXIMUM_FILE_COUNT} names: "
            "expected the files of one checkpoint",
        )


def is_special(path: str) -> bool:
    """Returns whether a path contains anything but literal names."""
    return any(mark in path for mark in "*?[\\")


def matches(path: str, suffix: str = "") -> list[str]:
    """Finds the existing paths that match, in the order of their bytes.

    A directory that this user may not list is an error only if no path matches elsewhere.
    """
    found = ["/" if path.startswith("/") else ""]
    refused: str | None = None
    for component in filter(None, (path + suffix).split("/")):
        following: list[str] = []
        for directory in found:
            try:
                following += _matches_in(directory, component)
            except _files.NotAllowed as error:
                refused = error.path if refused is None else refused
            except _files.TooManyFiles:
                raise TooManyMatches(path) from None
            if len(following) > _files.MAXIMUM_FILE_COUNT:
                raise TooManyMatches(path)
        found = following
    if not found and refused is not None:
        raise _files.NotAllowed(refused)
    return sorted(found, key=os.fsencode)


def _matches_in(directory: str, component: str) -> list[str]:
    """Finds the matching paths in a directory; looks up a literal name without listing."""
    if not is_special(component):
        path = os.path.join(directory, component)
        return [path] if _files.exists(path) else []
    elements = _elements(component)
    found: list[str] = []
    for name in _files.names(directory):
        if elements is not None and _fits(name, elements):
            found.append(os.path.join(directory, name))
            if len(found) > _files.MAXIMUM_FILE_COUNT:
                raise _files.TooManyFiles(directory)
    return found


class _Set(NamedTuple):
    """The characters that one position of a name may have, or may not."""

    ranges: tuple[tuple[str, str], ...]
    is_negated: bool = False

    def accepts(self, character: str) -> bool:
        return any(low <= character <= high for low, high in self.ranges) != self.is_negated


_ANY = _Set((), is_negated=True)

# One element for each character of the name; None is a run of any characters.
_Elements = list[Optional[_Set]]


def _elements(component: str) -> _Elements | None:
    """Parses a pattern; returns None if it ends with a backslash that escapes nothing."""
    elements: _Elements = []
    position = 0
    while position < len(component):
        mark = component[position]
        position += 1
        if mark == "*":
            elements.append(None)
        elif mark == "?":
            elements.append(_ANY)
        else:
            read = _set(component, position) if mark == "[" else None
            if read is not None:
                members, position = read
                elements.append(members)
                continue
            if mark == "\\":
                if position == len(component):
                    return None
                mark = component[position]
                position += 1
            elements.append(_Set(((mark, mark),)))
    return elements


def _set(component: str, position: int) -> tuple[_Set, int] | None:
    """Parses a set behind its bracket; returns it and its end, or None if it is not closed."""
    is_negated = component[position : position + 1] in ("!", "^")
    start = position + is_negated
    ranges: list[tuple[str, str]] = []
    position = start
    while position < len(component):
        # A closing bracket that comes first is a member.
        if component[position] == "]" and position > start:
            return _Set(tuple(ranges), is_negated), position + 1
        if component[position] == "\\":
            position += 1
        low = high = component[position : position + 1]
        position += 1
        end = component[position + 1 : position + 2]
        if component[position : position + 1] == "-" and end not in ("", "]"):
            high = end
            position += 2
            if high == "\\" and position < len(component):
                high = component[position]
                position += 1
        # A range that runs backwards has no members.
        ranges.append((low, high))
    return None


def _fits(name: str, elements: _Elements) -> bool:
    element = position = 0
    # Where the last run began: on a mismatch it takes one character more.
    retry: tuple[int, int] | None = None
    while position < len(name):
        wanted = elements[element] if element < len(elements) else _Set(())
        if wanted is None:
            retry = (element, position)
            element += 1
        elif wanted.accepts(name[position]):
            element += 1
            position += 1
        elif retry is None:
            return False
        else:
            retry = (retry[0], retry[1] + 1)
            element, position = retry[0] + 1, retry[1]
    return all(left is None for left in elements[element:])
