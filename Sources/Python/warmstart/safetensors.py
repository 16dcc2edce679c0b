"""Files of the library safetensors, in memory that all jobs of the machine share.

    from warmstart.safetensors import safe_open

    with safe_open("model.safetensors", framework="np") as file:
        weights = {name: file.get_tensor(name) for name in file.keys()}

`safe_open` and `load_file` have the arguments of the library's functions. They also take what the
library does not: a model in several files by its index (`model.safetensors.index.json`), by its
directory, or the name under which an administrator published it.

A program that calls the library itself needs one line, before it imports other libraries that take
the functions by name, such as transformers:

    import warmstart.safetensors

    warmstart.safetensors.install()
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _dtypes
from ._client import Client, Path
from ._connection import log
from ._default_client import default_client
from ._errors import WarmstartError, brief
from ._frameworks import load as _load

if TYPE_CHECKING:
    from ._checkpoint import Checkpoint

# The names that the library's `safe_open` accepts for the two frameworks that are served here.
_TORCH = ("pt", "torch", "pytorch")
_NUMPY = ("np", "numpy")

# The names of element types in the files, by those of this package.
_NAMES = {
    "bool": "BOOL",
    "uint8": "U8",
    "int8": "I8",
    "uint16": "U16",
    "int16": "I16",
    "uint32": "U32",
    "int32": "I32",
    "uint64": "U64",
    "int64": "I64",
    "float16": "F16",
    "bfloat16": "BF16",
    "float32": "F32",
    "float64": "F64",
    "complex64": "C64",
    "float8_e5m2": "F8_E5M2",
    "float8_e4m3fn": "F8_E4M3",
    "float8_e5m2fnuz": "F8_E5M2FNUZ",
    "float8_e4m3fnuz": "F8_E4M3FNUZ",
    "float8_e8m0fnu": "F8_E8M0",
    "float4_e2m1fn_x2": "F4",
}


def load_file(filename: Path, *, client: Client | None = None) -> dict[str, Any]:
    """Loads all tensors of a file as writable arrays, by name.

    Pages that the process writes become its own copies. Raises as `warmstart.Client.open`, and
    UNSUPPORTED for tensors that no array can hold. `warmstart.torch.load_file` returns tensors.
    """
    arrays = _load(filename, None, None, _refusal, client, {"writable": True})
    return {name: array.view(np.ndarray) for name, (array, _) in arrays.items()}


class safe_open:
    """A file whose tensors are read one by one, like the library's class of this name.

    `framework` is `"np"` or `"pt"`; with the latter, tensors are copied to `device` if it is not
    the CPU. Arrays and tensors are writable; pages that the process writes become its own copies.
    `backend`, which says how the library reads, changes nothing here.
    """

    def __init__(
        self,
        filename: Path,
        framework: str = "np",
        device: Any = "cpu",
        *,
        backend: str = "mmap",
        client: Client | None = None,
    ) -> None:
        if framework not in _TORCH + _NUMPY:
            raise ValueError(f"framework: expected 'np' or 'pt', got {brief(framework)}")
        if framework in _NUMPY and str(device) != "cpu":
            raise ValueError(f"device: numpy has only the CPU, got {brief(device)}")
        self._is_torch = framework in _TORCH
        self._device = device
        self._checkpoint: Checkpoint = (client or default_client()).open(filename)
        self._tensors = self._checkpoint.tensors
        self._loaded: dict[str, Any] | None = None

    def __enter__(self) -> safe_open:
        return self

    def __exit__(self, *error: object) -> None:
        self._loaded = None
        self._checkpoint.close()

    def keys(self) -> list[str]:
        """Returns the tensors' names, ascending."""
        return list(self._tensors)

    def offset_keys(self) -> list[str]:
        """Returns what `keys` returns: no order of names is faster than another here."""
        return self.keys()

    def metadata(self) -> dict[str, str] | None:
        """Returns the texts that were saved with the tensors; None if the file has none.

        A model in several files has none.
        """
        if not self._checkpoint.path.endswith(".safetensors"):
            return None
        with self._checkpoint.using() as files:
            return _metadata(files[0]) if files else None

    def get_tensor(self, name: str) -> Any:
        """Returns a tensor. Raises TENSOR_NOT_FOUND, UNSUPPORTED."""
        if name not in self._tensors:
            raise WarmstartError.of("TENSOR_NOT_FOUND", self._checkpoint.lacks(name))
        if self._loaded is None:
            self._loaded = self._load()
        return self._loaded[name] if name in self._loaded else self._load([name])[name]

    def get_tensors(self) -> dict[str, Any]:
        """Returns all tensors by name. Raises UNSUPPORTED for tensors that no array can hold."""
        return self._load(self.keys())

    def get_slice(self, name: str) -> Slice:
        """Returns a tensor to take parts of. Raises TENSOR_NOT_FOUND, UNSUPPORTED."""
        tensor = self._tensors.get(name)
        if tensor is None:
            raise WarmstartError.of("TENSOR_NOT_FOUND", self._checkpoint.lacks(name))
        return Slice(lambda: self.get_tensor(name), tensor.shape, tensor.dtype)

    def _load(self, names: list[str] | None = None) -> dict[str, Any]:
        """Loads tensors, or all that an array can hold: one call, since none is copied for it."""
        if names is None:
            refusal = _torch_refusal() if self._is_torch else _refusal
            names = [name for name, tensor in self._tensors.items() if not refusal(tensor.dtype)]
        if self._is_torch:
            from . import torch

            return torch.load_file(self._checkpoint, self._device, names=names)
        options: Any = {"writable": True}
        arrays = _load(self._checkpoint, names, None, _refusal, None, options)
        return {name: array.view(np.ndarray) for name, (array, _) in arrays.items()}


