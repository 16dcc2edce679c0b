"""Assignment maps, as TensorFlow's `init_from_checkpoint` takes them and as the wire has them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Union

from ._errors import WarmstartError, brief
from ._neighbours import nearest_hint
from ._protocol import column, write_names
from ._variables import Variable

# A target is the name of a variable or scope, a variable, a list of the partitions of one variable
# or of their names, or a tuple of variables that all get the tensor.
Target = Union[str, Variable, Sequence[Any]]
AssignmentMap = Union[
    Mapping[str, Target],
    Mapping["re.Pattern[str]", str],
    Mapping[Any, Any],
    Iterable[tuple[Any, Any]],
]

_NAME, _VARIABLE, _VARIABLES = 0, 1, 2


class Pair(NamedTuple):
    """A key, the kind of its target on the wire, and the target's names."""

    key: str
    kind: int
    names: tuple[str, ...]


def pairs_of(assignment_map: AssignmentMap) -> list[tuple[Any, Any]]:
    """Returns the pairs of a map or of a list of pairs; raises TypeError for anything else."""
    if isinstance(assignment_map, (dict, Mapping)):
        return list(assignment_map.items())
    pairs = []
    if isinstance(assignment_map, str) or not isinstance(assignment_map, Iterable):
        raise TypeError(
            f"assignment map: expected a mapping or a list of pairs, got {brief(assignment_map)}"
        )
    for item in assignment_map:
        if isinstance(item, str) or not isinstance(item, Sequence) or len(item) != 2:
            raise TypeError(
                f"assignment map: expected pairs of a key and a target, got {brief(item)}"
            )
        pairs.append((item[0], item[1]))
    return pairs


def needs_names(pairs: Iterable[tuple[Any, Any]]) -> bool:
    """Returns whether a map has regular expressions, which need the checkpoint's names."""
    return any(isinstance(key, re.Pattern) for key, _ in pairs)


def expand(
    pairs: Sequence[tuple[Any, Any]],
    tensors: Sequence[str],
    variables: Sequence[Variable],
    lenient: bool,
) -> list[Pair]:
    """Returns the pairs as the wire has them.

    A regular expression must match the whole name of a tensor. Its target is a template as for
    `re.sub`; a name that no variable has is passed over. Raises PAIR_UNUSED if an expression gives
    no pair.
    """
    declared: set[str] = set()
    if needs_names(pairs):
        declared = {variable.name for variable in variables}
        declared |= {variable.slice.full_name for variable in variables if variable.slice}
    result: list[Pair] = []
    for key, target in pairs:
        if isinstance(key, re.Pattern):
            if not isinstance(key.pattern, str) or not isinstance(target, str):
                raise TypeError(
                    f"pattern {key.pattern!r}: expected a pattern and a template of type str, "
                    f"got template {brief(target)}"
                )
            found = _matches(key, target, tensors)
            used = [Pair(tensor, _NAME, (name,)) for tensor, name in found if name in declared]
            if not used and not lenient:
                raise WarmstartError.of("PAIR_UNUSED", _unused(key, target, found, declared))
            result += used
            continue
        if not isinstance(key, str):
            raise TypeError(f"assignment map: expected a name as key, got {brief(key)}")
        for part in target if isinstance(target, tuple) else (target,):
            result.append(_pair(key, part))
    return result


def _matches(
    pattern: re.Pattern[str], template: str, tensors: Iterable[str]
) -> list[tuple[str, str]]:
    """Returns the tensors whose whole names match, each with the name that the template gives."""
    matches = [match for match in map(pattern.fullmatch, tensors) if match]
    try:
        return [(match[0], match.expand(template)) for match in matches]
    except (re.error, IndexError) as error:
        raise ValueError(f"pattern {pattern.pattern!r}: template {template!r}: {error}") from None


def _unused(
    pattern: re.Pattern[str],
    template: str,
    found: Sequence[tuple[str, str]],
    declared: Collection[str],
) -> str:
    if not found:
        return f"pattern {pattern.pattern!r} matches the whole name of no tensor"
    tensor, name = found[0]
    return (
        f"pattern {pattern.pattern!r}: template {template!r} gives the name of no variable: "
        f"tensor {tensor} becomes {name}{nearest_hint(name, declared)}"
    )


def _pair(key: str, target: Any) -> Pair:
    if isinstance(target, str):
        return Pair(key, _NAME, (target,))
    if isinstance(target, Variable):
        return Pair(key, _VARIABLE, (target.name,))
    if isinstance(target, list) and all(isinstance(part, (str, Variable)) for part in target):
        names = [part.name if isinstance(part, Variable) else part for part in target]
        return Pair(key, _VARIABLES, tuple(names))
    raise TypeError(
        f"key {key!r}: expected the name of a variable or scope, a warmstart.Variable, a list of "
        f"the partitions of one variable or of their names, or a tuple of these, "
        f"got {brief(target)}"
    )


def write_map(target: Any, pairs: Sequence[Pair]) -> None:
    """Fills a message `AssignmentMap`."""
    write_names(target.keys, [pair.key for pair in pairs])
    target.targets = column([pair.kind for pair in pairs], "<u4")
    target.name_counts = column([len(pair.names) for pair in pairs], "<u4")
    write_names(target.names, [name for pair in pairs for name in pair.names])
