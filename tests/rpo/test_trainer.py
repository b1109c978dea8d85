"""Training as a whole, with a policy whose answers are known: it learns, counts, stops, pauses and refuses."""

import asyncio
import json
import threading
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from toy_policy import PROMPTS, RedJudge, ToyPolicy
from toy_runs import config, panel, trainer

from workbench.judges.verdict import Verdict
from workbench.pairs.comparison import Comparison
from workbench.rpo.finite import NotFiniteError
from workbench.rpo.policy import Cond, Prompt
from workbench.rpo.rewards_from import ShuffledJudge
from workbench.rpo.running.journal import read_metrics
from workbench.vlm.errors import Unreachable

LEARNING = {"updates": 25, "groups": 16, "batch": 16, "checkpoint_every": 100}


class FailingJudge(RedJudge):
    """Fails, or ends the run, from a comparison on."""

    def __init__(self, first: str, error: Exception | None = None) -> None:
        super().__init__()
        self.first, self.error, self.has_failed = first, error, False

    async def compare(self, comparison: Comparison, order: Sequence[int], sample: int = 0) -> Verdict:
        self.has_failed |= comparison.id.startswith(self.first)
        if not self.has_failed:
            return await super().compare(comparison, order, sample)
        if self.error:
            raise self.error
        return Verdict(ranks=None, failure="error", detail="overloaded")


def status(run: Path) -> dict[str, Any]:
    said: dict[str, Any] = json.loads((run / "status.json").read_text())
    return said


def saved(run: Path) -> list[str]:
    return sorted(path.name for path in (run / "checkpoints").iterdir())


def moved(policy: ToyPolicy) -> float:
    """How far the mean of the first channel is from where the adapter found it, over many samples by the ODE."""
    x_t = torch.randn(2000, *policy.shape, generator=torch.Generator().manual_seed(0))
    cond = policy.encode([PROMPTS[0]] * len(x_t))
    sigmas = [1.0, 0.9, 0.75, 0.5, 0.25, 0.0]

    def mean() -> float:
        x = x_t
        for sigma, following in pairwise(sigmas):
            x = x + (following - sigma) * policy.velocity(x, sigma, cond)
        return float(x[..., 0].mean())

    with torch.no_grad():
        adapted = mean()
        with policy.reference():
            return adapted - mean()


@pytest.mark.parametrize(
    ("seed", "sign", "strategy"), [(0, 1, "replay"), (1, -1, "replay"), (2, 1, "replay"), (3, -1, "fused")]
)
def test_it_moves_to_the_side_the_judge_prefers(tmp_path: Path, seed: int, sign: int, strategy: str) -> None:
    policy, settings = ToyPolicy(tokens=4), config(**LEARNING, seed=seed, objective={"strategy": strategy, "beta": 0})
    with trainer(tmp_path, settings, panel(RedJudge(sign)), policy=policy) as run:
        assert run.train() == "finished"
    assert sign * moved(policy) > 0.5


def test_shuffled_verdicts_teach_nothing(tmp_path: Path) -> None:
    shifts = []
    for seed in range(4):
        policy, settings = ToyPolicy(tokens=4), config(**LEARNING, seed=seed, objective={"beta": 0})
        with trainer(tmp_path / str(seed), settings, panel(ShuffledJudge(seed)), policy=policy) as run:
            run.train()
        shifts.append(moved(policy))
    assert max(map(abs, shifts)) < 0.3
    assert abs(sum(shifts) / len(shifts)) < 0.15


def test_what_an_update_writes(tmp_path: Path) -> None:
    prompts = [Prompt(f"p{i}", f"text {i}") for i in range(9)]
    settings = config(**{**LEARNING, "updates": 20}, evaluate_every=10, evaluated=9)
    lines: list[Any] = []
    with trainer(
        tmp_path, settings, gold=panel(RedJudge(-1)), prompts=prompts, report=lines.append, policy=ToyPolicy(tokens=4)
    ) as run:
        run.train()
    assert read_metrics(tmp_path) == json.loads(json.dumps(lines))
    assert [line["update"] for line in lines] == list(range(1, 21))
    last = lines[-1]
    assert last["decided"] + last["tied"] == 16
    assert last["images"] == 32
    assert last["ratio_dev_max"] == 0.0  # one step on every rollout
    assert last["kl"] > 0
    assert last["win_rate_base"]["value"] > 0.9
    assert last["win_rate_base"]["n"] == 9
    assert last["win_rate_base"]["ci95"][0] < last["win_rate_base"]["value"]
    assert last["gold_win_rate_base"]["value"] < 0.1
    assert any("saturation" in alarm for alarm in last["alarms"])
    assert [line["update"] for line in lines if "win_rate_base" in line] == [10, 20]
    grids = sorted((tmp_path / "grids").iterdir())
    assert [grid.name for grid in grids] == [f"update-{update:06d}.webp" for update in (0, 10, 20)]
    for grid in grids:
        with Image.open(grid) as opened:
            assert opened.size == (24, 24)  # 3 x 3 pictures of 8 pixels
    assert status(tmp_path)["state"] == "finished"
    assert status(tmp_path)["seconds"] == pytest.approx(sum(line["seconds"]["total"] for line in lines))
    assert (tmp_path / "lora" / "toy.safetensors").exists()


