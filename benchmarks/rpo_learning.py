"""Does training by a judge teach a generator anything? Arms x seeds on the embedded world. Synthetic (algorithm).

    python benchmarks/rpo_learning.py --task t2i --seconds 240 1200 --seeds 5 --threads 1
    python benchmarks/rpo_learning.py --task t2i --seconds 240 --images 9600 --seeds 5

One JSON line a run and budget: a run trains until all its budgets are spent, and is measured as each is. Given again,
the same command goes on where it stopped. The test prompts are drawn by the base once, and once for every line, and
measured by `workbench.shapes.inspector`, which no reward uses; anything is tuned with `--split dev` and `--set`. Time
is the processor's, the judge's included, so that other work on the machine counts little; with `--threads 1` as many
commands may run at once, with other arms, as there are cores.
"""

import argparse
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from PIL import Image
from rpo_learning_arms import ARMS, RUBRICS, Arm, config_of, panel_of, schedule
from rpo_learning_lines import Line, Look, Rates, read_results
from rpo_learning_report import report

from workbench.atomic import replacing
from workbench.pairs.comparison import Task
from workbench.rpo.config import RpoConfig
from workbench.rpo.policies.base import LoraPolicy
from workbench.rpo.policies.load import load_policy
from workbench.rpo.policy import Cond, Policy, Prompt
from workbench.rpo.reward import png
from workbench.rpo.rewards_from import build_judges
from workbench.rpo.running.status import Status
from workbench.rpo.trainer import Trainer
from workbench.rpo.watching.alarms import Alarms
from workbench.rpo.watching.inspection import inspect_prompt
from workbench.rpo.watching.measured import Measured, measure
from workbench.rubrics.files import load_rubric
from workbench.runs.lines import LineLog
from workbench.shapes.instructions import parse_instruction
from workbench.shapes.pretrain.tiny_qwen_edit import TEST_TRIPLES
from workbench.shapes.render import render
from workbench.shapes.small_world import WIDTH, Split, edit_triples, prompts

TRAINED, WATCHED = 2000, 64
"""Prompts to train on, and development prompts that alarms look at."""
HARD = ("add", "move", "reshape")
"""Edits that are trained and count: those the base gets right in about half of the cases, says its card."""
IMAGE_SEEDS = range(4)
SPENT: Mapping[Task, range] = {"t2i": range(400, 720), "edit": range(TEST_TRIPLES)}
"""Test prompts left out, by their number: of t2i those after a look at which settings were changed, of edits those that
the policy's card tells of. The card's t2i prompts are used; see `LOOKED_AT` in `rpo_learning_report.py`."""
POLICIES: Mapping[Task, str] = {"t2i": "data/models/tiny_flux", "edit": "data/models/tiny_qwen_edit"}


@dataclass(frozen=True, slots=True)
class Budget:
    """When a run is measured: after so many seconds of processor time, the judge's included, or so many pictures."""

    seconds: float | None = None
    images: int | None = None

    def __str__(self) -> str:
        return f"{self.seconds:g} processor seconds" if self.images is None else f"{self.images:,} images"

    def is_spent(self, seconds: float, images: int) -> bool:
        return seconds >= (self.seconds or float("inf")) or images >= (self.images or float("inf"))


def processor_seconds() -> float:
    """What this process and its living children (a judge's server) have had of the processor; needs Linux."""
    children = " ".join(path.read_text() for path in Path("/proc/self/task").glob("*/children")).split()
    fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in ("self", *children)]
    return sum(int(each[11]) + int(each[12]) for each in fields) / os.sysconf("SC_CLK_TCK")


