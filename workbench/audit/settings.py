"""How an audit is done, and what it takes."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from workbench.audit.arms import ARMS, Arm
from workbench.audit.variants import coin_flip_settings
from workbench.judges.vlm_judge import RankingJudge
from workbench.pairs.comparison import Comparison
from workbench.rubrics.rubric import Rubric
from workbench.vlm.budget import Estimate
from workbench.vlm.client import VlmClient

TEMPERATURE = 0.7
"""Of repeated verdicts; at 0 they would be alike."""


@dataclass(frozen=True, slots=True)
class AuditSettings:
    """Settings of an audit.

    - `repeats`: verdicts asked for on one question, at least 2, at a temperature above 0.
    - `seed_pairs`: how many pairs, with coin flips for labels, the control rubric is written from.
    - `limit`: audit on the first pairs only.
    - `seed`: of the placebo's sentences, the criteria's other order and the coin flips.
    """

    repeats: int = 3
    seed_pairs: int = 20
    limit: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("repeats", 2), ("seed_pairs", 1), ("limit", 1)):
            if (value := getattr(self, name)) is not None and value < least:
                raise ValueError(f"{name}={value} must be at least {least}")

    def to_json(self) -> dict[str, Any]:
        """The settings as JSON."""
        return {**asdict(self), "temperature": TEMPERATURE}

    def samples(self, arm: Arm) -> int:
        """How many verdicts an arm gives on one pair in one order."""
        return self.repeats if arm.repeated else 1

    def verdicts(self, pairs: int) -> int:
        """How many verdicts `pairs` pairs take, in both orders."""
        return 2 * pairs * sum(map(self.samples, ARMS))

    def most_writer_calls(self, rubric: Rubric, pairs: int) -> int:
        """The most calls it takes to paraphrase the rubric and to write the one from coin flips."""
        return 1 + coin_flip_settings(rubric, seed=self.seed).most_calls(min(pairs, self.seed_pairs))


def estimate_audit(
    rubric: Rubric, comparisons: Sequence[Comparison], client: VlmClient, settings: AuditSettings
) -> Estimate:
    """What an audit takes at most, its writer's calls counted like verdicts. Raises `ImageError`."""
    pairs = comparisons[: settings.limit]
    free, ruled = RankingJudge(client).estimate(pairs), RankingJudge(client, rubric).estimate(pairs)
    writer = settings.most_writer_calls(rubric, len(pairs))
    free_times = sum(settings.samples(arm) for arm in ARMS if arm.rubric is None)
    ruled_times = sum(settings.samples(arm) for arm in ARMS if arm.rubric) + writer / ruled.calls
    known = free.cost_usd is not None and ruled.cost_usd is not None
    return Estimate(
        calls=settings.verdicts(len(pairs)) + writer,
        input_tokens=round(free_times * free.input_tokens + ruled_times * ruled.input_tokens),
        output_tokens=round(free_times * free.output_tokens + ruled_times * ruled.output_tokens),
        cost_usd=free_times * (free.cost_usd or 0) + ruled_times * (ruled.cost_usd or 0) if known else None,
    )