class Slice:
    """A tensor of which parts are taken by indexing; nothing is copied."""

    def __init__(self, tensor: Callable[[], Any], shape: tuple[int, ...], dtype: str) -> None:
        self._tensor = tensor
        self._shape = shape
        self._dtype = dtype

    def get_shape(self) -> list[int]:
        """Returns the shape of the whole tensor."""
        return list(self._shape)

    def get_dtype(self) -> str:
        """Returns the element type as the library names it: `F32`."""
        return _NAMES.get(self._dtype, self._dtype)

    def __getitem__(self, index: Any) -> Any:
        return self._tensor()[index]


def _refusal(dtype: str) -> str | None:
    try:
        _dtypes.numpy_of(_dtypes.number_of(dtype))
    except ValueError as error:
        return str(error)
    return None


def _torch_refusal() -> Callable[[str], str | None]:
    from . import torch

    return torch._refusal


def _metadata(file: int) -> dict[str, str] | None:
    # The daemon has read the header, and refused one that is too long or no header.
    length = int.from_bytes(os.pread(file, 8, 0), "little")
    found = json.loads(os.pread(file, length, 8)).get("__metadata__")
    return found if found is None else dict(found)


# MARK: In place of the library's functions

_lock = threading.Lock()
_replaced: list[tuple[Any, str, Any]] = []


def install(*, client: Client | None = None, fallback: bool = True) -> None:
    """Makes the library read through the daemon: `safetensors.safe_open`, and the functions
    `load_file` of `safetensors.numpy` and `safetensors.torch`.

    With `fallback`, the library reads by its own means what Warmstart does not serve: if no daemon
    answers, which the log ("warmstart") says, and for files and types that are not supported.
    Modules that imported the functions by name before keep the library's.
    """
    import safetensors

    with _lock:
        if _replaced:
            return
        _install_numpy(client, fallback)
        # If torch is imported later, the library's load_file takes the safe_open of the last line.
        if "torch" in sys.modules or "safetensors.torch" in sys.modules:
            _install_torch(client, fallback)
        _replace(safetensors, "safe_open", _Opening(safetensors.safe_open, client, fallback))


def uninstall() -> None:
    """Undoes `install`, also for modules that took the functions by name meanwhile."""
    with _lock:
        while _replaced:
            module, name, own = _replaced.pop()
            setattr(module, name, own)


def _replace(module: Any, name: str, new: Any) -> None:
    _replaced.append((module, name, getattr(module, name)))
    setattr(module, name, new)


class _Opening:
    """The library's `safe_open`, through the daemon."""

    def __init__(self, own: Any, client: Client | None, fallback: bool) -> None:
        self._own = own
        self._client = client
        self._fallback = fallback

    def __call__(self, filename: Any, framework: str, device: Any = "cpu", **other: Any) -> Any:
        if not _is_served(other) or framework not in _TORCH + _NUMPY:
            return self._own(filename, framework, device, **other)
        return _attempt(
            lambda: safe_open(filename, framework, device, client=self._client),
            lambda: self._own(filename, framework, device, **other),
            self._fallback,
        )


def _is_served(other: dict[str, Any]) -> bool:
    """Returns whether other arguments of the library's functions do not matter here.

    `backend`, which version 0.8 added, only says how the library reads a file.
    """
    return set(other) <= {"backend"}


def _install_numpy(client: Client | None, fallback: bool) -> None:
    import safetensors.numpy

    library = safetensors.numpy.load_file

    def load(filename: Any, **other: Any) -> Any:
        if not _is_served(other):
            return library(filename, **other)
        return _attempt(
            lambda: load_file(filename, client=client),
            lambda: library(filename, **other),
            fallback,
        )

    _replace(safetensors.numpy, "load_file", load)


def _install_torch(client: Client | None, fallback: bool) -> None:
    import safetensors.torch

    from . import torch as own

    library = safetensors.torch.load_file

    def load_file(filename: Any, device: Any = "cpu", **other: Any) -> Any:
        if not _is_served(other):
            return library(filename, device, **other)
        return _attempt(
            lambda: own.load_file(filename, device, client=client),
            lambda: library(filename, device, **other),
            fallback,
        )

    _replace(safetensors.torch, "load_file", load_file)


def _attempt(ours: Callable[[], Any], own: Callable[[], Any], fallback: bool) -> Any:
    if not _replaced:
        return own()
    try:
        return ours()
    except WarmstartError as error:
        if not fallback or error.reason not in ("CONNECTION", "UNSUPPORTED", "BUDGET", "QUOTA"):
            raise
        log.warning("%s; the library reads the file itself", str(error))
        return own()
