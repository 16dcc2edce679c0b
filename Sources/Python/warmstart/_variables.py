"""The variables that a trainer declares."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Union

from . import _dtypes
from ._errors import brief


class Slice(NamedTuple):
    """Where a partition lies in its variable.

    `full_shape` is the shape of the whole variable; `offset` is where the partition begins on each
    axis, in elements.
    """

    full_name: str
    full_shape: tuple[int, ...]
    offset: tuple[int, ...]


@dataclass(frozen=True)
class Variable:
    """A variable of a trainer, to which a map can assign a tensor.

    `dtype` is TensorFlow's name of the element type ("float32"), or any object that has this as its
    `name`, such as the dtypes of numpy and TensorFlow. A `shape` of None is unknown, and so is a
    length of None. `store` says whether names and scopes of a map find the variable, as they find
    the variables that TensorFlow's `get_variable` made; a variable object in the map always finds
    it. A variable with a `slice` is one partition of a larger one, usually named `NAME/part_N`.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...] | None
    store: bool = True
    slice: Slice | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise TypeError(f"a variable's name: expected a string, got {self.name!r}")
        try:
            object.__setattr__(self, "dtype", _dtypes.name_of(self.dtype))
        except ValueError as error:
            raise ValueError(f"variable {self.name}: {error}") from None
        object.__setattr__(self, "shape", _shape(self.name, self.shape))
        if self.slice is not None:
            name, full_shape, offset = self.slice
            full_shape = tuple(map(operator.index, full_shape))
            offset = tuple(map(operator.index, offset))
            object.__setattr__(self, "slice", Slice(name, full_shape, offset))


def _shape(name: str, shape: Any) -> tuple[int | None, ...] | None:
    # The full check takes longer, and a trainer has thousands of variables.
    if type(shape) is tuple and all(type(n) is int and 0 <= n < 1 << 63 for n in shape):
        return shape
    if hasattr(shape, "as_list"):
        # TensorFlow's shape cannot be listed if its rank is unknown.
        shape = None if shape.rank is None else shape.as_list()
    if shape is None:
        return None
    try:
        lengths = tuple([None if n is None else operator.index(n) for n in shape])
    except TypeError:
        raise TypeError(
            f"variable {name}: expected a shape, lengths of axes or None, got {brief(shape)}"
        ) from None
    for length in lengths:
        if length is not None and not 0 <= length < 1 << 63:
            raise ValueError(
                f"variable {name}: expected lengths from 0, or None for one that is unknown, "
                f"got {brief(shape)}"
            )
    return lengths


VariablesLike = Union[Iterable[Variable], Mapping[str, Any]]


def variables_of(declared: VariablesLike) -> list[Variable]:
    """Returns the variables of a list, or of a mapping from their names.

    The values of a mapping are `(dtype, shape)`, or anything with a dtype and a shape, such as an
    array.
    """
    # The first check whether an object is a `Mapping` takes long.
    if isinstance(declared, (list, tuple)) or not isinstance(declared, Mapping):
        try:
            variables = list(declared)
        except TypeError:
            raise _not_variables(declared) from None
        if set(map(type, variables)) <= {Variable}:
            return variables
        for variable in variables:
            if not isinstance(variable, Variable):
                raise _not_variables(declared if isinstance(declared, str) else variable)
        return variables
    variables = []
    for name, value in declared.items():
        if isinstance(value, Variable):
            variables.append(value)
        elif (
            isinstance(value, tuple) and len(value) == 2 and not isinstance(value[0], (list, tuple))
        ):
            variables.append(Variable(name, value[0], value[1]))
        elif hasattr(value, "dtype") and hasattr(value, "shape"):
            variables.append(Variable(name, value.dtype, value.shape))
        else:
            hint = "; the assignment map comes before the variables"
            raise TypeError(
                f"variable {name!r}: expected a tuple (dtype, shape) or an array, "
                f"got {brief(value)}{hint if isinstance(value, str) else ''}"
            )
    return variables


def _not_variables(given: Any) -> TypeError:
    return TypeError(
        "variables: expected a list of warmstart.Variable, or a mapping from names to "
        f"(dtype, shape) or arrays, got {brief(given)}"
    )
