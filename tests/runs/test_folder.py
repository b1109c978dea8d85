import asyncio
import getpass
import json
import os
import shutil
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from workbench.runs.folder import RunFolder, RunInUseError, is_in_use, runs_made
from workbench.runs.manifest import read_manifest
from workbench.runs.storage import StorageError

INPUTS = {"dataset": {"name": "shapes", "hash": "abc"}, "rubric": None, "seed": 0}


def start(path: Path, inputs=INPUTS, **options) -> RunFolder:
    return RunFolder.open(path, inputs, kind="evaluate", **options)


def manifest(path: Path) -> dict:
    return json.loads((path / "run.json").read_text())


@pytest.fixture
def path(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "outputs" / "evaluate-shapes-1"


def test_a_run_writes_down_what_it_was_and_how_it_ended(path):
    with start(path, parameters={"concurrency": 8}) as run:
        assert not run.resumed
        assert manifest(path)["status"] == "running"
        run.record(facts={"model": "shapes-1", "server": "0.3"}, counts={"pairs": 2})
        run.record(counts={"verdicts": 4})
        run.write("results.json", {"n_pairs": 2})
    found = manifest(path)
    assert found["schema"] == "workbench.run/1"
    assert (found["id"], found["kind"], found["status"]) == ("evaluate-shapes-1", "evaluate", "finished")
    assert (found["inputs"], found["parameters"]) == (INPUTS, {"concurrency": 8})
    assert (found["facts"], found["counts"]) == ({"model": "shapes-1", "server": "0.3"}, {"pairs": 2, "verdicts": 4})
    assert found["start"] <= found["end"]
    environment = found["environment"]
    assert environment["packages"]["numpy"]
    assert environment["hardware"]["cpus"] == os.cpu_count()
    assert set(environment["git"] or {"commit": 0, "dirty": 0}) == {"commit", "dirty"}


def test_the_manifest_names_no_host_no_user_and_no_absolute_path(path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "quite-unusual-key")
    with start(path, {**INPUTS, "pairs": path.parent / "pairs.jsonl"}):
        pass
    text = (path / "run.json").read_text()
    assert str(path.parent) not in text
    assert '"pairs": "outputs/pairs.jsonl"' in text
    for private in (socket.gethostname(), "quite-unusual-key", f'"{getpass.getuser()}"', f"/{getpass.getuser()}/"):
        assert private not in text


def test_the_same_inputs_resume(path):
    with start(path, parameters={"concurrency": 8}) as run:
        run.record(counts={"pairs": 2})
    with start(path, parameters={"concurrency": 64}) as run:
        assert run.resumed
        assert run.manifest.counts == {"pairs": 2}
        assert run.manifest.status == "running"
    found = manifest(path)
    assert found["parameters"] == {"concurrency": 64}
    assert [session["status"] for session in found["earlier_sessions"]] == ["finished"]
    assert found["status"] == "finished"


def test_other_inputs_are_refused_naming_both_values(path):
    start(path).finish()
    before = (path / "run.json").read_bytes()
    with pytest.raises(ValueError, match=r"dataset\.hash: 'abc' there, 'xyz' now; seed: 0 there, 1 now") as caught:
        start(path, {**INPUTS, "dataset": {"name": "shapes", "hash": "xyz"}, "seed": 1})
    assert "choose another folder" in str(caught.value)
    assert (path / "run.json").read_bytes() == before
    start(path).finish()  # the refusal left no lock behind


def test_a_folder_with_foreign_files_is_refused(path):
    path.mkdir(parents=True)
    (path / "thesis.tex").write_text("x")
    with pytest.raises(ValueError, match="choose an empty or a new folder"):
        start(path)


def test_a_broken_manifest_is_named(path):
    start(path).finish()
    (path / "run.json").write_text('{"schema": "workbench.run/1", ')
    with pytest.raises(ValueError, match=r"run\.json is not a run's manifest"):
        start(path)


def test_how_a_run_ends_is_recorded(path):
    for error, status in (
        (ValueError("x"), "failed"),
        (KeyboardInterrupt(), "interrupted"),
        (asyncio.CancelledError(), "interrupted"),
    ):
        with pytest.raises(type(error)), start(path):
            raise error
        assert (manifest(path)["status"], manifest(path)["problem"]) == (status, type(error).__name__)


def test_a_second_opening_is_refused_until_the_first_ends(path):
    run = start(path)
    assert is_in_use(path)
    with pytest.raises(RunInUseError, match="is open in this process: finish that run"):
        start(path)
    run.finish()
    assert not is_in_use(path)
    start(path).finish()


def test_another_process_is_refused_and_a_kill_frees_the_folder(path):
    script = textwrap.dedent(f"""
        import time
        from workbench.runs.folder import RunFolder
        run = RunFolder.open({str(path)!r}, {INPUTS!r}, kind="evaluate")
        print("open", flush=True)
        time.sleep(60)
    """)
    holder = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "open\n"
    with pytest.raises(RunInUseError, match=f"is open in process {holder.pid}: wait for it or stop it"):
        start(path)
    holder.kill()
    holder.wait()
    holder.stdout.close()
    assert not is_in_use(path)
    assert read_manifest(path).status == "running"
    with start(path) as run:
        assert run.resumed
    assert [session["status"] for session in manifest(path)["earlier_sessions"]] == ["interrupted"]


def test_secrets_are_refused_before_anything_is_written(path):
    with pytest.raises(ValueError, match="looks like a secret"):
        start(path, parameters={"api_key": "x"})
    assert not path.exists()


def test_a_folder_that_cannot_be_made_is_a_storage_error(path):
    path.parent.parent.joinpath("file").write_text("")
    with pytest.raises(StorageError, match="cannot write"):
        start(path.parent.parent / "file" / "run")


def test_a_notebooks_run_knows_the_runs_its_kernel_made(path, monkeypatch):
    notebook = path.parent / "run-03"
    notebook.mkdir(parents=True)
    monkeypatch.setenv("WORKBENCH_NOTEBOOK_RUN", str(notebook))
    for folder in (path, path.with_name("evaluate-2"), path):  # the first is resumed at the end
        start(folder).finish()
    assert (notebook / "runs.jsonl").read_text().splitlines() == [
        '{"run": "../evaluate-shapes-1"}',
        '{"run": "../evaluate-2"}',
    ]
    assert runs_made(notebook) == [path, path.with_name("evaluate-2")]
    shutil.rmtree(path)
    assert runs_made(notebook) == [path.with_name("evaluate-2")]


def test_a_notebooks_run_that_is_gone_stops_no_other(path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_NOTEBOOK_RUN", str(path.parent / "gone"))
    with RunFolder.open(path, {"seed": 0}, kind="evaluate"):
        pass
    assert not (path.parent / "gone").exists()


def test_runs_outside_a_notebook_are_listed_nowhere(path):
    start(path).finish()
    assert runs_made(path) == []
    assert not list(path.parent.rglob("runs.jsonl"))
