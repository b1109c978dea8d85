"""Everyone who judged pairs, people and judges alike, as labels by pair."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from workbench.annotations.annotation import SKIP, Annotation
from workbench.annotations.log import latest
from workbench.evaluation.record import ORDERS, VerdictRecord, read_verdicts
from workbench.pairs.comparison import Comparison
from workbench.pairs.prompts import prompt_id
from workbench.runs.manifest import read_manifest
from workbench.vlm.settings import is_synthetic

Labels = Mapping[str, str]
"""What one rater said: the label by pair id; a pair without one is missing, not a disagreement."""

INCONSISTENT, INVALID, ERROR = "inconsistent", "invalid", "error"


def people_labels(annotations: Iterable[Annotation]) -> dict[str, dict[str, str]]:
    """The labels that count of every author who gave any, by name; a skip is no label."""
    people: dict[str, dict[str, str]] = defaultdict(dict)
    for (pair_id, author), annotation in sorted(latest(annotations).items()):
        if annotation.label not in (None, SKIP):
            people[author][pair_id] = str(annotation.label)
    return dict(people)


def majority(people: Mapping[str, Labels]) -> dict[str, str]:
    """The label that more than half of those who labelled a pair gave, where there is one.

    >>> majority({"ada": {"p": "a", "q": "a"}, "ben": {"p": "a", "q": "b"}})
    {'p': 'a'}
    """
    votes: dict[str, Counter[str]] = defaultdict(Counter)
    for labels in people.values():
        for pair_id, label in labels.items():
            votes[pair_id][label] += 1
    first = {pair_id: counts.most_common(1)[0] for pair_id, counts in votes.items()}
    return {pair_id: label for pair_id, (label, count) in first.items() if 2 * count > votes[pair_id].total()}


def judge_labels(records: Iterable[VerdictRecord]) -> dict[str, str]:
    """What a judge said in both orders of its first sample, for every pair judged in both.

    A failure in either order is `error` or `invalid`, two different answers are `inconsistent`: no person gives these
    labels, so a judge that fails or wavers on a pair agrees with nobody there, and the pair still counts.
    """
    outcomes: dict[str, dict[str, str]] = defaultdict(dict)
    for record in records:
        if record.sample == 0:
            outcomes[record.pair_id][record.order] = record.outcome
    return {id: _both(set(said.values())) for id, said in outcomes.items() if len(said) == len(ORDERS)}


def _both(outcomes: set[str]) -> str:
    for failure in (ERROR, INVALID):
        if failure in outcomes:
            return failure
    return outcomes.pop() if len(outcomes) == 1 else INCONSISTENT


@dataclass(frozen=True, slots=True)
class JudgeOfRun:
    """The labels of the judge whose verdicts a run folder holds."""

    name: str
    labels: Labels
    synthetic: bool


def judge_of_run(folder: Path, comparisons: Sequence[Comparison]) -> JudgeOfRun:
    """The judge of an evaluation, on the pairs of `comparisons` it judged in both orders.

    Raises `ValueError` where the folder holds no verdicts, or verdicts on none of these pairs, or on other prompts.
    """
    manifest = read_manifest(folder)
    log = folder / "verdicts.jsonl"
    if not log.exists():
        raise ValueError(f"{folder} holds no verdicts.jsonl: name the run folder of an evaluation")
    prompts = {c.id: prompt_id(c.prompt) for c in comparisons}
    records = [record for record in read_verdicts(log) if record.pair_id in prompts]
    if not records:
        raise ValueError(f"{folder} judged none of these {len(comparisons):,} pairs: name the file it judged")
    for record in records:
        if record.prompt_id != prompts[record.pair_id]:
            raise ValueError(f"{folder} judged another pair under the id {record.pair_id!r}: name the file it judged")
    return JudgeOfRun(folder.resolve().name, judge_labels(records), any(map(is_synthetic, manifest.models)))