def test_several_steps_on_one_rollout_move_the_ratio(tmp_path: Path) -> None:
    with trainer(tmp_path, config(objective={"rounds": 3})) as run:
        run.train()
    line = read_metrics(tmp_path)[-1]
    assert line["ratio_dev"] > 0
    assert line["images"] == 8


def test_what_an_update_learns_does_not_depend_on_its_batches(tmp_path: Path) -> None:
    policies = []
    for batch in (1, 4):
        policies.append(ToyPolicy(tokens=4))
        with trainer(tmp_path / str(batch), config(batch=batch), policy=policies[-1]) as run:
            run.train()
    for one, other in zip(*(policy.trainable().values() for policy in policies), strict=True):
        assert torch.allclose(one, other, rtol=0, atol=1e-5)


def test_a_tie_changes_nothing(tmp_path: Path) -> None:
    policy = ToyPolicy(tokens=4)
    with trainer(tmp_path, config(), panel(RedJudge(0)), policy=policy) as run:
        assert run.train() == "finished"
    assert not policy.trainable()["B"].any()
    line = read_metrics(tmp_path)[-1]
    assert (line["decided"], line["tied"], line["grad_norm"], line["ratio_dev"]) == (0, 4, None, None)


def test_failed_verdicts_are_left_out_and_counted(tmp_path: Path) -> None:
    class OneFails(RedJudge):
        async def compare(self, comparison: Comparison, order: Sequence[int], sample: int = 0) -> Verdict:
            if comparison.id.endswith("g0"):
                return Verdict(ranks=None, failure="invalid")
            return await super().compare(comparison, order, sample)

    with trainer(tmp_path, config(max_failure_rate=0.25), panel(OneFails())) as run:
        assert run.train() == "finished"
    for line in read_metrics(tmp_path):
        assert line["failed"] == 1
        assert line["decided"] + line["tied"] == 3
        assert line["failed_verdicts"] == 2


@pytest.mark.parametrize("error", [None, Unreachable("no server at http://127.0.0.1:1")], ids=["failing", "dead"])
def test_a_judge_that_gives_out_pauses_training_and_the_run_goes_on_as_if_nothing_had_been(
    tmp_path: Path, error: Exception | None
) -> None:
    runs = {}
    for name, judge in (("whole", RedJudge()), ("paused", FailingJudge("u3-g2", error))):
        runs[name] = ToyPolicy(tokens=4)
        with trainer(tmp_path / name, config(), panel(judge), policy=runs[name]) as run:
            assert run.train() == ("paused" if name == "paused" else "finished")
    said = status(tmp_path / "paused")
    assert (said["state"], said["update"]) == ("paused", 2)
    assert ("no server" if error else "2 of 4 groups got no verdict (50%, max_failure_rate is 20%)") in said["problem"]
    assert saved(tmp_path / "paused") == ["000002"]
    resumed = ToyPolicy(tokens=4)
    with trainer(tmp_path / "paused", config(), policy=resumed) as run:
        assert run.train() == "finished"
    assert all(map(torch.equal, resumed.trainable().values(), runs["whole"].trainable().values()))


def test_a_judge_that_never_answers_is_an_error_and_nothing_is_trained(tmp_path: Path) -> None:
    policy = ToyPolicy(tokens=4)
    dead = FailingJudge("u1", Unreachable("no server at http://127.0.0.1:1"))
    with trainer(tmp_path, config(), panel(dead), policy=policy) as run, pytest.raises(Unreachable, match="no server"):
        run.train()
    assert status(tmp_path)["state"] == "failed"
    assert not (tmp_path / "checkpoints").exists()
    assert not policy.trainable()["B"].any()


