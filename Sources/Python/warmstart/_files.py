"""Paths, files and names, for finding a checkpoint.

Paths are ``str``; bytes that are not UTF-8 are kept as ``os.fsdecode`` keeps them. TensorFlow
reports a prefix as the user wrote it, so this module normalizes no path.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator
from typing import NamedTuple

# The most files of a checkpoint; the wire allows no more.
MAXIMUM_FILE_COUNT = 4096

_FLAGS = os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK
_ABSENCE = frozenset((errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG))
_REFUSAL = frozenset((errno.EACCES, errno.EPERM))


class LocateError(Exception):
    """Why a path leads to no checkpoint: the wire's reason, and a message for people."""

    def __init__(
        self,
        reason: str,
        message: str,
        hint: str | None = None,
        *,
        about_directory: bool = False,
    ) -> None:
        text = message if hint is None else f"{message}; {hint}"
        # Bytes that are not UTF-8 are replaced, because a message must be printable.
        super().__init__(re.sub("[\ud800-\udfff]", "\ufffd", text))
        self.reason = reason
        # Whether TensorFlow raises ValueError, as for a directory in which it finds nothing; for a
        # prefix that leads to nothing it raises NotFoundError.
        self.about_directory = about_directory


class NotFound(LocateError):
    """The path names no V2 index and no V1 file, and no file matches it; hints may follow."""

    def __init__(self, path: str, hint: str | None = None) -> None:
        if not path:
            message, hint = "the checkpoint's path is empty", None
        elif path.endswith("/"):
            message = f"no directory '{path}'"
        elif path.endswith(".index"):
            message = f"no checkpoint at '{path}'"
        else:
            message = (
                f"no checkpoint at '{path}': expected '{path}.index' (V2) or a file with tensors"
            )
        super().__init__("CHECKPOINT_NOT_FOUND", message, hint)
        self.hint = hint


class NotRegular(LocateError):
    """The path names a directory, a FIFO or the like, where a checkpoint needs a regular file."""

    def __init__(self, path: str) -> None:
        message = f"'{path}' is not a regular file: expected a file of a checkpoint"
        super().__init__("CHECKPOINT_NOT_FOUND", message)
        self.path = path


class NotAllowed(LocateError):
    """This user may not read the file, or not search its directory."""

    def __init__(self, path: str) -> None:
        super().__init__("NOT_ALLOWED", f"not allowed to read '{path}'")
        self.path = path


class TooManyFiles(LocateError):
    """The checkpoint has more files than the limit."""

    def __init__(self, path: str) -> None:
        super().__init__("SYSTEM", f"more than {MAXIMUM_FILE_COUNT} files belong to '{path}'")


def system_error(error: OSError, path: str) -> LocateError:
    """Returns the error of a failed system call on a path."""
    if error.errno in _REFUSAL:
        return NotAllowed(path)
    text = os.strerror(error.errno).lower() if error.errno is not None else str(error)
    return LocateError("SYSTEM", f"cannot read '{path}': {text}")


# Paths


def without_scheme(path: str) -> str:
    """Returns the path that a ``file:`` URI names, without decoding it, as TensorFlow does."""
    for start in ("file:///", "file://localhost/"):
        if path.startswith(start):
            return path[len(start) - 1 :]
    return path


def is_remote(path: str) -> bool:
    """Returns whether the path is a remote URL, such as one of an object store:
    ``gs://bucket/model``.
    """
    return re.match("(?!file://)[a-z0-9]+://", path) is not None


def is_impossible(path: str) -> bool:
    """Returns whether no file can have the path: it contains a NUL, or has no bytes."""
    try:
        return b"\0" in os.fsencode(path)
    except UnicodeEncodeError:
        return True


def from_root(path: str) -> str:
    """Returns the absolute path; a path below a removed working directory stays relative.

    Dots stay, because the name before them may be a symbolic link.
    """
    try:
        return os.path.join(os.getcwd(), path)
    except OSError:
        return path


