"""The file ``checkpoint`` in a directory, which names the directory's latest checkpoint."""

from __future__ import annotations

import os
import stat

from . import _files, _neighbours, _text_format

# The file's name, the same in every directory.
NAME = "checkpoint"

# The longest state file that is read, in bytes: some 40,000 kept checkpoints; chosen, not tuned.
_MAXIMUM_BYTE_COUNT = 4 << 20

# The beginning of a pointer that Git LFS leaves in place of a file.
_POINTER = b"version https://git-lfs.github.com/spec/"

# The name of a file in every checkpoint of Orbax, with which JAX and Keras 3 write checkpoints.
_ORBAX = "_CHECKPOINT_METADATA"


class StateMissing(_files.LocateError):
    """The directory has no state file."""


class StateMalformed(_files.LocateError):
    """The state file is not valid in protobuf's text format."""


class StateEmpty(_files.LocateError):
    """The state file has no ``model_checkpoint_path``, or an empty one."""


class StateTooLong(_files.LocateError):
    """The state file has more bytes than the limit."""


class StateNotRegular(_files.LocateError):
    """The state file is a directory, a FIFO or the like."""


def target(directory: str, name: str = NAME) -> str:
    """Returns the path in a directory's state file, as it is written there; never empty."""
    state = os.path.join(directory, name)
    data = _read(state, directory)
    try:
        path = _text_format.model_checkpoint_path(data)
    except _text_format.Refusal as refusal:
        place, expected = (refusal.line, refusal.column), str(refusal)
        if data.startswith(_POINTER):
            place = (1, 1)
            expected = "expected a state file, not a Git LFS pointer: fetch it with `git lfs pull`"
        raise StateMalformed(
            "CHECKPOINT_STATE_INVALID",
            f"{state}:{place[0]}:{place[1]}: {expected}",
            _itself(_neighbours.latest(directory)),
            about_directory=True,
        ) from None
    if not path:
        raise StateEmpty(
            "CHECKPOINT_STATE_INVALID",
            f"invalid checkpoint state: '{state}' has no model_checkpoint_path",
            _itself(_neighbours.latest(directory)),
            about_directory=True,
        )
    return os.fsdecode(path)


def _read(state: str, directory: str) -> bytes:
    found = _files.open_file(state)
    if found is None:
        raise _missing(directory)
    descriptor, status = found
    try:
        if not stat.S_ISREG(status.st_mode):
            raise StateNotRegular(
                "CHECKPOINT_STATE_INVALID",
                f"invalid checkpoint state: '{state}' is not a regular file",
                _itself(_neighbours.latest(state)),
                about_directory=True,
            )
        with open(descriptor, "rb", closefd=False) as file:
            data = file.read(_MAXIMUM_BYTE_COUNT + 1)
    except OSError as error:
        raise _files.system_error(error, state) from None
    finally:
        os.close(descriptor)
    if len(data) > _MAXIMUM_BYTE_COUNT:
        raise StateTooLong(
            "CHECKPOINT_STATE_INVALID",
            f"invalid checkpoint state: '{state}' is longer than {_MAXIMUM_BYTE_COUNT} bytes",
            about_directory=True,
        )
    return data


def _missing(directory: str) -> StateMissing:
    nearest = _neighbours.latest(directory)
    if nearest is None and _is_orbax(directory):
        message = (
            f"'{directory}' holds a checkpoint of Orbax, not one of TensorFlow's: load it with "
            "Orbax, and write it with tf.train.Checkpoint"
        )
    else:
        message = (
            f"no file 'checkpoint' in directory '{directory}': expected one that names a "
            "checkpoint, or name the checkpoint itself"
        )
        if nearest is not None:
            message += f", such as '{nearest}'"
    return StateMissing("CHECKPOINT_NOT_FOUND", message, about_directory=True)


def _is_orbax(directory: str) -> bool:
    """Returns whether Orbax wrote a directory, or its subdirectory for a training step."""
    try:
        if _files.exists(os.path.join(directory, _ORBAX)):
            return True
        return any(
            _files.exists(os.path.join(directory, name, _ORBAX))
            for name in _files.names(directory)
            if name.isascii() and name.isdigit()
        )
    except _files.LocateError:
        return False


def _itself(nearest: str | None) -> str | None:
    return None if nearest is None else f"name the checkpoint itself, such as '{nearest}'"
