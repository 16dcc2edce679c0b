"""Element types by TensorFlow's numbers, and the dtypes of numpy for them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._errors import brief, did_you_mean

# The numbers of TensorFlow's `DataType`.
NAMES: dict[int, str] = {
    1: "float32",
    2: "float64",
    3: "int32",
    4: "uint8",
    5: "int16",
    6: "int8",
    7: "string",
    8: "complex64",
    9: "int64",
    10: "bool",
    11: "qint8",
    12: "quint8",
    13: "qint32",
    14: "bfloat16",
    15: "qint16",
    16: "quint16",
    17: "uint16",
    18: "complex128",
    19: "float16",
    20: "resource",
    21: "variant",
    22: "uint32",
    23: "uint64",
    24: "float8_e5m2",
    25: "float8_e4m3fn",
    26: "float8_e4m3fnuz",
    27: "float8_e4m3b11fnuz",
    28: "float8_e5m2fnuz",
    29: "int4",
    30: "uint4",
    31: "int2",
    32: "uint2",
    33: "float4_e2m1fn",
    # Types of other formats, which TensorFlow has not.
    1001: "float8_e8m0fnu",
    1002: "float4_e2m1fn_x2",
    1003: "packed",
}
NUMBERS: dict[str, int] = {name: number for number, name in NAMES.items()}
STRING = NUMBERS["string"]
# No array can be made of these types.
WITHOUT_ARRAYS = ("variant", "resource", "packed")

# Bytes of an element in memory; types of 4 and 2 bits take a whole byte.
_WIDTHS = {1: 4, 2: 8, 3: 4, 4: 1, 5: 2, 6: 1, 8: 8, 9: 8, 10: 1, 11: 1, 12: 1, 13: 4, 14: 2, 15: 2}
_WIDTHS.update({16: 2, 17: 2, 18: 16, 19: 2, 22: 4, 23: 8})
_WIDTHS.update({number: 1 for number in (*range(24, 34), 1001, 1002)})

# By number; 0 where the length of elements varies, or the number is unknown.
WIDTHS = [_WIDTHS.get(number, 0) for number in range(max(NAMES) + 1)]

# Quantized types are stored as plain integers.
_PLAIN = {"qint8": "int8", "quint8": "uint8", "qint32": "int32", "qint16": "int16"}
_PLAIN["quint16"] = "uint16"

_numpy: dict[int, np.dtype[Any]] = {}


def number_of(name: str) -> int:
    """Returns the number of a type's name; raises ValueError for an unknown name."""
    try:
        return NUMBERS[name]
    except KeyError:
        raise _unknown(name) from None


def _unknown(dtype: Any) -> ValueError:
    hint = did_you_mean(dtype, NUMBERS) if isinstance(dtype, str) else ""
    hint = hint or f", expected one of {', '.join(NUMBERS)}"
    return ValueError(f"unknown dtype {brief(dtype)}{hint}")


def plain(name: str) -> str:
    """Returns the type whose numbers a quantized type is stored as, or the type itself."""
    return _PLAIN.get(name, name)


def name_of(dtype: Any) -> str:
    """Returns TensorFlow's name of a dtype, given its name or a type of numpy, TensorFlow, JAX or
    torch.
    """
    if isinstance(dtype, str) and dtype in NUMBERS:
        return dtype
    name = getattr(dtype, "name", None)
    if isinstance(name, str):
        # TensorFlow's reference variables.
        name = name.removesuffix("_ref")
        if name in NUMBERS:
            return name
    if type(dtype).__module__ == "torch":
        return name_of(str(dtype).rpartition(".")[2])
    try:
        # numpy takes None for float64.
        numpy = np.dtype("" if dtype is None else dtype)
    except TypeError:
        raise _unknown(dtype) from None
    if numpy.kind in "OSUT":
        return "string"
    name = str(numpy.name)
    number_of(name)
    return name


def numpy_of(number: int) -> np.dtype[Any]:
    """Returns the dtype of numpy for a number; `object` for strings, whose elements are `bytes`.

    Only the package ml_dtypes gives numpy some types, such as bfloat16. Without it, their elements
    are opaque and of the same width (`V2`).
    """
    found = _numpy.get(number)
    if found is None:
        found = _numpy[number] = _find(number)
    return found


def _find(number: int) -> np.dtype[Any]:
    name = NAMES.get(number, str(number))
    if number == STRING:
        return np.dtype(object)
    name = plain(name)
    if not 0 <= number < len(WIDTHS) or not WIDTHS[number]:
        raise ValueError(f"no array can have elements of dtype {name}")
    width = WIDTHS[number]
    try:
        return np.dtype(name)
    except TypeError:
        pass
    try:
        import ml_dtypes
    except ImportError:
        return np.dtype(f"V{width}")
    scalar: Any | None = getattr(ml_dtypes, name, None)
    return np.dtype(f"V{width}") if scalar is None else np.dtype(scalar)
