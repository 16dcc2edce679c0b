"""A checkpoint by the methods of TensorFlow's reader."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from . import _dtypes
from ._checkpoint import Checkpoint, Tensor
from ._client import Client, Path, default_client
from ._errors import WarmstartError


class CheckpointReader:
    """Reads tensors of a checkpoint, as the reader that `tf.train.load_checkpoint` returns.

    Arrays are read-only views of memory that all jobs share. A reader that is asked for tensor after
    tensor asks the daemon for more and more at once: for as many as it has, and as many bytes.
    """

    def __init__(self, path: Path, *, client: Client | None = None) -> None:
        self.checkpoint: Checkpoint = (client or default_client()).open(path)
        self._arrays: dict[str, Any] = {}
        # Tensors that may be wanted next.
        self._ahead: Iterator[Tensor] | None = None

    def has_tensor(self, name: str) -> bool:
        return name in self.checkpoint.tensors

    def get_variable_to_shape_map(self) -> dict[str, list[int]]:
        return {name: list(tensor.shape) for name, tensor in self.checkpoint.tensors.items()}

    def get_variable_to_dtype_map(self) -> dict[str, Any]:
        """numpy's dtypes by the tensors' names; `object` for strings; None for what has no array."""
        return {
            name: None if tensor.dtype in _WITHOUT_ARRAYS else _numpy(tensor.dtype)
            for name, tensor in self.checkpoint.tensors.items()
        }

    def get_tensor(self, name: str) -> Any:
        """A tensor as an array; a scalar as numpy's scalar, or `bytes`. Raises TENSOR_NOT_FOUND."""
        array = self._arrays.get(name)
        if array is None:
            array = self._read(name)
        return array if array.shape else array[()]

    def _read(self, name: str) -> Any:
        if self._ahead is None:
            tensors = self.checkpoint.tensors.values()
            self._ahead = iter([t for t in tensors if t.dtype not in _WITHOUT_ARRAYS])
        # No more tensors and bytes than were read so far: a large one that nobody wants may be cold.
        room = max(_AHEAD, sum(array.nbytes for array in self._arrays.values()))
        more = []
        for tensor in itertools.islice(self._ahead, len(self._arrays)):
            room -= tensor.byte_count
            if room < 0:
                break
            if tensor.name not in self._arrays:
                more.append(tensor.name)
        if more:
            try:
                self._arrays.update(self.checkpoint.arrays([name, *more]))
                return self._arrays[name]
            except WarmstartError:
                # Perhaps because of one that nobody wants.
                self._ahead = iter([])
        array = self._arrays[name] = self.checkpoint.array(name)
        return array

    def debug_string(self) -> bytes:
        """A line for each tensor, with its dtype and shape."""
        lines = [
            f"{name} (DT_{tensor.dtype.upper()}) [{','.join(map(str, tensor.shape))}]"
            for name, tensor in self.checkpoint.tensors.items()
        ]
        return "\n".join(lines).encode("utf-8", "surrogateescape")


_WITHOUT_ARRAYS = ("variant", "resource")
# So many bytes may be read that nobody asked for. Chosen, not tuned.
_AHEAD = 16 << 20


def _numpy(name: str) -> np.dtype[Any]:
    return _dtypes.numpy_of(_dtypes.number_of(name))
