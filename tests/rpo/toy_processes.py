"""What each of several processes does that `test_distributed` launches: every scenario after the other."""

import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from toy_policy import PROMPTS, RedJudge, ToyPolicy
from toy_runs import config, panel

from workbench.judges.verdict import Verdict
from workbench.pairs.comparison import Comparison
from workbench.rpo.running.processes import launched
from workbench.rpo.trainer import Trainer
from workbench.vlm.errors import BudgetSpent, Unreachable

RANK = int(os.environ["RANK"])


class Unruly(RedJudge):
    """Does something on one rank when an update is judged."""

    def __init__(self, rank: int, act: Callable[[], Verdict | None], update: int = 3) -> None:
        super().__init__()
        self.rank, self.act, self.update = rank, act, update

    async def compare(self, comparison: Comparison, order: Sequence[int], sample: int = 0) -> Verdict:
        acted = self.act() if self.rank == RANK and comparison.id.startswith(f"u{self.update}-") else None
        return acted or await super().compare(comparison, order, sample)


def dead() -> Verdict:
    raise Unreachable("no server at http://127.0.0.1:1")


def spent() -> Verdict:
    raise BudgetSpent("3 of 3 calls are spent")


def broken() -> Verdict:
    raise ZeroDivisionError("a bug in a judge")


def failed() -> Verdict:
    return Verdict(ranks=None, failure="error", detail="overloaded")


def scenario(out: Path, judge: RedJudge, *, prepare: Callable[[Trainer, ToyPolicy], None] | None = None) -> None:
    out.mkdir(exist_ok=True)
    policy = ToyPolicy(tokens=4, seed=RANK)  # another adapter on every process, until it is shared
    settings = config(evaluate_every=2, evaluated=5)
    said: dict[str, Any] = {}
    with Trainer(settings, policy, panel(judge), PROMPTS, out, accelerator=launched()) as trainer:
        if prepare:
            prepare(trainer, policy)
        try:
            said["ended"] = trainer.train()
        except Exception as error:
            said["error"] = f"{type(error).__name__}: {error}"
        said["update"] = trainer.update
    torch.save({name: each.detach() for name, each in policy.trainable().items()}, out / f"adapter-{RANK}.pt")
    (out / f"said-{RANK}.json").write_text(json.dumps(said))


def poisoned(trainer: Trainer, policy: ToyPolicy) -> None:
    policy.poison = lambda x_t, v: v * torch.nan if RANK == 1 and trainer.update == 2 and torch.is_grad_enabled() else v


def main(out: Path) -> None:
    trainers: list[Trainer] = []
    scenario(out / "whole", RedJudge())
    scenario(out / "dead", Unruly(1, dead))
    scenario(out / "spent", Unruly(1, spent, update=1))
    scenario(out / "broken", Unruly(1, broken))
    scenario(out / "failed", Unruly(1, failed))
    scenario(out / "nan", RedJudge(), prepare=poisoned)
    stopping = Unruly(0, lambda: trainers[0].stop())  # only the main process is told to stop
    scenario(out / "stopped", stopping, prepare=lambda trainer, policy: trainers.append(trainer))
    launched().end_training()


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))
