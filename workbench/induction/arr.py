"""The published recipe: generate, verify, refine, structure (Auto-Rubric as Reward, arXiv 2605.08354, section 3.2).

As published: every seed pair gets its own criteria; the verifier sees all of them at once, the human label and one
image order; what survives is pooled and regrouped by one last call; the result is not verified again.
Different from the published code: ranks must be a permutation (there, equal ranks pass a label of [1, 2] but fail
[2, 1]), a call that fails is retried instead of counting as a wrong verdict, calls in flight are bounded, and an empty
result is an error. More than 100 seed pairs are all used; the published coding-rate selector is left out.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from workbench.induction.answers import Group
from workbench.induction.errors import PartialRubric
from workbench.induction.events import Event
from workbench.induction.seeds import EmptyRubric, check_seeds
from workbench.induction.writing import PACKAGE, Writer, numbered, ranks_text, themes_of
from workbench.judges.answers import Ranking, rank_answer
from workbench.judges.exemplars import Exemplar
from workbench.judges.messages import basis_text, prompt_text, show, task_text
from workbench.pairs.comparison import Comparison, Task
from workbench.progress import Progress
from workbench.rubrics.rubric import Rubric
from workbench.vlm.client import VlmClient
from workbench.vlm.errors import BudgetSpent, InvalidAnswer, NoAnswer
from workbench.vlm.request import ChatRequest
from workbench.vlm.tasks import gather_or_stop


@dataclass(frozen=True, slots=True)
class ArrSettings:
    """Settings of the published recipe, with its values.

    - `criteria_per_pair`: K, how many criteria are asked for at a time.
    - `max_epochs`: how often a pair's criteria are verified; each failure but the last is followed by a revision.
    - `themes`: the most themes the result has; 0 leaves the criteria as one list.
    - `description`: what the images are for, in the user's words.
    - `exemplars`: guide mode: human decisions shown to the writer.
    """

    criteria_per_pair: int = 5
    max_epochs: int = 5
    themes: int = 5
    description: str = ""
    exemplars: tuple[Exemplar, ...] = ()

    recipe: ClassVar[str] = "arr"

    def __post_init__(self) -> None:
        for name, least in (("criteria_per_pair", 1), ("max_epochs", 1), ("themes", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name}={getattr(self, name)} must be at least {least}")

    def to_json(self) -> dict[str, Any]:
        """The settings as JSON."""
        return {**asdict(self), "exemplars": [exemplar.model_dump() for exemplar in self.exemplars]}

    def most_calls(self, pairs: int) -> int:
        """The most calls `pairs` seed pairs can take: 1 + 2 `max_epochs` - 1 each, and one to structure."""
        return pairs * 2 * self.max_epochs + (self.themes > 0)

    def steps(self, pairs: int) -> int:
        """Steps of progress: a seed pair each."""
        return pairs

    async def induce(
        self,
        seeds: Sequence[Comparison],
        writer: VlmClient,
        judge: VlmClient,
        *,
        name: str,
        record: Callable[[Event], None],
        progress: Progress | None = None,
    ) -> Rubric:
        """`induce_arr` with these settings; one model writes and verifies, the judge has no say."""
        return await induce_arr(seeds, writer, self, name=name, record=record, progress=progress)


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What became of one seed pair: its criteria when they passed, else why not."""

    pair_id: str
    criteria: tuple[str, ...] = ()
    first_try: bool = False
    failed: bool = False


async def induce_arr(
    seeds: Sequence[Comparison],
    client: VlmClient,
    settings: ArrSettings,
    *,
    name: str,
    record: Callable[[Event], None],
    progress: Progress | None = None,
) -> Rubric:
    """Induce a rubric from labelled seed pairs.

    - `record`: called with every step as it happens.

    Raises `ValueError` for unlabelled seeds or mixed tasks, `EmptyRubric` when nothing survives, `PartialRubric` with
    what survived, unsorted, when the budget ends half-way, and another `workbench.vlm.errors.StopRun` when going on is
    pointless; everything answered so far is in the client's cache.
    """
    task = check_seeds(seeds)
    recipe = _Recipe(client, settings, task, record)

    async def work_on(seed: Comparison) -> _Outcome:
        outcome = await recipe.work_on(seed)
        if progress:
            progress.advance()
        return outcome

    outcomes = await gather_or_stop(work_on(seed) for seed in seeds)
    kept = [outcome for outcome in outcomes if outcome.criteria]
    failed = sum(outcome.failed for outcome in outcomes)
    if not kept:
        raise recipe.spent or EmptyRubric(
            f"none of {len(seeds)} seed pairs gave criteria that led the verifier to the human ranking "
            f"({failed} failed without an answer); look at events.jsonl, then raise max_epochs or change the model"
        )
    groups = await recipe.structure([text for outcome in kept for text in outcome.criteria])
    counts = {
        "seed_pairs": len(seeds),
        "kept": len(kept),
        "passed_first_time": sum(outcome.first_try for outcome in outcomes),
        "failed": failed,
        "criteria_before_structuring": sum(len(outcome.criteria) for outcome in kept),
    }
    provenance: dict[str, Any] = {
        "recipe": settings.recipe,
        "seed_pairs": [seed.id for seed in seeds],
        "settings": settings.to_json(),
        "writer": client.identity(),
        "counts": counts,
    }
    if recipe.structuring_failed:
        provenance["structuring_failed"] = recipe.structuring_failed
    sources: dict[str, list[str]] = {}
    for outcome in kept:
        for text in outcome.criteria:
            sources.setdefault(text, []).append(outcome.pair_id)
    if recipe.spent:
        provenance["partial"] = f"{recipe.spent}; not done: other seed pairs, or sorting what they gave"
    rubric = Rubric(name=name, task=task, themes=themes_of(groups, sources), provenance=provenance)
    if recipe.spent:
        raise PartialRubric(provenance["partial"], rubric) from recipe.spent
    return rubric


