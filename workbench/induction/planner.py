"""The seed planner: what is wrong with seed pairs, which kinds are missing, and which pair to label next."""

import textwrap
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from workbench.evaluation.record import VerdictRecord
from workbench.induction.label_notes import Note, label_notes, strictly_ranked
from workbench.induction.probe import WANTED, PairKind, Probed, complete, disagreement, kinds_of, probe
from workbench.pairs.checks import check_images, one_task
from workbench.pairs.comparison import Comparison, Task
from workbench.pairs.content import Content, contents
from workbench.pairs.problems import printable
from workbench.pairs.prompts import prompt_id
from workbench.vlm.client import VlmClient

NEXT = 10
"""Pairs named for labelling, most telling first."""
ENOUGH_OF_A_KIND = 5
"""Pairs wanted of each kind, or a tenth of the labelled ones where that is less."""


@dataclass(frozen=True, slots=True)
class NextPair:
    """An unlabelled comparison worth a label.

    - `disagreement`: of the judge with itself, in [0, 1]. - `value`: the same, shared among the pairs of its prompt
      that are labelled or come earlier in the list: disagreement / (1 + pairs).
    """

    pair_id: str
    prompt: str
    disagreement: float
    value: float
    why: str


@dataclass(frozen=True, slots=True)
class SeedPlan:
    """What to do about a set of seed pairs.

    - `notes`: one for each check. - `next`: what to label next, best first. - `kinds`: by id of a labelled pair.
    - `probed`: whether a judge was asked; without, there are neither kinds nor pairs to label next.
    - `synthetic`: the judge is of the embedded world.
    """

    task: Task
    notes: tuple[Note, ...]
    next: tuple[NextPair, ...]
    kinds: Mapping[str, frozenset[PairKind]]
    probed: bool
    synthetic: bool = False

    def to_text(self) -> str:
        """The plan for a terminal; what needs doing is marked."""
        lines = [f"seed pairs ({self.task})", ""]
        for note in self.notes:
            lines += _wrapped(f"{'  ' if note.ok else '! '}{note.topic:<26}", printable(note.message) + _some(note))
        if self.next:
            lines += ["", "label next (how much the judge disagrees with itself, 0 to 1, and why)"]
            for place, pair in enumerate(self.next, start=1):
                head = f"{place:>3}. {printable(pair.pair_id)}  {pair.disagreement:.2f}  "
                lines += _wrapped(head, f"{pair.why}. Prompt: {textwrap.shorten(printable(pair.prompt), 80)}")
        if self.probed:
            lines += ["", *_wrapped("", self.caveat())]
        return "\n".join(lines)

    def caveat(self) -> str:
        """What the kinds and the list rest on."""
        text = "Kinds and disagreement are the judge's opinion under broad criteria, one answer in each order."
        return text + (" Synthetic." if self.synthetic else "")

    def note_rows(self) -> list[dict[str, object]]:
        """The notes as rows of a table."""
        return [
            {"check": n.topic, "do": "" if n.ok else "yes", "count": n.count, "of": n.n, "finding": n.message}
            for n in self.notes
        ]


async def probe_and_plan(
    seeds: Sequence[Comparison],
    client: VlmClient,
    unlabelled: Sequence[Comparison] = (),
    *,
    count: int = NEXT,
    allow_urls: bool = False,
) -> SeedPlan:
    """Ask the judge about every pair, 2 calls each, and plan; a spent budget gives a plan from what was answered.

    Raises as `plan_seeds` does, before anything is asked, and `StopRun` when going on is pointless.
    """
    check_pools(seeds, unlabelled)
    probed = await probe([*seeds, *unlabelled], client)
    return plan_seeds(
        seeds, probed, unlabelled, count=count, allow_urls=allow_urls, synthetic=client.endpoint.is_synthetic
    )


def plan_seeds(
    seeds: Sequence[Comparison],
    probed: Probed | None = None,
    unlabelled: Sequence[Comparison] = (),
    *,
    count: int = NEXT,
    allow_urls: bool = False,
    synthetic: bool = False,
) -> SeedPlan:
    """What to do about `seeds`, and which of the `unlabelled` to label next; nothing is asked.

    - `probed`: verdicts on both, from `probe`; None to look at labels alone.
    - `unlabelled`: comparisons without ranks; those among the seeds count too.
    - `count`: most pairs to name. - `allow_urls`: fetch images that are http(s) URLs, to hash them.

    Raises `ValueError` for no pairs, several tasks, pairs no judge can compare, ids used twice and unlabelled pairs
    with ranks.
    """
    task = check_pools(seeds, unlabelled)
    everything = [*seeds, *unlabelled]
    shown = contents(everything, allow_urls=allow_urls)
    notes = [*label_notes(everything, shown)]
    if probed is None:
        return SeedPlan(task, tuple(notes), (), {}, probed=False, synthetic=synthetic)
    verdicts: dict[str, list[VerdictRecord]] = defaultdict(list)
    for verdict in probed.verdicts:
        verdicts[verdict.pair_id].append(verdict)
    answered = {id: own for id, own in verdicts.items() if complete(own)}
    kinds = {c.id: kinds_of(c, answered[c.id]) for c in everything if strictly_ranked(c) and c.id in answered}
    notes += _kind_notes(kinds, task)
    notes.append(_probe_note(everything, answered, probed))
    ranked = _label_next(everything, shown, answered, count)
    return SeedPlan(task, tuple(notes), tuple(ranked), kinds, probed=True, synthetic=synthetic)