def split(path: str) -> tuple[str, str]:
    """Splits a path behind its last slash."""
    end = path.rfind("/") + 1
    return path[:end], path[end:]


# Files


def open_file(path: str) -> tuple[int, os.stat_result] | None:
    """Opens a file for reading, without waiting for a FIFO; returns None if it is missing.

    The caller owns the descriptor.
    """
    try:
        descriptor = os.open(path, _FLAGS)
        try:
            return descriptor, os.fstat(descriptor)
        except OSError:
            os.close(descriptor)
            raise
    except OSError as error:
        if error.errno in _ABSENCE:
            return None
        # What open(2) reports for a socket, and for a missing device.
        if error.errno == errno.ENXIO:
            raise NotRegular(path) from None
        raise system_error(error, path) from None


def open_regular(path: str) -> int | None:
    """Opens a regular file; returns None if it is missing, and raises if it is of another kind.

    The caller owns the descriptor.
    """
    found = open_file(path)
    if found is None:
        return None
    descriptor, status = found
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise NotRegular(path)
    return descriptor


def has_regular(path: str) -> bool:
    """Returns whether a regular file exists at a path; raises if this user cannot read it."""
    descriptor = open_regular(path)
    if descriptor is None:
        return False
    os.close(descriptor)
    return True


def exists(path: str) -> bool:
    """Returns whether anything exists at a path."""
    try:
        os.stat(path)
    except OSError as error:
        if error.errno in _ABSENCE:
            return False
        raise system_error(error, path) from None
    return True


def names(directory: str) -> Iterator[str]:
    """Lists the names in a directory, in no order; a missing directory has none."""
    try:
        with os.scandir(directory or ".") as entries:
            for entry in entries:
                yield entry.name
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR):
            raise system_error(error, directory.rstrip("/") or directory or ".") from None


# Shards


class ShardName(NamedTuple):
    """The part of a shard's name behind its stem: ``00002-of-00004``.

    Numbers have at least five digits, padded with zeros; TensorFlow opens no other names. The stem
    of a V2 shard is ``<name>.data-``, that of a V1 shard ``<name>-``.
    """

    number: int
    total: int

    @property
    def text(self) -> str:
        """The text behind the stem."""
        return f"{self.number:05}-of-{self.total:05}"

    @property
    def pattern(self) -> str:
        """The pattern of all shards of this total, as TensorFlow writes it into state files."""
        return f"?????-of-{self.total:05}"


_NUMBER = "([0-9]{5}|[1-9][0-9]{5,18})"
_SHARD = re.compile(f"{_NUMBER}-of-{_NUMBER}")


def shard_name(name: str, stem: str) -> ShardName | None:
    """Parses the name of a shard with the given stem; returns None for any other name."""
    if not name.startswith(stem):
        return None
    match = _SHARD.fullmatch(name, len(stem))
    if match is None:
        return None
    shard = ShardName(int(match[1]), int(match[2]))
    return shard if shard.number < shard.total < 1 << 63 else None


def shards_beside(prefix: str) -> Iterator[ShardName]:
    """Lists the shards of a V2 prefix, in no order."""
    directory, name = split(prefix)
    stem = name + ".data-"
    for other in names(directory):
        shard = shard_name(other, stem)
        if shard is not None:
            yield shard


def data_file_prefix(path: str) -> str | None:
    """Returns the prefix of a data file's path; None if the path looks like another."""
    directory, name = split(path)
    base, marker, _ = name.rpartition(".data-")
    if not marker or shard_name(name, base + marker) is None:
        return None
    return directory + base


def split_table(name: str) -> tuple[str, ShardName] | None:
    """Splits the name of a V1 shard into its stem, without the dash, and its number; None for
    others.
    """
    parts = name.rsplit("-", 3)
    if len(parts) < 4:
        return None
    shard = shard_name(name, parts[0] + "-")
    return None if shard is None else (parts[0], shard)
