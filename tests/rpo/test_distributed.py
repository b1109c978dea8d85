"""Two processes come out as one does, and both end together, whichever of them has a reason to."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from toy_policy import ToyPolicy
from toy_runs import config, trainer

from workbench.rpo.running.journal import read_metrics

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of all scenarios, run by two processes; one that waits for ever would run into the time limit."""
    out = tmp_path_factory.mktemp("two")
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", str(HERE / "toy_processes.py"))
    paths = os.pathsep.join([str(HERE), *sys.path])
    done = subprocess.run(
        [sys.executable, *launcher, str(out)],
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return out


def said(run: Path) -> list[dict[str, Any]]:
    return [json.loads((run / f"said-{rank}.json").read_text()) for rank in (0, 1)]


def adapters(run: Path) -> list[dict[str, torch.Tensor]]:
    return [torch.load(run / f"adapter-{rank}.pt", weights_only=True) for rank in (0, 1)]


def test_two_processes_train_what_one_does(two: Path, tmp_path: Path) -> None:
    policy = ToyPolicy(tokens=4)
    with trainer(tmp_path, config(evaluate_every=2, evaluated=5), policy=policy) as run:
        run.train()
    first, second = adapters(two / "whole")
    for name, own in policy.trainable().items():
        assert first[name].equal(second[name])
        assert torch.allclose(first[name], own, rtol=0, atol=1e-5)  # sums are added in another order
    lines, alone = read_metrics(two / "whole"), read_metrics(tmp_path)
    assert [line["update"] for line in lines] == [1, 2, 3, 4]
    for line, other in zip(lines, alone, strict=True):
        for name in ("decided", "tied", "failed", "images", "ratio_dev_max"):
            assert line[name] == other[name]
        assert line["grad_norm"] == pytest.approx(other["grad_norm"], abs=1e-5)
        assert line.get("win_rate_base") == other.get("win_rate_base")
    grids = [sorted(path.name for path in (run / "grids").iterdir()) for run in (two / "whole", tmp_path)]
    assert grids[0] == grids[1]


@pytest.mark.parametrize(
    ("name", "problem"),
    [("dead", "process 1: no server at"), ("failed", "update 3: 2 of 4 groups got no verdict")],
)
def test_a_judge_lost_to_one_process_pauses_both(two: Path, name: str, problem: str) -> None:
    assert said(two / name) == [{"ended": "paused", "update": 2}] * 2
    status = json.loads((two / name / "status.json").read_text())
    assert status["state"] == "paused"
    assert problem in status["problem"]
    first, second = adapters(two / name)
    saved = torch.load(two / name / "checkpoints" / "000002" / "state.pt", weights_only=True)["adapter"]
    for key in saved:
        assert first[key].equal(second[key])
        assert first[key].equal(saved[key])


def test_an_allowance_spent_by_one_process_pauses_both_in_the_first_update_too(two: Path) -> None:
    assert said(two / "spent") == [{"ended": "paused", "update": 0}] * 2
    status = json.loads((two / "spent" / "status.json").read_text())
    assert (status["state"], status["problem"]) == ("paused", "process 1: 3 of 3 calls are spent")


@pytest.mark.parametrize(
    ("name", "error"), [("nan", "NotFiniteError: update 3, step"), ("broken", "ZeroDivisionError: a bug in a judge")]
)
def test_an_error_in_one_process_ends_both_and_each_names_it(two: Path, name: str, error: str) -> None:
    main, other = said(two / name)
    assert other["error"].startswith(error)
    assert main["error"].startswith(f"ElsewhereError: process 1: {error.split(': ')[1]}")
    assert main["update"] == other["update"] == 2
    assert (two / name / "checkpoints" / "000002").exists()


def test_a_stop_of_the_main_process_stops_both(two: Path) -> None:
    main, other = said(two / "stopped")
    assert main == other
    assert main["ended"] == "stopped"
    first, second = adapters(two / "stopped")
    assert all(first[name].equal(second[name]) for name in first)
