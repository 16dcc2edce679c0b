"""Finds the files of what a user calls a checkpoint, as TensorFlow finds them.

Only the index says how many shards a V2 checkpoint has, and only the daemon reads it. Usually the
file names show one total. If a checkpoint was overwritten with another number of shards, they show
several; the client then passes all shards, and the daemon follows the index.
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple, Union

from . import _files, _hint, _pattern, _state_file, _weight_map
from ._errors import WarmstartError, brief

# The roles of files, as the wire numbers them.
INDEX = 1
SHARD = 2
WHOLE = 3

StrPath = Union[str, "os.PathLike[str]"]


class File(NamedTuple):
    """One file of a checkpoint."""

    path: str
    # INDEX, SHARD or WHOLE.
    role: int
    # Both numbers are 0 for an index and for a table.
    shard: int = 0
    shard_count: int = 0


class Location(NamedTuple):
    """The files that a checkpoint's path leads to and this user may read."""

    # The path as the user wrote it.
    label: str
    # The path as TensorFlow reports it: the V2 prefix, or the V1 file or pattern; of other formats,
    # the file that holds or lists the tensors.
    prefix: str
    # The index and then every existing shard, by total and number; or files without an index, by
    # name.
    files: list[File]
    # Instead of files: the name under which an administrator published the checkpoint.
    name: str = ""


def locate(path: StrPath, *, needs_data: bool = True) -> Location:
    """Finds the files of a checkpoint.

    The path is a directory with a state file or a model of the library transformers, a V2 prefix or
    its ``.index``, a file that lists the tensors of others (``model.safetensors.index.json``), a
    file that holds tensors and what it says of them (V1, safetensors), or a pattern of such files.
    A relative path starts at the working directory, and ``file://`` may precede an absolute one. A
    path is tried literally before it is tried as a pattern. If only names and shapes are wanted
    (``needs_data`` is false), shards that cannot be opened are left out. ``name:bert`` stands for
    the checkpoint that an administrator published as ``bert``, which has no files for this client.

    Raises WarmstartError: CHECKPOINT_NOT_FOUND, CHECKPOINT_STATE_INVALID, NOT_ALLOWED or SYSTEM;
    INVALID_REQUEST for a name that no checkpoint can have.
    """
    try:
        label = os.fsdecode(path)
    except TypeError:
        raise TypeError(f"checkpoint: expected a path, got {brief(path)}") from None
    if label.startswith(_PREFIX):
        return Location(label, label, [], _published_name(label))
    try:
        return _locate(label, needs_data)
    except _files.LocateError as error:
        raise WarmstartError.of(error.reason, str(error)) from None


_PREFIX = "name:"
_NAME = re.compile("[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")


def _published_name(label: str) -> str:
    name = label[len(_PREFIX) :]
    if _NAME.fullmatch(name) is None:
        raise WarmstartError.of(
            "INVALID_REQUEST",
            f"the name {brief(name)} of a checkpoint is not valid, expected 1 to 64 letters, "
            "digits, '.', '_' or '-', not beginning with '.' or '-'; for a file of that name, "
            f"write {brief('./' + label)}",
        )
    return name


def open_file(file: File) -> int:
    """Opens a file that ``locate`` found, and returns the descriptor, which the caller owns.

    Raises WarmstartError as ``locate`` does.
    """
    try:
        descriptor = _files.open_regular(file.path)
    except _files.LocateError as error:
        raise WarmstartError.of(error.reason, str(error)) from None
    if descriptor is None:
        raise WarmstartError.of(
            "CHECKPOINT_NOT_FOUND", f"'{file.path}' was removed after it was found"
        )
    return descriptor


def is_about_directory(error: WarmstartError) -> bool:
    """Returns whether TensorFlow would raise ValueError where ``locate`` raised an error.

    It raises ValueError if it finds nothing in a directory, and NotFoundError for a prefix.
    """
    cause = error.__context__
    return isinstance(cause, _files.LocateError) and cause.about_directory


def latest_checkpoint(directory: StrPath, latest_filename: str | None = None) -> str | None:
    """Returns the checkpoint that a directory's state file names; None if it is missing.

    Like ``tf.train.latest_checkpoint``, it also returns None if the state file is missing,
    unreadable or malformed.

    Raises WarmstartError: CHECKPOINT_STATE_INVALID if the state file has no path, or is too long.
    """
    written = os.fsdecode(directory)
    place = _files.without_scheme(written)
    name = _state_file.NAME if latest_filename is None else latest_filename
    state = os.path.join(place, name)
    try:
        # Checked first, because the error of a missing file has hints, which take long to find.
        if _files.is_impossible(state) or not _files.exists(state):
            return None
        target = _state_file.target(place, name)
        path = os.path.join(place, target)
        if _files.is_impossible(path):
            return None
        if _pattern.matches(path, ".index") or _pattern.matches(path):
            return os.path.join(written, target)
        return None
    except _pattern.TooManyMatches:
        return os.path.join(written, target)
    except (_state_file.StateEmpty, _state_file.StateTooLong) as error:
        raise WarmstartError.of(error.reason, str(error)) from None
    except _files.LocateError:
        return None