class _Recipe:
    """The calls of one induction."""

    def __init__(self, client: VlmClient, settings: ArrSettings, task: Task, record: Callable[[Event], None]) -> None:
        self.client = client
        self.settings = settings
        self.task = task
        self.record = record
        self.spent: BudgetSpent | None = None
        self.structuring_failed = ""
        self.writer = Writer(
            client,
            task,
            settings.criteria_per_pair,
            record,
            description=settings.description,
            exemplars=settings.exemplars,
        )

    async def work_on(self, seed: Comparison) -> _Outcome:
        """Generate, then verify and revise until the verifier reaches the human ranking or the epochs are spent."""
        try:
            return await self._refine(seed, await self._generate(seed))
        except (NoAnswer, InvalidAnswer) as failure:
            self.record(Event(seed.id, "failed", detail=str(failure)))
            return _Outcome(seed.id, failed=True)
        except BudgetSpent as error:  # raised once the answers in flight, which are paid for, have come
            self.spent = error
            return _Outcome(seed.id, failed=True)

    async def _refine(self, seed: Comparison, criteria: tuple[str, ...]) -> _Outcome:
        for epoch in range(self.settings.max_epochs):
            actual = await self._verify(seed, criteria, epoch)
            if actual == seed.ranks:
                self.record(Event(seed.id, "kept", epoch, criteria))
                return _Outcome(seed.id, criteria, first_try=epoch == 0)
            if epoch < self.settings.max_epochs - 1:
                criteria = await self._revise(seed, criteria, actual, epoch)
        detail = f"not the human ranking after {self.settings.max_epochs} verifications"
        self.record(Event(seed.id, "dropped", self.settings.max_epochs - 1, criteria, detail=detail))
        return _Outcome(seed.id)

    async def _generate(self, seed: Comparison) -> tuple[str, ...]:
        question = prompt_text(PACKAGE, "question_label", {"ranks": ranks_text(seed.ranks)})
        return await self.writer.write(seed, range(len(seed.images)), "generate", question, Event(seed.id, "generated"))

    async def _revise(
        self, seed: Comparison, criteria: tuple[str, ...], actual: tuple[int, ...] | None, epoch: int
    ) -> tuple[str, ...]:
        values = {"ranks": ranks_text(seed.ranks), "previous": numbered(criteria), "actual": ranks_text(actual)}
        question = prompt_text(PACKAGE, "question_feedback", values)
        event = Event(seed.id, "revised", epoch)
        return await self.writer.write(
            seed, range(len(seed.images)), "revise", question, event, sample=self._sample(epoch)
        )

    def _sample(self, epoch: int) -> int:
        """Above temperature 0 an epoch that asks what was asked before draws anew; at 0 it has its answer already."""
        return epoch if self.client.sampling.temperature > 0 else 0

    async def _verify(self, seed: Comparison, criteria: tuple[str, ...], epoch: int) -> tuple[int, ...] | None:
        """The ranks a judge gives who reads the criteria and, as published, the human label too."""
        n = len(seed.images)
        values = {
            "task": task_text(self.task),
            "basis": basis_text(numbered(criteria)),
            "ties": f"Use each of the ranks 1 to {n} exactly once. Ties are not allowed.",
            "criteria_field": "",
        }
        label = prompt_text(PACKAGE, "question_label", {"ranks": ranks_text(seed.ranks)})
        content = show(seed, range(n), f"{label}\n\nRank the {n} images.")
        system = prompt_text("workbench.judges", "compare", values)
        request = ChatRequest(system, content, rank_answer(n), sample=self._sample(epoch))
        try:
            reply = await self.client.ask(request)
        except InvalidAnswer as failure:
            self.record(Event(seed.id, "verified", epoch, criteria, passed=False, detail=str(failure)))
            return None
        ranking: Ranking = reply.value
        passed = ranking.ranks == seed.ranks
        event = Event(
            seed.id, "verified", epoch, criteria, ranking.ranks, passed, ranking.reason, "", reply.cached, (reply.key,)
        )
        self.record(event)
        return ranking.ranks

    async def structure(self, criteria: Sequence[str]) -> tuple[Group, ...]:
        """Criteria in themes; one unnamed theme when structuring is off or its answer is unusable, as published."""
        unstructured = (Group("Criteria", tuple(criteria)),)
        if self.settings.themes == 0 or self.spent:
            return unstructured
        try:
            return await self.writer.group(criteria, "structure", self.settings.themes, Event("", "structured"))
        except (NoAnswer, InvalidAnswer) as failure:
            self.structuring_failed = str(failure)
            self.record(Event("", "failed", rubrics=tuple(criteria), detail=str(failure)))
            return unstructured
        except BudgetSpent as error:
            self.spent = error
            return unstructured
