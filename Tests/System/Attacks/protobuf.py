"""Encodes and decodes protobuf messages by hand, as far as the protocol needs them."""

import struct


def varint(number):
    number &= 2**64 - 1
    encoded = bytearray()
    while number >= 0x80:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def field(number, value):
    """Encodes a field: a number, a text, or bytes (also a message, or a packed column)."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, str):
        value = value.encode()
    return varint(number << 3 | 2) + varint(len(value)) + value


def fixed32_field(number, value):
    return varint(number << 3 | 5) + struct.pack("<I", value)


def words(values):
    """Encodes a column of fixed32 or sfixed32."""
    return b"".join(struct.pack("<I", value & 0xFFFFFFFF) for value in values)


def longs(values):
    """Encodes a column of fixed64 or sfixed64."""
    return struct.pack(f"<{len(values)}q", *values)


def read_words(column):
    return list(struct.unpack(f"<{len(column) // 4}I", column))


def read_longs(column):
    return list(struct.unpack(f"<{len(column) // 8}Q", column))


def names(texts):
    """Encodes the message Names."""
    texts = [text.encode() for text in texts]
    return field(1, b"".join(texts)) + field(2, words([len(text) for text in texts]))


class Message:
    """A decoded message: the values of each field number, in their order."""

    def __init__(self, encoded):
        self.values = {}
        position = 0
        while position < len(encoded):
            tag, position = read_varint(encoded, position)
            number, kind = tag >> 3, tag & 7
            if kind == 0:
                value, position = read_varint(encoded, position)
            elif kind == 2:
                length, position = read_varint(encoded, position)
                value = bytes(encoded[position : position + length])
                position += length
            else:
                width = {1: 8, 5: 4}[kind]
                value = int.from_bytes(encoded[position : position + width], "little")
                position += width
            self.values.setdefault(number, []).append(value)

    def number(self, number):
        return self.values.get(number, [0])[-1]

    def bytes(self, number):
        return self.values.get(number, [b""])[-1]

    def text(self, number):
        return self.bytes(number).decode(errors="replace")

    def all(self, number):
        return self.values.get(number, [])

    def messages(self, number):
        return [Message(value) for value in self.all(number)]


def read_varint(encoded, position):
    number = shift = 0
    while True:
        byte = encoded[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, position
        shift += 7