def _locate(label: str, needs_data: bool) -> Location:
    path = _files.without_scheme(label)
    if not _files.is_impossible(path) and os.path.isdir(path):
        return _locate_latest(label, path, needs_data)
    try:
        return _locate_path(label, path, needs_data)
    except _files.NotFound:
        if not _files.is_remote(path):
            raise
        message = f"'{path}' is not on this machine: only local files can be shared"
        raise _files.LocateError("CHECKPOINT_NOT_FOUND", message) from None


# A model in a directory without a state file, in the order of the library transformers.
_MODELS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)


def _locate_latest(label: str, directory: str, needs_data: bool) -> Location:
    """Finds the checkpoint that a directory's state file names, or a model in the directory."""
    state = os.path.join(directory, _state_file.NAME)
    try:
        target = _state_file.target(directory)
    except _state_file.StateMissing:
        for name in _MODELS:
            model = os.path.join(directory, name)
            if _files.has_regular(model):
                return _locate_path(label, model, needs_data)
        raise
    path = os.path.join(directory, target)
    try:
        return _locate_path(label, path, needs_data)
    except _files.NotFound as error:
        is_remote = _files.is_remote(target)
        hint = _hint.moved(directory, path)
        if hint is None:
            hint = "only local files can be shared" if is_remote else error.hint
        message = f"no checkpoint at '{target if is_remote else path}', which '{state}' names"
        raise _files.LocateError(
            "CHECKPOINT_NOT_FOUND", message, hint, about_directory=True
        ) from None
    except _files.NotRegular as error:
        if error.path != path:
            raise
        message = f"'{path}', which '{state}' names, is not a regular file: expected a checkpoint"
        raise _files.LocateError("CHECKPOINT_NOT_FOUND", message) from None


def _locate_path(label: str, path: str, needs_data: bool) -> Location:
    """Finds the checkpoint of a prefix, a file or a pattern."""
    if _files.is_impossible(path) or not path:
        raise _files.NotFound(path)
    for prefix in dict.fromkeys((path, path.removesuffix(".index"))):
        if _files.has_regular(prefix + ".index"):
            files = [File(prefix + ".index", INDEX), *_shards(prefix, needs_data)]
            return Location(label, prefix, files)
    if not path.endswith("/") and _files.has_regular(path):
        if path.endswith(_weight_map.SUFFIXES):
            return Location(label, path, [File(path, INDEX), *_mapped(path, needs_data)])
        hint = _hint.whole(path)
        if hint is not None:
            message = f"'{path}' is not a checkpoint"
            raise _files.LocateError("CHECKPOINT_NOT_FOUND", message, hint)
        return Location(label, path, [File(path, WHOLE)])
    if not _pattern.is_special(path):
        raise _files.NotFound(path, _hint.nearby(path))
    # TensorFlow also takes the path for a prefix then, and fails to open it.
    indexes = _pattern.matches(path, ".index")
    if indexes:
        prefix = indexes[0].removesuffix(".index")
        hint = f"a V2 checkpoint is named by its prefix, not by a pattern: '{prefix}'"
        raise _files.NotFound(path, hint)
    files = [File(match, WHOLE) for match in _pattern.matches(path) if _files.has_regular(match)]
    if not files:
        raise _files.NotFound(path, _hint.nearby(path))
    return Location(label, path, files)


def _mapped(path: str, needs_data: bool) -> list[File]:
    """Finds the files that a weight map names, by the order of their names."""
    directory = _files.split(path)[0]
    names = _weight_map.file_names(path)
    files: list[File] = []
    for number, name in enumerate(names):
        place = directory + name
        try:
            if _files.has_regular(place):
                files.append(File(place, SHARD, number, len(names)))
        except _files.LocateError:
            if needs_data:
                raise
    return files


def _shards(prefix: str, needs_data: bool) -> list[File]:
    """Finds the shards of a prefix, by total and number.

    A shard without tensors may be missing, as in a checkpoint that was copied in part.
    """
    found: list[_files.ShardName] = []
    try:
        for shard in _files.shards_beside(prefix):
            found.append(shard)
            # One of the files is the index.
            if len(found) >= _files.MAXIMUM_FILE_COUNT:
                raise _files.TooManyFiles(prefix)
    except _files.NotAllowed:
        # If this user may not list the directory, the commonest name is tried.
        found = [_files.ShardName(0, 1)]
    files: list[File] = []
    for shard in sorted(found, key=lambda shard: (shard.total, shard.number)):
        path = f"{prefix}.data-{shard.text}"
        try:
            if _files.has_regular(path):
                files.append(File(path, SHARD, shard.number, shard.total))
        except _files.LocateError:
            if needs_data:
                raise
    return files
