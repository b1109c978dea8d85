"""Asking a model to write criteria for a labelled example, and to put many criteria in order."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from workbench.induction.answers import Criteria, Group, criteria_answer, groups_answer
from workbench.induction.events import Event
from workbench.judges.exemplars import Exemplar, exemplars_text
from workbench.judges.messages import prompt_text, show, task_text
from workbench.pairs.comparison import Comparison, Task
from workbench.rubrics.rubric import Criterion, Theme
from workbench.vlm.client import VlmClient
from workbench.vlm.request import ChatRequest

PACKAGE = "workbench.induction"


class Writer:
    """A model that writes criteria.

    - `count`: how many it is asked for at a time.
    - `description`: what the images are for. - `exemplars`: human decisions it is shown (guide mode).
    - `record`: called with what was written.
    """

    def __init__(
        self,
        client: VlmClient,
        task: Task,
        count: int,
        record: Callable[[Event], None],
        *,
        description: str = "",
        exemplars: Sequence[Exemplar] = (),
    ) -> None:
        self.client = client
        self.record = record
        shown = exemplars_text(exemplars)
        self.values = {
            "task": task_text(task),
            "hints": prompt_text(PACKAGE, f"hints_{task}"),
            "description": f"What the images are for: {description}\n\n" if description else "",
            "exemplars": f"<exemplars>\n{shown}\n</exemplars>\n\n" if shown else "",
            "count": count,
        }

    async def write(
        self, pair: Comparison, order: Sequence[int], prompt: str, question: str, event: Event, sample: int = 0
    ) -> tuple[str, ...]:
        """Criteria for a pair shown in `order`; `event` says which step this is.

        Raises `NoAnswer` and `InvalidAnswer`, and `StopRun` when going on is pointless.
        """
        system = prompt_text(PACKAGE, prompt, self.values)
        request = ChatRequest(system, show(pair, order, question), criteria_answer(), sample=sample)
        reply = await self.client.ask(request)
        criteria: Criteria = reply.value
        self.record(
            Event(
                event.pair_id,
                event.step,
                event.epoch,
                criteria.texts,
                reason=criteria.reason,
                cached=reply.cached,
                keys=(reply.key,),
            )
        )
        return criteria.texts

    async def group(self, criteria: Sequence[str], prompt: str, themes: int, event: Event) -> tuple[Group, ...]:
        """Criteria in at most `themes` themes, with no image shown. Raises as `write` does."""
        system = prompt_text(PACKAGE, prompt, {"themes": themes})
        reply = await self.client.ask(ChatRequest(system, (numbered(criteria),), groups_answer(themes)))
        groups: tuple[Group, ...] = reply.value
        tips = tuple(tip for group in groups for tip in group.tips)
        self.record(Event("", event.step, event.epoch, tips, cached=reply.cached, keys=(reply.key,)))
        return groups

    async def tighten(self, criteria: Sequence[str]) -> tuple[str, ...]:
        """Stricter wordings of criteria that separate no images. Raises as `write` does."""
        system = prompt_text(PACKAGE, "tighten", {"count": len(criteria)})
        question = f"Previous criteria, rejected because they separate no images:\n{numbered(criteria)}"
        reply = await self.client.ask(ChatRequest(system, (question,), criteria_answer()))
        written: Criteria = reply.value
        self.record(
            Event("", "tightened", 1, written.texts, reason=written.reason, cached=reply.cached, keys=(reply.key,))
        )
        return written.texts


def themes_of(groups: Iterable[Group], sources: Mapping[str, Sequence[str]]) -> tuple[Theme, ...]:
    """Themes with numbered criteria; one whose words are in `sources` names the seed pairs it came from."""
    themes, number = [], 0
    for group in groups:
        criteria = []
        for tip in group.tips:
            number += 1
            source = ", ".join(sources[tip]) if tip in sources else None
            criteria.append(Criterion(id=f"c{number}", text=tip, source=source))
        themes.append(Theme(name=group.theme or "Criteria", criteria=tuple(criteria)))
    return tuple(themes)


def numbered(criteria: Sequence[str]) -> str:
    """Criteria as numbered lines."""
    return "\n".join(f"{i}. {text}" for i, text in enumerate(criteria, start=1))


def ranks_text(ranks: Sequence[int] | None) -> str:
    """Ranks as a model reads and writes them."""
    return str(list(ranks)) if ranks is not None else "no valid ranking"
