"""Training in this very process: a notebook's with a person as judge, or one of those that a launcher started.

    python -m workbench.rpo.train CONFIG.yaml --out DIR [--resume]
    accelerate launch --num_processes 8 -m workbench.rpo.train CONFIG.yaml --out DIR

Exits with 0 when finished, or asked to stop (SIGTERM, SIGINT), with 3 when paused for a judge, and with 1 and a message
on errors. The same command goes on with what is in DIR.
"""

import argparse
import hashlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any, Self

import torch
from accelerate import Accelerator

from workbench.judges.verdict import Judge
from workbench.pairs.comparison import Task
from workbench.rpo.config import RpoConfig
from workbench.rpo.draws import prompts_of_process
from workbench.rpo.finite import NotFiniteError
from workbench.rpo.policies.embeddings import embeddings_of
from workbench.rpo.policies.load import load_policy
from workbench.rpo.prompts import print_aside, read_prompts
from workbench.rpo.reward import RewardPanel
from workbench.rpo.rewards_from import build_judges
from workbench.rpo.running import checkpoint
from workbench.rpo.running.journal import estimate_of
from workbench.rpo.running.processes import ElsewhereError, launched
from workbench.rpo.running.status import State
from workbench.rpo.trainer import Trainer
from workbench.runs.folder import RunFolder
from workbench.runs.manifest import FILE_NAME
from workbench.vlm.errors import StopRun

PAUSED = 3
"""The exit status of a run that waits for its judge."""

