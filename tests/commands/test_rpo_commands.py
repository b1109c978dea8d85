"""`workbench rpo` as a researcher types it: the tiny FLUX, a coin for a judge, and the usual mistakes."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run(tmp_path):
    """`run("train", **fields of the configuration)`: exit status, standard output, standard error."""

    def typed(command: str, *options: str, **fields: Any) -> tuple[int, str, str]:
        (tmp_path / "prompts.txt").write_text("a red circle\ntwo blue squares\n")
        settings = {
            "prompts": str(tmp_path / "prompts.txt"),
            "policy": {"path": str(ROOT / "data/models/tiny_flux"), "size": 64},
            "rewards": [{"kind": "shuffled"}],
            "updates": 2,
            "groups": 2,
            "batch": 2,
            "evaluate_every": 0,
            **fields,
        }
        (tmp_path / "rpo.yaml").write_text(yaml.safe_dump(settings))
        done = subprocess.run(
            [sys.executable, "-m", "workbench.cli", "rpo", command, str(tmp_path / "rpo.yaml"), *options],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        return done.returncode, done.stdout, done.stderr

    return typed


def test_estimate_says_what_a_run_takes(run):
    status, out, _ = run("estimate", "--memory", "80")
    assert status == 0
    assert "2.0 GB of 80 GB: fits" in out
    assert "judge calls" in out


def test_train_prints_its_updates_and_names_the_folder(run, tmp_path):
    status, out, errors = run("train", "--out", "run")
    assert status == 0, errors
    assert [line.split(";")[0] for line in out.splitlines()[:2]] == ["update 1/2", "update 2/2"]
    assert out.splitlines()[-1] == "finished after update 2 of 2: run"
    assert (tmp_path / "run" / "lora" / "pytorch_lora_weights.safetensors").exists()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"rewards": [{"rubric": "gone.yaml", "base_url": "http://127.0.0.1:9/v1", "model": "m"}]}, "gone.yaml"),
        ({"rewards": [{"base_url": "http://127.0.0.1:9/v1"}]}, "127.0.0.1:9"),
        ({"rewards": [{"kind": "person"}]}, "person"),
        ({"prompts": "gone.txt"}, "gone.txt"),
        ({"policy": {"path": "nowhere/at/all", "size": 64}}, "nowhere/at/all"),
    ],
)
def test_a_mistake_is_told_without_a_traceback(run, fields, message):
    status, _, errors = run("train", "--out", "run", **fields)
    assert status == 1
    assert message in errors
    assert "Traceback" not in errors
