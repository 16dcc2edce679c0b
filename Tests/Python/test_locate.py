"""What a path leads to: the shared cases, and what they cannot say."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from warmstart import _locate
from warmstart._errors import WarmstartError

import shared_cases
from shared_cases import Case

GIVEN = ("files", "states", "fifos", "path")
EXPECTED = ("format", "prefix", "opens", "totals", "error", "hint", "says", "silent")
CASES = [
    case for file in ("patterns", "paths") for case in shared_cases.load(file, GIVEN, EXPECTED)
]
STATE_CASES = shared_cases.load(
    "state-files", ["text"], ["path", "error", "line", "column", "says"]
)
CODES = {
    "CHECKPOINT_NOT_FOUND": "NOT_FOUND",
    "CHECKPOINT_STATE_INVALID": "INVALID_ARGUMENT",
    "NOT_ALLOWED": "PERMISSION_DENIED",
    "SYSTEM": "INTERNAL",
}
GOLDEN = Path(__file__).resolve().parent.parent / "Data" / "Golden"


def write(directory: Path, *names: str, data: bytes = b"") -> None:
    """Writes files, and the directories that they lie in."""
    for name in names:
        file = os.path.join(directory, name)
        os.makedirs(os.path.dirname(file), exist_ok=True)
        with open(file, "wb") as stream:
            stream.write(data)


def refusal(path: str) -> WarmstartError:
    """Locates a checkpoint that must not be found, and returns why."""
    with pytest.raises(WarmstartError) as raised:
        _locate.locate(path)
    assert raised.value.code == CODES[raised.value.reason]
    return raised.value


def descriptors() -> list[str]:
    """Returns what this process has open."""
    links = [f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd")]
    return sorted(os.readlink(link) for link in links if os.path.islink(link))


# Shared cases


@pytest.mark.parametrize(**shared_cases.named(CASES))
def test_a_path_leads_where_the_shared_cases_say(case: Case, tmp_path: Path) -> None:
    here = str(tmp_path)
    write(tmp_path, *map(shared_cases.path, case.get("files", [])))
    for name in case.get("fifos", []):
        os.mkfifo(tmp_path / shared_cases.path(name))
    states = case.get("states", {})
    for directory, text in states.items():
        state = os.fsencode(shared_cases.path(text, here))
        write(tmp_path, f"{directory}/checkpoint", data=state)
    spellings = [here]
    if case["path"].startswith("@DIR@") and not any("@DIR@" in text for text in states.values()):
        spellings.append("../" * (len(Path.cwd().parts) - 1) + here[1:])
    before = descriptors()
    for spelling in spellings:
        check(case, spelling)
    assert descriptors() == before


def check(case: Case, directory: str) -> None:
    def spelled(text: str) -> str:
        return shared_cases.path(text, directory)

    path = spelled(case["path"])
    if "error" not in case:
        found = _locate.locate(path)
        assert found.label == path
        is_whole = case["format"] == "V1"
        assert found.files[0].role == (_locate.WHOLE if is_whole else _locate.INDEX)
        assert found.prefix == spelled(case["prefix"])
        shards = [file for file in found.files if file.role == _locate.SHARD]
        first = found.files[0].role
        opens = [_locate.File(spelled(name), first, 0, 0) for name in case["opens"]]
        assert found.files == opens + shards
        assert sorted({file.shard_count for file in shards}) == case.get("totals", [])
        for file in shards:
            name = f"{found.prefix}.data-{file.shard:05}-of-{file.shard_count:05}"
            assert file.path == name and os.path.exists(name)
        return
    error = refusal(path)
    assert error.reason == case["error"]
    for text in case.get("says", []):
        assert spelled(text) in error.message
    for text in case.get("silent", []):
        assert spelled(text) not in error.message
    if "hint" in case:
        assert error.message.split("'")[-2:-1] == [spelled(case["hint"])]
        assert _locate.locate(spelled(case["hint"])).files


@pytest.mark.parametrize(**shared_cases.named(STATE_CASES))
def test_a_state_file_is_read_as_tensorflow_reads_it(case: Case, tmp_path: Path) -> None:
    write(tmp_path, "checkpoint", data=shared_cases.decoded(case["text"]))
    error = refusal(str(tmp_path))
    state = tmp_path / "checkpoint"
    if case.get("path"):
        target = shared_cases.path(case["path"])
        assert error.reason == "CHECKPOINT_NOT_FOUND"
        assert error.message.startswith(f"no checkpoint at '{tmp_path}/{target}', which '{state}'")
        return
    assert error.reason == case.get("error", "CHECKPOINT_STATE_INVALID")
    if "path" in case:
        message = f"invalid checkpoint state: '{state}' has no model_checkpoint_path"
        assert error.message == message
        return
    file, line, column, message = error.message.split(":", 3)
    assert file == str(state) and message.startswith(" expected ")
    assert int(line) == case.get("line", int(line))
    assert int(column) == case.get("column", int(column))
    assert case.get("says", "") in message


# Checkpoints that TensorFlow wrote


@pytest.mark.parametrize(
    ("prefix", "total"),
    [("v2_sharded/model", 3), ("demo/model.ckpt-1000", 2), ("v2 path with spaces/mödel ckpt", 1)],
)
def test_a_prefix_leads_to_its_index_and_its_shards(prefix: str, total: int) -> None:
    path = f"{GOLDEN}/{prefix}"
    found = _locate.locate(path)
    assert found == _locate.Location(
        label=path,
        prefix=path,
        files=[
            _locate.File(f"{path}.index", _locate.INDEX, 0, 0),
            *(
                _locate.File(f"{path}.data-0000{n}-of-0000{total}", _locate.SHARD, n, total)
                for n in range(total)
            ),
        ],
    )


def test_v1_files_are_found_by_name_and_by_pattern() -> None:
    pattern = GOLDEN / "v1_sharded" / "model-?????-of-00002"
    tables = [str(GOLDEN / "v1_sharded" / f"model-0000{n}-of-00002") for n in range(2)]
    found = _locate.locate(pattern)
    assert (found.label, found.prefix) == (str(pattern), str(pattern))
    assert found.files == [_locate.File(table, _locate.WHOLE, 0, 0) for table in tables]
    assert [file.path for file in _locate.locate(tables[1]).files] == [tables[1]]


# What the shared cases cannot say


def test_shards_are_listed_by_total_and_number(tmp_path: Path) -> None:
    names = ["m.data-00000-of-00002", "m.data-00001-of-00002", "m.data-00000-of-00001"]
    write(tmp_path, "m.index", *names)
    files = _locate.locate(tmp_path / "m").files
    assert [(file.shard_count, file.shard) for file in files[1:]] == [(1, 0), (2, 0), (2, 1)]


def test_names_that_no_shard_has_are_passed_over(tmp_path: Path) -> None:
    shard = "m.data-00000-of-00001"
    write(tmp_path, "m.index", shard, "m.data-000000-of-000001", f"m.data-00000-of-{1 << 63}")
    assert [file.path for file in _locate.locate(tmp_path / "m").files[1:]] == [
        f"{tmp_path}/{shard}"
    ]


def test_a_directory_in_a_shards_place_is_refused_where_data_is_needed(tmp_path: Path) -> None:
    write(tmp_path, "m.index", "m.data-00000-of-00001/x")
    error = refusal(str(tmp_path / "m"))
    assert error.reason == "CHECKPOINT_NOT_FOUND"
    assert "m.data-00000-of-00001' is not a regular file" in error.message
    assert len(_locate.locate(tmp_path / "m", needs_data=False).files) == 1


def test_a_fifo_in_a_shards_place_is_refused_at_once(tmp_path: Path) -> None:
    write(tmp_path, "m.index")
    os.mkfifo(tmp_path / "m.data-00000-of-00001")
    assert "is not a regular file" in refusal(str(tmp_path / "m")).message


def test_a_link_leads_to_the_file_behind_it(tmp_path: Path) -> None:
    write(tmp_path, "blobs/1")
    (tmp_path / "m.index").symlink_to("blobs/1")
    assert [file.path for file in _locate.locate(tmp_path / "m").files] == [f"{tmp_path}/m.index"]


def test_a_loop_of_links_is_the_systems_error(tmp_path: Path) -> None:
    (tmp_path / "m.index").symlink_to("m.index")
    error = refusal(str(tmp_path / "m"))
    assert error.reason == "SYSTEM"
    assert error.message.startswith(f"cannot read '{tmp_path}/m.index': too many levels")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_this_user_may_not_read_is_reported(tmp_path: Path) -> None:
    write(tmp_path, "m.index", "d/m-1")
    (tmp_path / "m.index").chmod(0)
    error = refusal(str(tmp_path / "m"))
    assert (error.reason, error.message) == (
        "NOT_ALLOWED",
        f"not allowed to read '{tmp_path}/m.index'",
    )
    (tmp_path / "d").chmod(0o100)
    error = refusal(str(tmp_path / "d" / "m-*"))
    (tmp_path / "d").chmod(0o700)
    assert (error.reason, error.message) == ("NOT_ALLOWED", f"not allowed to read '{tmp_path}/d'")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list everything")
def test_a_directory_that_cannot_be_listed_may_have_one_shard(tmp_path: Path) -> None:
    write(tmp_path, "m.index", "m.data-00000-of-00001", "m.data-00000-of-00002")
    tmp_path.chmod(0o100)
    found = _locate.locate(tmp_path / "m")
    tmp_path.chmod(0o700)
    assert [(file.shard, file.shard_count) for file in found.files] == [(0, 0), (0, 1)]


def test_names_may_be_any_bytes(tmp_path: Path) -> None:
    name = os.fsdecode(b"m\xff\xe2\x80")
    write(tmp_path, f"{name}.index", f"{name}.data-00000-of-00001")
    found = _locate.locate(tmp_path / name)
    assert os.fsencode(found.prefix).endswith(b"/m\xff\xe2\x80")
    assert [file.shard_count for file in found.files] == [0, 1]
    write(tmp_path, os.fsdecode(b"v\xff"), "vx", "vö")
    names = [os.fsencode(file.path)[-2:] for file in _locate.locate(tmp_path / "v?").files]
    assert names == [b"vx", b"\xc3\xb6", b"v\xff"]


def test_a_message_about_names_of_any_bytes_can_be_printed(tmp_path: Path) -> None:
    error = refusal(os.path.join(tmp_path, os.fsdecode(b"m\xff")))
    assert f"no checkpoint at '{tmp_path}/m\ufffd'" in error.message
    assert error.message.encode("utf-8")


def test_an_impossible_path_leads_nowhere() -> None:
    assert refusal("/\ud800").reason == "CHECKPOINT_NOT_FOUND"
    assert refusal("m\0").reason == "CHECKPOINT_NOT_FOUND"


@pytest.mark.parametrize(
    ("name", "nearest"), [("modle.kcpt-7", "model.ckpt-7"), ("model.ckpt-9", "model.ckpt-8")]
)
def test_of_equally_similar_checkpoints_the_latest_is_meant(
    name: str, nearest: str, tmp_path: Path
) -> None:
    write(tmp_path, *(f"model.ckpt-{number}.index" for number in range(6, 9)))
    assert refusal(f"{tmp_path}/{name}").message.endswith(f"; '{tmp_path}/{nearest}' is there")


def test_an_index_without_a_name_is_no_checkpoint(tmp_path: Path) -> None:
    write(tmp_path, ".index")
    assert refusal(str(tmp_path)).message.endswith("or name the checkpoint itself")


def test_a_state_file_that_names_a_pattern_of_an_index_leads_to_the_prefix(tmp_path: Path) -> None:
    write(tmp_path, "m-1.index", "m-1")
    write(tmp_path, "checkpoint", data=b"model_checkpoint_path: 'm-?'")
    assert refusal(str(tmp_path)).message.endswith(f"; '{tmp_path}/m-1' is here: name it instead")


def test_a_state_file_that_names_a_directory_with_a_slash_names_nothing(tmp_path: Path) -> None:
    write(tmp_path, "d/x")
    write(tmp_path, "checkpoint", data=b"model_checkpoint_path: 'd/'")
    assert refusal(str(tmp_path)).message.startswith(f"no checkpoint at '{tmp_path}/d/', which")


def test_the_latest_of_very_many_checkpoints_is_found_in_any_order(tmp_path: Path) -> None:
    write(tmp_path, *(f"m-{number}.index" for number in range(1, 9001)))
    assert refusal(f"{tmp_path}/m").message.endswith(f"'{tmp_path}/m-9000' is the latest there")
    assert refusal(str(tmp_path)).message.endswith(f"such as '{tmp_path}/m-9000'")


@pytest.mark.parametrize("ending", ["", ".index"])
def test_a_pattern_that_matches_too_much_is_named(ending: str, tmp_path: Path) -> None:
    write(tmp_path, *(f"m-{number}{ending}" for number in range(4097)))
    error = refusal(f"{tmp_path}/m-*")
    assert error.reason == "CHECKPOINT_NOT_FOUND"
    assert error.message == (
        f"the pattern '{tmp_path}/m-*' matches more than 4096 names: expected the files of one "
        "checkpoint"
    )


def test_a_pattern_that_matches_too_much_in_many_directories_is_named(tmp_path: Path) -> None:
    # 17³ is more than 4096.
    write(tmp_path, *(f"{number}/m" for number in range(17)))
    assert len(_locate.locate(f"{tmp_path}/*/../*/m").files) == 17 * 17
    assert "matches more than 4096 names" in refusal(f"{tmp_path}/*/../*/../*/m").message


def test_a_pattern_of_many_asterisks_is_answered(tmp_path: Path) -> None:
    write(tmp_path, "a" * 200)
    assert refusal(f"{tmp_path}/{'a*' * 60}b").reason == "CHECKPOINT_NOT_FOUND"


def test_a_checkpoint_has_at_most_4096_files(tmp_path: Path) -> None:
    write(tmp_path, "m.index", *(f"m.data-{number:05}-of-04095" for number in range(4095)))
    assert len(_locate.locate(tmp_path / "m").files) == 4096
    write(tmp_path, "m.data-00000-of-00001")
    error = refusal(str(tmp_path / "m"))
    assert (error.reason, error.message) == (
        "SYSTEM",
        f"more than 4096 files belong to '{tmp_path}/m'",
    )


def test_a_state_file_has_a_maximum_length(tmp_path: Path) -> None:
    start = b"model_checkpoint_path: 'm' #"
    write(tmp_path, "m.index")
    write(tmp_path, "checkpoint", data=start.ljust(4 << 20, b"x"))
    assert _locate.locate(tmp_path).prefix == f"{tmp_path}/m"
    write(tmp_path, "checkpoint", data=start.ljust((4 << 20) + 1, b"x"))
    error = refusal(str(tmp_path))
    assert error.reason == "CHECKPOINT_STATE_INVALID"
    assert "is longer than 4194304 bytes" in error.message


def test_a_v1_checkpoint_may_have_the_name_of_a_state_file(tmp_path: Path) -> None:
    write(tmp_path, "checkpoint", data=b"\0\0\5")
    assert _locate.locate(tmp_path / "checkpoint").files[0].role == _locate.WHOLE


def test_opening_a_file_does_not_wait_and_reports_its_removal(tmp_path: Path) -> None:
    write(tmp_path, "m.index", data=b"index")
    index = _locate.locate(tmp_path / "m").files[0]
    descriptor = _locate.open_file(index)
    assert os.read(descriptor, 9) == b"index"
    assert not os.get_inheritable(descriptor)
    os.close(descriptor)
    os.remove(index.path)
    with pytest.raises(WarmstartError, match="was removed"):
        _locate.open_file(index)
    os.mkfifo(index.path)
    with pytest.raises(WarmstartError, match="is not a regular file"):
        _locate.open_file(index)


# Directories, and what tf.train.latest_checkpoint makes of them


@pytest.fixture
def states(tmp_path: Path) -> Path:
    """Copies the directories with state files, one of which must know where it lies."""
    for directory in GOLDEN.glob("state_*"):
        shutil.copytree(directory, tmp_path / directory.name)
    template = (tmp_path / "state_absolute" / "checkpoint.template").read_text(encoding="utf-8")
    text = template.replace("@OUT@", str(tmp_path))
    (tmp_path / "state_absolute" / "checkpoint").write_text(text, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("directory", "latest"),
    [
        ("state_absolute", "state_absolute/m-3"),
        ("state_concat", "state_concat/m-2"),
        ("state_dup", "state_dup/m-2"),
        ("state_escapes", "state_escapes/m-2"),
        ("state_older", "state_older/m-2"),
        ("state_parent", "state_parent/../state_relative/m-2"),
        ("state_relative", "state_relative/m-3"),
    ],
)
def test_a_directory_leads_to_its_latest_checkpoint(
    directory: str, latest: str, states: Path
) -> None:
    path = f"{states}/{latest}"
    assert _locate.latest_checkpoint(states / directory) == path
    found = _locate.locate(states / directory)
    assert (found.label, found.prefix, len(found.files)) == (f"{states}/{directory}", path, 2)


@pytest.mark.parametrize(
    "directory",
    [
        "state_bad_utf8_escape",
        "state_garbage",
        "state_missing_target",
        "state_none",
        "state_unknown_field",
        "nowhere",
        "state_relative/m-3.index",
        "\0",
    ],
)
def test_without_a_usable_state_file_there_is_no_latest_checkpoint(
    directory: str, states: Path
) -> None:
    before = descriptors()
    assert _locate.latest_checkpoint(f"{states}/{directory}") is None
    assert descriptors() == before


@pytest.mark.parametrize("directory", ["state_empty", "state_only_all"])
def test_a_state_file_without_a_path_is_an_error(directory: str, states: Path) -> None:
    with pytest.raises(WarmstartError, match="has no model_checkpoint_path"):
        _locate.latest_checkpoint(states / directory)


def test_the_latest_checkpoint_is_found_by_the_name_of_its_state_file(tmp_path: Path) -> None:
    write(tmp_path, "m-1.index", "m-2-00000-of-00001")
    write(tmp_path, "checkpoint", data=b"model_checkpoint_path: 'm-1'")
    write(tmp_path, "best", data=b"model_checkpoint_path: 'm-2-?????-of-00001'")
    assert _locate.latest_checkpoint(tmp_path) == f"{tmp_path}/m-1"
    assert _locate.latest_checkpoint(tmp_path, "best") == f"{tmp_path}/m-2-?????-of-00001"
    assert _locate.latest_checkpoint(tmp_path, "worst") is None
    assert _locate.latest_checkpoint(f"file://{tmp_path}") == f"file://{tmp_path}/m-1"


def test_a_fifo_is_no_state_file_of_a_latest_checkpoint(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "checkpoint")
    assert _locate.latest_checkpoint(tmp_path) is None


def test_errors_about_a_directory_are_told_apart(states: Path) -> None:
    write(states, "orbax/_CHECKPOINT_METADATA", "state_dir/m/x")
    write(states, "state_dir/checkpoint", data=b"model_checkpoint_path: 'm'")
    for name in ("state_empty", "state_none", "state_garbage", "state_missing_target", "orbax"):
        assert _locate.is_about_directory(refusal(f"{states}/{name}"))
    for name in ("none", "state_relative/m-9", "state_dir", ""):
        path = f"{states}/{name}" if name else ""
        assert not _locate.is_about_directory(refusal(path))
