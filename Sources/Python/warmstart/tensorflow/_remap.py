"""The function that stands in for TensorFlow's `load_and_remap_matrix`.

`warm_start` calls it for a variable with a vocabulary. The vocabularies choose rows or columns of
the old matrix, and new ones get initial values. All jobs with the same vocabularies share the
chosen rows and columns; only the pages with initial values belong to this process.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.eager import context
from tensorflow.python.framework import errors_impl, ops
from tensorflow.python.ops import gen_checkpoint_ops

from .._errors import CODES, WarmstartError
from . import _failures, _graphs
from ._keys import Key
from ._restore import Settings, count, is_local, restores_itself, tensor_of
from ._sources import Array, sources

own_remap: Any = gen_checkpoint_ops.load_and_remap_matrix


class Remap:
    """A `load_and_remap_matrix` that asks Warmstart, with the settings of one installation."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def __call__(
        self,
        ckpt_path: Any,
        old_tensor_name: Any,
        row_remapping: Any,
        col_remapping: Any,
        initializing_values: Any,
        num_rows: int,
        num_cols: int,
        max_rows_in_memory: int = -1,
        name: str | None = None,
    ) -> Any:
        """Returns a matrix [num_rows, num_cols] of a checkpoint, as TensorFlow's function does."""
        count(1)
        shape = (int(num_rows), int(num_cols))
        with ops.name_scope(name, "LoadAndRemapMatrix") as scope:
            inputs = [
                tf.convert_to_tensor(ckpt_path, tf.string),
                tf.convert_to_tensor(old_tensor_name, tf.string),
                tf.convert_to_tensor(row_remapping, tf.int64),
                tf.convert_to_tensor(col_remapping, tf.int64),
                tf.convert_to_tensor(initializing_values, tf.float32),
            ]
        if not is_local(inputs[0].device):
            return own_remap(*inputs, *shape, max_rows_in_memory, name=scope)
        if context.executing_eagerly():
            matrix = self._matrix(
                [value.numpy() for value in inputs], shape, _failures.in_eager_mode
            )
            with ops.device("/device:CPU:0"):
                return tensor_of(matrix, tf.float32)

        def remap(*values: Any) -> Array:
            return self._matrix(values, shape, _failures.in_graph)

        attributes = {"num_rows": shape[0], "num_cols": shape[1]}
        attributes["max_rows_in_memory"] = int(max_rows_in_memory)
        stands = _graphs.Stands("LoadAndRemapMatrix", "output_matrix", None, attributes)
        token = _graphs.register(ops.get_default_graph(), remap, stands)
        (output,) = _graphs.add(token, inputs, [tf.float32], scope)
        output.set_shape(shape)
        return output

    def _matrix(self, values: Any, shape: tuple[int, int], error_of: Any) -> Array:
        path, tensor = (_text(value) for value in values[:2])
        rows, columns, initial = values[2:]
        missing = _missing(rows, columns, shape)
        if missing is None or np.count_nonzero(missing) != initial.size or restores_itself(path):
            return _own_matrix(values, shape, error_of)
        axes = {0: rows, 1: columns} if columns.size else {0: rows}
        try:
            source = sources.open(self._settings.client, path)
            matrix = source.gathered(Key(tensor, "", "float32"), axes)
        except WarmstartError as error:
            if self._settings.falls_back(error):
                return _own_matrix(values, shape, error_of)
            raise error_of(error) from None
        if matrix.shape != shape:
            return _own_matrix(values, shape, error_of)
        if initial.size:
            matrix[missing] = initial.reshape(-1)
        return matrix


def _missing(rows: Array, columns: Array, shape: tuple[int, int]) -> Array | None:
    """Returns which elements the checkpoint lacks; None for what TensorFlow itself must refuse."""
    if rows.shape != shape[:1] or columns.size not in (0, shape[1]) or columns.ndim != 1:
        return None
    for indices in (rows, columns):
        known = indices[indices >= 0]
        if len(np.unique(known)) != len(known) or (indices.size and indices.min() < -1):
            return None
    missing_columns = columns < 0 if columns.size else np.zeros(shape[1], bool)
    return (rows < 0)[:, np.newaxis] | missing_columns


def _own_matrix(values: Any, shape: tuple[int, int], error_of: Any) -> Array:
    """Remaps by TensorFlow's own operation."""
    try:
        with context.eager_mode(), ops.device("/device:CPU:0"):
            matrix: Array = own_remap(*values, *shape).numpy()
            return matrix
    except errors_impl.OpError as error:
        raise error_of(WarmstartError(CODES[error.error_code], "", error.message)) from None


def _text(value: Any) -> str:
    text: bytes = value if isinstance(value, bytes) else value[()]
    return text.decode("utf-8", "surrogateescape")
