"""The files that say which of a model's files holds which tensor."""

from __future__ import annotations

import contextlib
import io
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
import warmstart
from warmstart import _files, _plain_map, _weight_map

# Texts that a quick look and the parser must read alike; None for what is refused. The quick look
# takes names of 8 bytes and more.
MAPS = {
    '{"weight_map": {"a": "file.one", "b": "file.two", "c": "file.one"}}': ["file.one", "file.two"],
    '{"a": [{}], "weight_map" : {\n "a" :"file.one"\n, "b": "y"} , "z": "}"}': ["file.one", "y"],
    '{"weight_map": {"a": "file.one", "b": ["file.one", "z"]}}': ["file.one", "z"],
    '{"weight_map": {"}": "file.one", "b": "file.two"}}': ["file.one", "file.two"],
    '{"weight_map": {"a": "file.on\\u0065"}}': ["file.one"],
    '{"weight_map": {"\u00e9": "file.one"}}': ["file.one"],
    '{"metadata": "weight_map", "weight_map": {"a": "file.one"}}': ["file.one"],
    '{"metadata": {"weight_map": {"a": "file.two"}}, "weight_map": {"a": "file.one"}}': [
        "file.one"
    ],
    '{"weight\\u005fmap": {"a": "file.one"}, "weight_map": {"a": "file.two"}}': ["file.two"],
    '{"weight_map": {"a": "file.one"}, "weight\\u005fmap": {"a": "file.two"}}': ["file.two"],
    '{"a\\"weight_map": {"a": "file.one"}}': None,
    '{"metadata": {"weight_map": {"a": "file.two"}}}': None,
    '{"metadata": {"weight_map": {"a": "file.two"}}, "weight_map": {}}': None,
    '{"weight_map": {"a": "file.one"}, }': None,
    '{"weight_map": {"a": "file.one",}}': None,
    '{"weight_map": {"a": "file.one" "b": "file.two"}}': None,
    '{"weight_map": {"a":"file.one""b":"file.two"}}': None,
    '{"weight_map": {"a":"file.one","b":"file.two""c":"file.two"}}': None,
    '{"weight_map": {"a":"file.one","b":"file.two","c","file.two"}}': None,
    '{"weight_map": {"a": "file.one", "b": "file.two" "c", "d": "file.two"}}': None,
    '{"weight_map": {"a" "file.one"}}': None,
    '{"weight_map": {"a": "file.one"}} {}': None,
    '["weight_map", {"a": "file.one"}]': None,
    '{"weight_map": {"a": "file.one", b}}': None,
    '{"weight_map": {"a": "file.one\n"}}': None,
    '{"weight_map": {"a\x01": "file.one"}}': None,
    '{"weight_map": {"a": "x"}}': ["x"],
    '{"weight_map": {}}': None,
    '{"weight_map": {"a": "file.one"': None,
    json.dumps({"weight_map": {f"{n}": "x" * n for n in range(8, 100)}}): [
        "x" * n for n in range(8, 100)
    ],
    json.dumps({"weight_map": {"a" * 9000: "file.one", "b": "file.two"}}): ["file.one", "file.two"],
    json.dumps({"weight_map": {"a": "file.one" * 900}}): ["file.one" * 900],
    # The values differ in one byte each.
    json.dumps({"weight_map": {f"{n}": "x" * n + "y" + "x" * (20 - n) for n in range(21)}}): [
        "x" * n + "y" + "x" * (20 - n) for n in range(20, -1, -1)
    ],
}


@pytest.mark.parametrize("text", MAPS)
def test_a_map_names_the_files_that_its_json_names(text: str, tmp_path: Path) -> None:
    file = tmp_path / "model.index.json"
    file.write_text(text, encoding="utf-8")
    names = MAPS[text]
    if names is None:
        with pytest.raises(_files.LocateError):
            _weight_map.file_names(str(file))
    else:
        assert _weight_map.file_names(str(file)) == names


@pytest.mark.parametrize("indent", [None, 0, 2, "\t"])
@pytest.mark.parametrize("separators", [None, (",", ":"), (" ,\n", "\r\n:\t")])
def test_maps_as_libraries_write_them_need_no_parser(
    indent: Any, separators: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = {f"layers.{n}.weight": f"model-{n // 30}-of-4.safetensors" for n in range(100)}
    index = {"metadata": {"by": '"\u00e9"'}, "weight_map": held}
    file = tmp_path / "model.index.json"
    file.write_text(json.dumps(index, indent=indent, separators=separators))
    monkeypatch.delattr(_weight_map, "_values")
    assert _weight_map.file_names(str(file)) == sorted(set(held.values()))


@pytest.mark.parametrize("character", '"}\\\x01,: \x80')
def test_no_change_of_a_character_is_missed(
    character: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Parts of two or three pairs.
    monkeypatch.setattr(_plain_map, "_PART_BYTE_COUNT", 150)
    held = {f"layers.{n}.weight": f"model-{n // 4}.x" for n in range(10)}
    text = json.dumps({"metadata": {"n": 1}, "weight_map": held}, indent=2)
    assert _plain_map.plain_values(io.BytesIO(text.encode()), len(text)) == set(held.values())
    for at in range(len(text)):
        changed = (text[:at] + character + text[at + 1 :]).encode("latin-1")
        found = _plain_map.plain_values(io.BytesIO(changed), len(changed))
        if found is not None:
            assert found == set(json.loads(changed)["weight_map"].values())


@pytest.mark.parametrize(
    "repeated", ['"', '"":"",', '"k":"file.one","k":"file.two",', '"k":"' + 250 * "x" + '","":"",']
)
def test_a_map_takes_memory_in_proportion_to_its_length(repeated: str, tmp_path: Path) -> None:
    file = tmp_path / "model.index.json"
    text = '{"weight_map": {"a":"file.one",' + repeated * (1_000_000 // len(repeated))
    file.write_text(text + '"z":"file.two"}}')
    tracemalloc.start()
    try:
        with contextlib.suppress(_files.LocateError):
            _weight_map.file_names(str(file))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 16 * len(text)


@pytest.mark.parametrize(
    ("index", "words"),
    [
        ('{"weight_map": {"a": "../model.safetensors"}}', "names in its own directory"),
        ('{"weight_map": {"a": "/model.safetensors"}}', "names in its own directory"),
        ("{}", "has no weight_map"),
        ("[", "is not JSON"),
    ],
)
def test_an_index_that_leads_elsewhere_is_refused(
    client: warmstart.Client, tmp_path: Path, index: str, words: str
) -> None:
    file = tmp_path / "other.index.json"
    file.write_text(index)
    with pytest.raises(warmstart.WarmstartError, match=words) as caught:
        client.open(file)
    assert caught.value.reason == "CORRUPT"
