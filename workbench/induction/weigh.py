"""Weights for the criteria of any rubric, from how well each criterion's verdicts predict people."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from workbench.evaluation.judging import judge_pairs
from workbench.induction.selection import SEPARATES, Selection, Votes, select
from workbench.judges.vlm_judge import RankingJudge
from workbench.pairs.checks import check_ranked, check_task
from workbench.pairs.comparison import Comparison
from workbench.progress import Progress
from workbench.rubrics.rubric import Rubric, RubricError
from workbench.vlm.client import VlmClient

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, slots=True)
class Weighed:
    """A rubric with weights; criteria that were not chosen are switched off, not removed.

    - `dropped`: why each criterion that is off is so, by its id.
    - `agreement`: each criterion's mean vote for people's choice, in [-1, 1]. - `separates`: see `Votes`.
    """

    rubric: Rubric
    selection: Selection
    dropped: Mapping[str, str]
    agreement: Mapping[str, float]
    separates: Mapping[str, float]

    def to_frame(self) -> "pandas.DataFrame":
        """One row a criterion: its weight, what it is worth, and why it is off."""
        import pandas

        rows = []
        for criterion in (c for theme in self.rubric.themes for c in theme.criteria):
            worth = self.selection.worth.get(criterion.id)
            low, high = (worth.ci95 if worth else None) or (None, None)
            rows.append(
                {
                    "criterion": criterion.text,
                    "weight": self.selection.weights.get(criterion.id, 0.0),
                    "stability": self.selection.stability.get(criterion.id),
                    "worth": worth.value if worth else None,
                    "low": low,
                    "high": high,
                    "agreement": self.agreement.get(criterion.id),
                    "separates": self.separates.get(criterion.id),
                    "off because": self.dropped.get(criterion.id, ""),
                }
            )
        return pandas.DataFrame(rows)


async def weigh(
    rubric: Rubric,
    pairs: Sequence[Comparison],
    judge: VlmClient,
    *,
    most: int = 8,
    seed: int = 0,
    progress: Progress | None = None,
) -> Weighed:
    """Ask the judge for its ranks under each criterion, in both orders, and weigh the criteria by them: 2 calls a pair.

    - `most`: criteria to keep. - `seed`: of the held-out prompts and the random halves.

    Raises `ValueError` for pairs that are unlabelled, tied or of another task, `RubricError` for a rubric without
    an enabled criterion, and `StopRun` when going on is pointless.
    """
    check_ranked(pairs, "pairs")
    check_task(pairs, rubric.name, rubric.task, "pairs")
    criteria = rubric.enabled_criteria()
    if not criteria:
        raise RubricError(f"rubric {rubric.name} has no enabled criterion: enable one")
    asking = RankingJudge(judge, rubric, criteria=True)
    records = await judge_pairs(pairs, asking, concurrency=judge.limits.concurrency, progress=progress)
    votes = Votes.of(pairs, records, [criterion.id for criterion in criteria])
    selection = select(votes, most=most, seed=seed)
    return Weighed(
        rubric=_reweighed(rubric, selection, pairs, judge),
        selection=selection,
        dropped=_dropped(votes, selection),
        agreement=dict(zip(votes.ids, votes.rows.mean(axis=0).tolist(), strict=True)),
        separates=dict(zip(votes.ids, votes.separates.tolist(), strict=True)),
    )


def _reweighed(rubric: Rubric, selection: Selection, pairs: Sequence[Comparison], judge: VlmClient) -> Rubric:
    themes = tuple(
        replace(
            theme,
            weight=1.0 if theme.enabled_criteria() else theme.weight,
            criteria=tuple(
                replace(c, weight=selection.weights[c.id]) if c.id in selection.weights else replace(c, enabled=False)
                for c in theme.criteria
            ),
        )
        for theme in rubric.themes
    )
    seeds = dict.fromkeys([*rubric.provenance.get("seed_pairs", ()), *(pair.id for pair in pairs)])
    provenance = {
        "recipe": "weigh",
        "parent": {"name": rubric.name, "hash": rubric.hash, "recipe": rubric.provenance.get("recipe")},
        "seed_pairs": list(seeds),
        "judge": judge.identity(),
        "selection": selection.to_json(),
    }
    return replace(rubric, themes=themes, provenance=provenance)


def _dropped(votes: Votes, selection: Selection) -> dict[str, str]:
    why = {}
    for name, separates, mean in zip(votes.ids, votes.separates, votes.rows.mean(axis=0), strict=True):
        if name in selection.weights:
            continue
        if separates < SEPARATES:
            why[name] = "separates no images: every one passes, or none; tighten it"
        elif mean <= 0:
            why[name] = "people do not decide by it"
        else:
            why[name] = "adds nothing to the others"
    return why
