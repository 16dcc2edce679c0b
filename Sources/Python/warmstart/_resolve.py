"""Resolves an assignment map to arrays."""

from __future__ import annotations

import functools
import itertools
import operator
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from . import _dtypes
from ._answer import Answer, Report, report_of
from ._array import Origin
from ._connection import log
from ._deadline import Deadline
from ._errors import brief
from ._handles import Handles
from ._map import AssignmentMap, Pair, expand, needs_names, pairs_of, write_map
from ._neighbours import nearest_hint
from ._options import Options, checked_alignment, checked_separator, expected_digest
from ._progress import showing
from ._protocol import column, message, write_names
from ._resolved import Resolved
from ._variables import Variable, VariablesLike, variables_of

if TYPE_CHECKING:
    from ._checkpoint import Checkpoint


def resolve(
    checkpoint: Checkpoint,
    assignment_map: AssignmentMap,
    declared: VariablesLike,
    options: Options,
) -> Resolved:
    """Does the work of `Checkpoint.resolve`."""
    start = time.monotonic()
    checkpoint.greet()
    variables = variables_of(declared)
    with checkpoint.using() as files:
        with showing(options.progress, checkpoint.path) as progress:
            pairs, answer = _ask(
                checkpoint, files, assignment_map, variables, options, progress=progress
            )
        try:
            origin = Origin(
                checkpoint.socket,
                checkpoint.full_path,
                checkpoint.generation,
                options.alignment,
                options.sealed,
                options.cast,
            )
            rearranged = {*(options.gather or ()), *(options.transpose or ())}
            handles = Handles(answer, variables, origin, options.writable, rearranged)
        finally:
            answer.close()
    report = functools.partial(report_of, answer, pairs, variables)
    resolved = Resolved(handles, report, checkpoint, time.monotonic() - start)
    log.info(
        "%s: %d of %d variables (%d bytes) in %.1f ms; %d skipped, %d not covered, "
        "%d tensors unused",
        checkpoint.path,
        len(resolved),
        len(variables),
        resolved.byte_count,
        1000 * resolved.seconds,
        len(answer.skipped),
        len(answer.uncovered),
        answer.unused_tensor_count,
    )
    return resolved


def check(
    checkpoint: Checkpoint,
    assignment_map: AssignmentMap,
    declared: VariablesLike,
    options: Options,
) -> Report:
    """Does the work of `Checkpoint.check`."""
    variables = variables_of(declared)
    with checkpoint.using() as files:
        pairs, answer = _ask(checkpoint, files, assignment_map, variables, options, plan=True)
        answer.close()
    return report_of(answer, pairs, variables)


def _ask(
    checkpoint: Checkpoint,
    files: Sequence[int],
    assignment_map: AssignmentMap,
    variables: Sequence[Variable],
    options: Options,
    *,
    progress: Callable[[int, int], None] | None = None,
    plan: bool = False,
) -> tuple[Sequence[Pair], Answer]:
    """Makes the call; returns the pairs and the answer, which owns descriptors until it is closed."""
    deadline = Deadline(options.timeout)
    given = pairs_of(assignment_map)
    tensors: Sequence[str] = ()
    if needs_names(given):
        if options.object_names:
            raise ValueError(
                "object_names: not available for a map with regular expressions, which match keys"
            )
        tensors = list(checkpoint.known_tensors(deadline))
    pairs = expand(given, tensors, variables, options.lenient)
    request = request_of(pairs, variables, options)
    features = [name for name in _FEATURES if getattr(options, _FEATURES[name])]
    if plan:
        request.plan_only = True
        features.append("plan_only")
    if progress is not None:
        request.progress = True
        features.append("progress")
    if options.gather:
        _write_gather(request.gathers, options.gather, variables)
        features.append("gather")
    if options.transpose:
        _write_transposes(request.transposes, options.transpose, variables)
        features.append("transpose")
    answer = Answer(variables, len(pairs), files, plan)
    total = 0

    def add(reply: Any, received: Sequence[int]) -> None:
        nonlocal total
        if progress is not None and reply.HasField("progress"):
            total = reply.progress.total_bytes
            progress(reply.progress.ready_bytes, total)
            return
        answer.add(reply, received)

    try:
        checkpoint.call(
            "Resolve",
            request,
            features,
            deadline,
            answer.clear,
            add,
            digest=expected_digest(options.expect),
        )
    except BaseException:
        answer.close()
        raise
    if progress is not None and total:
        progress(total, total)
    return pairs, answer


# The features that the daemon must have, or refuse the call, and the options that need them.
_FEATURES = {
    "sealed": "sealed",
    "strides": "strides",
    "object_names": "object_names",
    "read_again": "verify",
    "require_all": "require_all",
    "separator": "scope_separator",
    "cast": "cast",
}


def request_of(pairs: Sequence[Pair], variables: Sequence[Variable], options: Options) -> Any:
    """Returns a message `ResolveRequest` without its checkpoint."""
    request = message("ResolveRequest")(
        alignment=checked_alignment(options.alignment),
        sealed=options.sealed,
        strides=options.strides,
        lenient=options.lenient,
        skip_missing=options.skip_missing,
        skip_mismatched=options.skip_mismatched,
        require_all=options.require_all,
        object_names=options.object_names,
        read_again=options.verify,
        name_unused_tensors=True,
        separator=checked_separator(options.scope_separator),
        cast=options.cast,
    )
    write_map(request.map, pairs)
    _write_variables(request.variables, variables)
    return request


