"""Arrays and errors that travel between processes."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import shutil
import threading
from multiprocessing import forkserver, resource_tracker
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import warmstart
from warmstart import _array

import bundles
from daemons import Daemon

MATRIX = bundles.floats(0, (256, 128))
# The most bytes of a pickled handle; the array itself has 128 KiB.
HANDLE = 1000

PARTS: dict[str, Any] = {
    "all": lambda array: array,
    "a row": lambda array: array[17],
    "an element": lambda array: array[3:4, 5:6],
    "every third row": lambda array: array[::3],
    "columns": lambda array: array[:, 5:9],
    "backwards": lambda array: array[::-1, ::-2],
    "transposed": lambda array: array.T,
    "another shape": lambda array: array.reshape(128, 256),
    "a new axis": lambda array: array[:, None, 1:],
    "the diagonal": lambda array: array.diagonal(),
    "other elements": lambda array: array.view(np.int32)[1:],
    "bytes": lambda array: array.view(np.uint8)[:, 3:],
    "a broadcast": lambda array: np.broadcast_to(array[0], (4, 128), subok=True),
}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    values = {"matrix": MATRIX, "other": MATRIX + 1, "word": [b"a word"], "scalar": MATRIX[0, 3]}
    return bundles.write(
        tmp_path / "model", {n: np.array(v) if n != "word" else v for n, v in values.items()}
    )


@pytest.fixture(scope="module", autouse=True)
def helpers() -> None:
    """Starts what multiprocessing keeps running, with descriptors of its own."""
    resource_tracker.ensure_running()
    forkserver.ensure_running()


@pytest.fixture
def matrix(client: warmstart.Client, model: Path) -> Any:
    with client.open(model) as checkpoint:
        return checkpoint.array("matrix")


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("part", PARTS)
def test_an_array_travels_as_a_handle(part: str, protocol: int, matrix: Any) -> None:
    given, expected = PARTS[part](matrix), PARTS[part](MATRIX)
    data = pickle.dumps(given, protocol)
    assert len(data) < HANDLE
    array = pickle.loads(data)
    np.testing.assert_array_equal(array, expected)
    assert (array.dtype, array.shape, array.strides) == (
        given.dtype,
        given.shape,
        given.strides,
    )
    assert not array.flags.writeable
    assert isinstance(array, warmstart.SharedArray)
    # And on.
    again = pickle.loads(pickle.dumps(array))
    np.testing.assert_array_equal(again, expected)
    assert len(pickle.dumps(array)) < HANDLE


@pytest.mark.parametrize("options", [{"sealed": True}, {"alignment": 64}, {"alignment": 4096}])
def test_a_handle_asks_for_the_same_memory(
    options: Any, client: warmstart.Client, model: Path
) -> None:
    with client.open(model) as checkpoint:
        array = checkpoint.array("other", **options)
    data = pickle.dumps(array)
    assert len(data) < HANDLE
    found = pickle.loads(data)
    np.testing.assert_array_equal(found, MATRIX + 1)
    assert found.ctypes.data % options.get("alignment", 1) == 0
    assert _inode(found) == _inode(array)


def _inode(array: Any) -> str:
    """Of the memory in which an array lies."""
    address = array.ctypes.data
    with open("/proc/self/maps") as maps:
        for line in maps:
            span, _, _, device, inode, *_ = line.split(maxsplit=5)
            first, last = (int(number, 16) for number in span.split("-"))
            if first <= address < last:
                return f"{device} {inode}"
    raise AssertionError("the array lies nowhere")


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("strides", [False, True])
def test_a_partition_travels(
    axis: int, strides: bool, client: warmstart.Client, model: Path
) -> None:
    parts = warmstart.partitions(
        "m", "float32", MATRIX.shape, warmstart.fixed_size_partitioner(3, axis)
    )
    resolved = client.resolve(model, {"matrix": parts}, parts, strides=strides)
    loaded = pickle.loads(pickle.dumps(resolved.parts("m")))
    np.testing.assert_array_equal(np.concatenate(loaded, axis), MATRIX)
    if axis == 0 or not strides:
        assert len(pickle.dumps(resolved["m/part_1"])) < HANDLE


def test_several_arrays_travel_together(client: warmstart.Client, model: Path) -> None:
    with client.open(model) as checkpoint:
        arrays = checkpoint.arrays()
    loaded = pickle.loads(pickle.dumps(arrays))
    assert loaded.keys() == arrays.keys()
    assert loaded["word"].tolist() == [b"a word"]
    assert loaded["scalar"].shape == () and loaded["scalar"] == 3
    np.testing.assert_array_equal(loaded["other"], MATRIX + 1)


def test_memory_of_this_process_travels_as_bytes(
    client: warmstart.Client, model: Path, matrix: Any
) -> None:
    with client.open(model) as checkpoint:
        writable = checkpoint.array("matrix", writable=True)
    writable[0] = -1
    for own in (writable, writable[2:], matrix + 1, matrix.copy(), matrix[[1, 2]], matrix * 2):
        loaded = pickle.loads(pickle.dumps(own))
        np.testing.assert_array_equal(loaded, own)
        assert type(loaded) is np.ndarray
        assert loaded.flags.writeable
    assert len(pickle.dumps(matrix.copy())) > MATRIX.nbytes


def test_chosen_rows_travel_as_bytes(client: warmstart.Client, model: Path) -> None:
    rows = [5, 3, -1]
    resolved = client.resolve(
        model, {"matrix": "m"}, {"m": ("float32", [3, 128])}, gather={"m": {0: rows}}
    )
    expected = np.stack([MATRIX[5], MATRIX[3], np.zeros(128, np.float32)])
    np.testing.assert_array_equal(resolved["m"], expected)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(resolved["m"])), expected)


@pytest.mark.parametrize("change", ["rewritten", "replaced", "another shape", "gone"])
def test_a_handle_of_files_that_changed_is_refused(
    change: str, client: warmstart.Client, model: Path, matrix: Any
) -> None:
    data = pickle.dumps(matrix)
    _array._opened.clear()
    if change == "gone":
        shutil.rmtree(model.parent)
    else:
        if change != "rewritten":
            for path in model.parent.iterdir():
                path.unlink()
        shape = (128, 256) if change == "another shape" else (256, 128)
        bundles.write(model, {"matrix": bundles.floats(3, shape)})
    with pytest.raises(warmstart.WarmstartError) as raised:
        pickle.loads(data)
    assert raised.value.reason == (
        "CHECKPOINT_NOT_FOUND" if change == "gone" else "CHECKPOINT_CHANGED"
    )


def test_a_handle_without_its_daemon_says_where_none_listens(
    own_daemon: Daemon, model: Path
) -> None:
    with warmstart.Client(own_daemon.socket) as client, client.open(model) as checkpoint:
        data = pickle.dumps(checkpoint.array("matrix"))
    own_daemon.stop()
    with pytest.raises(warmstart.WarmstartError) as raised:
        pickle.loads(data)
    assert raised.value.reason == "CONNECTION"
    assert own_daemon.socket in raised.value.message


def total(array: Any) -> tuple[float, int, bool]:
    return float(array.sum(dtype=np.float64)), os.getpid(), bool(array.flags.writeable)


def through_queues(given: Any, answers: Any) -> None:
    while True:
        array = given.get()
        if array is None:
            return
        answers.put((total(array), array[1:3]))


@pytest.mark.parametrize("method", ["spawn", "fork", "forkserver"])
def test_arrays_travel_through_pools(method: str, matrix: Any) -> None:
    context = multiprocessing.get_context(method)
    with context.Pool(2) as pool:
        results = pool.map(total, [matrix, matrix[1:], matrix.T, matrix[::2]])
        pool.close()
        pool.join()
    sums = [float(part.sum(dtype=np.float64)) for part in (MATRIX, MATRIX[1:], MATRIX, MATRIX[::2])]
    assert [found for found, _, _ in results] == sums
    assert os.getpid() not in {process for _, process, _ in results}
    assert not any(is_writable for _, _, is_writable in results)


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_arrays_travel_through_queues_and_back(method: str, matrix: Any) -> None:
    context = multiprocessing.get_context(method)
    given, answers = context.Queue(), context.Queue()
    child = context.Process(target=through_queues, args=(given, answers))
    child.start()
    for _ in range(3):
        given.put(matrix)
        (found, process, _), part = answers.get(timeout=60)
        assert (found, process) == (float(MATRIX.sum(dtype=np.float64)), child.pid)
        np.testing.assert_array_equal(part, MATRIX[1:3])
    given.put(None)
    child.join(60)
    assert child.exitcode == 0
    for queue in (given, answers):
        queue.close()
        queue.join_thread()
    child.close()


def test_threads_restore_arrays_of_many_checkpoints_at_once(
    client: warmstart.Client, tmp_path: Path
) -> None:
    # More than the process keeps open.
    handles = []
    for number in range(8):
        path = bundles.write(tmp_path / f"{number}" / "m", {"v": bundles.floats(number, (10,))})
        with client.open(path) as checkpoint:
            handles.append(pickle.dumps(checkpoint.array("v")))
    failures: list[Any] = []

    def restore(seed: int) -> None:
        try:
            for step in range(24):
                number = (seed + step * (1 + seed % 3)) % 8
                assert pickle.loads(handles[number])[0] == number
        except Exception as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=restore, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_errors_travel(client: warmstart.Client, model: Path) -> None:
    with pytest.raises(warmstart.WarmstartError) as raised:
        client.resolve(
            model,
            {"none": "v", "matrix": "w"},
            {"v": ("float32", [2]), "w": ("int64", [256, 128])},
        )
    error = raised.value
    loaded = pickle.loads(pickle.dumps(error))
    assert type(loaded) is warmstart.WarmstartError
    assert str(loaded) == str(error)
    fields = ("code", "reason", "message", "problems", "problem_count", "retry_after")
    assert [getattr(loaded, f) for f in fields] == [getattr(error, f) for f in fields]
    assert len(error.problems) == 2


def test_the_text_of_an_error_counts_the_problems_that_it_does_not_list() -> None:
    one = [warmstart.Problem("PAIR_UNUSED", "w is unused; the same holds for 3 more names")]
    for count, end in ((4, "names\n  … 4 problems in all"), (1, "more names")):
        error = warmstart.WarmstartError("X", "PAIR_UNUSED", one[0].message, one, count)
        assert str(error).endswith(end)
    many = [warmstart.Problem("PAIR_UNUSED", f"w{i}") for i in range(30)]
    lines = str(warmstart.WarmstartError("X", "PAIR_UNUSED", "w0", many)).splitlines()
    assert lines[-2:] == ["  w19", "  … 30 problems in all"]


def fail(path: str) -> None:
    warmstart.open(path)


def test_errors_travel_out_of_pools(tmp_path: Path) -> None:
    with multiprocessing.get_context("fork").Pool(1) as pool:
        with pytest.raises(warmstart.WarmstartError) as raised:
            pool.apply(fail, [str(tmp_path / "none")])
        pool.close()
        pool.join()
    assert raised.value.reason == "CHECKPOINT_NOT_FOUND"


def test_a_client_travels(client: warmstart.Client) -> None:
    labelled = warmstart.Client(client.socket, label="traveller")
    loaded = pickle.loads(pickle.dumps(labelled))
    assert (loaded.socket, loaded.label) == (client.socket, "traveller")
    assert loaded.is_serving()
    loaded.close()
