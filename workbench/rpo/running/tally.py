"""What an update was like: sums over its groups, added up over processes."""

from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from workbench.rpo.config import RpoConfig
from workbench.rpo.objective import StepSums
from workbench.rpo.reward import Judged
from workbench.rpo.running.processes import Processes


@dataclass(frozen=True, slots=True)
class Tally:
    """Sums over the groups of an update.

    - `decided`, `tied`, `failed`: groups. - `values`, `valued`: sum and number of candidates' rewards.
    - `learned`: of the steps trained on.
    """

    decided: int = 0
    tied: int = 0
    failed: int = 0
    failed_verdicts: int = 0
    values: float = 0.0
    valued: int = 0
    images: int = 0
    judge_calls: int = 0
    cost_usd: float = 0.0
    learned: StepSums = field(default_factory=StepSums)

    @property
    def received(self) -> int:
        """Groups with a verdict: what an update is normalised by."""
        return self.decided + self.tied

    def with_verdict(self, judged: Judged) -> "Tally":
        """One more group."""
        values = () if judged.status == "failed" else judged.values
        return replace(
            self,
            **{judged.status: getattr(self, judged.status) + 1},
            failed_verdicts=self.failed_verdicts + judged.n_failed,
            values=self.values + sum(values),
            valued=self.valued + len(values),
            images=self.images + len(judged.values),
            judge_calls=self.judge_calls + judged.usage.calls,
            cost_usd=self.cost_usd + judged.usage.cost_usd,
        )

    def vector(self, processes: Processes, like: Tensor) -> Tensor:
        """All sums flat, the largest ratio in this process's place."""
        sums = [*(getattr(self, name) for name in _SUMS), *(getattr(self.learned, name) for name in _LEARNED)]
        return torch.cat([torch.tensor(sums).to(like), processes.slot(self.learned.largest, like)])

    @classmethod
    def of(cls, vector: Tensor) -> "Tally":
        """From the sum of vectors over processes."""
        numbers: list[Any] = vector.tolist()
        learned = dict(zip(_LEARNED, numbers[len(_SUMS) :], strict=False))
        largest = max(numbers[len(_SUMS) + len(_LEARNED) :])
        return cls(**dict(zip(_SUMS, numbers, strict=False)), learned=StepSums(**learned, largest=largest))

    def line(self) -> dict[str, Any]:
        """For `metrics.jsonl`; None where there was nothing to take a mean of."""
        counts = ("decided", "tied", "failed", "failed_verdicts", "images", "judge_calls")
        return {
            "reward": self.values / self.valued if self.valued else None,
            "kl": self.learned.kl,
            "ratio_dev": self.learned.ratio_deviation,
            "ratio_dev_max": self.learned.largest if self.learned.n else None,
            "clip_fraction": self.learned.clip_fraction,
            **{name: round(getattr(self, name)) for name in counts},
            "cost_usd": self.cost_usd,
        }


_SUMS = tuple(name for name in Tally.__dataclass_fields__ if name != "learned")
_LEARNED = tuple(name for name in StepSums.__dataclass_fields__ if name != "largest")


class TooManyFailures(Exception):
    """More verdicts of an update failed than `max_failure_rate` allows; nothing was trained on it."""


def check_failures(tally: Tally, config: RpoConfig, update: int) -> None:
    """Raises `TooManyFailures` where an update got too few verdicts to train on."""
    rate = tally.failed / config.groups
    if rate > config.max_failure_rate:
        raise TooManyFailures(
            f"update {update}: {tally.failed:.0f} of {config.groups} groups got no verdict ({rate:.0%}, "
            f"max_failure_rate is {config.max_failure_rate:.0%}): look at the judge's server and its answers, then "
            "resume, with a higher max_failure_rate if that is to be expected"
        )
