"""Reads a ``CheckpointState`` in protobuf's text format.

It accepts and refuses what TensorFlow does, whose reader is protobuf's for Python. It accepts
comments, either quote, adjacent strings, escapes, lists, ``;`` or ``,`` after a field, and the last
value of a repeated singular field. It refuses unknown fields, a missing colon and a byte order
mark.
"""

from __future__ import annotations

import re

_PATH = "model_checkpoint_path"
_ALL_PATHS = "all_model_checkpoint_paths"
_ALL_TIMESTAMPS = "all_model_checkpoint_timestamps"
_FIELDS = (_PATH, _ALL_PATHS, _ALL_TIMESTAMPS, "last_preserved_timestamp")

_SPACE = re.compile(r"(?:\s+|#[^\n]*)*")
_NAME = re.compile("[A-Za-z_][A-Za-z0-9_+-]*")
_WORD = re.compile("[A-Za-z_][A-Za-z0-9_+-]*|[0-9+.-][A-Za-z0-9_+.-]*")
_PLAIN = {"'": re.compile(r"[^'\\\n]+"), '"': re.compile(r'[^"\\\n]+')}
_OCTAL = re.compile("[0-7]{1,3}")
_HEX = re.compile("x([0-9A-Fa-f]{1,2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})")
_CHARACTER_NAME = re.compile(r"N\{([A-Za-z0-9_ -]*)\}")
_ESCAPES = dict(zip("abtnvfr\\'\"", b"\a\b\t\n\v\f\r\\'\""))


class Refusal(Exception):
    """An error in the text, and the position of its character."""

    def __init__(self, text: str, offset: int, expected: str) -> None:
        super().__init__(f"expected {expected}")
        self.line = text.count("\n", 0, offset) + 1
        self.column = offset - text.rfind("\n", 0, offset)
        self.expected = expected


def model_checkpoint_path(data: bytes) -> bytes:
    """Returns the value of ``model_checkpoint_path`` in UTF-8; empty if it is missing."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8")
        raise Refusal(before, len(before), "UTF-8") from None
    return _Reader(text).message()


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0

    # Fields

    def message(self) -> bytes:
        path = b""
        self.skip_space()
        while self.position < len(self.text):
            field = self.field()
            if not self.take(":"):
                raise self.refusal("':'")
            if field in (_ALL_PATHS, _ALL_TIMESTAMPS) and self.take("["):
                self.elements(field)
            elif field == _PATH:
                path = self.string()
            else:
                self.value(field)
            _ = self.take(",") or self.take(";")
        return path

    def field(self) -> str:
        start = self.position
        name = self.word(_NAME)
        if not name:
            raise self.refusal("a field's name", start)
        if name not in _FIELDS:
            raise self.refusal("one of " + ", ".join(_FIELDS), start)
        return name

    def elements(self, field: str) -> None:
        if self.take("]"):
            return
        while True:
            self.value(field)
            if self.take("]"):
                return
            if not self.take(","):
                raise self.refusal("',' or ']'")

    def value(self, field: str) -> None:
        if field == _ALL_PATHS:
            self.string()
        else:
            self.number()

    def number(self) -> None:
        start = self.position
        first = self.peek()
        # A digit of another script is a number of its own.
        if not first.isascii() and first.isdecimal():
            self.position += 1
            self.skip_space()
        elif not is_number(self.word(_WORD)):
            raise self.refusal("a number", start)

    # Strings

    def string(self) -> bytes:
        start = self.position
        value = bytearray()
        if not self.literal(value):
            raise self.refusal("a string", start)
        while self.literal(value):
            pass
        try:
            value.decode("utf-8")
        except UnicodeDecodeError:
            raise self.refusal("a string of UTF-8", start) from None
        return bytes(value)

    def literal(self, value: bytearray) -> bool:
        quote = self.peek()
        if quote not in _PLAIN:
            return False
        self.position += 1
        while True:
            plain = self.match(_PLAIN[quote])
            if plain is not None:
                value += plain[0].encode("utf-8")
            mark = self.peek()
            if mark == quote:
                self.take(quote)
                return True
            if mark != "\\":
                raise self.refusal(f"a closing {quote}")
            value += self.escape()

    def escape(self) -> bytes:
        """Reads a backslash and what follows; an unknown escape stays as it is."""
        start = self.position
        self.position += 1
        letter = self.peek()
        if letter in ("", "\n"):
            raise self.refusal("an escape", start)
        octal = self.match(_OCTAL)
        if octal is not None:
            if int(octal[0], 8) > 0xFF:
                raise self.refusal("an octal escape of at most 377", start)
            return bytes((int(octal[0], 8),))
        if letter in "xuU":
            return self.hexadecimal(letter, start)
        if letter == "N":
            return self.named(start)
        self.position += 1
        if letter in _ESCAPES:
            return bytes((_ESCAPES[letter],))
        return f"\\{letter}".encode()

    def hexadecimal(self, letter: str, start: int) -> bytes:
        digits = self.match(_HEX)
        if letter == "x":
            if digits is None:
                raise self.refusal("hex digits after \\x", start)
            return bytes((int(digits[1], 16),))
        try:
            if digits is not None:
                return chr(int(digits[2] or digits[3], 16)).encode("utf-8")
        except (ValueError, OverflowError):
            # A surrogate, or beyond Unicode.
            pass
        wanted = 4 if letter == "u" else 8
        raise self.refusal(f"a character's {wanted} hex digits", start)

    def named(self, start: int) -> bytes:
        """Reads a character's name in braces; returns a character that is one byte in Latin-1."""
        from unicodedata import lookup

        name = self.match(_CHARACTER_NAME)
        try:
            if name is not None:
                return lookup(name[1]).encode("latin-1")
        except (KeyError, UnicodeEncodeError):
            pass
        raise self.refusal("the name of a character in braces", start)

    # Words

    def refusal(self, expected: str, offset: int | None = None) -> Refusal:
        return Refusal(self.text, self.position if offset is None else offset, expected)

    def peek(self) -> str:
        """Returns the next character; an empty string at the end."""
        return self.text[self.position : self.position + 1]

    def match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        match = pattern.match(self.text, self.position)
        if match is not None:
            self.position = match.end()
        return match

    def take(self, mark: str) -> bool:
        if self.peek() != mark:
            return False
        self.position += 1
        self.skip_space()
        return True

    def word(self, pattern: re.Pattern[str]) -> str:
        match = self.match(pattern)
        self.skip_space()
        return "" if match is None else match[0]

    def skip_space(self) -> None:
        """Skips comments, and the characters that Python takes for white space."""
        self.match(_SPACE)


def is_number(word: str) -> bool:
    """Returns whether protobuf takes a word for a ``double``: one of Python's, or one before an
    ``f``.
    """
    word = word.lower()
    # An octal number is not allowed here, unless a plus precedes it.
    if re.match("-?0[0-9]", word):
        return False
    return _is_float(word) or word in ("inff", "-inff") or _is_float(word.rstrip("f"))


def _is_float(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
