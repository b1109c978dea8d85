"""Does a recipe make this judge better? Cross-fitting answers from the seed pairs alone."""

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np

from workbench.evaluation.compare import JudgedRun, compare_runs
from workbench.evaluation.judging import judge_pairs
from workbench.evaluation.record import VerdictRecord
from workbench.evaluation.statistics import Difference, paired_difference
from workbench.induction.seeds import EmptyRubric, usable_seeds
from workbench.judges.vlm_judge import RankingJudge
from workbench.pairs.comparison import Comparison
from workbench.progress import Progress
from workbench.rubrics.rubric import Rubric
from workbench.vlm.client import VlmClient
from workbench.vlm.tasks import gather_or_stop

Finding = Literal["helps", "hurts", "undecided"]
Recipe = Callable[[Sequence[Comparison]], Awaitable[Rubric]]

VERDICTS: Mapping[str, Finding] = {"better": "helps", "worse": "hurts", "undecided": "undecided"}
IGNORES = 0.02
"""A judge that changes a smaller share of its verdicts for a rubric pays it no attention."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What rubrics of one recipe did to a judge on seed pairs they were not induced from.

    - `verdict`: from the 95% interval of `gain`: `undecided` where it holds 0.
    - `gain`: paired change of mean accuracy over both orders, with the rubric minus without; its interval is widened
      for what rubrics of overlapping seeds share (`widened`).
    - `position_bias`: the same for position bias.
    - `changed`: share of the verdicts that are another with the rubric.
    - `folds`: how often the recipe ran, each time without one part of the prompts; 0 where there were too few.
    - `empty_folds`: runs that left no criterion; their pairs count as judged without a rubric.
    """

    verdict: Finding
    gain: Difference
    position_bias: Difference
    changed: float | None
    folds: int
    empty_folds: int
    synthetic: bool

    def to_json(self) -> dict[str, Any]:
        """The evidence as it stands in a rubric's provenance."""
        return asdict(self)

    def sentence(self) -> str:
        """What the numbers allow one to say."""
        if self.gain.value is None or self.gain.ci95 is None:
            return "undecided: to measure anything takes seed pairs of two prompts at least"
        low, high = self.gain.ci95
        least = self.gain.smallest_detectable
        seen = "no gain" if least is None else f"a gain of {least * 100:.1f}"
        parts = [
            f"{self.verdict}: {self.gain.value * 100:+.1f} points of mean accuracy against no rubric (95% interval "
            f"{low * 100:+.1f} to {high * 100:+.1f}), on {self.gain.n} seed pairs judged by rubrics of other prompts",
            f"so many pairs could have shown {seen}",
        ]
        if self.changed is not None and self.changed < IGNORES:
            parts.append(f"{1 - self.changed:.0%} of the verdicts are the same: this judge may ignore rubrics")
        return "; ".join(parts) + (" (synthetic)" if self.synthetic else "")


async def cross_fit(
    seeds: Sequence[Comparison],
    recipe: Recipe,
    judge: VlmClient,
    *,
    folds: int = 5,
    seed: int = 0,
    progress: Progress | None = None,
) -> Evidence:
    """Judge every seed pair with a rubric induced without its prompt, and without a rubric; compare pair by pair.

    - `seeds`: those that are tied or contradict each other are left out, as recipes leave them out.
    - `recipe`: induces a rubric from some of the seeds.
    - `folds`: into how many parts the prompts are dealt; fewer where there are fewer prompts.
    - `seed`: of the dealing.

    The rubric that is shipped is induced from all seeds, so this slightly understates it.
    """
    seeds = usable_seeds(seeds).pairs
    parts = deal(seeds, folds, np.random.default_rng(seed))
    synthetic = judge.endpoint.is_synthetic
    if len(parts) < 2:
        nothing = paired_difference([], [], [])
        return Evidence("undecided", nothing, nothing, None, 0, 0, synthetic)
    free, concurrency = RankingJudge(judge), judge.limits.concurrency
    empty: list[int] = []

    async def fold(number: int, part: Sequence[Comparison]) -> list[VerdictRecord]:
        held_out = {pair.id for pair in part}
        try:
            fitted = RankingJudge(judge, await recipe([pair for pair in seeds if pair.id not in held_out]))
        except EmptyRubric:
            empty.append(number)
            fitted = free
        return await judge_pairs(part, fitted, concurrency=concurrency, progress=progress)

    before = await judge_pairs(seeds, free, concurrency=concurrency, progress=progress)
    judged = await gather_or_stop(fold(number, part) for number, part in enumerate(parts))
    after = [record for records in judged for record in records]
    compared = compare_runs(JudgedRun.of("without", "seeds", before), JudgedRun.of("with", "seeds", after))
    gain = widened(compared.differences["mean"], len(parts))
    outcomes = {record.key: record.outcome for record in before}
    changed = sum(outcomes[record.key] != record.outcome for record in after)
    return Evidence(
        verdict=VERDICTS[gain.verdict],
        gain=gain,
        position_bias=widened(compared.differences["position_bias"], len(parts), limit=2.0),
        changed=changed / len(after),
        folds=len(parts),
        empty_folds=len(empty),
        synthetic=synthetic,
    )


def widened(difference: Difference, folds: int, *, limit: float = 1.0) -> Difference:
    """The difference with its interval for cross-fitting: sqrt(1 + K / (K - 1)) times as wide, 1.5 times at K = 5.

    Rubrics of different folds come from mostly the same seeds, so a chance pattern in the labels that is in all parts
    is learned and rewarded in all of them. Taken as independent, random labels showed a "gain" or a "loss" in 12 of 80
    worlds instead of 4. The correction is Nadeau and Bengio's (2003), with n_test / n_train = 1 / (K - 1).
    """
    if difference.value is None or difference.ci95 is None:
        return difference
    factor = math.sqrt(1 + folds / (folds - 1))
    low, high = (difference.value + factor * (bound - difference.value) for bound in difference.ci95)
    least = difference.smallest_detectable and factor * difference.smallest_detectable
    verdict = difference.verdict if low > 0 or high < 0 else "undecided"
    return replace(
        difference,
        ci95=(max(-limit, low), min(limit, high)),
        smallest_detectable=least if least and least <= limit else None,
        verdict=verdict,
        p_mcnemar=None,
        bootstrap95=None,
    )


def deal(seeds: Sequence[Comparison], folds: int, generator: np.random.Generator) -> list[list[Comparison]]:
    """The seeds in up to `folds` parts of about equal size; pairs of one prompt stay together."""
    by_prompt: dict[str, list[Comparison]] = {}
    for pair in seeds:
        by_prompt.setdefault(pair.prompt, []).append(pair)
    prompts = sorted(by_prompt)
    parts: list[list[Comparison]] = [[] for _ in range(min(folds, len(prompts)))]
    for place in generator.permutation(len(prompts)):
        min(parts, key=len).extend(by_prompt[prompts[place]])
    return parts
