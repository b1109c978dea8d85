"""How an audit is done, and what it takes."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from workbench.induction.arr import ArrSettings
from workbench.judges.vlm_judge import RankingJudge
from workbench.pairs.comparison import Comparison
from workbench.rubrics.rubric import Rubric
from workbench.vlm.budget import Estimate
from workbench.vlm.client import VlmClient


@dataclass(frozen=True, slots=True)
class AuditSettings:
    """Settings of an audit.

    - `repeats`: verdicts asked for on one question, at least 2, at `temperature`, above 0.
    - `seed_pairs`: how many pairs, with coin flips for labels, the control rubric is written from, in `epochs` rounds.
    - `limit`: audit on the first pairs only.
    - `seed`: of the placebo's sentences, the criteria's other order and the coin flips.
    """

    repeats: int = 3
    temperature: float = 0.7
    seed_pairs: int = 20
    epochs: int = 2
    limit: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("repeats", 2), ("seed_pairs", 1), ("epochs", 1), ("limit", 1)):
            if (value := getattr(self, name)) is not None and value < least:
                raise ValueError(f"{name}={value} must be at least {least}")
        if not 0 < self.temperature <= 2:
            raise ValueError(f"temperature={self.temperature:g} must be above 0 and at most 2: at 0 repeats are alike")

    def to_json(self) -> dict[str, Any]:
        """The settings as JSON."""
        return asdict(self)

    def verdicts(self, pairs: int) -> int:
        """How many verdicts `pairs` pairs take: ten arms judged once and two repeatedly, all in both orders."""
        return 2 * pairs * (10 + 2 * self.repeats)

    def most_writer_calls(self, pairs: int) -> int:
        """The most calls it takes to paraphrase the rubric and to write the one from coin flips."""
        return 1 + ArrSettings(max_epochs=self.epochs).most_calls(min(pairs, self.seed_pairs))


def estimate_audit(
    rubric: Rubric, comparisons: Sequence[Comparison], client: VlmClient, settings: AuditSettings
) -> Estimate:
    """What an audit takes at most, its writer's calls counted like verdicts. Raises `ImageError`."""
    pairs = comparisons[: settings.limit]
    free, ruled = RankingJudge(client).estimate(pairs), RankingJudge(client, rubric).estimate(pairs)
    free_arms, ruled_arms = 3 + settings.repeats, 7 + settings.repeats
    writer = settings.most_writer_calls(len(pairs))
    ruled_calls = ruled_arms + writer / ruled.calls
    known = free.cost_usd is not None and ruled.cost_usd is not None
    return Estimate(
        calls=settings.verdicts(len(pairs)) + writer,
        input_tokens=round(free_arms * free.input_tokens + ruled_calls * ruled.input_tokens),
        output_tokens=round(free_arms * free.output_tokens + ruled_calls * ruled.output_tokens),
        cost_usd=free_arms * (free.cost_usd or 0) + ruled_calls * (ruled.cost_usd or 0) if known else None,
    )
