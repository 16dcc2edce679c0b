"""Checkpoints as arrays of JAX, in memory that all jobs of the machine share.

    import warmstart.jax

    params, report = warmstart.jax.load_into(params, "/models/bert", {"bert/": "encoder/"})

On the CPU the arrays lie in the shared memory itself. No job sees what another computes: JAX never
writes to an array, and it copies an array that is donated to a compiled function
(`donate_argnums`), because it does not own the memory. On other devices JAX copies the arrays to
the device. If another framework gets an array by DLPack and writes to it, the process ends, because
the memory is read-only; with `writable=True` it writes to private copies of pages.

JAX cannot share:

- memory that is not aligned to 64 bytes. This module therefore asks the daemon for that alignment,
  unless `alignment` says otherwise. It checks the address of each array, and warns
  (`WarmstartWarning`) of those that JAX has copied.
- types of 4 and 2 bits. JAX packs them, so it always copies them; there is no warning.
- int64, uint64, float64 and complex128 while `jax_enable_x64` is off. JAX would silently make 32
  bits of them, so this module refuses them unless `narrow=True` allows it.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
import numpy.typing as npt

from . import _dtypes, _frameworks
from ._answer import Report
from ._client import Client, Path
from ._errors import WarmstartWarning
from ._frameworks import Names, Rename
from ._map import AssignmentMap
from ._options import ResolveOptions
from ._variables import VariablesLike, variables_of

if TYPE_CHECKING:
    from typing_extensions import Unpack

# JAX copies memory with a smaller alignment.
_ALIGNMENT = 64
_PACKED = ("int4", "uint4", "int2", "uint2", "float4_e2m1fn")
_NARROW = {
    "int64": "int32",
    "uint64": "uint32",
    "float64": "float32",
    "complex128": "complex64",
}


def resolve(
    path: Path,
    assignment_map: AssignmentMap,
    variables: VariablesLike,
    *,
    client: Client | None = None,
    device: Any = None,
    narrow: bool = False,
    **options: Unpack[ResolveOptions],
) -> dict[str, jax.Array]:
    """Resolves an assignment map to arrays, by the names of the variables.

    The map and the variables are those of `warmstart.Checkpoint.resolve`; `leaves` makes variables
    from a tree of parameters. `device` is a device or sharding, as for `jax.device_put`. With
    `narrow`, elements of 64 bits become 32 bits while x64 is off: floats are rounded, and an
    integer that does not fit raises ValueError. The result leaves out variables that got no value,
    such as new heads.

    Raises as `Checkpoint.resolve`, and UNSUPPORTED for variables that JAX cannot hold: strings,
    types that JAX lacks, and 64 bits without x64 and without `narrow`.
    """
    return _resolve(path, assignment_map, variables, client, device, narrow, options)[0]


def load(
    path: Path,
    names: Names | None = None,
    *,
    rename: Rename | None = None,
    client: Client | None = None,
    device: Any = None,
    narrow: bool = False,
    **options: Unpack[ResolveOptions],
) -> dict[str, jax.Array]:
    """Loads tensors by name; `names` selects some.

    The keys are the tensors' names. If `names` is a mapping, the keys are its values. The function
    `rename` maps the keys further, and leaves out those for which it returns None. Without `names`,
    tensors that hold no numbers (strings, variants, resources) are left out. `device` and `narrow`
    are those of `resolve`. Raises TENSOR_NOT_FOUND, UNSUPPORTED, and as `Client.open`.
    """
    options.setdefault("alignment", _ALIGNMENT)
    arrays = _frameworks.load(path, names, rename, _refusal(narrow), client, options)
    return _hand_over(arrays, device, 3)


def load_into(
    tree: Any,
    path: Path,
    assignment_map: AssignmentMap,
    *,
    client: Client | None = None,
    device: Any = None,
    narrow: bool = False,
    **options: Unpack[ResolveOptions],
) -> tuple[Any, Report]:
    """Gives leaves of a tree their values, as `init_from_checkpoint` does.

    The tree is any that JAX knows, of arrays or of `jax.ShapeDtypeStruct`, which need no memory.
    Returns a tree of the same structure in which the assigned leaves are replaced, and the report.
    `leaves` describes the names of leaves; the rest is as for `resolve`.
    """
    arrays, report = _resolve(path, assignment_map, leaves(tree), client, device, narrow, options)
    replaced = jax.tree_util.tree_map_with_path(
        lambda keys, leaf: arrays.get(_name(keys), leaf), tree
    )
    return replaced, report


def leaves(tree: Any) -> dict[str, Any]:
    """Returns the leaves that are arrays of numbers, by name: the path, joined by slashes.

    The kernel in `{"encoder": [{"kernel": …}]}` is called `encoder/0/kernel`. Raises ValueError if
    two leaves have one name.
    """
    found: dict[str, Any] = {}
    for keys, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        if not _is_variable(leaf):
            continue
        name = _name(keys)
        if name in found:
            raise ValueError(f"two leaves of the tree are called {name!r}")
        found[name] = leaf
    return found


def _name(keys: Any) -> str:
    return "/".join(str(_part(key)) for key in keys)


def _part(key: Any) -> Any:
    """Returns the name of a key in a path: that of a dictionary, an index or an attribute."""
    for attribute in ("key", "idx", "name"):
        if hasattr(key, attribute):
            return getattr(key, attribute)
    return key


def _is_variable(leaf: Any) -> bool:
    """Returns whether a leaf has a shape, and a dtype that checkpoints have; random keys do not."""
    if not hasattr(leaf, "shape") or not hasattr(leaf, "dtype"):
        return False
    try:
        _dtypes.name_of(leaf.dtype)
    except ValueError:
        return False
    return True


def _resolve(
    path: Path,
    assignment_map: AssignmentMap,
    variables: VariablesLike,
    client: Client | None,
    device: Any,
    narrow: bool,
    options: ResolveOptions,
) -> tuple[dict[str, jax.Array], Report]:
    options.setdefault("alignment", _ALIGNMENT)
    resolved, arrays = _frameworks.resolve(
        _frameworks.unopened(path, client),
        assignment_map,
        variables_of(variables),
        _refusal(narrow),
        options,
    )
    return _hand_over(arrays, device, 4), resolved.report


def _refusal(narrow: bool) -> _frameworks.Refusal:
    def refusal(dtype: str) -> str | None:
        if dtype in ("string", "variant", "resource"):
            return "JAX has no such arrays"
        if dtype in _NARROW and not _has_64_bits() and not narrow:
            return (
                f"JAX would make {_NARROW[dtype]} of it; set jax_enable_x64, pass narrow=True, "
                "or leave it out"
            )
        try:
            jax.eval_shape(lambda x: x, np.zeros((), _dtypes.numpy_of(_dtypes.number_of(dtype))))
        except TypeError:
            return f"JAX {jax.__version__} has no such elements"
        return None

    return refusal


def _has_64_bits() -> bool:
    return bool(jax.dtypes.canonicalize_dtype(np.int64) == np.int64)


def _hand_over(
    arrays: Mapping[str, tuple[npt.NDArray[Any], str]], device: Any, user: int
) -> dict[str, jax.Array]:
    """Puts arrays where JAX wants them, and warns of those that JAX copied without need.

    `user` is the number of calls from here up to the user's program.
    """
    cut = not _has_64_bits()
    plain: dict[str, npt.NDArray[Any]] = {}
    narrowed: set[str] = set()
    for name, (array, dtype) in arrays.items():
        plain[name] = array.view(np.ndarray)
        if cut and dtype in _NARROW:
            plain[name] = _narrow(name, plain[name], _NARROW[dtype])
            narrowed.add(name)
    # One call for all arrays is much faster than one call for each.
    results: dict[str, jax.Array] = jax.device_put(plain, device)
    copied = [
        name
        for name, (array, dtype) in arrays.items()
        if name not in narrowed
        and dtype not in _PACKED
        and array.size
        and _is_copied(array, results[name])
    ]
    if copied:
        size = sum(plain[name].nbytes for name in copied)
        listed = ", ".join(copied[:3]) + (", …" if len(copied) > 3 else "")
        warnings.warn(
            f"JAX copied {len(copied)} of {len(plain)} arrays ({size} bytes) instead of sharing "
            f"them, because it shares only contiguous memory at multiples of 64 bytes: {listed}",
            WarmstartWarning,
            stacklevel=user,
        )
    # In the order of the variables, because JAX sorts the keys of a dictionary.
    return {name: results[name] for name in plain}


def _narrow(name: str, array: npt.NDArray[Any], dtype: str) -> npt.NDArray[Any]:
    narrow = array.astype(dtype)
    if narrow.dtype.kind in "iu" and not np.array_equal(narrow, array):
        raise ValueError(f"{name}: some of its numbers do not fit {dtype}; set jax_enable_x64")
    return narrow


def _is_copied(array: npt.NDArray[Any], result: jax.Array) -> bool:
    """Returns whether an array on one CPU has other memory; on other devices it always has."""
    devices = result.devices()
    if len(devices) != 1 or next(iter(devices)).platform != "cpu":
        return False
    start: int = array.__array_interface__["data"][0]
    return bool(result.unsafe_buffer_pointer() != start)
