"""Checkpoints as tensors of torch, in memory that all jobs of the machine share.

    import warmstart.torch

    warmstart.torch.load_into(model, "/models/bert", {"bert/": "encoder."})

torch has no read-only tensors. So these lie in private mappings: what is written, by an optimizer
for example, is copied page by page as it is written and seen by nobody else; what is only read
stays shared. On the CPU nothing is copied before that. What torch itself copies is no longer
shared: `tensor.to("cuda")`, `share_memory_()`, and tensors that go through queues of
`torch.multiprocessing`; let each process resolve for itself instead.

Names: a map's keys are the checkpoint's names, with slashes; modules name their variables with
dots. For the map, each dot in a variable's name is a slash: `encoder.layer.0.weight` is the
variable `encoder/layer/0/weight`, in the scope `encoder/layer/`. Targets may be written either
way (`"encoder."` or `"encoder/"`), and so may templates for regular expressions. Results have the
names that the variables were given with. Another `separator` is another string than the dot; None
changes no name.

Layouts: TensorFlow stores the weights of a dense layer as [inputs, outputs], torch as [outputs,
inputs], and nothing can know which of two square matrices is meant. `permute` says which
variables are stored with their axes in another order: for each, by name, what
`Tensor.permute` has to be given to make the variable of the tensor that is stored: `(1, 0)` for
`Linear`, `(3, 2, 0, 1)` for `Conv2d`. The result is a permuted view, which shares memory as well:

    linear = {f"{name}.weight": (1, 0) for name, part in model.named_modules()
              if isinstance(part, torch.nn.Linear)}
"""

from __future__ import annotations

import dataclasses
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
from ._options import ResolveOptions
from ._variables import Variable, variables_of

if TYPE_CHECKING:
    from typing_extensions import Unpack

# A module; its `state_dict()`, or another mapping from names to tensors or `(dtype, shape)`; its
# `named_parameters()`; or objects of `warmstart.Variable`.
Variables = Union[
    "torch.nn.Module", Mapping[str, Any], Iterable[tuple[str, Any]], Iterable[Variable]
]
Permute = Mapping[str, Sequence[int]]

# From TensorFlow's layouts of kernels to torch's: of `Linear`, `Conv1d` and `Conv2d`.
_LAYOUTS = ((1, 0), (2, 1, 0), (3, 2, 0, 1))

# numpy has no such elements without ml_dtypes, and torch takes none from it: they are handed over
# as integers of the same width. torch stores types of 4 and 2 bits in a byte each, as we do.
_CARRIERS = {"bfloat16": np.int16}


def resolve(
    path: Path,
    assignment_map: AssignmentMap,
    variables: Variables,
    *,
    client: Client | None = None,
    separator: str | None = ".",
    permute: Permute | None = None,
    **options: Unpack[ResolveOptions],
) -> dict[str, torch.Tensor]:
    """Resolves an assignment map to tensors, by the names of the variables, as in a `state_dict`.

    The map is that of `warmstart.Checkpoint.resolve`, and where that has a variable, one of the
    tensors in `variables` may stand too. `variables` are all variables that the trainer has: a
    module, its `state_dict()` or `named_parameters()`, a mapping from names to tensors or to
    `(dtype, shape)`, or `warmstart.Variable` objects. The head of this module says what `separator`
    and `permute` mean. The tensors are on the CPU, and writable in any case. Variables that got
    nothing, such as new heads, are not in the result.

    Raises what `Checkpoint.resolve` does, and UNSUPPORTED for variables of elements that torch
    lacks: strings, and types that this version of torch does not know.
    """
    declared = _Declared(variables, separator, permute)
    return _resolve(path, assignment_map, declared, client, options)[0]


def load(
    path: Path,
    names: Names | None = None,
    *,
    rename: Rename | None = None,
    client: Client | None = None,
    **options: Unpack[ResolveOptions],
) -> dict[str, torch.Tensor]:
    """Loads tensors by name, all of them unless `names` says which, as a `state_dict`.

    The keys are the tensors' names. If `names` is a mapping, they are its values; `rename`, a
    function, maps them further, and leaves out those for which it returns None. Without `names`,
    what is no number (strings, variants, resources) is left out. The tensors are on the CPU, and
    writable in any case. Raises TENSOR_NOT_FOUND, UNSUPPORTED, and what `Client.open` does.
    """
    _want_writable(options)
    arrays = _frameworks.load(path, names, rename, _refusal, client, options)
    return {key: _tensor(array, dtype) for key, (array, dtype) in arrays.items()}


