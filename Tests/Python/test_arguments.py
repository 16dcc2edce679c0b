"""What callers get wrong: the error says which argument, and what was expected."""

from __future__ import annotations

import os
import pickle
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import warmstart
from warmstart import _array

import bundles
from daemons import Daemon

VALUES = bundles.floats(0, (8, 4))
SHAPE = ("float32", [8, 4])


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return bundles.write(tmp_path / "model", {"w": VALUES})


WRONG_SHAPES: dict[str, tuple[Any, str]] = {
    "lengths that are not whole": ([8.5, 4], "expected a shape"),
    "a string": ("84", "expected a shape"),
    "a number": (8, "expected a shape"),
    "a length below 0": ([-1, 4], "or None for one that is unknown"),
    "a length that no tensor has": ([2**63, 4], "expected lengths"),
}


@pytest.mark.parametrize("wrong", WRONG_SHAPES)
def test_a_shape_must_be_whole_numbers(wrong: str) -> None:
    shape, words = WRONG_SHAPES[wrong]
    with pytest.raises((TypeError, ValueError), match=f"variable w: .*{words}"):
        warmstart.Variable("w", "float32", shape)


def test_a_shape_may_be_of_numpys_numbers() -> None:
    assert warmstart.Variable("w", "float32", np.array([8, 4])).shape == (8, 4)


@pytest.mark.parametrize("name", [b"w", 5, None])
def test_a_variables_name_must_be_a_string(name: Any) -> None:
    with pytest.raises(TypeError, match="a variable's name: expected a string, got"):
        warmstart.Variable(name, "float32", [8, 4])


def test_no_dtype_is_not_a_dtype() -> None:
    with pytest.raises(ValueError, match="unknown dtype None"):
        warmstart.Variable("w", None, [8, 4])  # type: ignore[arg-type]


@pytest.mark.parametrize("slice", [("w", (8, 4), (0.5, 0)), ("w", (8.0, 4), (0, 0))])
def test_a_slice_must_be_of_whole_numbers(slice: Any) -> None:
    with pytest.raises(TypeError, match="'float' object cannot be interpreted as an integer"):
        warmstart.Variable("w", "float32", [8, 4], slice=slice)


WRONG_MAPS: dict[str, tuple[Any, str]] = {
    "nothing": (None, "expected a mapping or a list of pairs, got None"),
    "a template that is no string": ({re.compile("w"): None}, "got template None"),
    "a pattern of bytes": ({re.compile(b"w"): "w"}, "expected a pattern and a template of type"),
    "a template of no group": ({re.compile("w"): r"\3"}, "template .*group reference"),
    "a template of no name": ({re.compile("w"): r"\g<n>"}, "template .*group name"),
}


@pytest.mark.parametrize("wrong", WRONG_MAPS)
def test_an_error_about_a_wrong_map_says_what_is_wrong(
    wrong: str, client: warmstart.Client, model: Path
) -> None:
    given, words = WRONG_MAPS[wrong]
    with pytest.raises((TypeError, ValueError), match=words):
        client.resolve(model, given, {"w": SHAPE})


def test_no_variables_are_not_variables(client: warmstart.Client, model: Path) -> None:
    with pytest.raises(TypeError, match="variables: expected a list"):
        client.resolve(model, {"w": "w"}, None)  # type: ignore[arg-type]


EXPRESSIONS: dict[str, str] = {
    "a/.*": "b/",
    "a/.*/": "b/",
    "(.*)/kernel": r"b/\1",
    r"a\.w": "b/w",
    "a/[0-9]+": "b/w",
}


@pytest.mark.parametrize("key", EXPRESSIONS)
def test_a_key_that_looks_like_a_regular_expression_gets_a_hint(
    key: str, client: warmstart.Client, model: Path
) -> None:
    with pytest.raises(warmstart.WarmstartError) as raised:
        client.resolve(model, {key: EXPRESSIONS[key]}, {"b/w": SHAPE})
    assert str(raised.value).endswith("; for a regular expression, use re.compile(…)")
    assert raised.value.message == raised.value.problems[0].message
    for name in ("a/w", "a[0]", "a(b)/w"):
        with pytest.raises(warmstart.WarmstartError) as raised:
            client.resolve(model, {name: "b/w"}, {"b/w": SHAPE})
        assert "re.compile" not in str(raised.value)


