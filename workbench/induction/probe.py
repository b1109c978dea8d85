"""What kind of pair each seed is, and where a judge disagrees with itself: two calls a pair with a broad rubric.

Kinds are the judge's opinion of broad criteria, taken in both image orders. They guide what to collect, and prove
nothing about the pairs.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import as_file, files
from itertools import combinations
from typing import Literal

from workbench.evaluation.judging import judge_pairs
from workbench.evaluation.record import VerdictRecord
from workbench.judges.vlm_judge import RankingJudge
from workbench.pairs.comparison import Comparison, Task, letter
from workbench.progress import Progress
from workbench.rubrics.files import load_rubric
from workbench.rubrics.rubric import Rubric
from workbench.vlm.client import VlmClient
from workbench.vlm.errors import BudgetSpent

PairKind = Literal["prettier but wrong", "correct but flawed", "over-edited", "subtle", "against the judge", "plain"]

WANTED: dict[PairKind, str] = {
    "prettier but wrong": "pairs whose loser is the better-made picture of something else than asked",
    "correct but flawed": "pairs whose loser does what was asked and is badly made",
    "over-edited": "pairs whose loser carries out the instruction and changes more than it names",
    "subtle": "pairs a first look cannot decide",
}
"""The kinds a set of seed pairs should have, and what they are; over-edited ones for edits."""


@dataclass(frozen=True, slots=True)
class Probed:
    """The verdicts of a probe; `stopped` says why not all pairs have them, and is empty when they do."""

    verdicts: tuple[VerdictRecord, ...]
    stopped: str = ""


@dataclass(frozen=True, slots=True)
class Disagreement:
    """How much a judge contradicts itself on one comparison, in [0, 1], and `why` in words."""

    score: float
    why: str


@cache
def probe_rubric(task: Task) -> Rubric:
    """The broad criteria asked about: `as-asked`, for edits `untouched`, and `well-made`."""
    with as_file(files("workbench.induction").joinpath("probes", f"{task}.yaml")) as path:
        return load_rubric(path)


async def probe(comparisons: Sequence[Comparison], client: VlmClient) -> Probed:
    """Ask for ranks under each probe criterion, in both orders: 2 calls a comparison of one task.

    A spent budget ends it early and is reported in `stopped`; every other `StopRun` is raised.
    """
    if not comparisons:
        return Probed(())
    judge = RankingJudge(client, probe_rubric(comparisons[0].task), criteria=True)
    concurrency = client.limits.concurrency
    verdicts: list[VerdictRecord] = []
    stopped = ""
    with Progress("probing", 2 * len(comparisons), client.usage) as progress:
        try:
            await judge_pairs(comparisons, judge, concurrency=concurrency, progress=progress, record=verdicts.append)
        except BudgetSpent as error:
            stopped = str(error)
    return Probed(tuple(sorted(verdicts, key=lambda verdict: verdict.key)), stopped)


def complete(verdicts: Sequence[VerdictRecord]) -> bool:
    """Whether there is an answer, with ranks, in both orders; a failed one is no opinion."""
    return {v.order for v in verdicts if v.ranks is not None} == {"forward", "reverse"}


def kinds_of(comparison: Comparison, verdicts: Sequence[VerdictRecord]) -> frozenset[PairKind]:
    """What kinds of pair a labelled comparison is, from complete `verdicts`; of more candidates, best against worst.

    With m_c the mean over orders of sign(rank of the loser - rank of the winner) under criterion c, a criterion
    prefers the winner if m_c ≥ 1/2 and the loser if m_c ≤ -1/2:
    *prettier but wrong*, `as-asked` prefers the winner and `well-made` the loser; *correct but flawed*, `well-made`
    prefers the winner and `as-asked` does not; *over-edited*, `untouched` prefers the winner and `as-asked` does not;
    *subtle*, no criterion prefers either, or the verdict turns with the order; *against the judge*, criteria prefer the
    loser only; *plain*, none of these.
    """
    assert comparison.ranks is not None
    winner, loser = comparison.ranks.index(min(comparison.ranks)), comparison.ranks.index(max(comparison.ranks))
    voices = _votes(verdicts, winner, loser)
    leaning = {name: _leaning(votes) for name, votes in voices.items()}
    asked, untouched, made = (leaning.get(name, 0) for name in ("as-asked", "untouched", "well-made"))
    by_criteria = {leaning[name] for name in leaning if name}
    kinds: set[PairKind] = set()
    if asked > 0 > made:
        kinds.add("prettier but wrong")
    if made > 0 >= asked:
        kinds.add("correct but flawed")
    if untouched > 0 >= asked:
        kinds.add("over-edited")
    if by_criteria <= {0} or {1, -1} <= set(voices[""]):
        kinds.add("subtle")
    if -1 in by_criteria and 1 not in by_criteria:
        kinds.add("against the judge")
    return frozenset(kinds or {"plain"})


def disagreement(comparison: Comparison, verdicts: Sequence[VerdictRecord]) -> Disagreement:
    """How far complete `verdicts` are from one opinion: 4 p q, averaged over couples of candidates.

    p and q are the shares of votes for the one and for the other candidate, over both orders, and over the verdict and
    the ranks under each criterion. 0 when all agree or tie, 1 when they are split in half.
    """
    couples = list(combinations(range(len(comparison.images)), 2))
    scores, turns, conflicts = [], [], []
    for i, j in couples:
        voices = _votes(verdicts, i, j)
        votes = [vote for voice in voices.values() for vote in voice]
        scores.append(4 * votes.count(1) * votes.count(-1) / len(votes) ** 2)
        turns += [name for name, voice in voices.items() if {1, -1} <= set(voice)]
        leaning = {name: _leaning(voice) for name, voice in voices.items() if name}
        for_i = [name for name in leaning if leaning[name] > 0]
        for_j = [name for name in leaning if leaning[name] < 0]
        if for_i and for_j:
            conflicts.append(f"{_named(for_i)} for {letter(i)}, {_named(for_j)} for {letter(j)}")
    return Disagreement(sum(scores) / len(scores), "; ".join(_reasons(list(dict.fromkeys(turns)), conflicts)))


def _reasons(turns: Sequence[str], conflicts: Sequence[str]) -> Iterator[str]:
    if "" in turns:
        yield "the verdict turns with the order"
    if under := [name for name in turns if name]:
        yield f"so do the ranks under {_named(under)}" if "" in turns else f"ranks turn with the order: {_named(under)}"
    yield from conflicts[:2]
    if not turns and not conflicts:
        yield "orders and criteria agree"


def _named(names: Sequence[str]) -> str:
    return " and ".join(f"'{name}'" for name in names)


def _votes(verdicts: Sequence[VerdictRecord], i: int, j: int) -> Mapping[str, list[int]]:
    """By criterion, and under '' for the verdict itself: +1 for candidate `i`, -1 for `j`, 0 for a tie, per answer."""
    voices: dict[str, list[int]] = {}
    for verdict in verdicts:
        if verdict.ranks is not None:
            for name, ranks in {"": verdict.ranks, **verdict.criteria}.items():
                voices.setdefault(name, []).append((ranks[j] > ranks[i]) - (ranks[j] < ranks[i]))
    return voices


def _leaning(votes: Sequence[int]) -> int:
    """+1, -1, or 0 where the mean vote is nearer to no preference than to one."""
    mean = sum(votes) / len(votes)
    return 1 if mean >= 0.5 else -1 if mean <= -0.5 else 0