def check_pools(seeds: Sequence[Comparison], unlabelled: Sequence[Comparison]) -> Task:
    """The one task of all pairs. Raises `ValueError` as `plan_seeds` does."""
    everything = [*seeds, *unlabelled]
    task = one_task(everything, "pairs")
    check_images(everything, "pairs")
    if twice := [id for id, times in Counter(c.id for c in everything).items() if times > 1]:
        raise ValueError(f"ids used more than once: {', '.join(twice[:5])}; give every pair its own")
    if ranked := [c.id for c in unlabelled if c.ranks is not None]:
        raise ValueError(f"unlabelled pairs with ranks: {', '.join(ranked[:5])}; put them among the seeds")
    return task


def _kind_notes(kinds: Mapping[str, frozenset[PairKind]], task: Task) -> Iterator[Note]:
    n = len(kinds)
    if not n:
        return
    wanted = min(ENOUGH_OF_A_KIND, max(1, n // 10))
    for kind, meaning in WANTED.items():
        if kind == "over-edited" and task != "edit":
            continue
        ids = tuple(id for id, own in kinds.items() if kind in own)
        ok = len(ids) >= wanted
        advice = "enough" if ok else f"add {wanted - len(ids)}: {meaning}"
        yield Note(f"kind: {kind}", ok, len(ids), n, f"{len(ids)} of {n} pairs labelled and judged: {advice}.", ids)
    against = tuple(id for id, own in kinds.items() if "against the judge" in own)
    advice = (
        "look at them again: the label is wrong, or here is what a rubric must say" if against else "nothing to review"
    )
    message = f"{len(against)} of {n} pairs labelled and judged: the judge's criteria prefer only the loser; {advice}."
    yield Note("against the judge", not against, len(against), n, message, against)


def _probe_note(
    everything: Sequence[Comparison], answered: Mapping[str, Sequence[VerdictRecord]], probed: Probed
) -> Note:
    missing = tuple(c.id for c in everything if c.id not in answered)
    n = len(everything)
    message = f"the judge answered in both orders on {n - len(missing)} of {n} pairs"
    if missing:
        message += f"; the other {len(missing)} are in no kind and not ranked, as no answer is no disagreement"
    message += f". Partial: {probed.stopped}" if probed.stopped else "."
    return Note("probe", not missing and not probed.stopped, n - len(missing), n, message, missing)


def _label_next(
    everything: Sequence[Comparison],
    shown: Mapping[str, Content],
    answered: Mapping[str, Sequence[VerdictRecord]],
    count: int,
) -> Iterator[NextPair]:
    """Greedily the pair of the highest value, which falls for every pair of the same prompt labelled or taken."""
    labelled = [c for c in everything if c.ranks is not None]
    of_prompt = Counter(prompt_id(c.prompt) for c in labelled)
    known = {shown[c.id].unordered for c in labelled}
    pool = []
    for c in everything:
        own = shown[c.id].unordered
        if c.ranks is None and c.id in answered and own not in known and len(set(own.images)) > 1:
            known.add(own)
            pool.append((c, disagreement(c, answered[c.id])))
    for _ in range(min(count, len(pool))):
        values = [split.score / (1 + of_prompt[prompt_id(c.prompt)]) for c, split in pool]
        best = max(range(len(pool)), key=values.__getitem__)
        comparison, split = pool.pop(best)
        of_prompt[prompt_id(comparison.prompt)] += 1
        yield NextPair(comparison.id, comparison.prompt, split.score, values[best], split.why)


def _some(note: Note) -> str:
    """A few of the ids a note that needs doing is about."""
    if note.ok or not note.pair_ids or note.count == note.n:
        return ""
    more = f" and {len(note.pair_ids) - 5} more" if len(note.pair_ids) > 5 else ""
    return f" ({printable(', '.join(note.pair_ids[:5]))}{more})"


def _wrapped(head: str, text: str) -> list[str]:
    return textwrap.wrap(head + text, 110, subsequent_indent=" " * min(len(head), 28), break_long_words=False)
