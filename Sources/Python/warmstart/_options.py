"""The options of a call that resolves a map."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Callable, TypedDict, Union

from ._errors import did_you_mean

# Whether to show a progress bar, or a function of the bytes that are ready and all bytes.
Progress = Union[bool, Callable[[int, int], None]]


class ResolveOptions(TypedDict, total=False):
    """The options of `resolve`.

    - `writable`: the arrays are writable; pages that the process writes become its own copies,
      which no other array shows. Otherwise the arrays are read-only.
    - `alignment`: every array's address is a multiple of this power of two, at most 4096; 0 stands
      for the element's size. Bytes with another alignment in the file are copied once, for all
      jobs. TensorFlow and JAX want 64.
    - `sealed`: only memory that can never change, even if someone changes the files; the checkpoint
      is copied once, for all jobs.
    - `lenient`: what TensorFlow accepts silently is reported instead of refused: a pair that
      matches no variable, a map that assigns nothing.
    - `skip_missing`, `skip_mismatched`: variables whose tensor is missing, or has another shape,
      are reported instead of refused.
    - `require_all`: a variable that no pair matches is refused instead of reported.
    - `object_names`: the map names tensors of a TF2 checkpoint by the names of its variables, those
      of a Keras file by the names of its layers.
    - `strides`: arrays need not be contiguous, which saves copies of partitions along inner axes.
    - `verify`: the daemon reads the needed bytes again and compares them with their checksums, even
      if it has done so before.
    - `progress`: True for a progress bar while the daemon reads the checkpoint (by the package
      tqdm, if it is installed), or a function, which is called with the bytes that are ready and
      all bytes. The function runs during the call, so it cannot call the same client.
    - `expect`: `"sha256:"` and the digest of the checkpoint's files, as
      `cat model.index model.data-* | sha256sum` prints it, or `sha256sum` of the only file. The
      daemon computes it once, and refuses other files (CHECKSUM_MISMATCH).
    - `timeout`: seconds for the whole call; None waits as long as the call takes.
    - `gather`: the rows or columns of the tensor for some variables, by name: a mapping from axes
      to lists of indices. The index -1 stands for a row or column that the tensor lacks, and gives
      zeros.
    - `cast`: numbers of another floating-point type than their variable's are cast to it, rounded
      to nearest, once for all jobs: between float16, bfloat16, float32 and float64.
    - `transpose`: the variables that have their tensor's axes in another order, by name: for each
      the axes that `numpy.transpose` needs to turn the tensor into the variable, such as (1, 0).
      The name of a partitioned variable stands for all of its parts. With `strides`, nothing is
      copied for it.
    - `scope_separator`: the character that ends a scope's name in the map, beside `/`; None for the
      one of the checkpoint's format, such as `.` of safetensors
      (`{"model.layers.": "student."}`).
    """

    writable: bool
    alignment: int
    sealed: bool
    lenient: bool
    skip_missing: bool
    skip_mismatched: bool
    require_all: bool
    object_names: bool
    strides: bool
    verify: bool
    progress: Progress
    expect: str | None
    timeout: float | None
    gather: Mapping[str, Mapping[int, Any]]
    cast: bool
    transpose: Mapping[str, Sequence[int]]
    scope_separator: str | None


def options_of(given: ResolveOptions) -> Options:
    """Returns the caller's options and the defaults; raises TypeError for an unknown option."""
    for name in given:
        if name not in ResolveOptions.__annotations__:
            near = did_you_mean(name, ResolveOptions.__annotations__)
            raise TypeError(f"no option {name!r}{near}")
    return Options(**given)


def checked_alignment(alignment: int) -> int:
    """Returns an alignment; raises ValueError if no array could have it."""
    if alignment not in (0, *(1 << bit for bit in range(13))):
        raise ValueError(f"alignment: expected a power of two up to 4096, or 0, got {alignment!r}")
    return int(alignment)


def checked_separator(separator: str | None) -> str:
    """Returns a separator, empty for none; raises ValueError unless it is one ASCII character."""
    if separator is None:
        return ""
    if not isinstance(separator, str) or len(separator) != 1 or not "\0" < separator <= "\x7f":
        raise ValueError(
            f"scope_separator: expected one ASCII character other than NUL, got {separator!r}"
        )
    return separator


_EXPECTED = re.compile("sha256:([0-9A-Fa-f]{64})")


def expected_digest(expect: str | None) -> bytes:
    """Returns the bytes of an expected digest, or none; raises ValueError for another text."""
    if expect is None:
        return b""
    match = _EXPECTED.fullmatch(expect) if isinstance(expect, str) else None
    if match is None:
        raise ValueError(f"expect: expected 'sha256:' and 64 hexadecimal digits, got {expect!r}")
    return bytes.fromhex(match[1])


@dataclass(frozen=True)
class Options:
    """The options with their defaults."""

    writable: bool = False
    alignment: int = 0
    sealed: bool = False
    lenient: bool = False
    skip_missing: bool = False
    skip_mismatched: bool = False
    require_all: bool = False
    object_names: bool = False
    strides: bool = False
    verify: bool = False
    progress: Progress = False
    expect: str | None = None
    timeout: float | None = None
    gather: Mapping[str, Mapping[int, Any]] = field(default_factory=dict)
    cast: bool = False
    transpose: Mapping[str, Sequence[int]] = field(default_factory=dict)
    scope_separator: str | None = None
