"""Assignment maps of the shared cases, through a real daemon, with the bytes that arrive."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import numpy as np
import pytest
import warmstart

import bundles
from daemons import REPOSITORY

CASES = REPOSITORY / "Tests" / "Data" / "Cases"
FIELDS = {
    *("name", "tensors", "variables", "map", "options"),
    *("assigned", "skipped", "unused", "uncovered", "problems", "first"),
}


def load(file: str) -> Iterator[Any]:
    content = json.loads((CASES / file).read_text())
    assert content["cases"] and content.keys() <= {"about", "defaults", "cases"}
    for case in content["cases"]:
        case = {**content.get("defaults", {}), **case}
        assert case.keys() <= FIELDS, f"unknown fields: {case.keys() - FIELDS}"
        assert case.keys() & {"assigned", "problems", "first"}, "expects nothing"
        yield pytest.param(case, id=case["name"])


def text(escaped: str) -> str:
    return unquote_to_bytes(escaped).decode("utf-8", "surrogateescape")


def shape_of(declared: Any) -> tuple[int, ...]:
    return tuple(declared.get("shape", [2]))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Writes a checkpoint of the tensors that a case lists, once; returns it and what it holds."""
    made: dict[str, tuple[Path, dict[str, Any]]] = {}

    def write(tensors: Any) -> tuple[Path, dict[str, Any]]:
        key = json.dumps(tensors)
        if key not in made:
            values = {
                text(tensor["name"]): bundles.floats(
                    1000.0 * at, shape_of(tensor), tensor.get("dtype", "float32")
                )
                for at, tensor in enumerate(tensors)
            }
            made[key] = bundles.write(tmp_path_factory.mktemp("maps") / "model", values), values
        return made[key]

    return write


def variables_of(declared: Any) -> Iterator[warmstart.Variable]:
    name, dtype = text(declared["name"]), declared.get("dtype", "float32")
    shape = tuple(None if length < 0 else length for length in shape_of(declared))
    if "parts" in declared:
        cut = warmstart.fixed_size_partitioner(declared["parts"])
        yield from warmstart.partitions(name, dtype, shape, cut)
        return
    place = declared.get("partition")
    yield warmstart.Variable(
        name,
        dtype,
        None if declared.get("unknown_rank") else shape,
        declared.get("in_store", True),
        place and warmstart.Slice(text(place["of"]), tuple(place["shape"]), tuple(place["offset"])),
    )


def target_of(pair: Any, variables: dict[str, warmstart.Variable]) -> Any:
    if "to" in pair:
        return text(pair["to"])

    def named(name: str) -> warmstart.Variable:
        # A map may name an object that was not declared.
        return variables.get(name) or warmstart.Variable(name, "float32", (2,))

    if "object" in pair:
        return named(text(pair["object"]))
    return [named(text(name)) for name in pair["objects"]]


@pytest.mark.parametrize("case", [*load("maps.json"), *load("tensorflow-maps.json")])
def test_a_map_gives_what_the_shared_case_says(
    case: Any, client: warmstart.Client, written: Any
) -> None:
    path, values = written(case["tensors"])
    variables = [made for declared in case["variables"] for made in variables_of(declared)]
    by_name = {variable.name: variable for variable in variables}
    pairs = [(text(pair["key"]), target_of(pair, by_name)) for pair in case["map"]]
    options = case.get("options", {})
    if "assigned" not in case:
        with pytest.raises(warmstart.WarmstartError) as raised:
            client.resolve(path, pairs, variables, **options)
        check_refusal(raised.value, case)
        return
    resolved = client.resolve(path, pairs, variables, **options)
    assert list(resolved) == [text(wanted["variable"]) for wanted in case["assigned"]]
    for wanted in case["assigned"]:
        name, tensor = text(wanted["variable"]), text(wanted["tensor"])
        assert resolved.tensor(name) == resolved.report.assigned[name] == tensor
        expected = values[tensor]
        if "starts" in wanted:
            ends = [s + n for s, n in zip(wanted["starts"], wanted["counts"])]
            expected = expected[tuple(map(slice, wanted["starts"], ends))]
        assert resolved[name].dtype == expected.dtype
        np.testing.assert_array_equal(resolved[name], expected, strict=True)
    report = resolved.report
    assert report.skipped == [
        (
            text(wanted["variable"]),
            text(wanted["tensor"]),
            tuple(wanted["shape"]) if "shape" in wanted else None,
        )
        for wanted in case.get("skipped", [])
    ]
    if "unused" in case:
        assert [key for key, _ in report.unused] == [pairs[at][0] for at in case["unused"]]
    if "uncovered" in case:
        assert report.uncovered == [text(name) for name in case["uncovered"]]


def check_refusal(error: warmstart.WarmstartError, case: Any) -> None:
    problems = error.problems
    assert error.reason == problems[0].reason
    if "problems" in case:
        assert [problem.reason for problem in problems] == [
            wanted["reason"] for wanted in case["problems"]
        ]
        assert error.problem_count == len(problems)
    for problem, wanted in zip(problems, case.get("problems") or [case["first"]]):
        assert problem.reason == wanted["reason"]
        for field in ("key", "variable", "tensor"):
            if field in wanted:
                assert getattr(problem, field) == text(wanted[field])
