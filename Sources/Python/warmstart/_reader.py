"""A checkpoint with the methods of TensorFlow's reader."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _dtypes
from ._ahead import Ahead
from ._checkpoint import Checkpoint
from ._client import Client, Path
from ._default_client import default_client


class CheckpointReader:
    """Reads the tensors of a checkpoint, like the reader that `tf.train.load_checkpoint` returns.

    Arrays are read-only views of memory that all jobs share.
    """

    def __init__(self, path: Path, *, client: Client | None = None) -> None:
        self.checkpoint: Checkpoint = (client or default_client()).open(path)
        self._arrays: dict[str, Any] = {}
        self._ahead = Ahead(self.checkpoint, {})

    def has_tensor(self, name: str) -> bool:
        return name in self.checkpoint.tensors

    def get_variable_to_shape_map(self) -> dict[str, list[int]]:
        return {name: list(tensor.shape) for name, tensor in self.checkpoint.tensors.items()}

    def get_variable_to_dtype_map(self) -> dict[str, Any]:
        """Returns numpy's dtypes by tensor; `object` for strings, None for tensors that have no
        array.
        """
        return {
            name: None if tensor.dtype in _dtypes.WITHOUT_ARRAYS else _numpy(tensor.dtype)
            for name, tensor in self.checkpoint.tensors.items()
        }

    def get_tensor(self, name: str) -> Any:
        """Returns a tensor as an array, a scalar as numpy's scalar or `bytes`. Raises
        TENSOR_NOT_FOUND.
        """
        array = self._arrays.get(name)
        if array is None:
            array = self._arrays[name] = self._ahead.take(name)
        return array if array.shape else array[()]

    def debug_string(self) -> bytes:
        """Returns a line for each tensor, with its dtype and shape."""
        lines = [
            f"{name} (DT_{tensor.dtype.upper()}) [{','.join(map(str, tensor.shape))}]\n"
            for name, tensor in self.checkpoint.tensors.items()
        ]
        return "".join(lines).encode("utf-8", "surrogateescape")


def _numpy(name: str) -> np.dtype[Any]:
    return _dtypes.numpy_of(_dtypes.number_of(name))
