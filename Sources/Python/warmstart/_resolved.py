"""The result of an assignment map, by the variables' names."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from ._answer import Report
from ._handles import Handles
from ._neighbours import NameNotFound

if TYPE_CHECKING:
    from ._checkpoint import Checkpoint


class Resolved(Mapping[str, npt.NDArray[Any]]):
    """The arrays of the variables that a map assigned, by the variables' names.

    An array is made when the caller first asks for it, in memory that is mapped already, and stays
    valid for as long as it lives, whatever is closed. Arrays are read-only or, with `writable`,
    private copies of the pages that the process writes. An array of strings has dtype object and
    holds `bytes`.
    """

    def __init__(
        self,
        handles: Handles,
        report: Callable[[], Report],
        checkpoint: Checkpoint,
        seconds: float,
    ) -> None:
        self._handles = handles
        self._made: dict[str, npt.NDArray[Any]] = {}
        self._index = dict(zip(handles.names, range(len(handles.names))))
        self._report = report
        self.checkpoint = checkpoint
        """The open checkpoint, for further calls; `close` or its own end gives its lease back."""
        self.seconds = seconds
        """The seconds from the start of the call until everything was mapped."""

    @functools.cached_property
    def report(self) -> Report:
        """What the map assigned, skipped, did not cover and did not use."""
        return self._report()

    @property
    def byte_count(self) -> int:
        """The bytes of all arrays."""
        return sum(self._handles.byte_counts)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """All arrays by their variables' names, in the order of the variables."""
        made = self._made
        missing = {name: at for name, at in self._index.items() if name not in made}
        made.update(zip(missing, self._handles.arrays(missing.values())))
        return {name: made[name] for name in self._index}

    def parts(self, name: str) -> list[npt.NDArray[Any]]:
        """Returns the partitions of a variable, in the order of their numbers; KeyError if none
        exist.
        """
        parts: list[npt.NDArray[Any]] = []
        while f"{name}/part_{len(parts)}" in self._index:
            parts.append(self[f"{name}/part_{len(parts)}"])
        if not parts:
            raise NameNotFound("partitions of variable", name, self._partitioned)
        return parts

    def tensor(self, variable: str) -> str:
        """Returns the name of the tensor that a variable got its value from."""
        return self._handles.tensor(self._position(variable))

    def check(self, *names: str) -> None:
        """Raises CHECKPOINT_CHANGED if a file that the arrays lie in has changed since it was
        opened.

        `names` selects some of the variables. Call this after the values were used, for example
        after they were copied to a device: then they were what the daemon had verified. Arrays in
        sealed memory cannot change, and pass at once; so does a file that was replaced, because
        the arrays show the old one. Raises ValueError if the checkpoint is closed.
        """
        chosen = [self._position(name) for name in names] if names else self._index.values()
        self.checkpoint.check_files(self._handles.files(chosen))

    def keep_lease(self) -> None:
        """Keeps the lease until the arrays' memory is unmapped, even if this object ends before.

        Without a lease the daemon may drop the checkpoint, and make another copy for later jobs. A
        client keeps at most half of the 64 leases that a connection may have.
        """
        if self.checkpoint.is_kept():
            self._handles.keep(self.checkpoint)

    def close(self) -> None:
        """Gives back the lease on the checkpoint; the arrays stay valid."""
        self.checkpoint.close()

    def __enter__(self) -> Resolved:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        array = self._made.get(name)
        if array is None:
            array = self._made[name] = self._handles.arrays([self._position(name)])[0]
        return array

    def _position(self, name: str) -> int:
        try:
            return self._index[name]
        except KeyError:
            raise NameNotFound("array for variable", name, lambda: self._index) from None

    def _partitioned(self) -> list[str]:
        first = "/part_0"
        return [name[: -len(first)] for name in self._index if name.endswith(first)]

    def __iter__(self) -> Iterator[str]:
        return iter(self._index)

    def __len__(self) -> int:
        return len(self._index)

    def __contains__(self, name: object) -> bool:
        return name in self._index

    def __repr__(self) -> str:
        return f"<Resolved: {len(self)} variables of {self.checkpoint.path}>"
