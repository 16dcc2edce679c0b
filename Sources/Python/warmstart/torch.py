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

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Union

import numpy as np
import numpy.typing as npt
import torch

from . import _dtypes, _frameworks
from ._answer import Report
from ._client import Client, Path
from ._errors import Problem, WarmstartError, brief, contradiction
from ._frameworks import Names, Rename
from ._map import AssignmentMap, pairs_of
from ._neighbours import nearest_hint
from ._options import ResolveOptions
from ._torch_load import install, uninstall
from ._variables import Variable, variables_of

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._checkpoint import Checkpoint

__all__ = ["AUTOMATIC", "install", "load", "load_file", "load_into", "resolve", "uninstall"]

# A module; its `state_dict()`, or another mapping from names to tensors or `(dtype, shape)`; its
# `named_parameters()`; or objects of `warmstart.Variable`.
Variables = Union[
    "torch.nn.Module", Mapping[str, Any], Iterable[tuple[str, Any]], Iterable[Variable]
]
Permute = Mapping[str, Sequence[int]]

# A dot, unless the checkpoint's own names have dots.
AUTOMATIC = "automatic"
# The formats whose names have dots.
_DOTTED = ("safetensors", "torch")

# From TensorFlow's layouts of kernels to torch's: for `Linear`, `Conv1d` and `Conv2d`.
_LAYOUTS = ((1, 0), (2, 1, 0), (3, 2, 0, 1))
# The formats whose layouts are TensorFlow's.
_TENSORFLOW = ("v1", "v2", "hdf5")
# The hint at the option `transpose`.
_FITS = re.compile(r"; with transpose=\{.*: (\([0-9, ]+\))\} it fits")
# What follows the name of a tensor in an error about a variable.
_OF_TENSORS = r" as its key| is in the checkpoint"

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
    declared = _Declared(variables, separator, permute)
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
    declared = _Declared(module, separator, permute)
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


