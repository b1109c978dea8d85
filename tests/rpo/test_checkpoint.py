"""A run goes on from a checkpoint bit by bit, and from no other's."""

import errno
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from toy_policy import RedJudge, ToyPolicy
from toy_runs import config, panel, trainer

from workbench.rpo.config import RpoConfig
from workbench.rpo.running.checkpoint import CheckpointError, inputs, latest
from workbench.rpo.running.journal import read_metrics
from workbench.runs.storage import StorageError


def untimed(run: Path) -> list[dict[str, object]]:
    return [{key: value for key, value in line.items() if key != "seconds"} for line in read_metrics(run)]


def state(run: Path, update: int) -> dict[str, dict[str, torch.Tensor]]:
    path = run / "checkpoints" / f"{update:06d}" / "state.pt"
    loaded: dict[str, dict[str, torch.Tensor]] = torch.load(path, weights_only=True)
    return loaded


def train(run: Path, settings: RpoConfig, until: int | None = None) -> None:
    """To the end of the run, or to be stopped once an update is done."""
    with trainer(
        run,
        settings,
        gold=panel(RedJudge(-1)),
        policy=ToyPolicy(tokens=4),
        report=lambda line: opened.stop() if line["update"] == until else None,
    ) as opened:
        opened.train()


@pytest.mark.parametrize("strategy", ["replay", "fused"])
def test_two_updates_and_two_more_are_four(tmp_path: Path, strategy: str) -> None:
    settings = config(objective={"strategy": strategy, "beta": 0.0}, evaluate_every=1, evaluated=3)
    train(tmp_path / "whole", settings)
    train(tmp_path / "parts", settings, until=2)
    train(tmp_path / "parts", settings)
    assert untimed(tmp_path / "parts") == untimed(tmp_path / "whole")
    whole, parts = state(tmp_path / "whole", 4), state(tmp_path / "parts", 4)
    for part in ("adapter", "average"):
        assert whole[part].keys() == parts[part].keys()
        assert all(whole[part][name].equal(parts[part][name]) for name in whole[part])
    for index, moments in whole["optimizer"]["state"].items():
        assert all(moments[name].equal(parts["optimizer"]["state"][index][name]) for name in moments)
    exported = [(tmp_path / run / "lora" / "toy.safetensors").read_bytes() for run in ("whole", "parts")]
    assert exported[0] == exported[1]
    grids = [(tmp_path / run / "grids" / "update-000004.webp").read_bytes() for run in ("whole", "parts")]
    assert grids[0] == grids[1]


def test_the_average_follows_the_adapter_and_is_what_is_exported(tmp_path: Path) -> None:
    train(tmp_path, config(updates=1))
    start = ToyPolicy(tokens=4).trainable()["B"].detach()
    made = state(tmp_path, 1)
    assert torch.allclose(made["average"]["B"], 0.5 * start + 0.5 * made["adapter"]["B"])
    from safetensors.torch import load_file

    assert load_file(tmp_path / "lora" / "toy.safetensors")["B"].equal(made["average"]["B"])


