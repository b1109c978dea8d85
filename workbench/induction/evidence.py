"""Does a recipe make this judge better? Cross-fitting answers from the seed pairs alone."""

import math
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np

from workbench.evaluation.compare import JudgedRun, compare_runs
from workbench.evaluation.judging import judge_pairs
from workbench.evaluation.record import VerdictRecord
from workbench.evaluation.statistics import Difference, paired_difference
from workbench.induction.errors import SilentJudge, check_answered
from workbench.induction.seeds import EmptyRubric, usable_seeds
from workbench.judges.vlm_judge import RankingJudge
from workbench.pairs.comparison import Comparison
from workbench.progress import Progress
from workbench.rubrics.rubric import Rubric
from workbench.vlm.client import VlmClient
from workbench.vlm.errors import BudgetSpent
from workbench.vlm.tasks import gather_or_stop

Recipe = Callable[[Sequence[Comparison]], Awaitable[Rubric]]

Answer = Literal["helps", "hurts", "undecided"]
ANSWERS: Mapping[str, Answer] = {"better": "helps", "worse": "hurts", "undecided": "undecided"}
IGNORES = 0.02
"""A judge that changes a smaller share of its verdicts for a rubric pays it no attention."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What rubrics of one recipe did to a judge on seed pairs they were not induced from.

    - `gain`: paired change of mean accuracy over both orders, with the rubric minus without; its interval is widened
      for what rubrics of overlapping seeds share (`widened`).
    - `gain_of_valid`: the same over the pairs on which no verdict failed. - `position_bias`: the same for that.
    - `changed`: share of the verdicts that are another with the rubric. - `failed`: verdicts, of both judges, that
      never came or broke the format; they count as not right.
    - `folds`: how often the recipe ran, each time without one part of the prompts; 0 where there were too few.
    - `empty_folds`: runs that left no criterion; their pairs count as judged without a rubric.
    """

    gain: Difference
    gain_of_valid: Difference
    position_bias: Difference
    changed: float | None
    failed: int
    folds: int
    empty_folds: int
    synthetic: bool

    @property
    def verdict(self) -> Answer:
        """From the 95% interval of `gain`: `undecided` where it holds 0, or where failed verdicts decide."""
        return ANSWERS[self.gain.verdict] if self.gain.verdict == self.gain_of_valid.verdict else "undecided"

    def to_json(self) -> dict[str, Any]:
        """The evidence as it stands in a rubric's provenance."""
        return {"verdict": self.verdict, **asdict(self)}

    def sentence(self) -> str:
        """What the numbers allow one to say."""
        if self.gain.value is None or self.gain.ci95 is None:
            return "undecided: to measure anything takes seed pairs of two prompts at least"
        low, high = self.gain.ci95
        least = self.gain.smallest_detectable
        parts = [
            f"{self.verdict}: {self.gain.value * 100:+.1f} points of mean accuracy against no rubric (95% interval "
            f"{low * 100:+.1f} to {high * 100:+.1f}), on {self.gain.n} seed pairs judged by rubrics of other prompts",
            "so few pairs cannot show any gain"
            if least is None
            else f"a true gain of {least * 100:.1f} would have been found 4 times out of 5",
        ]
        if self.changed is not None and self.changed < IGNORES:
            same = f"{1 - self.changed:.0%} of the verdicts are the same with and without it"
            parts.append(f"{same}: this judge may ignore rubrics, or decide like that anyway")
        if self.failed:
            parts.append(f"{self.failed:,} verdicts failed and count as not right")
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

    The rubric that is shipped is induced from all seeds, so this slightly understates it. Raises `SilentJudge` when
    more than half of the verdicts failed, and as the recipe does.
    """
    seeds = usable_seeds(seeds).pairs
    parts = deal(seeds, folds, np.random.default_rng(seed))
    synthetic = judge.endpoint.is_synthetic
    if len(parts) < 2:
        nothing = paired_difference([], [], [])
        return Evidence(nothing, nothing, nothing, None, 0, 0, 0, synthetic)
    free, concurrency = RankingJudge(judge), judge.limits.concurrency
    empty: list[int] = []
    spent: list[BudgetSpent] = []

    async def fitted_without(part: Sequence[Comparison], number: int) -> RankingJudge:
        held_out = {pair.id for pair in part}
        try:
            return RankingJudge(judge, await recipe([pair for pair in seeds if pair.id not in held_out]))
        except (EmptyRubric, SilentJudge):
            empty.append(number)
            return free

    async def fold(number: int, part: Sequence[Comparison]) -> list[VerdictRecord]:
        try:
            fitted = await fitted_without(part, number)
            return await judge_pairs(part, fitted, concurrency=concurrency, progress=progress)
        except BudgetSpent as error:  # other folds' answers in flight are paid for, so they are waited for
            spent.append(error)
            return []

    before = await judge_pairs(seeds, free, concurrency=concurrency, progress=progress)
    judged = await gather_or_stop(fold(number, part) for number, part in enumerate(parts))
    if spent:
        raise spent[0]
    after = [record for records in judged for record in records]
    check_answered([*before, *after])
    failed = [record for record in (*before, *after) if record.ranks is None]
    compared, valid = _compared(before, after), _compared(before, after, without={each.pair_id for each in failed})
    outcomes = {record.key: record.outcome for record in before}
    return Evidence(
        gain=widened(compared["mean"], len(parts)),
        gain_of_valid=widened(valid["mean"], len(parts)),
        position_bias=widened(compared["position_bias"], len(parts), limit=2.0),
        changed=sum(outcomes[record.key] != record.outcome for record in after) / len(after),
        failed=len(failed),
        folds=len(parts),
        empty_folds=len(empty),
        synthetic=synthetic,
    )


def _compared(
    before: Sequence[VerdictRecord], after: Sequence[VerdictRecord], without: Collection[str] = ()
) -> Mapping[str, Difference]:
    left = [[record for record in records if record.pair_id not in without] for records in (before, after)]
    if not left[0]:
        nothing = paired_difference([], [], [])
        return {"mean": nothing, "position_bias": nothing}
    return compare_runs(JudgedRun.of("without", "seeds", left[0]), JudgedRun.of("with", "seeds", left[1])).differences


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


def most_calls(
    seeds: Sequence[Comparison], recipe_calls: Callable[[int], int], *, folds: int = 5, seed: int = 0
) -> int:
    """The most questions a cross-fit takes: the recipe's for every fold, and four verdicts a pair.

    - `recipe_calls`: how many a recipe takes for so many seeds.
    """
    usable = usable_seeds(seeds).pairs
    parts = deal(usable, folds, np.random.default_rng(seed))
    return sum(recipe_calls(len(usable) - len(part)) for part in parts) + 4 * len(usable) if len(parts) > 1 else 0


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