class _Declared:
    """The variables of a trainer, with the names and shapes that the map sees."""

    def __init__(
        self, variables: Variables, separator: str | None, permute: Permute | None
    ) -> None:
        self._separator = separator
        self._permute = permute or {}
        # By the names that the user knows.
        self.values = _named(variables)
        # From the names that the map knows to the user's.
        self.names: dict[str, str] = {}
        # The same for the map's targets, which need not name a variable.
        self._targets: dict[str, str] = {}
        for name in self.values:
            other = self.names.setdefault(self.translate(name), name)
            if other != name:
                raise ValueError(f"variables {other!r} and {name!r} have one name for the map")
        unknown = [name for name in self._permute if name not in self.values]
        if unknown:
            near = nearest_hint(unknown[0], self.values)
            raise ValueError(f"permute: there is no variable {unknown[0]}{near}")
        self.variables: list[Variable] = []
        self._by_id: dict[int, Variable] = {}
        for variable in variables_of(self.values):
            value = self.values[variable.name]
            variable = self._declare(variable)
            self.variables.append(variable)
            if isinstance(value, torch.Tensor):
                self._by_id.setdefault(id(value), variable)

    def translate(self, name: str) -> str:
        return name if self._separator is None else name.replace(self._separator, "/")

    def translated(self, assignment_map: AssignmentMap) -> list[tuple[Any, Any]]:
        return [(key, self.target(target)) for key, target in pairs_of(assignment_map)]

    def axes(self, name: str) -> Sequence[int] | None:
        return self._permute.get(self.names[name])

    def explained(self, error: WarmstartError, format: str) -> WarmstartError:
        """Returns the error with the names that the user knows, and the `permute` that variables of
        another shape may need.

        `format` is the checkpoint's.
        """
        layouts = _LAYOUTS if format in _TENSORFLOW else ()
        shapes = {
            variable.name: variable.shape
            for variable in self.variables
            if self.axes(variable.name) is None and variable.slice is None
        }
        problems = tuple(self._explained(problem, shapes, layouts) for problem in error.problems)
        if problems == error.problems:
            return error
        explained = type(error)(
            error.code,
            error.reason,
            problems[0].message,
            problems,
            error.problem_count,
            error.retry_after,
        )
        explained.checkpoint = error.checkpoint
        return explained

    def _explained(
        self, problem: Problem, shapes: Mapping[str, Any], layouts: Sequence[Sequence[int]]
    ) -> Problem:
        name = self._known(problem.variable)
        start, key, message = problem.message.rpartition(f"key {problem.key}: ")
        message = self.worded(message, problem.variable)
        if problem.reason == "SHAPE_MISMATCH" and problem.variable in shapes:
            message = _with_permute(message, name, shapes[problem.variable] or (), layouts)
        return problem._replace(variable=name, message=start + key + message)

    def worded(self, message: str, variable: str = "") -> str:
        """Returns a message with the user's names of variables.

        Names of tensors may look like the map's names of variables, but stay.
        """
        before = r"(?<=variable )|(?<= of )|(?<=the target )|(?<=scope: write )|(?<=; write )"
        before += r"|(?<=\{')"
        if "no variable" in message or "is not declared; nearest" in message:
            before = r"(?<![^ '])(?<!tensor )(?<!pattern ')"
        name = rf"(?:{re.escape(variable)}|[^ ,:;']+)(?=[ ,:;']|$)"
        pattern = rf"(?:{before}){name}(?!{_OF_TENSORS})|(?<=; ){name}(?= is a scope: write)"
        return re.sub(pattern, lambda found: self._known(found[0]), message)

    def _known(self, name: str) -> str:
        """Returns the user's name of a variable, a target or a scope of variables."""
        known = self.names.get(name) or self._targets.get(name)
        if known is not None or self._separator is None or "/" not in name:
            return known or name
        is_known = name == "/" or any(other.startswith(name) for other in self.values)
        return name if is_known else name.replace("/", self._separator)

    def report(self, report: Report) -> Report:
        """Returns the report with the names that the user knows."""
        names = self.names
        return report._replace(
            assigned={names[name]: tensor for name, tensor in report.assigned.items()},
            skipped=[one._replace(variable=names[one.variable]) for one in report.skipped],
            uncovered=[names[name] for name in report.uncovered],
            unused=[(key, tuple(map(self._known, targets))) for key, targets in report.unused],
        )

    def _declare(self, variable: Variable) -> Variable:
        shape, cut = variable.shape, variable.slice
        axes = self._permute.get(variable.name)
        if axes is not None:
            if shape is None or cut is not None or sorted(axes) != list(range(len(shape))):
                raise ValueError(
                    f"permute: expected an order of the axes of {variable.name}, whose shape is "
                    f"{shape}, got {tuple(axes)}"
                )
            shape = tuple(shape[axes.index(axis)] for axis in range(len(shape)))
        if cut is not None:
            cut = cut._replace(full_name=self.translate(cut.full_name))
        name = self.translate(variable.name)
        return dataclasses.replace(variable, name=name, shape=shape, slice=cut)

    def target(self, target: Any) -> Any:
        """Returns a target as the map has it."""
        if isinstance(target, str):
            translated = self.translate(target)
            self._targets[translated] = target
            return translated
        if isinstance(target, (list, tuple)):
            return type(target)(self.target(part) for part in target)
        if isinstance(target, Variable):
            return self._declare(target)
        if isinstance(target, torch.Tensor):
            try:
                return self._by_id[id(target)]
            except KeyError:
                shape = tuple(target.shape)
                raise ValueError(f"a tensor of shape {shape} in the map is no variable") from None
        return target


def _with_permute(
    message: str, name: str, shape: Sequence[int], layouts: Sequence[Sequence[int]]
) -> str:
    """Returns the message with a hint at `permute` in place of that at `transpose`."""
    for axes in layouts:
        if len(axes) != len(shape):
            continue
        stored = [shape[axes.index(axis)] for axis in range(len(axes))]
        if f"shape {stored} of tensor" in message:
            hint = f"if it is stored as TensorFlow does: permute={{{name!r}: {axes}}}"
            return f"{_FITS.sub('', message)}; {hint}"
    return _FITS.sub(lambda fits: f"; with permute={{{name!r}: {fits[1]}}} it fits", message)


def _named(variables: Variables) -> dict[str, Any]:
    """Yields values with a dtype and a shape, by name."""
    if isinstance(variables, torch.nn.Module):
        # A module's state also contains objects that are no variables.
        state = variables.state_dict(keep_vars=True).items()
        return {name: value for name, value in state if isinstance(value, torch.Tensor)}
    items = variables.items() if isinstance(variables, Mapping) else variables
    try:
        named = dict((item.name, item) if isinstance(item, Variable) else item for item in items)
    except (TypeError, ValueError):
        named = None
    # A tensor of two rows looks like a pair, too.
    if named is None or not all(isinstance(name, str) for name in named):
        raise TypeError(
            "variables: expected a module, its state_dict() or named_parameters(), or a mapping "
            f"from names to tensors or (dtype, shape), got {brief(variables)}"
        )
    return named


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
    declared: _Declared,
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