def _write_variables(target: Any, variables: Sequence[Variable]) -> None:
    write_names(target.names, [variable.name for variable in variables])
    target.dtypes = column([_dtypes.NUMBERS[variable.dtype] for variable in variables], "<u4")
    shapes = [variable.shape for variable in variables]
    target.ranks = column([-1 if shape is None else len(shape) for shape in shapes], "<i4")
    lengths = itertools.chain.from_iterable(filter(None, shapes))
    target.lengths = column([-1 if length is None else length for length in lengths], "<i8")
    outside = [at for at, variable in enumerate(variables) if not variable.store]
    target.outside_store = column(outside, "<u4")
    cuts = [(at, variable.slice) for at, variable in enumerate(variables) if variable.slice]
    if not cuts:
        return
    partitions = target.partitions
    partitions.variables = column([at for at, _ in cuts], "<u4")
    write_names(partitions.full_names, [cut.full_name for _, cut in cuts])
    partitions.ranks = column([len(cut.full_shape) for _, cut in cuts], "<i4")
    partitions.full_lengths = column([n for _, cut in cuts for n in cut.full_shape], "<i8")
    partitions.offsets = column([n for _, cut in cuts for n in cut.offset], "<i8")
    for _, cut in cuts:
        if len(cut.offset) != len(cut.full_shape):
            raise ValueError(
                f"slice of {cut.full_name}: offset {cut.offset} and shape {cut.full_shape} "
                "have different numbers of axes"
            )


def _write_gather(target: Any, gather: Any, variables: Sequence[Variable]) -> None:
    positions = {variable.name: at for at, variable in enumerate(variables)}
    if not isinstance(gather, Mapping) or not all(isinstance(v, Mapping) for v in gather.values()):
        raise TypeError(
            "gather: expected a mapping from variables' names to mappings from axes to indices"
        )
    rows: list[tuple[int, int, Any]] = []
    for name, axes in gather.items():
        if name not in positions:
            near = nearest_hint(name, positions)
            raise ValueError(f"gather: there is no variable {name}{near}")
        for axis, indices in axes.items():
            rows.append((positions[name], _axis(name, axis), _indices(name, axis, indices)))
    rows.sort(key=lambda row: row[:2])
    target.variables = column([row[0] for row in rows], "<u4")
    target.axes = column([row[1] for row in rows], "<u4")
    target.counts = column([len(row[2]) for row in rows], "<u4")
    target.indices = b"".join(row[2].tobytes() for row in rows)


def _write_transposes(target: Any, transpose: Any, variables: Sequence[Variable]) -> None:
    positions: dict[str, list[int]] = {}
    for at, variable in enumerate(variables):
        positions.setdefault(variable.name, []).append(at)
        # The name of a partitioned variable stands for all of its parts.
        if variable.slice is not None and variable.slice.full_name != variable.name:
            positions.setdefault(variable.slice.full_name, []).append(at)
    if not isinstance(transpose, Mapping):
        raise TypeError("transpose: expected a mapping from variables' names to axes")
    rows: dict[int, list[int]] = {}
    for name, axes in transpose.items():
        if name not in positions:
            near = nearest_hint(name, positions)
            raise ValueError(f"transpose: there is no variable {name}{near}")
        try:
            order = [operator.index(axis) for axis in axes]
        except TypeError:
            order = []
        for at in positions[name]:
            shape = variables[at].shape
            if sorted(order) != list(range(len(order) if shape is None else len(shape))):
                raise ValueError(f"transpose: expected each axis of {name} once, got {brief(axes)}")
            # A part's own name counts more than that of the whole.
            if name == variables[at].name or at not in rows:
                rows[at] = order
    target.variables = column(sorted(rows), "<u4")
    target.ranks = column([len(rows[at]) for at in sorted(rows)], "<u4")
    target.axes = column([axis for at in sorted(rows) for axis in rows[at]], "<u4")


def _axis(name: str, axis: Any) -> int:
    # Any number that the wire can carry; the daemon knows which axes exist.
    if not isinstance(axis, (int, np.integer)) or not 0 <= axis < 1 << 31:
        raise ValueError(f"gather: expected axes of {name} as numbers from 0, got {axis!r}")
    return int(axis)


def _indices(name: str, axis: Any, indices: Any) -> npt.NDArray[np.int64]:
    found = np.asarray(indices)
    if found.ndim == 1 and not found.size:
        return found.astype("<i8")
    # A mask is no list of indices, and fractions would be rounded.
    if found.ndim != 1 or found.dtype.kind not in "iu" or found.max() >= 1 << 63:
        raise ValueError(
            f"gather: expected a list of whole numbers for axis {axis} of {name}, "
            f"got elements of {found.dtype} in {found.ndim} dimensions"
        )
    return found.astype("<i8", copy=False)
