"""The variables of a trainer that uses torch, by the names that the map and the user know."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Union

import torch

from ._answer import Report
from ._errors import Problem, WarmstartError, brief
from ._map import AssignmentMap, pairs_of
from ._neighbours import nearest_hint
from ._variables import Variable, variables_of

# A module; its `state_dict()`, or another mapping from names to tensors or `(dtype, shape)`; its
# `named_parameters()`; or objects of `warmstart.Variable`.
Variables = Union[
    "torch.nn.Module", Mapping[str, Any], Iterable[tuple[str, Any]], Iterable[Variable]
]
Permute = Mapping[str, Sequence[int]]

# From TensorFlow's layouts of kernels to torch's: for `Linear`, `Conv1d` and `Conv2d`.
_LAYOUTS = ((1, 0), (2, 1, 0), (3, 2, 0, 1))
# The formats whose layouts are TensorFlow's.
_TENSORFLOW = ("v1", "v2", "hdf5")
# The hint at the option `transpose`.
_FITS = re.compile(r"; with transpose=\{.*: (\([0-9, ]+\))\} it fits")
# What follows the name of a tensor in an error about a variable.
_OF_TENSORS = r" as its key| is in the checkpoint"


class Declared:
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
    """Returns values with a dtype and a shape, by name."""
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