def test_options_are_named_as_python_has_them(client: warmstart.Client, model: Path) -> None:
    def message(variables: Any, **options: Any) -> str:
        with pytest.raises(warmstart.WarmstartError) as raised:
            client.resolve(model, {"/": "a/"}, variables, **options)
        error = raised.value
        assert error.message == error.problems[0].message
        assert "option" not in error.message
        return error.problems[-1].message

    assert message({"a/w": ("float32", [4, 8])}).endswith(
        "; with transpose={'a/w': (1, 0)} it fits"
    )
    parts = warmstart.partitions("a/w", "float32", [4, 8], warmstart.fixed_size_partitioner(2))
    assert message(parts).endswith("; with transpose={'a/w': (1, 0)} it fits")
    assert client.resolve(model, {"/": "a/"}, parts, transpose={"a/w": (1, 0)})
    assert message({"a/w": ("float64", [8, 4])}).endswith("dtype with cast=True")
    head = {"a/w": ("float32", [3]), "a/new": SHAPE}
    assert message(head, skip_missing=True).endswith("are skipped with skip_mismatched=True")


WRONG_GATHERS: dict[str, tuple[Any, str]] = {
    "a mask": ({"w": {0: [True] * 8}}, "whole numbers for axis 0 of w, got elements of bool"),
    "numbers that are not whole": ({"w": {0: [0.5] * 8}}, "whole numbers for axis 0 of w"),
    "numbers that no index is": ({"w": {0: [2**64 - 1] * 8}}, "whole numbers for axis 0 of w"),
    "a matrix": ({"w": {0: [[0] * 8]}}, "whole numbers .* in 2 dimensions"),
    "a number": ({"w": {0: np.int64(3)}}, "whole numbers .* in 0 dimensions"),
    "an axis from the end": ({"w": {-1: [0] * 4}}, "axes of w as numbers from 0, got -1"),
    "an axis by name": ({"w": {"0": [0] * 8}}, "axes of w as numbers from 0, got '0'"),
    "no axes": ({"w": [0] * 8}, "mappings from axes to indices"),
    "another variable": ({"v": {0: [0] * 8}}, "there is no variable v"),
}


def test_an_unknown_variable_in_an_option_gets_the_nearest(
    client: warmstart.Client, model: Path
) -> None:
    name = "encoder/kernel"
    for wrong in ("encoder/kernl", "kernel", "model/encoder/kernel"):
        options: list[Any] = [{"transpose": {wrong: (1, 0)}}, {"gather": {wrong: {}}}]
        for option in options:
            with pytest.raises(ValueError, match=f"no variable {wrong}; nearest: {name}$"):
                client.resolve(model, {"w": name}, {name: SHAPE}, **option)


@pytest.mark.parametrize("wrong", WRONG_GATHERS)
def test_indices_must_be_whole_numbers_by_axis(
    wrong: str, client: warmstart.Client, model: Path
) -> None:
    gather, words = WRONG_GATHERS[wrong]
    with pytest.raises((TypeError, ValueError), match=f"gather: .*{words}"):
        client.resolve(model, {"w": "w"}, {"w": SHAPE}, gather=gather)


def test_several_names_are_not_a_string(client: warmstart.Client, model: Path) -> None:
    with client.open(model) as checkpoint, pytest.raises(TypeError, match="got the string 'w'"):
        checkpoint.arrays("w")


def test_progress_must_be_callable(client: warmstart.Client, model: Path) -> None:
    with pytest.raises(TypeError, match="progress: expected True, False or a function, got 5"):
        client.resolve(model, {"w": "w"}, {"w": SHAPE}, progress=5)  # type: ignore[arg-type]


def test_the_socket_may_be_a_path(daemon: Daemon) -> None:
    with warmstart.Client(Path(daemon.socket)) as client:
        assert client.is_serving()


@pytest.mark.parametrize("arguments", [["/opt/\udcff/train.py"], [], None])
def test_any_program_is_served(
    arguments: Any, daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    if arguments is None:
        monkeypatch.delattr(sys, "argv")
    else:
        monkeypatch.setattr(sys, "argv", arguments)
    with warmstart.Client(daemon.socket, label="\udcff") as client:
        assert client.is_serving()


def test_a_path_need_not_be_unicode(client: warmstart.Client, tmp_path: Path) -> None:
    model = bundles.write(tmp_path / os.fsdecode(b"\xff") / "model", {"w": VALUES})
    with client.open(model) as checkpoint:
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(checkpoint.array("w"))), VALUES)


def test_a_handle_finds_the_files_from_any_directory(
    client: warmstart.Client, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "deep" / "down").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "deep" / "down")
    bundles.write(tmp_path / "deep" / "other", {"w": VALUES + 1})
    monkeypatch.chdir(tmp_path)
    with client.open("model") as checkpoint, client.open("link/../other") as other:
        monkeypatch.chdir("/")
        data = pickle.dumps((checkpoint.array("w"), other.array("w")))
    _array._opened.clear()
    arrays = pickle.loads(data)
    np.testing.assert_array_equal(arrays[0], VALUES)
    np.testing.assert_array_equal(arrays[1], VALUES + 1)


def test_every_error_can_be_printed(client: warmstart.Client, tmp_path: Path) -> None:
    model = bundles.write(tmp_path / os.fsdecode(b"\xff") / "model", {"w": VALUES})
    with client.open(model) as checkpoint, pytest.raises(warmstart.WarmstartError) as raised:
        checkpoint.array("\udcfe")
    assert "/?/model has no tensor ?" in str(raised.value).encode().decode()


