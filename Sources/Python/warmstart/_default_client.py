"""This process's client, and the functions that use it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._answer import Report
from ._array import Origin
from ._checkpoint import Checkpoint
from ._client import Client, Path
from ._connecting import standard_socket
from ._errors import WarmstartError
from ._map import AssignmentMap
from ._options import ResolveOptions
from ._resolved import Resolved
from ._variables import VariablesLike

if TYPE_CHECKING:
    from typing_extensions import Unpack

_default: dict[str, Client] = {}


def default_client() -> Client:
    """Returns this process's client, which finds the daemon as `Client()` does."""
    return _client_of(standard_socket())


def _client_of(socket: str) -> Client:
    client = _default.get(socket)
    return client or _default.setdefault(socket, Client(socket))


def open_origin(origin: Origin) -> Checkpoint:
    """Opens the checkpoint that another process's array comes from; raises CHECKPOINT_CHANGED."""
    checkpoint = _client_of(origin.socket).open(origin.path)
    if checkpoint.generation != origin.generation:
        raise WarmstartError.of(
            "CHECKPOINT_CHANGED",
            f"the files of {origin.path} are not those that the array was made from: they have "
            "changed, or it was made on another machine, which must send a copy (np.array)",
        )
    return checkpoint


def open(path: Path, *, expect: str | None = None, timeout: float | None = None) -> Checkpoint:
    """Opens a checkpoint with this process's client; see `Client.open`."""
    return default_client().open(path, expect=expect, timeout=timeout)


def resolve(
    path: Path,
    assignment_map: AssignmentMap,
    variables: VariablesLike,
    **options: Unpack[ResolveOptions],
) -> Resolved:
    """Resolves an assignment map with this process's client, and returns arrays.

    `path` is a directory, a prefix, a file or a pattern of TensorFlow, safetensors, PyTorch, Keras
    or NumPy, or `name:NAME`: `Client.open` lists all. `assignment_map` is what TensorFlow's
    `init_from_checkpoint` takes, and `variables` are all variables of the trainer, such as
    `{"w": ("float32", [8, 4])}`. `Checkpoint.resolve` describes both and the errors, and
    `ResolveOptions` the options.

    Returns a mapping from the names of the assigned variables to numpy arrays in memory that all
    jobs share. The arrays outlive everything else, and are read-only without `writable=True`. The
    result's `report` says what the map left undone.
    """
    return default_client().resolve(path, assignment_map, variables, **options)


def check(
    path: Path,
    assignment_map: AssignmentMap,
    variables: VariablesLike,
    **options: Unpack[ResolveOptions],
) -> Report:
    """Returns what `resolve` would report, with this process's client. See `Checkpoint.check`."""
    return default_client().check(path, assignment_map, variables, **options)


def list_variables(path: Path, *, timeout: float | None = None) -> list[tuple[str, list[int]]]:
    """Returns the names and shapes of a checkpoint's tensors, with this process's client."""
    return default_client().list_variables(path, timeout=timeout)
