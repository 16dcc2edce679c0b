"""The messages of the protocol, made at run time from the descriptor set.

Long lists are columns: packed fields of fixed width. A packed field has the same bytes as a `bytes`
field, so this module declares columns as `bytes`. Each is then read and written at once, whatever
the version of protobuf.
"""

from __future__ import annotations

import array
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from google.protobuf import descriptor_pb2, message_factory

from ._errors import reading

_WARMSTART = "warmstart.v1."
_Field: Any = descriptor_pb2.FieldDescriptorProto
_FIXED = (_Field.TYPE_FIXED32, _Field.TYPE_FIXED64, _Field.TYPE_SFIXED32, _Field.TYPE_SFIXED64)

# A separate pool, because TensorFlow's has other messages of the same names.
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
    """Returns the class of a message of the protocol, such as "Call" or "google.rpc.ErrorInfo"."""
    return _types.get(_WARMSTART + name) or _types[name]


def parse(name: str, data: bytes) -> Any:
    """Parses a message from the daemon; raises CONNECTION if it is malformed."""
    with reading():
        return message(name).FromString(data)


def column(numbers: Iterable[int], dtype: str) -> bytes:
    """Returns the bytes of a column; `dtype` is "<u4", "<i4", "<u8" or "<i8"."""
    # numpy takes several times as long for a list.
    found = array.array(_TYPE_CODES[dtype], numbers)
    if sys.byteorder != "little":
        found.byteswap()
    return found.tobytes()


def read_column(data: bytes, dtype: str) -> list[int]:
    """Returns the numbers of a column; ValueError if it has a part of one."""
    found = array.array(_TYPE_CODES[dtype])
    found.frombytes(data)
    if sys.byteorder != "little":
        found.byteswap()
    return found.tolist()


_TYPE_CODES = {"<u4": "I", "<i4": "i", "<u8": "Q", "<i8": "q"}


def write_names(target: Any, names: Sequence[str]) -> None:
    """Fills a message `Names`."""
    characters = "".join(names)
    text = encode(characters)
    # If each character is one byte, as in most names, one encoding of all suffices.
    plain = len(text) == len(characters)
    lengths = map(len, names if plain else map(encode, names))
    target.text, target.lengths = text, column(list(lengths), "<u4")


def read_names(source: Any) -> list[bytes]:
    """Returns the names of a message `Names`; ValueError if the lengths do not fit the text."""
    text: bytes = source.text
    start, names = 0, []
    for length in read_column(source.lengths, "<u4"):
        end = start + length
        names.append(text[start:end])
        start = end
    if start != len(text):
        raise ValueError("the lengths of names do not add up to their text")
    return names


def printable(text: str) -> str:
    """Returns a text for people that a message can hold: question marks replace what is not
    Unicode.
    """
    return text.encode("utf-8", "replace").decode("utf-8")


# Names of tensors and variables are bytes; Python's str has those that are not UTF-8 as surrogates.
def encode(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def decode(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")
