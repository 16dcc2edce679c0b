"""What the modules for frameworks share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Union

import numpy.typing as npt

from . import _dtypes
from ._checkpoint import Checkpoint
from ._client import Client, Path
from ._deadline import Deadline
from ._default_client import default_client
from ._errors import Problem, WarmstartError
from ._locate import locate
from ._map import AssignmentMap
from ._options import ResolveOptions
from ._resolved import Resolved
from ._variables import Variable

# The tensors to load: their names, or a mapping from their names to keys.
Names = Union[Iterable[str], Mapping[str, str]]
Rename = Callable[[str], Union[str, None]]
# Returns why a framework has no elements of a dtype, or None if it has them.
Refusal = Callable[[str], Union[str, None]]

# No framework computes with these, yet every TF2 checkpoint contains some.
_NEVER_LOADED = ("string", *_dtypes.WITHOUT_ARRAYS)

# The most missing tensors for which the nearest name is searched, which takes up to 100 ms each.
_HINTED = 5


def load(
    source: Path | Checkpoint,
    names: Names | None,
    rename: Rename | None,
    refusal: Refusal,
    client: Client | None,
    options: ResolveOptions,
) -> dict[str, tuple[npt.NDArray[Any], str]]:
    """Returns arrays and their dtypes by key; the lease lasts as long as their memory is mapped.

    Raises UNSUPPORTED with a problem for each tensor that the framework cannot hold.
    """
    if isinstance(names, str):
        raise TypeError(f"names: expected several names, got the string {names!r}")
    deadline = Deadline(options.get("timeout"))
    checkpoint = (
        source
        if isinstance(source, Checkpoint)
        else (client or default_client()).open(source, timeout=deadline.remaining())
    )
    tensors = checkpoint.known_tensors(deadline)
    if names is None:
        keys = {name: name for name in tensors if tensors[name].dtype not in _NEVER_LOADED}
    elif isinstance(names, Mapping):
        keys = dict(names)
    else:
        keys = {name: name for name in names}
    if rename is not None:
        renamed = {name: rename(key) for name, key in keys.items()}
        keys = {name: key for name, key in renamed.items() if key is not None}
    _check_unique(keys)
    dtypes = {name: tensors[name].dtype for name in keys if name in tensors}
    refuse(dtypes, refusal)
    variables = [Variable(name, dtypes[name], tensors[name].shape) for name in dtypes]
    missing = [name for name in keys if name not in tensors]
    if missing:
        problems = [
            Problem("TENSOR_NOT_FOUND", checkpoint.lacks(name, position < _HINTED), tensor=name)
            for position, name in enumerate(missing)
        ]
        raise WarmstartError("NOT_FOUND", "TENSOR_NOT_FOUND", problems[0].message, problems)
    options.setdefault("lenient", True)
    options["timeout"] = deadline.remaining()
    pairs = [(variable.name, variable) for variable in variables]
    resolved = checkpoint.resolve(pairs, variables, **options)
    resolved.keep_lease()
    return {keys[name]: (array, dtypes[name]) for name, array in resolved.arrays().items()}


def unopened(path: Path, client: Client | None) -> Checkpoint:
    """Returns a checkpoint that the first call opens."""
    return Checkpoint(client or default_client(), locate(path))


def resolve(
    checkpoint: Checkpoint,
    assignment_map: AssignmentMap,
    variables: list[Variable],
    refusal: Refusal,
    options: ResolveOptions,
) -> tuple[Resolved, dict[str, tuple[npt.NDArray[Any], str]]]:
    """Returns arrays and their dtypes by variable; the lease lasts as long as the mappings.

    Raises UNSUPPORTED with a problem for each assigned variable that the framework cannot hold.
    """
    resolved = checkpoint.resolve(assignment_map, variables, **options)
    dtypes = {variable.name: variable.dtype for variable in variables if variable.name in resolved}
    refuse(dtypes, refusal)
    resolved.keep_lease()
    return resolved, {name: (array, dtypes[name]) for name, array in resolved.arrays().items()}


def refuse(dtypes: Mapping[str, str], refusal: Refusal) -> None:
    """Raises UNSUPPORTED with a problem for each name whose dtype the framework cannot hold."""
    reasons = {dtype: refusal(dtype) for dtype in set(dtypes.values())}
    problems = [
        Problem("UNSUPPORTED", f"{name} has dtype {dtype}: {reasons[dtype]}", variable=name)
        for name, dtype in dtypes.items()
        if reasons[dtype] is not None
    ]
    if problems:
        raise WarmstartError("UNIMPLEMENTED", "UNSUPPORTED", problems[0].message, problems)


def _check_unique(keys: Mapping[str, str]) -> None:
    tensors: dict[str, str] = {}
    for name, key in keys.items():
        if key in tensors:
            raise ValueError(f"key {key!r} stands for two tensors: {tensors[key]} and {name}")
        tensors[key] = name
