"""The examples run as they are."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from daemons import REPOSITORY
from documents import example
from memory import in_fresh_process

EXAMPLES = REPOSITORY / "Sources" / "Python" / "examples"
PROGRAMS = sorted(path.name for path in EXAMPLES.glob("*.py"))


def run(name: str, directory: Path) -> str:
    """Runs an example elsewhere than where it lies; returns what it printed."""
    ended = subprocess.run(
        [sys.executable, str(EXAMPLES / name)],
        cwd=directory,
        capture_output=True,
        check=False,
        text=True,
        timeout=300,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""
    return ended.stdout


def test_all_examples_are_tested() -> None:
    assert PROGRAMS == ["bert_fine_tuning.py", "partitioned_embeddings.py", "sweep.py"]


def test_fine_tuning_starts_from_the_encoder_and_trains(tmp_path: Path) -> None:
    lines = run("bert_fine_tuning.py", tmp_path).splitlines()
    assert lines[1] == "new: head/kernel, head/bias"
    losses = [float(line.split()[-1]) for line in lines if line.startswith("step")]
    assert len(losses) == 5
    assert losses == sorted(losses, reverse=True)
    assert lines[-1] == "the layer norm was trained, and the checkpoint is what it was"


def test_partitions_are_looked_up_on_eight_workers(tmp_path: Path) -> None:
    lines = run("partitioned_embeddings.py", tmp_path).splitlines()
    assert len(lines) == 9
    assert all(int(line.split()[-2]) < 1024 for line in lines[:8])
    assert lines[-1] == "1000 rows of 8 workers are those of the whole table"


def test_a_sweep_shares_what_it_does_not_train(tmp_path: Path) -> None:
    lines = run("sweep.py", tmp_path).splitlines()
    jobs = [line.split() for line in lines[1:9]]
    assert all(int(job[2]) == 16384 for job in jobs)
    # Each has less private memory than an eighth of what it shares, so all have less than one copy.
    assert all(int(job[4]) < 2048 for job in jobs)


def test_the_notebook_runs_from_top_to_bottom(tmp_path: Path) -> None:
    for module in ("nbclient", "ipykernel"):
        pytest.importorskip(module, reason=f"{module} is not installed")
    printed = in_fresh_process(
        """
        import json, os, sys
        import nbclient, nbformat

        path, directory = sys.argv[1:]
        notebook = nbformat.read(path, as_version=4)
        client = nbclient.NotebookClient(
            notebook, timeout=300, resources={"metadata": {"path": os.path.dirname(path)}}
        )
        client.execute(env={**os.environ, "IPYTHONDIR": directory})
        print(json.dumps([
            output.get("text") or output["data"]["text/plain"]
            for cell in notebook.cells
            for output in cell.get("outputs", ())
        ]))
        """,
        str(EXAMPLES / "notebook.ipynb"),
        str(tmp_path),
    )
    text = "\n".join(printed)
    assert "['head/kernel'])" in text
    assert "no tensor is in scope bert/embedings/; nearest: bert/embeddings/" in text
    assert "[(2048, 256), (2048, 256), (2048, 256), (2048, 256)]" in text


def test_the_notebook_has_no_saved_output() -> None:
    notebook = json.loads((EXAMPLES / "notebook.ipynb").read_text())
    assert not any(cell.get("outputs") for cell in notebook["cells"])


def test_the_first_example_in_the_documentation_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(REPOSITORY)
    exec(example("Start"), {})  # noqa: S102
    assert capsys.readouterr().out == (
        "student/LayerNorm/beta float32 (256,)\nstudent/LayerNorm/gamma float32 (256,)\n"
    )


def test_the_example_of_preloading_in_the_documentation_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(REPOSITORY)
    exec(example("Preloading and verifying"), {})  # noqa: S102
    assert capsys.readouterr().out == (
        "Preloaded(tensor_count=24, byte_count=28323848, unshared=(), unchecked_byte_count=0)\n"
    )