def test_a_kill_after_the_checkpoint_leaves_no_update_twice(tmp_path: Path) -> None:
    settings = config(checkpoint_every=100)
    train(tmp_path / "whole", settings)
    train(tmp_path / "killed", settings, until=2)
    whole = (tmp_path / "whole" / "metrics.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "killed" / "metrics.jsonl").write_text("".join(whole[:3]) + whole[3][:20])  # the fourth is torn
    train(tmp_path / "killed", settings)
    assert untimed(tmp_path / "killed") == untimed(tmp_path / "whole")


def test_the_last_two_and_every_some_are_kept(tmp_path: Path) -> None:
    settings = config(updates=7, checkpoint_every=3)
    for until in (1, 2, 3, 4, 5, 6, 7):
        train(tmp_path, settings, until)
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["000003", "000006", "000007"]


def test_a_run_may_be_made_longer(tmp_path: Path) -> None:
    train(tmp_path / "longer", config(updates=2))
    train(tmp_path / "longer", config(updates=4))
    train(tmp_path / "whole", config(updates=4))
    assert untimed(tmp_path / "longer") == untimed(tmp_path / "whole")


@pytest.mark.parametrize(
    ("other", "named"),
    [
        (config(optimizer={"lr": 0.5}), "optimizer.lr: 0.02 there, 0.5 now"),
        (config(seed=1), "seed: 0 there, 1 now"),
        (config(rewards=[{"kind": "shuffled"}]), "rewards.0.kind: 'oracle' there, 'shuffled' now"),
        (config(objective={"clip": [1, 2]}), "objective.clip"),
    ],
)
def test_a_checkpoint_of_another_configuration_is_refused_by_field(
    tmp_path: Path, other: RpoConfig, named: str
) -> None:
    train(tmp_path, config(), until=1)
    with pytest.raises(CheckpointError, match="another configuration") as refused:
        train(tmp_path, other)
    assert named in str(refused.value)


def test_what_changes_no_result_may_change() -> None:
    moved = config(rewards=[{"kind": "oracle", "base_url": "http://elsewhere/v1"}], updates=9, max_failure_rate=0.5)
    assert inputs(moved) == inputs(config())
    assert inputs(config(gold={"kind": "shuffled"})) != inputs(config())


def test_a_checkpoint_of_another_adapter_is_refused(tmp_path: Path) -> None:
    train(tmp_path, config(), until=1)
    with pytest.raises(CheckpointError, match=r"another adapter \(adapter\.A: \(4, 4\) there, \(5, 4\) now\)"):
        trainer(tmp_path, config(), policy=ToyPolicy(tokens=4, width=5))


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def _reschema(path: Path) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema": "workbench.rpo.checkpoint/9"}))


@pytest.mark.parametrize(
    ("file", "damage", "named"),
    [
        ("state.pt", _cut, "state.pt"),
        ("state.pt", Path.unlink, "state.pt"),
        ("checkpoint.json", _cut, "checkpoint.json"),
        ("checkpoint.json", Path.unlink, "checkpoint.json: missing"),
        ("checkpoint.json", _reschema, "schema"),
    ],
)
def test_a_damaged_checkpoint_is_refused_and_the_one_before_still_serves(
    tmp_path: Path, file: str, damage: Callable[[Path], None], named: str
) -> None:
    train(tmp_path, config(checkpoint_every=1), until=2)
    last = latest(tmp_path)
    assert last is not None
    damage(last / file)
    with pytest.raises(CheckpointError, match="000002 is no whole checkpoint") as refused:
        train(tmp_path, config(checkpoint_every=1))
    assert named in str(refused.value)
    for each in last.iterdir():
        each.unlink()
    last.rmdir()
    train(tmp_path, config(checkpoint_every=1))
    assert [line["update"] for line in untimed(tmp_path)] == [1, 2, 3, 4]


def test_a_checkpoint_being_written_is_not_one(tmp_path: Path) -> None:
    train(tmp_path, config(), until=1)
    (tmp_path / "checkpoints" / ".000009.tmp").mkdir()
    train(tmp_path, config())
    assert [line["update"] for line in untimed(tmp_path)] == [1, 2, 3, 4]


def test_a_full_disk_leaves_no_debris_and_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(tmp_path, config(updates=1))
    write_bytes = Path.write_bytes

    def full(path: Path, data: bytes) -> int:
        if path.name == "state.pt":
            write_bytes(path, bytes(data)[:100])
            raise OSError(errno.ENOSPC, "No space left on device")
        return write_bytes(path, data)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", full)
        with pytest.raises(StorageError, match=r"000002.*No space left"):
            train(tmp_path, config(updates=2))
    assert json.loads((tmp_path / "status.json").read_text())["state"] == "failed"
    assert [each.name for each in (tmp_path / "checkpoints").iterdir()] == ["000001"]
    train(tmp_path, config(updates=2))
    assert [line["update"] for line in read_metrics(tmp_path)] == [1, 2]
