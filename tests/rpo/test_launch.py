"""Training in the background: found again from another kernel, stopped, resumed, and honest about how it ended."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from workbench.rpo import launch
from workbench.rpo.config import RpoConfig
from workbench.rpo.launch import Training, TrainingError, start
from workbench.runs.folder import RunInUseError

HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def _stub(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for fate in ("prompts", "refused", "killed", "outage"):
        Path(f"{fate}.txt").write_text("a red circle\n")
    monkeypatch.setattr(launch, "MODULE", "stub_train")
    monkeypatch.setenv("PYTHONPATH", str(HERE))


@pytest.fixture
def _no_launcher(monkeypatch):
    """Without accelerate's launcher, whose imports take seconds."""
    monkeypatch.setattr(launch, "_launcher", lambda processes: [sys.executable])


def config(prompts="prompts.txt", updates=5, **fields) -> RpoConfig:
    return RpoConfig.of(
        prompts=prompts, updates=updates, policy={"path": "tiny"}, rewards=[{"kind": "oracle"}], **fields
    )


@pytest.fixture
def out(tmp_path):
    yield tmp_path / "outputs" / "rpo-1"
    for left in (tmp_path / "outputs").glob("*.pid"):
        Training.attach(left.with_suffix("")).stop()


def test_a_training_started_by_one_kernel_is_stopped_by_another_and_resumed(out, tmp_path, monkeypatch):
    """The whole way, through accelerate's launcher."""
    config(updates=10_000).save(tmp_path / "asked.yaml")
    script = (
        "import sys; from workbench.rpo import launch; launch.MODULE = 'stub_train';"
        "from workbench.rpo.config import RpoConfig;"
        "launch.start(RpoConfig.load(sys.argv[1]), sys.argv[2])"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "asked.yaml"), str(out)], check=True)
    training = Training.attach(out)  # the kernel that started it is gone
    assert training.status().state == "running"
    assert training.config == config(updates=10_000)
    assert start(config(updates=10_000), out).status().state == "running", "the cell that started it, run again"
    with pytest.raises(RunInUseError, match="training runs there"):
        training.resume()
    status = training.stop(timeout=20)
    assert status.state == "stopped"
    assert status.update == len(training.metrics()) > 0
    monkeypatch.setattr(launch, "_launcher", lambda processes: [sys.executable])  # quicker
    assert training.resume().status().state == "running"
    training.stop(timeout=20)
    assert "resumed" in training.log_tail()


def test_several_processes_without_an_accelerator_are_really_several(out):
    training = start(config(groups=4), out, processes=2)
    training.wait(timeout=30)
    assert "started with 2 processes" in training.log_tail()


@pytest.mark.usefixtures("_no_launcher")
def test_a_training_goes_to_its_end_and_says_so(out):
    training = start(config(), out)
    status = training.wait(timeout=20)
    assert (status.state, status.update, status.updates) == ("finished", 5, 5)
    assert [each["update"] for each in training.metrics()] == [1, 2, 3, 4, 5]
    assert start(config(), out).status() == status, "the same cell again"
    assert start(config(updates=8), out).wait(timeout=20).update == 8


@pytest.mark.usefixtures("_no_launcher")
def test_a_folder_of_another_run_or_of_something_else_is_refused_and_says_why(out, tmp_path):
    start(config(), out).wait(timeout=20)
    with pytest.raises(ValueError, match=r"another run \(seed: 0 there, 1 now\)"):
        start(config(seed=1), out)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.png").write_bytes(b"")
    with pytest.raises(ValueError, match="no training was started there"):
        start(config(), tmp_path / "photos")


@pytest.mark.usefixtures("_no_launcher")
def test_every_line_of_a_training_is_handed_on(out):
    lines = []
    status = start(config(), out).follow(lines.append)
    assert status.state == "finished"
    assert lines == (out.parent / "rpo-1.log").read_text().splitlines()
    assert lines


@pytest.mark.usefixtures("_no_launcher")
def test_what_ends_training_at_once_is_in_the_error(out):
    with pytest.raises(TrainingError, match="the judge does not answer"):
        start(config("refused.txt"), out)


@pytest.mark.usefixtures("_no_launcher")
def test_a_killed_training_has_failed_with_the_end_of_its_log(out):
    with pytest.raises(TrainingError, match="about to be killed"):
        start(config("killed.txt"), out).wait(timeout=20)  # a slow `start` may be the first to see it
    training = Training.attach(out)
    assert training.status().state == "failed"
    assert training.status().updates == 5


@pytest.mark.usefixtures("_no_launcher")
def test_a_paused_training_names_its_judge_and_goes_on_when_resumed(out):
    training = start(config("outage.txt"), out)
    status = training.wait(timeout=20)
    assert (status.state, status.problem, status.update) == ("paused", "the judge cannot be reached", 3)
    assert training.resume().wait(timeout=20).state == "finished"


@pytest.mark.usefixtures("_no_launcher")
def test_a_training_that_is_not_there_yet_can_be_stopped(out, monkeypatch):
    monkeypatch.setattr(launch, "MODULE", "asyncio")  # takes no such arguments, and waits for what it is told
    monkeypatch.setattr(launch, "_launcher", lambda processes: [sys.executable, "-c", "import time; time.sleep(60)"])
    monkeypatch.setattr(launch, "_PATIENCE", 0.5)
    training = start(config(), out)
    assert training.status().state == "starting"
    with pytest.raises(TimeoutError, match="still starting"):
        training.wait(timeout=0.2)
    assert training.stop(timeout=10).state == "stopped"


@pytest.mark.usefixtures("_no_launcher")
def test_no_signal_is_sent_to_a_process_of_another_machine(out, monkeypatch):
    training = start(config(updates=10_000), out)
    with monkeypatch.context() as patch:
        patch.setattr(launch.socket, "gethostname", lambda: "elsewhere")
        with pytest.raises(ValueError, match=r"training runs on .*: stop it there"):
            training.stop()
    assert training.status().is_alive


def test_prompts_that_cannot_be_read_or_dealt_out_are_refused_before_anything_starts(out):
    with pytest.raises(ValueError, match="groups=8 cannot be dealt out to 3 processes"):
        start(config(groups=8), out, processes=3)
    with pytest.raises(ValueError, match=r"nowhere\.txt"):
        start(config("nowhere.txt"), out)
    assert not out.parent.exists()
    with pytest.raises(ValueError, match="no training was started here"):
        Training.attach(out)


def test_a_person_is_not_asked_by_a_process_in_the_background(out):
    with pytest.raises(ValueError, match=r"^rewards\[1\]: .* show a VotePanel .*train\(config, out, person=panel\)"):
        start(RpoConfig.of("default", config().to_json(), rewards=[{"kind": "oracle"}, {"kind": "person"}]), out)
    with pytest.raises(ValueError, match=r"^gold: a person votes"):
        start(config(gold={"kind": "person"}), out)
    assert not out.parent.exists()


@pytest.mark.usefixtures("_no_launcher")
def test_ended_processes_leave_no_zombie(out):
    training = start(config(), out)
    pid = training._pid_file.read()["pid"]
    training.wait(timeout=20)
    end = time.monotonic() + 5
    while os.path.exists(f"/proc/{pid}") and time.monotonic() < end:
        time.sleep(0.02)
    assert not os.path.exists(f"/proc/{pid}")
