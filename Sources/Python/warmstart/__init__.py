"""Checkpoints that all training jobs of a machine share, as arrays.

`resolve` answers an assignment map, the dictionary that TensorFlow's `init_from_checkpoint` takes,
with numpy arrays in memory that `warmstartd` holds once for all jobs:

    import warmstart

    resolved = warmstart.resolve(
        "/models/bert", {"bert/": "student/"}, {"student/LayerNorm/beta": ("float32", [256])})
    beta = resolved["student/LayerNorm/beta"]  # read-only, unless writable=True

Modules for frameworks: `warmstart.tensorflow`, `warmstart.torch`, `warmstart.jax`,
`warmstart.safetensors`.
"""

from ._answer import Report, Skipped
from ._array import SharedArray
from ._checkpoint import Checkpoint
from ._client import Client
from ._default_client import check, default_client, list_variables, open, resolve
from ._errors import Problem, WarmstartError, WarmstartWarning
from ._locate import latest_checkpoint
from ._options import ResolveOptions
from ._partition import (
    fixed_size_partitioner,
    min_max_variable_partitioner,
    partitions,
    variable_axis_size_partitioner,
)
from ._preload import Preloaded
from ._reader import CheckpointReader
from ._resolved import Resolved
from ._tensors import Tensor
from ._variables import Slice, Variable

__version__: str = "0.1.0"

__all__ = [
    "Checkpoint",
    "CheckpointReader",
    "Client",
    "Preloaded",
    "Problem",
    "Report",
    "ResolveOptions",
    "Resolved",
    "SharedArray",
    "Skipped",
    "Slice",
    "Tensor",
    "Variable",
    "WarmstartError",
    "WarmstartWarning",
    "check",
    "default_client",
    "fixed_size_partitioner",
    "latest_checkpoint",
    "list_variables",
    "min_max_variable_partitioner",
    "open",
    "partitions",
    "resolve",
    "variable_axis_size_partitioner",
]
