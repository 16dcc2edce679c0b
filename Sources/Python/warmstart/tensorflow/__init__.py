"""TensorFlow programs on memory that all jobs of the machine share.

One line puts a program on it that was written for TensorFlow alone:

    import warmstart.tensorflow

    warmstart.tensorflow.install()

Or call the functions here in the place of those of `tf.train` and `tf.compat.v1.train`:
`init_from_checkpoint`, `warm_start`, `load_checkpoint`, `load_variable`, `list_variables`. `load_tensors` gives tensors to make variables of.

Variables share the checkpoint's memory in eager mode and, if they are resource variables, in
graphs, until they are updated; then the process has a copy of its own. `tf.gather` of a
variable makes TensorFlow copy it; `tf.gather(variable.value(), …)` does not.
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
