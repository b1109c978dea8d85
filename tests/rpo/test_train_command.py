"""The command that trains, on a random FLUX: what it prints, writes, refuses, and how it ends."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from PIL import Image
from tiny_pipelines import random_flux, random_qwen_edit

from workbench.judges.verdict import Verdict
from workbench.pairs.comparison import Comparison
from workbench.rpo import train
from workbench.rpo.config import RpoConfig
from workbench.rpo.policies.load import load_policy
from workbench.rpo.reward import RewardPanel, WeightedJudge
from workbench.rpo.rewards_from import ShuffledJudge
from workbench.rpo.running.journal import read_metrics
from workbench.runs.folder import RunFolder
from workbench.widgets.vote import VotePanel


class Failing:
    """A judge that never manages to answer."""

    name = "failing"

    def identity(self) -> dict[str, Any]:
        return {"judge": "shuffled", "seed": 0}  # as the run's own, so that it is the same run

    async def compare(self, comparison: Comparison, order: Sequence[int], sample: int = 0) -> Verdict:
        return Verdict(ranks=None, failure="error", detail="overloaded")


@pytest.fixture(scope="module")
def flux(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    return random_flux(tmp_path_factory.mktemp("flux"))


@pytest.fixture
def settings(flux: Path, tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "prompts.txt").write_text("a red circle\n\ntwo blue squares\none green triangle\n")
    return {
        "prompts": str(tmp_path / "prompts.txt"),
        "policy": {"path": str(flux), "size": 64, "dtype": "float32", "rank": 2, "alpha": 4},
        "sampling": {"steps": 3, "starts": [0, 1]},
        "rewards": [{"kind": "shuffled"}],
        "gold": {"kind": "oracle"},
        "updates": 2,
        "groups": 2,
        "batch": 2,
        "evaluate_every": 2,
        "evaluated": 3,
    }


def write(folder: Path, settings: dict[str, Any], **changes: Any) -> list[str]:
    """Writes the configuration; the arguments that train by it into `folder/run`."""
    file = folder / "rpo.yaml"
    file.write_text(yaml.safe_dump({**settings, **changes}))
    return [str(file), "--out", str(folder / "run")]


def test_a_run_from_start_to_end_and_longer(
    tmp_path: Path, settings: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert train.main(write(tmp_path, settings)) == 0
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert [line.split(";")[0] for line in lines] == ["update 1/2", "update 2/2"]
    assert "2 of 2 groups decided" in lines[0]
    assert "judge prefers it to the base in" in lines[1].replace("\u00a0", " ")
    assert "n = 3" in lines[1].replace("\u00a0", " ")
    assert "1 blank lines skipped" in printed.err
    run = tmp_path / "run"
    assert json.loads((run / "run.json").read_text())["status"] == "finished"
    assert (run / "lora" / "pytorch_lora_weights.safetensors").exists()
    assert train.main([*write(tmp_path, settings, updates=3), "--resume"]) == 0
    assert [line["update"] for line in read_metrics(run)] == [1, 2, 3]


def test_edits_of_sources_of_several_sizes_are_sampled_by_size(tmp_path: Path, settings: dict[str, Any]) -> None:
    lines = []
    for number, size in enumerate([(64, 64), (96, 64), (64, 64), (48, 96)]):
        Image.new("RGB", size, "white").save(tmp_path / f"{number}.png")
        lines.append(json.dumps({"source_image": f"{number}.png", "instruction": "add a red circle"}))
    (tmp_path / "edits.jsonl").write_text("\n".join(lines))
    edits = {
        "prompts": str(tmp_path / "edits.jsonl"),
        "policy": {**settings["policy"], "path": str(random_qwen_edit(tmp_path / "qwen"))},
        "gold": None,
        "groups": 4,
        "batch": 4,
        "updates": 1,
        "evaluate_every": 1,
    }
    assert train.main(write(tmp_path, settings, **edits)) == 0
    (line,) = read_metrics(tmp_path / "run")
    assert line["decided"] == 4
    assert line["win_rate_base"]["n"] == 3


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"updates": 3, "seed": 5}, "seed: 0 there, 5 now"),
        ({"optimizer": {"lr": 0.5}}, "optimizer.lr"),
        ({"rewards": [{"kind": "oracle"}]}, "rewards.0.kind"),
    ],
)
def test_another_run_into_the_folder_is_refused_by_field(
    tmp_path: Path,
    settings: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, Any],
    named: str,
) -> None:
    assert train.main(write(tmp_path, settings, updates=1, evaluate_every=0)) == 0
    assert train.main(write(tmp_path, settings, evaluate_every=0, **changes)) == 1
    assert named in capsys.readouterr().err


def test_two_at_once_into_one_folder_are_refused(
    tmp_path: Path, settings: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with RunFolder.open(tmp_path / "run", {}, kind="rpo"):
        assert train.main(write(tmp_path, settings)) == 1
    assert "is open in" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prompts": "gone.txt"}, "prompts: gone.txt cannot be read"),
        ({"rewards": [{"base_url": "http://127.0.0.1:9/v1", "model": "judge"}]}, "http://127.0.0.1:9/v1"),
        ({"sampling": {"steps": 3, "starts": [0, 5]}}, "starts=[0, 5] does not fit"),
        ({"policy": {"path": "nowhere/at/all"}}, "policy.path: 'nowhere/at/all'"),
        ({"typo": 1}, "typo"),
    ],
)
def test_what_is_wrong_is_one_message_and_nothing_is_trained(
    tmp_path: Path,
    settings: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, Any],
    message: str,
) -> None:
    assert train.main(write(tmp_path, settings, **changes)) == 1
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said
    assert not list(tmp_path.glob("run/checkpoints/*"))


def test_there_must_be_something_to_resume(
    tmp_path: Path, settings: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert train.main([*write(tmp_path, settings), "--resume"]) == 1
    assert "holds no run" in capsys.readouterr().err


def test_a_pause_has_an_exit_status_of_its_own_and_is_resumed(
    tmp_path: Path, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = write(tmp_path, settings, evaluate_every=0)
    with monkeypatch.context() as patched:
        patched.setattr(train, "build_judges", lambda *_, **__: RewardPanel((WeightedJudge(Failing()),)))
        assert train.main(arguments) == 3
    said = json.loads((tmp_path / "run" / "status.json").read_text())
    assert said["state"] == "paused"
    assert "2 of 2 groups got no verdict" in said["problem"]
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "interrupted"
    with monkeypatch.context() as patched:
        patched.setattr(train, "build_judges", lambda *_, **__: RewardPanel((WeightedJudge(ShuffledJudge(0)),)))
        assert train.main([*arguments, "--resume"]) == 0


def test_a_spent_allowance_of_calls_pauses_and_the_next_start_has_its_own(
    tmp_path: Path, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])
    judge = {"rubric": None, "world": "data/shapes/t2i", "max_calls": 6}
    arguments = write(tmp_path, settings, rewards=[judge], gold=None, evaluate_every=0)
    assert train.main(arguments) == train.PAUSED
    said = json.loads((tmp_path / "run" / "status.json").read_text())
    assert (said["state"], said["update"]) == ("paused", 1), "an update asks about two groups in both orders"
    assert "max_calls" in said["problem"]
    arguments = write(tmp_path, settings, rewards=[{**judge, "max_calls": 60}], gold=None, evaluate_every=0)
    assert train.main(arguments) == 0
    calls = [line["judge_calls"] for line in read_metrics(tmp_path / "run")]
    assert calls == [4, 2], "the two answers before the pause are not asked for again"


def test_the_votes_of_a_person_train_in_this_process(tmp_path: Path, settings: dict[str, Any]) -> None:
    fields = {**settings, "rewards": [{"kind": "person"}], "gold": {"kind": "person"}, "evaluate_every": 0}
    config = RpoConfig.of("default", fields, updates=1)
    with pytest.raises(ValueError, match=r"rewards\[0\]: a person votes .* show a VotePanel"):
        train.train(config, tmp_path / "run")
    panel, trained = VotePanel(tmp_path / "votes.jsonl"), threading.Event()

    def vote() -> None:
        while not trained.is_set():
            if pair := panel.answer_next()[0]["id"]:
                panel.answer_vote(pair, "first")
            time.sleep(0.01)

    voter = threading.Thread(target=vote)
    voter.start()
    try:
        assert train.train(config, tmp_path / "run", person=panel) == "finished"
    finally:
        trained.set()
        voter.join()
    (line,) = read_metrics(tmp_path / "run")
    assert (line["decided"], line["judge_calls"]) == (2, 0)
    assert line["grad_norm"] > 0
    assert len((tmp_path / "votes.jsonl").read_text().splitlines()) == 2, "one vote answers both orders"
    policy = load_policy(config.policy, "cpu")
    policy.load_adapter(tmp_path / "run" / "lora")
    assert any(each.abs().max() > 0 for name, each in policy.trainable().items() if "lora_B" in name)


def test_an_allowance_spent_in_the_first_update_pauses_too(
    tmp_path: Path, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])
    judge = {"rubric": None, "world": "data/shapes/t2i", "max_calls": 2}
    arguments = write(tmp_path, settings, rewards=[judge], gold=None, evaluate_every=0)
    ended = [train.main(arguments) for _ in range(4)]
    assert ended == [train.PAUSED, train.PAUSED, train.PAUSED, 0], "two of eight answers a start, and none is lost"
    assert [line["update"] for line in read_metrics(tmp_path / "run")] == [1, 2]


def test_sigterm_saves_the_last_whole_update_and_ends_well(tmp_path: Path, settings: dict[str, Any]) -> None:
    arguments = write(tmp_path, settings, updates=10_000, evaluate_every=0)
    process = subprocess.Popen(
        [sys.executable, "-m", "workbench.rpo.train", *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    run, end = tmp_path / "run", time.monotonic() + 120
    while process.poll() is None and time.monotonic() < end and len(read_metrics(run)) < 2:
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    said = json.loads((run / "status.json").read_text())
    assert said["state"] == "stopped"
    assert said["update"] == len(read_metrics(run)) == len(out.splitlines())
    assert (run / "checkpoints" / f"{said['update']:06d}" / "state.pt").exists()


def test_sigterm_while_prompts_are_encoded_ends_at_once(tmp_path: Path, settings: dict[str, Any]) -> None:
    prompts = tmp_path / "many.txt"
    prompts.write_text("".join(f"{i} red circles\n" for i in range(20_000)))
    arguments = write(tmp_path, settings, prompts=str(prompts), groups=200, updates=100)
    process = subprocess.Popen([sys.executable, "-m", "workbench.rpo.train", *arguments], stderr=subprocess.PIPE)
    run, end = tmp_path / "run", time.monotonic() + 120
    while not (run / "run.json").exists() and time.monotonic() < end:
        time.sleep(0.1)
    time.sleep(1)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    assert json.loads((run / "run.json").read_text())["status"] == "interrupted"
    assert not read_metrics(run)
