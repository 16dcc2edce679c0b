"""Checkpoints as tensors of torch, in memory that all jobs of the machine share.

    import warmstart.torch

    warmstart.torch.load_into(model, "/models/bert", {"bert/": "encoder."})

torch has no read-only tensors, so the tensors lie in private mappings. A page that is written, by
an optimizer for example, becomes a copy that only this process sees; a page that is only read stays
shared. On the CPU nothing else is copied. What torch itself copies is no longer shared:
`tensor.to("cuda")`, `share_memory_()`, and tensors in queues of `torch.multiprocessing`. Let each
process resolve for itself instead.

Names: a map's keys are the checkpoint's names. TensorFlow's have slashes, but modules name their
variables with dots. For the map, each dot in a variable's name is a slash:
`encoder.layer.0.weight` is the variable `encoder/layer/0/weight`, in the scope `encoder/layer/`.
Targets may be written either way (`"encoder."` or `"encoder/"`), and so may templates for regular
expressions. The result uses the variables' own names. In a checkpoint of safetensors or torch,
names have dots as well, and no name is changed: `{"bert.": "encoder."}`. `separator` replaces the
dot by another string; None changes no name of any checkpoint.

Layouts: TensorFlow stores the weights of a dense layer as [inputs, outputs], torch as [outputs,
inputs], and for a square matrix the shape does not show which it is. `permute` names the variables
that are stored with their axes in another order. It gives each the order that `Tensor.permute`
needs to turn the stored tensor into the variable: `(1, 0)` for `Linear`, `(3, 2, 0, 1)` for
`Conv2d`. The result is a permuted view, which shares memory as well:

    linear = {f"{name}.weight": (1, 0) for name, part in model.named_modules()
              if isinstance(part, torch.nn.Linear)}
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from . import _dtypes, _frameworks
from ._answer import Report
from ._client import Client, Path
from ._errors import WarmstartError, contradiction
from ._frameworks import Names, Rename
from ._map import AssignmentMap
from ._options import ResolveOptions
from ._torch_load import install, uninstall
from ._torch_variables import Declared, Permute, Variables

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._checkpoint import Checkpoint

__all__ = ["AUTOMATIC", "install", "load", "load_file", "load_into", "resolve", "uninstall"]

# A dot, unless the checkpoint's own names have dots.
AUTOMATIC = "automatic"
# The formats whose names have dots.
_DOTTED = ("safetensors", "torch")

# Without ml_dtypes, numpy lacks these types, and torch accepts none of ml_dtypes: they are passed
# as integers of the same width. torch stores types of 4 and 2 bits in one byte each, as this
# package does.
_CARRIERS = {"bfloat16": np.int16}


def resolve(
    path: Path,
    assignment_map: AssignmentMap,
    variables: Variables,
    *,
    client: Client | None = None,
    separator: str | None = AUTOMATIC,
    permute: Permute | None = None,
    **options: Unpack[ResolveOptions],
) -> dict[str, torch.Tensor]:
    """Resolves an assignment map to tensors, by the names of the variables, as in a `state_dict`.

    The map is that of `warmstart.Checkpoint.resolve`; one of the tensors in `variables` may stand
    for a variable. `variables` are all variables of the trainer: a module, its `state_dict()` or
    `named_parameters()`, a mapping from names to tensors or to `(dtype, shape)`, or
    `warmstart.Variable` objects. The module's docstring explains `separator` and `permute`. The
    tensors are on the CPU and always writable. The result leaves out variables that got no value,
    such as new heads.

    Raises as `Checkpoint.resolve`, and UNSUPPORTED for variables whose elements torch lacks:
    strings, and types that this version of torch does not know.
    """
    checkpoint, separator = _open(path, separator, client, options.get("timeout"))
    declared = Declared(variables, separator, permute)
    return _resolve(checkpoint, assignment_map, declared, options)[0]


def load(
    path: Path | Checkpoint,
    names: Names | None = None,
    *,
    rename: Rename | None = None,
    client: Client | None = None,
    **options: Unpack[ResolveOptions],
) -> dict[str, torch.Tensor]:
    """Loads tensors by name, as a `state_dict`; `names` selects some.

    `path` may also be an open checkpoint. The keys are the tensors' names. If `names` is a mapping,
    the keys are its values. The function `rename` maps the keys further, and leaves out those for
    which it returns None. Without `names`, tensors that hold no numbers (strings, variants,
    resources) are left out. The tensors are on the CPU and always writable. Raises
    TENSOR_NOT_FOUND, UNSUPPORTED, and as `Client.open`.
    """
    _want_writable(options)
    arrays = _frameworks.load(path, names, rename, _refusal, client, options)
    return {key: _tensor(array, dtype) for key, (array, dtype) in arrays.items()}


def load_file(
    filename: Path | Checkpoint,
    device: str | int | torch.device = "cpu",
    *,
    names: Names | None = None,
    client: Client | None = None,
) -> dict[str, torch.Tensor]:
    """Loads the tensors of a file by name, as `safetensors.torch.load_file` does.

    The file may be any checkpoint that `warmstart.open` takes, or an open one. On the CPU nothing
    is copied; tensors for another device are copied there. Raises as `load`.
    """
    tensors = load(filename, names, client=client)
    if torch.device(device).type == "cpu":
        return tensors
    return {name: tensor.to(device) for name, tensor in tensors.items()}


def load_into(
    module: torch.nn.Module,
    path: Path,
    assignment_map: AssignmentMap,
    *,
    client: Client | None = None,
    separator: str | None = AUTOMATIC,
    permute: Permute | None = None,
    **options: Unpack[ResolveOptions],
) -> Report:
    """Gives parameters and buffers of a module their values, as `init_from_checkpoint` does.

    On the CPU they then lie in shared memory, without a copy. They stay the same objects, so
    optimizers that already have them, hooks and tied weights keep working. Only those on the device
    `meta`, which cannot get memory, are replaced; those on other devices are copied there. If an
    error is raised, nothing has changed.

    The map and the options are those of `resolve`. Returns the report. Raises as `resolve`, and
    ValueError if tied weights, which are one parameter with two names, would get two tensors.
    """
    checkpoint, separator = _open(path, separator, client, options.get("timeout"))
    declared = Declared(module, separator, permute)
    tensors, report = _resolve(checkpoint, assignment_map, declared, options)
    sources: dict[int, str] = {}
    for name in tensors:
        tensor = report.assigned[name]
        if sources.setdefault(id(declared.values[name]), tensor) != tensor:
            other = sources[id(declared.values[name])]
            raise ValueError(f"{name} is tied to a variable that gets {other}, and gets {tensor}")
    unplaced: dict[str, torch.Tensor] = {}
    made: dict[int, torch.Tensor] = {}
    with torch.no_grad():
        for name, tensor in tensors.items():
            variable = declared.values[name]
            if variable.device.type == "meta":
                unplaced[name] = made.setdefault(id(variable), _like(variable, tensor))
            elif variable.device.type == "cpu":
                variable.data = tensor
            else:
                variable.copy_(tensor)
    if unplaced:
        tied = {name: made[id(v)] for name, v in declared.values.items() if id(v) in made}
        module.load_state_dict(tied, strict=False, assign=True)
    return report


def _open(
    path: Path, separator: str | None, client: Client | None, timeout: float | None
) -> tuple[Checkpoint, str | None]:
    """Opens a checkpoint, and returns what the variables' names have in place of slashes."""
    checkpoint = _frameworks.unopened(path, client).open(timeout)
    if separator == AUTOMATIC:
        separator = None if checkpoint.format in _DOTTED else "."
    return checkpoint, separator


