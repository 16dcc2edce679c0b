"""A reader of shared cases fails where it would else pass over something."""

from __future__ import annotations

import json
from typing import Any

import pytest

import shared_cases


def parse(*cases: Any, **fields: Any) -> list[shared_cases.Case]:
    text = json.dumps({"about": ["What is."], "cases": cases, **fields})
    return shared_cases.parse(text, ["path"], ["prefix", "error"])


def test_a_case_takes_missing_fields_from_the_defaults() -> None:
    cases = parse(
        {"name": "a", "error": "SYSTEM"},
        {"name": "b", "path": "m", "error": "SYSTEM"},
        defaults={"path": "n"},
    )
    assert [case["path"] for case in cases] == ["n", "m"]


@pytest.mark.parametrize(
    ("cases", "message"),
    [
        ([], "expected lines"),
        ([{"error": "SYSTEM"}], "has no name"),
        ([{"name": "a", "error": "X"}, {"name": "a", "prefix": "m"}], "two cases are named 'a'"),
        ([{"name": "a", "error": "X", "hunt": "m"}], "unknown fields: ['hunt']"),
        ([{"name": "a", "error": "X", "path": None}], "'a' has a null"),
        ([{"name": "a", "path": "m"}], "'a' expects nothing"),
    ],
)
def test_a_file_that_would_test_nothing_is_refused(cases: Any, message: str) -> None:
    with pytest.raises(shared_cases.Refusal) as refusal:
        parse(*cases)
    assert message in str(refusal.value)


def test_a_file_with_an_unknown_part_is_refused() -> None:
    with pytest.raises(shared_cases.Refusal):
        parse({"name": "a", "error": "X"}, default={})


def test_a_percent_sign_and_two_digits_are_a_byte() -> None:
    assert shared_cases.decoded("a%FFö%25") == b"a\xff\xc3\xb6%"


@pytest.mark.parametrize("text", ["%", "a%4", "%zz", "%+1"])
def test_a_percent_sign_without_its_digits_is_refused(text: str) -> None:
    with pytest.raises(shared_cases.Refusal):
        shared_cases.decoded(text)
