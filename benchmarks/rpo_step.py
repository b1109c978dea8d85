"""What an update of RPO costs: ARR's published loop against `replay`, `fused` and a window with a real KL.

    python benchmarks/rpo_step.py --out benchmarks/results/rpo_step.json

All methods take turns in one run on the tiny FLUX, in updates on equally many prompts, judged by a coin that costs
nothing. First it is shown that gradients are equal where the methods say so. Last, the coin takes a second to fall, and
an update has to hide that. Ratios are of neighbouring updates, so that a machine that slows down slows both.
"""

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from arr_loop import BETA, STEPS, arr_gradient, checkpointing
from racing import Spread, race
from torch import Tensor

from workbench.judges.rewards import rewards
from workbench.judges.verdict import Judge, Verdict
from workbench.pairs.comparison import Comparison
from workbench.rpo.config import RpoConfig
from workbench.rpo.counted import Counted
from workbench.rpo.draws import Noise, generator
from workbench.rpo.learner import Learner
from workbench.rpo.plan import BACKWARD, forwards, make_plan
from workbench.rpo.policies.flux import FluxPolicy
from workbench.rpo.policy import Cond, Policy, Prompt
from workbench.rpo.reward import RewardPanel, WeightedJudge
from workbench.rpo.rewards_from import ShuffledJudge
from workbench.rpo.rollout import Evaluation, sample
from workbench.rpo.strategies import learn, sample_for, sample_with_gradients
from workbench.rpo.trainer import Trainer
from workbench.shapes.small_world import prompts as world_prompts

FREE: Mapping[str, Any] = {"beta": 0.0}
"""No reference: ARR's term is the same as advantages smaller by its weight."""

METHODS: Mapping[str, Mapping[str, Any]] = {
    "replay": {"objective": FREE},
    "fused": {"objective": {**FREE, "strategy": "fused"}},
    "window of 2, real KL": {"sampling": {"window": 2}, "objective": {"kl": "gaussian"}},
}
"""What differs from the published settings."""


class Slow(ShuffledJudge):
    """A coin that falls after some seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seed=0)
        self.seconds = seconds

    async def compare(self, comparison: Comparison, order: Sequence[int], sample: int = 0) -> Verdict:
        await asyncio.sleep(self.seconds)
        return await super().compare(comparison, order, sample)


@dataclass(frozen=True, slots=True)
class Bench:
    """The tiny FLUX, with an adapter that is not zero, and what to draw."""

    policy: FluxPolicy
    prompts: Sequence[Prompt]
    groups: int
    folder: Path

    def config(self, batch: int = 1, **changes: Any) -> RpoConfig:
        """ARR's settings with some changes."""
        return RpoConfig.of(
            "paper",
            prompts="-",
            policy=self.policy.config.model_dump(),
            rewards=[{"kind": "shuffled"}],
            groups=self.groups,
            batch=batch,
            updates=1_000_000,
            evaluate_every=0,
            **{"optimizer": {"lr": 1e-9}, **changes},  # the last update is on the same adapter as the first
        )

    def arr(self, judge: Judge) -> Callable[[int], None]:
        """An update of ARR's loop, by its number."""
        learner = Learner(self.policy.trainable(), self.config().optimizer)

        def update(number: int) -> None:
            conds = [self.policy.encode([self.prompts[(number + j) % len(self.prompts)]]) for j in range(self.groups)]
            with checkpointing(self.policy):
                arr_gradient(self.policy, conds, judge, number, self.folder)
            learner.step(learner.take_gradient(), number)

        return update

    def trainer(self, name: str, judge: Judge, batch: int = 1, **changes: Any) -> Callable[[int], None]:
        """An update of the trainer, by its number."""
        panel = RewardPanel((WeightedJudge(judge, both_orders=False),))
        trainer = Trainer(self.config(batch, **changes), self.policy, panel, self.prompts, self.folder / name)
        return lambda _: trainer.one_update()  # `train` would save the adapter every time


def taken_gradient(policy: Policy) -> Tensor:
    """The gradient so far as one vector; afterwards there is none."""
    parameters = policy.trainable().values()
    flat = torch.cat([each.grad.flatten() for each in parameters if each.grad is not None])
    for each in parameters:
        each.grad = None
    return flat