def texts(task: Task, split: Split, n: int) -> list[Prompt]:
    """`n` different prompts of a split, always the same ones; edits come with their source.

    They are hard ones, and behind them, where they are measured, a quarter as many others: what training leaves alone.
    """
    spent = SPENT[task] if split == "test" else range(0)
    if task == "t2i":
        every = enumerate(prompts(split, n if n <= spent.start else n + len(spent), seed=0))
        return [Prompt(f"{split}-{i}", text) for i, text in every if i not in spent]
    drawn = edit_triples(len(spent) + 5 * n, seed=0, split=split)[len(spent) :]
    hard, others = ([each for each in drawn if is_hard(each.instruction) is wanted] for wanted in (True, False))
    chosen = hard[:n] if split == "train" else hard[:n] + others[: n // 4]
    return [
        Prompt(f"{split}-{len(spent) + i}", each.instruction, png(render(each.source, WIDTH)))
        for i, each in enumerate(chosen)
    ]


def is_hard(instruction: str) -> bool:
    """Whether it asks for one of the `HARD` edits."""
    return parse_instruction(instruction).action in HARD


class Kept:
    """Prompts encoded once for all runs."""

    def __init__(self, policy: LoraPolicy, prompts: Sequence[Prompt]) -> None:
        self._conds = {(prompt.id, prompt.text): policy.encode_one(prompt) for prompt in prompts}

    def read(self, prompt: Prompt) -> Cond:
        return self._conds[prompt.id, prompt.text]


@dataclass(frozen=True, slots=True)
class Run:
    """One arm with one seed while it trains; `updates` are the lines of its metrics so far."""

    arm: Arm
    config: RpoConfig
    policy: Policy
    alarms: Alarms
    load: float
    updates: list[Mapping[str, Any]] = field(default_factory=list)

    def sum(self, name: str) -> int:
        """Over all updates."""
        return sum(line[name] for line in self.updates)


class Experiment:
    """One task's runs into one file of results."""

    def __init__(
        self, task: Task, path: str, split: Split, n: int, threads: int, out: Path, changes: Mapping[str, Any]
    ) -> None:
        self.task, self.path, self.threads, self.changes = task, path, threads, changes
        self.train, self.watched = texts(task, "train", TRAINED), texts(task, "dev", WATCHED)
        self.measured, self.split = texts(task, split, n), split
        self.design = self._design()
        self.lines, self._out = read_results(out), out
        self._kept: Kept | None = None
        if strange := [line.arm for line in self.lines if line.design != self.design]:
            raise ValueError(
                f"{out} holds {len(strange)} runs with other weights, prompts or settings (first {strange[0]!r}); name "
                "another --out"
            )

    def _design(self) -> str:
        parts = sorted(Path(self.path).rglob("*.safetensors"))
        weights = [hashlib.sha256(part.read_bytes()).hexdigest() for part in parts]
        prompts = [[(each.id, each.text) for each in some] for some in (self.train, self.measured)]
        rubric = load_rubric(RUBRICS[self.task]).hash
        told = [self.task, weights, *prompts, list(IMAGE_SEEDS), rubric, self.changes]
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:12]

    def run(self, todo: Sequence[tuple[Arm, int]], budgets: Sequence[Budget]) -> None:
        """What is not yet in the file, one after the other; a run is measured whenever a budget is spent."""
        for line in self.lines:
            if line.arm != "base" and line.config != self._config(ARMS[line.arm], line.seed).to_json():
                raise ValueError(f"{self._out}: {line.arm!r} was run by another configuration; name another --out")
        if not any(line.arm == "base" for line in self.lines):
            rates = self._rates(self._policy(0)[1])
            self._keep(Line(design=self.design, task=self.task, split=self.split, arm="base", rates=rates))
        done = {line.key for line in self.lines}
        missing = [(*each, [one for one in budgets if (each[0].name, each[1], str(one)) not in done]) for each in todo]
        missing = [each for each in missing if each[2]]
        for number, (arm, seed, left) in enumerate(missing, start=1):
            print(f"{arm.name}, seed {seed} ({number} of {len(missing)})", flush=True)
            self._train(arm, seed, left)

    def _keep(self, line: Line) -> None:
        self._out.parent.mkdir(parents=True, exist_ok=True)
        with LineLog(self._out) as log:
            log.append(line.model_dump_json(exclude_defaults=True).encode() + b"\n")
        self.lines.append(line)
        base = next(each for each in self.lines if each.arm == "base")
        if line is not base:
            change = np.nanmean(line.rates.rates("right") - base.rates.rates("right"))
            told = f"{100 * change:+.1f} points fully right, {line.updates} updates, {line.images} images"
            print(f"  {line.budget}: {told}", flush=True)

    def _config(self, arm: Arm, seed: int) -> RpoConfig:
        return config_of(arm, self.task, self.path, seed, self.changes)

    def _policy(self, seed: int, arm: Arm = ARMS["oracle"]) -> tuple[RpoConfig, Policy]:
        config = self._config(arm, seed)
        if self._kept is None:
            encoder = load_policy(config.policy, "cpu")
            self._kept = Kept(encoder, [*self.train, *self.watched, *self.measured])
        return config, load_policy(config.policy, "cpu", seed=seed, embeddings=self._kept)

    def _train(self, arm: Arm, seed: int, budgets: Sequence[Budget]) -> None:
        """Train until all budgets are spent; measuring takes nothing from those to come."""
        config, policy = self._policy(seed, arm)
        gold = build_judges([config.gold], self.task, seed=seed, cache=None) if config.gold else None
        run = Run(arm, config, policy, Alarms.baseline(*self._look(policy)), os.getloadavg()[0])
        left, start = list(budgets), processor_seconds()

        def count(line: Mapping[str, Any]) -> None:
            nonlocal start
            run.updates.append(line)
            now = processor_seconds()
            if due := [each for each in left if each.is_spent(now - start, run.sum("images"))]:
                measured = self._line(run)
                for budget in due:
                    self._keep(measured.model_copy(update={"budget": str(budget)}))
                    left.remove(budget)
            start += processor_seconds() - now
            if not left:
                trainer.stop()

        with tempfile.TemporaryDirectory(prefix="rpo-") as folder:
            panel = panel_of(arm, config, self.task)
            with Trainer(config, policy, panel, self.train, Path(folder), gold=gold, report=count) as trainer:
                trainer.train()
            if left:
                problem = Status.read(Path(folder)).problem
                raise RuntimeError(f"{arm.name}, seed {seed}: ended before {left[0]}: {problem}; run this again")

    def _line(self, run: Run) -> Line:
        """The run as it is now, measured."""
        kls = [line["kl"] for line in run.updates[-10:] if line["kl"] is not None]
        return Line(
            design=self.design,
            task=self.task,
            split=self.split,
            arm=run.arm.name,
            seed=run.config.seed,
            rates=self._rates(run.policy),
            config=run.config.to_json(),
            updates=len(run.updates),
            images=run.sum("images"),
            seconds={
                part: round(sum(line["seconds"][part] for line in run.updates), 1) for part in run.updates[0]["seconds"]
            },
            decided=run.sum("decided"),
            tied=run.sum("tied"),
            failed=run.sum("failed"),
            judge_calls=run.sum("judge_calls"),
            kl=sum(kls) / len(kls) if kls else None,
            looks=[_look_of(line) for line in run.updates if "alarms" in line],
            alarms=run.alarms.check(len(run.updates), *self._look(run.policy)),
            threads=self.threads,
            load=round(run.load, 1),
        )

    def _look(self, policy: Policy) -> tuple[list[Image.Image], list[str]]:
        """Pictures of development prompts, and whose they are."""
        found = measure(policy, self.watched, IMAGE_SEEDS[:2], inspect_prompt, keep=len(self.watched))
        pictures = [picture for own in found.pictures for picture in own]
        return pictures, [prompt.id for prompt in found.prompts for _ in found.seeds]

    def _rates(self, policy: Policy) -> Rates:
        found: Measured = measure(policy, self.measured, IMAGE_SEEDS, inspect_prompt)
        is_edit = self.task == "edit"
        actions = [parse_instruction(each.text).action for each in self.measured] if is_edit else []
        return Rates.of(found, actions, HARD)


