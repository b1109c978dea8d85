"""Weights for the criteria of any rubric, from how well each criterion's verdicts predict people."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from workbench.evaluation.judging import judge_pairs
from workbench.induction.errors import SilentJudge, check_answered
from workbench.induction.selection import SEPARATES, Selection, Votes, select
from workbench.judges.vlm_judge import RankingJudge
from workbench.pairs.checks import check_ranked, check_task
from workbench.pairs.comparison import Comparison
from workbench.progress import Progress
from workbench.rubrics.rubric import Rubric, RubricError
from workbench.vlm.client import VlmClient


@dataclass(frozen=True, slots=True)
class Weighed:
    """A rubric with weights; criteria that were not chosen are switched off, not removed.

    - `dropped`: why each criterion that is off is so, by its id.
    - `agreement`: each criterion's mean vote for people's choice, in [-1, 1]. - `separates`: see `Votes`.
    - `failed`: verdicts that never came or broke the format; their pairs have no vote.
    """

    rubric: Rubric
    selection: Selection
    dropped: Mapping[str, str]
    agreement: Mapping[str, float]
    separates: Mapping[str, float]
    failed: int


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

    Raises `ValueError` for pairs that are unlabelled, tied or of another task, `SilentJudge` when most verdicts
    failed, `RubricError` for a rubric without an enabled criterion, and `StopRun` when going on is pointless.
    """
    check_ranked(pairs, "pairs")
    check_task(pairs, rubric.name, rubric.task, "pairs")
    criteria = rubric.enabled_criteria()
    if not criteria:
        raise RubricError(f"rubric {rubric.name} has no enabled criterion: enable one")
    asking = RankingJudge(judge, rubric, criteria=True)
    records = await judge_pairs(pairs, asking, concurrency=judge.limits.concurrency, progress=progress)
    failed = {record.pair_id for record in records if record.ranks is None}
    judged = [pair for pair in pairs if pair.id not in failed]
    check_answered(records)
    if not judged:
        raise SilentJudge("on no pair did a verdict come in both orders; the same command asks for errors again")
    votes = Votes.of(judged, records, [criterion.id for criterion in criteria])
    selection = select(votes, most=most, seed=seed)
    return Weighed(
        rubric=_reweighed(rubric, selection, pairs, judge),
        selection=selection,
        dropped=_dropped(votes, selection),
        agreement=dict(zip(votes.ids, votes.rows.mean(axis=0).tolist(), strict=True)),
        separates=dict(zip(votes.ids, votes.separates.tolist(), strict=True)),
        failed=sum(record.ranks is None for record in records),
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
    # What was found out about the parent is not true of this one; what makes it mean less still is.
    kept = {name: value for name, value in rubric.provenance.items() if name in ("partial", "prompt", "dataset")}
    provenance = {
        **kept,
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
        elif mean < 0:
            why[name] = "people's choice goes against it more often than with it"
        else:
            why[name] = "adds nothing to the others"
    return why