def gradients(bench: Bench) -> dict[str, float]:
    """Relative differences to the gradient of ARR's loop, on the same noise and verdicts."""
    policy, prompts, coin = bench.policy, bench.prompts[:4], ShuffledJudge(0)
    with checkpointing(policy):
        arr_gradient(policy, [policy.encode([prompt]) for prompt in prompts], coin, 0, bench.folder)
    published = taken_gradient(policy)
    config = bench.config()
    plan = make_plan(config.sampling, generator(0))
    evaluation, cond = Evaluation(policy, plan, truncate=True, update=0), policy.encode(prompts)
    verdicts = [asyncio.run(coin.compare(Comparison(f"u0-g{j}", "t2i", "", (b"", b"")), (0, 1))) for j in range(4)]
    told = [advantage for verdict in verdicts for advantage in rewards(verdict.ranks or ())]
    shifted, free = [each - BETA for each in told], config.objective.model_copy(update=FREE)
    found = {}
    for name, sampled, values, objective in (
        ("replay, with ARR's reference term", sample, told, config.objective),
        ("replay, A - beta in place of it", sample, shifted, free),
        ("fused, A - beta in place of it", sample_with_gradients, shifted, free),
    ):
        learn(sampled(evaluation, cond, Noise(0, 0, range(4), 2)), values, objective)
        gradient = taken_gradient(policy) / (2 * 4 * len(plan.trained))
        found[name] = float((gradient - published).norm() / published.norm())
    return found


def equivalents(bench: Bench) -> dict[str, dict[str, float]]:
    """Passes for one group, counted as they are made, with their sum in forward passes by the table's rates."""
    counted, cond = Counted(bench.policy), bench.policy.encode(bench.prompts[:1])
    arr_gradient(counted, [cond], ShuffledJudge(0), 0, bench.folder)
    trained = 2 * (STEPS - 1)
    arr = {**counted.forwards, "backward": trained, "recompute": trained}
    table = {"ARR's loop": {**arr, "sampling": arr["sampling"] + arr["graded"], "graded": 0}}  # no graph is kept
    for name, changes in METHODS.items():
        starts = (0, 1, 2, 3) if "sampling" in changes else (0,)  # where a window starts is drawn evenly
        rows = [_passes(bench, cond, bench.config(**changes), start) for start in starts]
        table[name] = {kind: statistics.fmean(row[kind] for row in rows) for kind in rows[0]}
    taken_gradient(bench.policy)
    return {name: {**row, "total": cost(row, {"backward": BACKWARD})} for name, row in table.items()}


def _passes(bench: Bench, cond: Cond, config: RpoConfig, start: int) -> dict[str, float]:
    plan = make_plan(config.sampling.model_copy(update={"starts": (start, start)}), generator(0))
    counted = Counted(bench.policy)
    evaluation = Evaluation(counted, plan, truncate=True, update=0)
    rollout = sample_for(config.objective, evaluation, cond, Noise(0, 0, [0], 2))
    learn(rollout, (1.0, -0.1), config.objective)
    expected = forwards(plan, 2, config.objective.strategy, kl=config.objective.beta > 0)
    assert sum(counted.forwards.values()) == expected.sampling + expected.replay + expected.reference
    return {**counted.forwards, "backward": expected.backward, "recompute": 0}


def cost(passes: Mapping[str, float], prices: Mapping[str, float]) -> float:
    """In evaluations without a graph; what has no price costs 1."""
    return sum(count * prices.get(kind, 1) for kind, count in passes.items() if kind != "total")


def rates(bench: Bench, repeats: int = 40) -> dict[str, float]:
    """Milliseconds of one evaluation at batch 1, and in such evaluations one with a graph and its backward pass."""
    cond = bench.policy.encode(bench.prompts[:1])
    x_t = bench.policy.init_latents(cond, [generator(0)])
    spent: dict[str, list[float]] = {"plain": [], "graded": [], "backward": []}
    for _ in range(repeats):
        times = [time.process_time()]
        with torch.no_grad():
            bench.policy.velocity(x_t, 0.5, cond)
        times.append(time.process_time())
        v = bench.policy.velocity(x_t, 0.5, cond)
        times.append(time.process_time())
        v.square().sum().backward()
        times.append(time.process_time())
        for kind, began, ended in zip(spent, times, times[1:], strict=False):
            spent[kind].append(ended - began)
    taken_gradient(bench.policy)
    plain, graded, backward = (statistics.median(each) for each in spent.values())
    found = {"graded": graded / plain, "recompute": graded / plain, "backward": backward / plain}
    return {**found, "evaluation_ms": 1000 * plain}


