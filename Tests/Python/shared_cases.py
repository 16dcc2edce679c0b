"""The cases of ``Tests/Data/Cases``, which the tests of every language read."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

CASES = Path(__file__).resolve().parent.parent / "Data" / "Cases"

Case = dict[str, Any]


class Refusal(Exception):
    """What is wrong with a file: the case, and what was expected."""


def load(file: str, given: Iterable[str], expected: Iterable[str]) -> list[Case]:
    """Reads the cases of a file, with its defaults filled in.

    ``given`` are the fields of the input that the reader knows, and ``expected`` those of the
    result, one of which each case must have. Fails as README.md demands.
    """
    return parse((CASES / f"{file}.json").read_text(encoding="utf-8"), given, expected)


def parse(text: str, given: Iterable[str], expected: Iterable[str]) -> list[Case]:
    """Reads the text of a file, as ``load`` does."""
    expected = set(expected)
    known = {"name", *given, *expected}
    file = json.loads(text)
    if not {"about", "cases"} <= set(file) <= {"about", "defaults", "cases"} or not file["cases"]:
        raise Refusal("expected lines 'about', perhaps 'defaults', and 'cases'")
    cases: list[Case] = [{**file.get("defaults", {}), **case} for case in file["cases"]]
    names = set()
    for case in cases:
        name = case.get("name")
        if not name or name in names:
            raise Refusal(f"two cases are named '{name}'" if name else "a case has no name")
        names.add(name)
        if not set(case) <= known:
            raise Refusal(f"'{name}' has unknown fields: {sorted(set(case) - known)}")
        if None in case.values():
            raise Refusal(f"'{name}' has a null")
        if not expected & set(case):
            raise Refusal(f"'{name}' expects nothing")
    return cases


def named(cases: list[Case]) -> dict[str, Any]:
    """Returns the arguments of ``pytest.mark.parametrize`` that run cases by their names."""
    return {
        "argnames": "case",
        "argvalues": cases,
        "ids": [case["name"].encode("ascii", "replace").decode() for case in cases],
    }


def decoded(text: str) -> bytes:
    """Returns the bytes that a text stands for."""
    if re.search("%(?![0-9A-Fa-f]{2})", text):
        raise Refusal(f"expected two hex digits after each % of '{text}'")
    return unquote_to_bytes(text)


def path(text: str, directory: str = "@DIR@") -> str:
    """Returns the path that a text stands for, in a test's directory."""
    return os.fsdecode(decoded(text)).replace("@DIR@", directory)