WRONG_ARGUMENTS: dict[str, tuple[tuple[Any, Any, Any], str]] = {
    "a dtype that is misspelt": (
        ("model", {"w": "w"}, {"w": ("flaot32", [8, 4])}),
        "variable w: unknown dtype 'flaot32'; did you mean float32?",
    ),
    "shape and dtype swapped": (
        ("model", {"w": "w"}, {"w": ([8, 4], "float32")}),
        "variable 'w': expected a tuple (dtype, shape) or an array, got ([8, 4], 'float32')",
    ),
    "a list instead of a tuple": (
        ("model", {"w": "w"}, {"w": ["float32", [8, 4]]}),
        "variable 'w': expected a tuple (dtype, shape) or an array, got ['float32', [8, 4]]",
    ),
    "map and variables swapped": (
        ("model", {"w": SHAPE}, {"w": "w"}),
        "got 'w'; the assignment map comes before the variables",
    ),
    "path and map swapped": (
        ({"w": "w"}, "model", {"w": SHAPE}),
        "checkpoint: expected a path, got {'w': 'w'}",
    ),
    "a string for the map": (
        ("model", "w", {"w": SHAPE}),
        "assignment map: expected a mapping or a list of pairs, got 'w'",
    ),
    "a string for the variables": (
        ("model", {"w": "w"}, "w"),
        "a mapping from names to (dtype, shape) or arrays, got 'w'",
    ),
    "arrays without names": (
        ("model", {"w": "w"}, [VALUES]),
        "a mapping from names to (dtype, shape) or arrays, got array([[",
    ),
}


@pytest.mark.parametrize("wrong", WRONG_ARGUMENTS)
def test_a_wrong_argument_is_named(
    wrong: str, client: warmstart.Client, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments, words = WRONG_ARGUMENTS[wrong]
    monkeypatch.chdir(model.parent)
    with pytest.raises((TypeError, ValueError), match=re.escape(words)):
        client.resolve(*arguments)


def test_a_large_value_is_shown_in_part(client: warmstart.Client, model: Path) -> None:
    with pytest.raises(TypeError, match="key 'w': expected the name of a variable") as raised:
        client.resolve(model, {"w": np.zeros((100, 9))}, {"w": SHAPE})
    assert str(raised.value).endswith("…")
    assert "\n" not in str(raised.value)


def test_an_option_that_is_misspelt_is_named(client: warmstart.Client, model: Path) -> None:
    options: Any = {"skip_mising": True}
    with pytest.raises(TypeError, match="no option 'skip_mising'; did you mean skip_missing"):
        client.resolve(model, {"w": "w"}, {"w": SHAPE}, **options)


def test_a_timeout_must_be_a_number(client: warmstart.Client, model: Path) -> None:
    timeout: Any = "5"
    with pytest.raises(TypeError, match="timeout: expected seconds or None, got '5'"):
        client.resolve(model, {"w": "w"}, {"w": SHAPE}, timeout=timeout)


def test_a_number_is_no_partitioner() -> None:
    parts: Any = 4
    with pytest.raises(TypeError, match="variable w: expected the number of parts .* got 4"):
        warmstart.partitions("w", "float32", [8, 4], parts)


@pytest.mark.parametrize("name, words", [("kernl", "; nearest: kernel"), ("other", "tensor other")])
def test_a_misspelt_tensor_gets_the_nearest_name(
    name: str, words: str, client: warmstart.Client, tmp_path: Path
) -> None:
    path = bundles.write(tmp_path / "model", {"kernel": VALUES, "bias": VALUES})
    with client.open(path) as checkpoint, pytest.raises(warmstart.WarmstartError) as raised:
        checkpoint.array(name)
    assert raised.value.reason == "TENSOR_NOT_FOUND"
    assert raised.value.message.endswith(words)


def test_an_error_names_the_checkpoint_that_it_is_about(
    client: warmstart.Client, model: Path
) -> None:
    with pytest.raises(warmstart.WarmstartError) as raised:
        client.resolve(model, {"other": "w"}, {"w": SHAPE})
    for error in (raised.value, pickle.loads(pickle.dumps(raised.value))):
        assert error.checkpoint == str(model)
        assert str(error).startswith(f"NOT_FOUND (TENSOR_NOT_FOUND): {model}: key other: ")


@pytest.mark.parametrize("separator", ["", "::", "é", "\0", 5])
def test_a_separator_is_one_ascii_character(
    client: warmstart.Client, model: Path, separator: Any
) -> None:
    with pytest.raises(ValueError, match="expected one ASCII character other than NUL, got"):
        client.resolve(model, {"/": "/"}, {"w": SHAPE}, scope_separator=separator)
