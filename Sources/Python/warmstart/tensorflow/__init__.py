"""Runs TensorFlow programs on memory that all jobs of the machine share.

A program that was written for TensorFlow alone needs one line:

    import warmstart.tensorflow

    warmstart.tensorflow.install()

A program can also call these functions instead of those of `tf.train` and `tf.compat.v1.train`:
`init_from_checkpoint`, `warm_start`, `load_checkpoint`, `load_variable`, `list_variables`.
`load_tensors` returns tensors to make variables from.

Variables share the checkpoint's memory until they are updated, which copies the memory for this
process. This holds in eager mode and, for resource variables, in graphs. `tf.gather` of a variable
makes TensorFlow copy it; `tf.gather(variable.value(), …)` does not.
"""

from .._errors import WarmstartWarning
from ._drop_ins import (
    checkpoints_iterator,
    init_from_checkpoint,
    list_variables,
    load_checkpoint,
    load_tensors,
    load_variable,
    warm_start,
)
from ._install import Installation, install, uninstall
from ._reader import CheckpointReader

__all__ = [
    "CheckpointReader",
    "Installation",
    "WarmstartWarning",
    "checkpoints_iterator",
    "init_from_checkpoint",
    "install",
    "list_variables",
    "load_checkpoint",
    "load_tensors",
    "load_variable",
    "uninstall",
    "warm_start",
]
