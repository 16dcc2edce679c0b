"""The messages of the protocol, made at run time of its descriptor set.

What may be many is in columns, packed fields of fixed width. Their bytes are the same as those of a
`bytes` field, so here they are declared as that: a column is read and written as one numpy array,
whatever the version of protobuf.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from google.protobuf import descriptor_pb2, message_factory

from ._errors import reading

_WARMSTART = "warmstart.v1."
_Field: Any = descriptor_pb2.FieldDescriptorProto
_FIXED = (_Field.TYPE_FIXED32, _Field.TYPE_FIXED64, _Field.TYPE_SFIXED32, _Field.TYPE_SFIXED64)

# A pool of its own: TensorFlow's has other messages of the same names.
_types: dict[str, Any] = {}


def _load() -> None:
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "warmstart.binpb")
    with open(path, "rb") as file:
        described: Any = descriptor_pb2.FileDescriptorSet.FromString(file.read())
    for declared in described.file:
        for message in declared.message_type:
            for field in message.field:
                if field.label == _Field.LABEL_REPEATED and field.type in _FIXED:
                    field.label = _Field.LABEL_OPTIONAL
                    field.type = _Field.TYPE_BYTES
                    field.ClearField("options")
    _types.update(message_factory.GetMessages(described.file))  # type: ignore[attr-defined,unused-ignore]


_load()


def message(name: str) -> Any:
    """The class of a message of the protocol, such as "Call" or "google.rpc.ErrorInfo"."""
    return _types.get(_WARMSTART + name) or _types[name]


def parse(name: str, data: bytes) -> Any:
    """Reads a message that the daemon sent; CONNECTION if it is none."""
    with reading():
        return message(name).FromString(data)


def column(values: Any, dtype: str) -> bytes:
    """The bytes of a column; `dtype` is "<u4", "<i4", "<u8" or "<i8"."""
    return np.asarray(values, dtype).tobytes()


def read_column(data: bytes, dtype: str) -> npt.NDArray[Any]:
    """A column's elements, as a view of its bytes."""
    return np.frombuffer(data, dtype)


def write_names(target: Any, names: Sequence[str]) -> None:
    """Sets a message `Names`."""
    characters = "".join(names)
    text = encode(characters)
    # Where each character is one byte, as in most names, nothing needs to be encoded one by one.
    plain = len(text) == len(characters)
    lengths = [len(name if plain else encode(name)) for name in names]
    target.text, target.lengths = text, column(lengths, "<u4")


def read_names(source: Any) -> list[bytes]:
    """The names of a message `Names`; ValueError if the lengths are not those of the text."""
    text: bytes = source.text
    start, names = 0, []
    for length in read_column(source.lengths, "<u4").tolist():
        end = start + length
        names.append(text[start:end])
        start = end
    if start != len(text):
        raise ValueError("the lengths of names are not those of their text")
    return names


def printable(text: str) -> str:
    """A text that a message can hold for people: what is not Unicode becomes question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")


# Names of tensors and variables are bytes; Python's str has those that are not UTF-8 as surrogates.
def encode(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def decode(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")