def load_into(
    module: torch.nn.Module,
    path: Path,
    assignment_map: AssignmentMap,
    *,
    client: Client | None = None,
    separator: str | None = ".",
    permute: Permute | None = None,
    **options: Unpack[ResolveOptions],
) -> Report:
    """Gives parameters and buffers of a module their values, as `init_from_checkpoint` does.

    On the CPU they lie in shared memory then, without a copy. They stay the objects that they
    were, so that optimizers that have them already, hooks and tied weights go on working; only
    those on the device `meta`, which cannot get memory, are replaced. Those on other devices are
    copied there. Nothing is changed if an error is raised.

    The map and the options are those of `resolve`. Returns what was assigned, skipped, not covered
    and not used. Raises what `resolve` does, and ValueError if tied weights, which are one
    parameter of two names, would get two tensors.
    """
    declared = _Declared(module, separator, permute)
    tensors, report = _resolve(path, assignment_map, declared, client, options)
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
    """The variables of a trainer, with the names and shapes that they have for the map."""

    def __init__(
        self, variables: Variables, separator: str | None, permute: Permute | None
    ) -> None:
        self._separator = separator
        self._permute = permute or {}
        # By the names that the user knows.
        self.values = _named(variables)
        # From the names that the map knows to those.
        self.names: dict[str, str] = {}
        for name in self.values:
            other = self.names.setdefault(self.translate(name), name)
            if other != name:
                raise ValueError(f"variables {other!r} and {name!r} have one name for the map")
        unknown = [name for name in self._permute if name not in self.values]
        if unknown:
            raise ValueError(f"permute: there is no variable {unknown[0]}")
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
        return [(key, self._target(target)) for key, target in pairs_of(assignment_map)]

    def axes(self, name: str) -> Sequence[int] | None:
        return self._permute.get(self.names[name])

    def explained(self, error: WarmstartError) -> WarmstartError:
        """The error, with what `permute` may have to be for variables of another shape."""
        if error.reason != "SHAPE_MISMATCH":
            return error
        shapes = {
            variable.name: variable.shape
            for variable in self.variables
            if self.axes(variable.name) is None
        }
        problems = [self._explained(problem, shapes) for problem in error.problems]
        return type(error)(
            error.code,
            error.reason,
            problems[0].message,
            problems,
            error.problem_count,
            error.retry_after,
        )

    def _explained(self, problem: Problem, shapes: Mapping[str, Any]) -> Problem:
        shape = shapes.get(problem.variable) or ()
        for axes in _LAYOUTS:
            if len(axes) != len(shape) or problem.reason != "SHAPE_MISMATCH":
                continue
            stored = [shape[axes.index(axis)] for axis in range(len(axes))]
            if f"shape {stored} of tensor" in problem.message:
                name = self.names[problem.variable]
                hint = f"if it is stored as TensorFlow does: permute={{{name!r}: {axes}}}"
                return problem._replace(message=f"{problem.message}; {hint}")
        return problem

    def report(self, report: Report) -> Report:
        """The report with the names that the user knows."""
        names = self.names
        return report._replace(
            assigned={names[name]: tensor for name, tensor in report.assigned.items()},
            skipped=[one._replace(variable=names[one.variable]) for one in report.skipped],
            uncovered=[names[name] for name in report.uncovered],
            unused=[
                (key, tuple(names.get(target, target) for target in targets))
                for key, targets in report.unused
            ],
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

    def _target(self, target: Any) -> Any:
        if isinstance(target, str):
            return self.translate(target)
        if isinstance(target, (list, tuple)):
            return type(target)(self._target(part) for part in target)
        if isinstance(target, Variable):
            return self._declare(target)
        if isinstance(target, torch.Tensor):
            try:
                return self._by_id[id(target)]
            except KeyError:
                shape = tuple(target.shape)
                raise ValueError(f"a tensor of shape {shape} in the map is no variable") from None
        return target


def _named(variables: Variables) -> dict[str, Any]:
    """Values with a dtype and a shape by name."""
    if isinstance(variables, torch.nn.Module):
        # What else a module keeps in its state is no variable.
        state = variables.state_dict(keep_vars=True).items()
        return {name: value for name, value in state if isinstance(value, torch.Tensor)}
    items = variables.items() if isinstance(variables, Mapping) else variables
    try:
        named = dict((item.name, item) if isinstance(item, Variable) else item for item in items)
    except (TypeError, ValueError):
        named = None
    # A tensor of two rows is taken for a pair, too.
    if named is None or not all(isinstance(name, str) for name in named):
        raise TypeError(
            "variables: expected a module, its state_dict() or named_parameters(), or a mapping from "
            f"names to tensors or (dtype, shape), got {brief(variables)}"
        )
    return named


def _resolve(
    path: Path,
    assignment_map: AssignmentMap,
    declared: _Declared,
    client: Client | None,
    options: ResolveOptions,
) -> tuple[dict[str, torch.Tensor], Report]:
    _want_writable(options)
    if "gather" in options:
        gather = options["gather"]
        options["gather"] = {declared.translate(name): axes for name, axes in gather.items()}
    pairs = declared.translated(assignment_map)
    try:
        resolved, arrays = _frameworks.resolve(
            path, pairs, declared.variables, _refusal, client, options
        )
    except WarmstartError as error:
        raise declared.explained(error) from None
    tensors: dict[str, torch.Tensor] = {}
    for name, (array, dtype) in arrays.items():
        tensor, axes = _tensor(array, dtype), declared.axes(name)
        tensors[declared.names[name]] = tensor if axes is None else tensor.permute(*axes)
    return tensors, declared.report(resolved.report)


def _want_writable(options: ResolveOptions) -> None:
    if not options.setdefault("writable", True):
        raise ValueError("torch has no read-only tensors, so writable=False is not for it")


def _type_of(dtype: str) -> Any:
    """torch's type for a dtype, None if it has none."""
    return getattr(torch, _dtypes.plain(dtype), None)


def _refusal(dtype: str) -> str | None:
    if dtype in ("string", "variant", "resource"):
        return "torch has no such tensors"
    return f"torch {torch.__version__} has no such elements" if _type_of(dtype) is None else None


def _tensor(array: npt.NDArray[Any], dtype: str) -> torch.Tensor:
    """A tensor in the memory of an array."""
    plain = array.view(np.ndarray)
    if plain.__array_interface__["data"][0] % plain.itemsize:
        raise contradiction("a handle that is not aligned to its elements")
    # torch takes only what numpy has by itself.
    if plain.dtype.isbuiltin != 1:
        plain = plain.view(_CARRIERS.get(dtype, np.uint8))
    return torch.from_numpy(plain).view(_type_of(dtype))


def _like(variable: torch.Tensor, tensor: torch.Tensor) -> torch.Tensor:
    """A parameter if the variable is one, in the memory of the tensor."""
    if isinstance(variable, torch.nn.Parameter):
        return torch.nn.Parameter(tensor, requires_grad=variable.requires_grad)
    return tensor