EXPECTED = (ValueError, StopRun, NotFiniteError, FloatingPointError, MemoryError, ElsewhereError)
"""What has a message for the user; anything else is a bug, with a traceback."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Train as the arguments say; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m workbench.rpo.train", description="Rubric Policy Optimization.")
    parser.add_argument("config", help="the run's YAML file")
    parser.add_argument("--out", type=Path, required=True, help="the run's folder, a new one or one to go on with")
    parser.add_argument(
        "--resume", action="store_true", help="refuse to start anew where there is nothing to go on with"
    )
    options = parser.parse_args(arguments)
    accelerator = launched()
    try:
        ended = train(RpoConfig.load(options.config), options.out, is_resumed=options.resume, accelerator=accelerator)
    except EXPECTED as error:
        own = "" if accelerator.num_processes == 1 else f"process {accelerator.process_index}: "
        print(f"{own}{error}", file=sys.stderr, flush=True)
        return 1
    accelerator.end_training()
    return PAUSED if ended == "paused" else 0


class _Stopping:
    """SIGTERM and SIGINT as a wish, granted once there is somebody to grant it; only a main thread hears them.

    Before that a process on its own is interrupted: there is nothing to save yet. One of several would leave the others
    waiting for it.
    """

    def __init__(self, *, is_alone: bool) -> None:
        self._is_alone = is_alone
        self._asked = False
        self._stop: Callable[[], None] | None = None

    def to(self, stop: Callable[[], None]) -> None:
        """Grant it by `stop`, at once where it was wished before."""
        self._stop = stop
        if self._asked:
            stop()

    def __enter__(self) -> Self:
        numbers = (signal.SIGTERM, signal.SIGINT) if threading.current_thread() is threading.main_thread() else ()
        self._before = {number: signal.signal(number, self._ask) for number in numbers}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, *_: object) -> None:
        self._asked = True
        if self._stop:
            self._stop()
        elif self._is_alone:
            raise KeyboardInterrupt


def train(
    config: RpoConfig,
    out: str | os.PathLike[str],
    *,
    person: Judge | None = None,
    is_resumed: bool = False,
    accelerator: Accelerator | None = None,
) -> State:
    """Train into the folder `out`, or go on with what is there, and say how that ended.

        panel = VotePanel("votes.jsonl")  # shown by a cell of its own
        config = RpoConfig.of(
            prompts="prompts.txt", policy={"path": "data/models/tiny_flux", "size": 64}, rewards=[{"kind": "person"}],
            groups=8, updates=20, evaluate_every=0,  # 160 pairs to vote on
        )
        train(config, "outputs/rpo-me", person=panel)

    - `person`: who votes where a judge is of kind `person`. - `is_resumed`: refuse to start anew.

    `finished`, `paused` for a judge, or `stopped`: SIGTERM and SIGINT, which is interrupting the cell, end it with the
    last whole update saved. Everything but a person trains as well by `workbench.rpo.launch.start`, which outlives the
    kernel. Raises `ValueError` and the others of `EXPECTED`.
    """
    accelerator = accelerator or launched()
    with _Stopping(is_alone=accelerator.num_processes == 1) as stopping:
        try:
            return _train(config, Path(out), person, is_resumed, accelerator, stopping)
        except KeyboardInterrupt:
            return "stopped"
        except torch.OutOfMemoryError as error:  # of the models themselves: the trainer has its own advice
            from workbench.rpo.estimate import advice  # and with it all of diffusers

            raise MemoryError(f"{config.policy.path} does not fit: {error}; {advice(config)}") from error


def _train(
    config: RpoConfig,
    out: Path,
    person: Judge | None,
    is_resumed: bool,
    accelerator: Accelerator,
    stopping: _Stopping,
) -> State:
    config.per_process(accelerator.num_processes)
    prompts = read_prompts(config.prompts, say=print_aside if accelerator.is_main_process else lambda line: None)
    if is_resumed and not (out / FILE_NAME).exists():
        raise ValueError(f"--resume: {out} holds no run; leave --resume out to start one")
    task: Task = "edit" if prompts[0].source else "t2i"
    cache = out / f"answers-{accelerator.process_index}.sqlite"
    judges = partial(build_judges, task=task, seed=config.seed, cache=cache, person=person)
    panel = judges(config.rewards)
    gold = judges([config.gold], called="gold") if config.gold else None
    with _folder(config, out, panel, gold) if accelerator.is_main_process else nullcontext() as folder:
        policy = load_policy(
            config.policy, accelerator.device, seed=config.seed, embeddings=embeddings_of(config.prompts, config.policy)
        )
        if policy.task != task:
            raise ValueError(f"prompts: {config.prompts} is for {task}, but {config.policy.path} is for {policy.task}")
        policy.prepare(prompts_of_process(config, prompts, accelerator.process_index, accelerator.num_processes))
        with Trainer(
            config, policy, panel, prompts, folder or out, gold=gold, accelerator=accelerator, report=_report(config)
        ) as trainer:
            stopping.to(trainer.stop)
            ended = trainer.train()
        if folder:
            folder.record(counts={"updates": trainer.update})
            if ended != "finished":
                folder.finish("interrupted", ended)
    return ended


def _folder(config: RpoConfig, out: Path, panel: RewardPanel, gold: RewardPanel | None) -> RunFolder:
    judges = [each.judge.identity() for each in panel.judges]
    inputs = {
        **checkpoint.inputs(config),
        "dataset": {"name": config.prompts, "hash": hashlib.sha256(Path(config.prompts).read_bytes()).hexdigest()},
        "judge": judges[0] if len(judges) == 1 else {"judge": "panel", "members": judges},
        "gold_judge": gold.judges[0].judge.identity() if gold else None,
    }
    return RunFolder.open(out, inputs, kind="rpo", parameters=config.to_json())


def _report(config: RpoConfig) -> Callable[[Mapping[str, Any]], None]:
    """Prints a line an update."""

    def report(line: Mapping[str, Any]) -> None:
        parts = [f"update {line['update']}/{config.updates}", f"{line['decided']} of {config.groups} groups decided"]
        parts += [f"{line[what]} {what}" for what in ("tied", "failed") if line[what]]
        parts += [f"KL {line['kl']:.3g} nats"] if line["kl"] is not None else []
        parts += [f"gradient {line['grad_norm']:.3g}"] if line["grad_norm"] is not None else []
        for name, who in (("win_rate_base", "the judge"), ("gold_win_rate_base", "the gold judge")):
            if rate := line.get(name):
                parts.append(f"{who} prefers it to the base in {estimate_of(rate).percent()}")
        print("; ".join([*parts, f"{line['seconds']['total']:.1f} s"]), flush=True)
        for alarm in line.get("alarms") or ():
            print(f"alarm: {alarm}", flush=True)

    return report


if __name__ == "__main__":
    sys.exit(main())