def _resolve(
    checkpoint: Checkpoint,
    assignment_map: AssignmentMap,
    declared: Declared,
    options: ResolveOptions,
) -> tuple[dict[str, torch.Tensor], Report]:
    _want_writable(options)
    if "gather" in options:
        gather = options["gather"]
        options["gather"] = {declared.target(name): axes for name, axes in gather.items()}
    if "transpose" in options:
        transpose = options["transpose"]
        options["transpose"] = {declared.target(name): axes for name, axes in transpose.items()}
    pairs = declared.translated(assignment_map)
    try:
        resolved, arrays = _frameworks.resolve(
            checkpoint, pairs, declared.variables, _refusal, options
        )
    except WarmstartError as error:
        raise declared.explained(error, checkpoint.format) from None
    except ValueError as error:
        raise ValueError(declared.worded(str(error))) from None
    tensors: dict[str, torch.Tensor] = {}
    for name, (array, dtype) in arrays.items():
        tensor, axes = _tensor(array, dtype), declared.axes(name)
        tensors[declared.names[name]] = tensor if axes is None else tensor.permute(*axes)
    return tensors, declared.report(resolved.report)


def _want_writable(options: ResolveOptions) -> None:
    if not options.setdefault("writable", True):
        raise ValueError("writable: torch has no read-only tensors, so False is not allowed")


def _type_of(dtype: str) -> Any:
    """Returns torch's type for a dtype; None if torch has none."""
    return getattr(torch, _dtypes.plain(dtype), None)


def _refusal(dtype: str) -> str | None:
    if dtype == "string" or dtype in _dtypes.WITHOUT_ARRAYS:
        return "torch has no such tensors"
    return f"torch {torch.__version__} has no such elements" if _type_of(dtype) is None else None


def _tensor(array: npt.NDArray[Any], dtype: str) -> torch.Tensor:
    """Returns a tensor in the memory of an array."""
    plain = array.view(np.ndarray)
    if plain.__array_interface__["data"][0] % plain.itemsize:
        raise contradiction("a handle is not aligned to its elements")
    # torch accepts only the types that numpy itself has.
    if plain.dtype.isbuiltin != 1:
        plain = plain.view(_CARRIERS.get(dtype, np.uint8))
    return torch.from_numpy(plain).view(_type_of(dtype))


def _like(variable: torch.Tensor, tensor: torch.Tensor) -> torch.Tensor:
    """Returns a tensor in the same memory, as a parameter if the variable is one."""
    if isinstance(variable, torch.nn.Parameter):
        return torch.nn.Parameter(tensor, requires_grad=variable.requires_grad)
    return tensor