def latency(bench: Bench, rounds: int) -> dict[str, Any]:
    """Seconds of an update with a judge that takes none, and with one that takes one."""
    judges = {"none": ShuffledJudge(0), "1 s": Slow(1.0)}
    runners = {name: bench.trainer(f"latency {name}", judge, **METHODS["replay"]) for name, judge in judges.items()}
    seconds, _ = race(runners, rounds)
    ratios = [slow / fast for fast, slow in zip(seconds["none"], seconds["1 s"], strict=True)]
    print(f"\nA judge of 1 s a verdict, {bench.groups} groups an update, replay, batch 1")
    for name, each in seconds.items():
        print(f"{'latency ' + name:24}{Spread.of(each).shown('.2f')} s")
    print(f"{'ratio':24}{Spread.of(ratios).shown('.3f')} (asked for: at most 1.1)")
    return {"groups": bench.groups, "ratio": Spread.of(ratios).to_json()} | {
        name: Spread.of(each).to_json() for name, each in seconds.items()
    }


def report(bench: Bench, rounds: int, batch: int) -> dict[str, Any]:
    """Print and return the comparison."""
    agree, table, measured = gradients(bench), equivalents(bench), rates(bench)
    print("Relative difference to the gradient of ARR's loop, same noise and verdicts")
    for name, difference in agree.items():
        print(f"  {name:40}{difference:.1e}")
    print(
        f"One evaluation at batch 1 takes {measured['evaluation_ms']:.1f} ms; with a graph it takes "
        f"{measured['graded']:.2f} of that, its backward pass {measured['backward']:.2f} (in the table {BACKWARD})"
    )
    coin = ShuffledJudge(0)
    runners = {"ARR's loop": bench.arr(coin)}
    for size in dict.fromkeys((1, batch)):
        runners |= {f"{name}, batch {size}": bench.trainer(f"{name} {size}", coin, size, **changes)
                    for name, changes in METHODS.items()}  # fmt: skip
    clock, processor = race(runners, rounds)
    print(f"\n{rounds} updates of {bench.groups} pairs each: median [lowest, highest]; forwards are of one pair")
    print(f"{'':30}{'seconds':>22}{'times ARR':>22}{'of processor':>22}{'forwards':>10}{'ratio':>7}{'as measured':>13}")
    rows = {}
    for name in runners:
        counted, arr = table[name.partition(", batch")[0]], table["ARR's loop"]
        ratios = [
            Spread.of([before / after for before, after in zip(each["ARR's loop"], each[name], strict=True)])
            for each in (clock, processor)
        ]
        expected = [cost(arr, each) / cost(counted, each) for each in ({"backward": BACKWARD}, measured)]
        print(
            f"{name:30}{Spread.of(clock[name]).shown('.2f'):>22}{ratios[0].shown('.2f'):>22}"
            f"{ratios[1].shown('.2f'):>22}{counted['total']:>10.1f}{expected[0]:>7.2f}{expected[1]:>13.2f}"
        )
        rows[name] = {
            "seconds": Spread.of(clock[name]).to_json(),
            "processor_seconds": Spread.of(processor[name]).to_json(),
            "speedup": ratios[0].to_json(),
            "processor_speedup": ratios[1].to_json(),
            "expected_by_table": expected[0],
            "expected_by_measured_rates": expected[1],
        }
    return {"gradients": agree, "forwards": table, "rates": measured, "groups": bench.groups, "methods": rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="data/models/tiny_flux")
    parser.add_argument("--groups", type=int, default=8)
    parser.add_argument("--batch", type=int, default=8, help="prompts together, besides one at a time")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--latency-groups", type=int, default=32)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    config = RpoConfig.of(prompts="-", policy={"path": options.model, "size": 64}, rewards=[{"kind": "shuffled"}])
    policy = FluxPolicy.load(config.policy, "cpu")
    for parameter in policy.trainable().values():
        parameter.data.add_(0.01 * torch.randn(parameter.shape, generator=generator(1)))
    prompts = [Prompt(str(i), text) for i, text in enumerate(world_prompts("train", 64, seed=0))]
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(policy, prompts, options.groups, Path(folder))
        found = report(bench, options.rounds, options.batch)
        found["latency"] = latency(Bench(policy, prompts, options.latency_groups, Path(folder)), options.rounds)
    busy = [round(each, 1) for each in os.getloadavg()]
    print(f"\nLoad of the machine, {os.cpu_count()} cores, over 1, 5 and 15 minutes: {busy}")
    found["machine"] = {"cores": os.cpu_count(), "threads": options.threads, "torch": torch.__version__, "load": busy}
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps({"schema": "workbench.benchmark/1", **found}, indent=2) + "\n")


if __name__ == "__main__":
    main()
