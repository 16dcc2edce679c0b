"""The reader that stands in for TensorFlow's."""

from __future__ import annotations

import os
from typing import Any

import tensorflow as tf
from tensorflow.core.framework import types_pb2
from tensorflow.python.training import py_checkpoint_reader

from .. import _dtypes
from .._ahead import Ahead
from .._errors import WarmstartError
from .._tensors import Tensor
from . import _failures
from ._restore import Settings
from ._sources import OPTIONS, Source

own_reader: Any = py_checkpoint_reader.NewCheckpointReader


class CheckpointReader:
    """A checkpoint with the methods of `tf.compat.v1.train.NewCheckpointReader`.

    Arrays are in shared memory; pages that this process writes become its own copies. A tensor that
    TensorFlow makes from an array shares its memory, and the array is read-only from then on.
    Errors have TensorFlow's classes.
    """

    def __init__(self, source: Source, settings: Settings) -> None:
        self._source = source
        self._settings = settings
        self._ahead = Ahead(source.checkpoint, OPTIONS, keeps_lease=True)
        self._tensors: dict[str, Tensor] = source.checkpoint.tensors

    def has_tensor(self, tensor_str: Any) -> bool:
        return _text(tensor_str) in self._tensors

    def get_variable_to_shape_map(self) -> dict[str, list[int]]:
        return {name: list(tensor.shape) for name, tensor in self._tensors.items()}

    def get_variable_to_dtype_map(self) -> dict[str, tf.DType]:
        """Returns TensorFlow's dtypes by the tensors' names."""
        return {
            name: tf.dtypes.as_dtype(_dtypes.NUMBERS[tensor.dtype])
            for name, tensor in self._tensors.items()
            if tensor.dtype in _dtypes.NUMBERS
        }

    def get_tensor(self, tensor_str: Any) -> Any:
        """Returns a tensor as an array, a scalar as numpy's scalar or `bytes`. `NotFoundError`."""
        name, path = _text(tensor_str), self._source.checkpoint.path
        try:
            if name not in self._tensors:
                raise WarmstartError.of("TENSOR_NOT_FOUND", self._source.checkpoint.lacks(name))
            array = self._ahead.take(name)
        except WarmstartError as error:
            if self._settings.falls_back(error):
                return own_reader(path).get_tensor(tensor_str)
            raise _failures.of_reader(error) from error
        return array if array.shape else array[()]

    def debug_string(self) -> bytes:
        """Returns a line for each tensor, with its dtype and shape."""
        lines = [
            f"{name} ({_enumerator(tensor.dtype)}) [{','.join(map(str, tensor.shape))}]\n"
            for name, tensor in self._tensors.items()
        ]
        return "".join(lines).encode("utf-8", "surrogateescape")


def _text(name: Any) -> str:
    return os.fsdecode(name) if isinstance(name, (bytes, str)) else str(name)


def _enumerator(dtype: str) -> str:
    number = _dtypes.NUMBERS.get(dtype)
    return dtype if number is None else str(types_pb2.DataType.Name(number))