def _look_of(line: Mapping[str, Any]) -> Look:
    return Look(
        update=line["update"],
        reward=line["reward"],
        judge=line.get("win_rate_base"),
        gold=line.get("gold_win_rate_base"),
        alarms=line["alarms"],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=("t2i", "edit"), default="t2i")
    parser.add_argument("--seconds", type=float, nargs="*", default=[], help="of processor time a run trains")
    parser.add_argument("--images", type=int, nargs="*", default=[], help="candidates a run")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--arms", nargs="+", choices=tuple(ARMS), default=tuple(ARMS), metavar="ARM")
    parser.add_argument("--prompts", type=int, default=320, help="measured; all different")
    parser.add_argument("--split", choices=("test", "dev"), default="test")
    parser.add_argument("--policy", help="a pipeline's folder; the tiny one of the task unless given")
    parser.add_argument("--set", type=yaml.safe_load, default={}, metavar="YAML", help="changes of all configurations")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, help="benchmarks/results/rpo_learning_TASK.jsonl unless given")
    options = parser.parse_args()
    budgets = [*(Budget(seconds=each) for each in options.seconds), *(Budget(images=each) for each in options.images)]
    if not budgets:
        parser.error("say how long a run trains: --seconds, --images or both")
    torch.set_num_threads(options.threads)
    out = options.out or Path(f"benchmarks/results/rpo_learning_{options.task}.jsonl")
    policy = options.policy or POLICIES[options.task]
    experiment = Experiment(options.task, policy, options.split, options.prompts, options.threads, out, options.set)
    experiment.run(schedule(options.arms, options.seeds), budgets)
    table = report(read_results(out))  # with what other commands have added meanwhile
    with replacing(out.with_suffix(".md")) as temporary:
        temporary.write_text(table, encoding="utf-8")
    print(table)


if __name__ == "__main__":
    main()
