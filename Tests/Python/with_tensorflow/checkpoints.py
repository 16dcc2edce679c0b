"""Checkpoints that the tests write by TensorFlow's own means, and the graphs that read them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

v1 = tf.compat.v1

MATRIX = np.arange(10000, dtype=np.float32).reshape(100, 100)
VALUES: dict[str, np.ndarray] = {
    "row": np.arange(10, dtype=np.float32).reshape(1, 10),
    "square": np.arange(100, 200, dtype=np.float32).reshape(10, 10),
    "large": MATRIX,
    "useful_scope/inner": np.arange(81, dtype=np.float32).reshape(9, 9),
}


def save(directory: Path, values: Mapping[str, Any], partitions: int = 0, axis: int = 0) -> str:
    """Saves variables by their names, in partitions if there are to be some."""
    with tf.Graph().as_default(), v1.Session() as session:
        partitioner = v1.fixed_size_partitioner(partitions, axis) if partitions else None
        for name, value in values.items():
            array = np.asarray(value)
            v1.get_variable(
                name,
                array.shape,
                tf.dtypes.as_dtype(array.dtype),
                initializer=_of(array),
                partitioner=partitioner,
            )
        session.run(v1.global_variables_initializer())
        return v1.train.Saver().save(session, str(directory / "model"), global_step=1)


def _of(array: np.ndarray) -> Any:
    """An initializer from an array, which gives a partition its part."""

    def initializer(shape: Any, dtype: Any = None, partition_info: Any = None) -> Any:
        offset = partition_info.var_offset if partition_info else [0] * len(shape)
        part = tuple(slice(at, at + int(length)) for at, length in zip(offset, shape))
        return tf.constant(array[part], dtype)

    return initializer


def zeros(name: str, shape: Any, dtype: Any = tf.float32, **options: Any) -> Any:
    """A variable of the graph that is being built, whose own initial value is zeros."""
    options.setdefault("initializer", v1.zeros_initializer())
    return v1.get_variable(name, shape, dtype, **options)


def initialized(*tensors: Any) -> list[np.ndarray]:
    """The values of variables, or lists of partitions, once their initializers have run."""
    with v1.Session() as session:
        session.run(v1.global_variables_initializer())
        return session.run(list(tensors))