def test_nan_ends_training_with_the_last_whole_update_saved(tmp_path: Path) -> None:
    policy = ToyPolicy(tokens=4)
    calls: list[dict[str, torch.Tensor]] = []

    def poison(x_t: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        return v * torch.nan if len(calls) == 3 and torch.is_grad_enabled() else v

    def remember(line: Any) -> None:
        calls.append({name: each.detach().clone() for name, each in policy.trainable().items()})

    policy.poison = poison
    with (
        trainer(tmp_path, config(), policy=policy, report=remember) as run,
        pytest.raises(NotFiniteError, match=r"update 4, step \d \(sigma 0\.\d+\): velocity \(torch\.float32\)"),
    ):
        run.train()
    assert saved(tmp_path) == ["000002", "000003"]
    assert status(tmp_path)["state"] == "failed"
    state = torch.load(tmp_path / "checkpoints" / "000003" / "state.pt", weights_only=True)
    assert all(state["adapter"][name].equal(value) for name, value in calls[-1].items())
    assert all(each.equal(calls[-1][name]) for name, each in policy.trainable().items())


def test_a_step_out_of_range_is_undone(tmp_path: Path) -> None:
    policy = ToyPolicy(tokens=4)
    with (
        trainer(tmp_path, config(optimizer={"lr": 1e36, "warmup": 0, "weight_decay": 300}), policy=policy) as run,
        pytest.raises(NotFiniteError, match=r"update 1: adapter's A"),
    ):
        run.train()
    assert all(each.isfinite().all() for each in policy.trainable().values())


def test_out_of_memory_says_what_to_change(tmp_path: Path) -> None:
    policy = ToyPolicy(tokens=4)

    def full(x_t: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 12.00 GiB")

    policy.poison = full
    with trainer(tmp_path, config(), policy=policy) as run, pytest.raises(MemoryError, match=r"update 1: .*batch"):
        run.train()


def test_judging_goes_on_while_the_next_batch_is_sampled(tmp_path: Path) -> None:
    sampled = threading.Event()

    class Patient(RedJudge):
        async def compare(self, comparison: Comparison, order: Sequence[int], sample: int = 0) -> Verdict:
            if comparison.id.endswith(("g0", "g1")):  # of the first batch: waits until the second is on its way
                assert await asyncio.to_thread(sampled.wait, 30)
            return await super().compare(comparison, order, sample)

    policy, judge = ToyPolicy(tokens=4), Patient()
    plain, calls = policy.encode, []

    def encode(prompts: Sequence[Prompt]) -> Cond:
        calls.append(prompts)
        if len(calls) == 2:
            sampled.set()
        return plain(prompts)

    policy.encode = encode  # type: ignore[method-assign]
    with trainer(tmp_path, config(updates=1), panel(judge), policy=policy) as run:
        assert run.train() == "finished"
    assert read_metrics(tmp_path)[0]["decided"] == 4


def test_which_verdict_comes_first_changes_nothing(tmp_path: Path) -> None:
    class Late(RedJudge):
        async def compare(self, comparison: Comparison, order: Sequence[int], sample: int = 0) -> Verdict:
            if comparison.id.endswith(("g0", "g1")):
                await asyncio.sleep(0.05)
            return await super().compare(comparison, order, sample)

    policies = []
    for judge in (RedJudge(), Late()):
        policies.append(ToyPolicy(tokens=4))
        with trainer(tmp_path / type(judge).__name__, config(), panel(judge), policy=policies[-1]) as run:
            run.train()
    assert all(map(torch.equal, *(policy.trainable().values() for policy in policies)))


def test_a_stop_ends_with_the_last_whole_update_and_the_run_goes_on_from_there(tmp_path: Path) -> None:
    class Stopping(RedJudge):
        async def compare(self, comparison: Comparison, order: Sequence[int], sample: int = 0) -> Verdict:
            if comparison.id.startswith("u3"):
                threading.Thread(target=run.stop).start()
            return await super().compare(comparison, order, sample)

    whole = ToyPolicy(tokens=4)
    with trainer(tmp_path / "whole", config(), policy=whole) as run:
        run.train()
    with trainer(tmp_path / "stopped", config(), panel(Stopping())) as run:
        assert run.train() == "stopped"
    said = status(tmp_path / "stopped")
    assert said["state"] == "stopped"
    assert saved(tmp_path / "stopped")[-1] == f"{said['update']:06d}"
    assert 2 <= said["update"] < 4
    resumed = ToyPolicy(tokens=4)
    with trainer(tmp_path / "stopped", config(), policy=resumed) as run:
        assert run.train() == "finished"
    assert all(map(torch.equal, resumed.trainable().values(), whole.trainable().values()))


def test_no_prompts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"prompts: prompts\.txt has none"):
        trainer(tmp_path, config(), prompts=[])


def test_groups_that_do_not_divide_are_refused_at_the_start() -> None:
    with pytest.raises(ValueError, match="groups=4 cannot be dealt out to 3 processes"):
        config().per_process(3)


@pytest.mark.parametrize("error", [Unreachable("the gold server is down"), ValueError("not of the shapes world")])
def test_a_gold_judge_that_gives_out_is_told_and_training_goes_on(tmp_path: Path, error: Exception) -> None:
    settings = config(updates=2, evaluate_every=1, evaluated=3)
    with trainer(tmp_path, settings, gold=panel(FailingJudge("u2", error))) as opened:
        assert opened.train() == "finished"
    first, second = read_metrics(tmp_path)
    assert first["gold_win_rate_base"]["failed"] == 0
    assert second["gold_win_rate_base"] == {"value": None, "ci95": None, "n": 0, "failed": 3}
    assert second["win_rate_base"]["n"] == 3
    assert second["alarms"] == [f"update 2: gold_win_rate_base: {error}"]
