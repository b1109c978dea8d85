"""One world under one condition, running: pairs on disk, a judge and a writer behind HTTP, and every arm's rubric."""

import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from worlds_study import INDUCED_HERE, Arm, Asked, Condition, Line

from workbench.audit.placebo import placebo_rubric
from workbench.induction.arr import ArrSettings, induce_arr
from workbench.induction.blind import BlindSettings, induce_blind
from workbench.induction.evidence import cross_fit
from workbench.induction.seeds import EmptyRubric
from workbench.judges.exemplars import Exemplar, load_exemplars
from workbench.pairs.comparison import Comparison, Task
from workbench.pairs.labels import coin_flips
from workbench.rubrics.files import load_rubric
from workbench.rubrics.rubric import Rubric
from workbench.shapes.arms import oracle
from workbench.shapes.exemplars import write_exemplars
from workbench.shapes.judge.server import running_server
from workbench.shapes.judge.settings import JudgeSettings
from workbench.shapes.sampling import ShapePair, Split, World, sample_pairs
from workbench.shapes.world import SIZE, encode
from workbench.vlm.client import VlmClient
from workbench.vlm.settings import Endpoint, Limits

RUBRICS = Path(__file__).parent.parent / "rubrics"
CONCURRENCY = 32
SEED = 0
"""Of the placebo and of labels by coin flip; everything else is drawn from the world's."""


class Place:
    """A folder with pictures, a response cache, and judges by their settings, each started when first asked for."""

    def __init__(self, folder: Path, stack: AsyncExitStack) -> None:
        self.folder = folder
        self._stack = stack
        self._clients: dict[str, VlmClient] = {}

    async def client(self, settings: JudgeSettings) -> VlmClient:
        model = settings.model_id
        if model not in self._clients:
            base_url = self._stack.enter_context(running_server(settings))
            limits = Limits(concurrency=CONCURRENCY)
            client = VlmClient(Endpoint(base_url, model), limits=limits, cache=self.folder / "answers.sqlite")
            self._clients[model] = await self._stack.enter_async_context(client)
        return self._clients[model]


class Clock:
    """What clients do from now on."""

    def __init__(self, *clients: VlmClient) -> None:
        self._clients = {client.endpoint: client for client in clients}.values()
        self._before = self._now()

    def read(self) -> Asked:
        calls, cached, seconds = (now - before for now, before in zip(self._now(), self._before, strict=True))
        return Asked(calls=int(calls), cached=int(cached), seconds=round(seconds, 3))

    def _now(self) -> tuple[float, float, float]:
        calls = sum(client.usage.calls for client in self._clients)
        cached = sum(client.usage.cached for client in self._clients)
        return calls, cached, time.monotonic()


@dataclass(frozen=True, slots=True)
class Made:
    """An arm's rubric, or why there is none, and what inducing it took."""

    rubric: Rubric | None
    failed: str = ""
    asked: Asked | None = None


class Site:
    """One world under one condition.

    - `model_of_placebo`: the arm whose rubric the placebo must be as long as.
    - `recorded`: lines already written; their rubrics are not induced again.
    """

    def __init__(
        self,
        place: Place,
        task: Task,
        seed: int,
        condition: Condition,
        model_of_placebo: Arm,
        recorded: Mapping[tuple[Any, ...], Line],
    ) -> None:
        self.model_of_placebo = model_of_placebo
        self.place = place
        self.task: Task = task
        self.seed = seed
        self.condition = condition
        self.recorded = recorded
        self.world = condition.world(task, seed)
        self.judge_settings = condition.judge_settings(task, seed)
        self.writer_settings = condition.writer_settings(task, seed)
        # people who like what the judge likes tell other pairs apart
        whose = "" if condition.rule == "hidden" else f"-{self.judge_settings.model_id}"
        self.folder = place.folder / f"{task}-{seed}{whose}"
        self._pairs: dict[Split, list[Comparison]] = {}
        self._made: dict[Arm, Made] = {}

    async def judge(self) -> VlmClient:
        return await self.place.client(self.judge_settings)

    async def writer(self) -> VlmClient:
        return await self.place.client(self.writer_settings or self.judge_settings)

    def pairs(self, split: Split, count: int) -> list[Comparison]:
        """The first pairs of a split: those that `make_world` writes."""
        if len(self._pairs.get(split, ())) < count:
            self._pairs[split] = draw(self.world, split, count, self.folder)
        return self._pairs[split][:count]

    def seeds(self) -> list[Comparison]:
        return self.pairs("seed", self.condition.seed_pairs)

    async def make(self, arm: Arm) -> Made:
        """The rubric of an arm."""
        line = self.recorded.get((self.task, self.seed, self.condition.name, arm))
        if line is not None:
            return Made(line.rubric, line.failed, line.inducing)
        if arm not in self._made:
            clock = Clock(await self.judge(), await self.writer())
            rubric, failed = None, ""
            try:
                rubric = await self._rubric(arm)
            except EmptyRubric as error:
                failed = str(error)
            self._made[arm] = Made(rubric, failed, clock.read() if arm in INDUCED_HERE else None)
        return self._made[arm]

    async def _rubric(self, arm: Arm) -> Rubric | None:
        match arm:
            case "none":
                return None
            case "oracle":
                return oracle(self.world.rule, self.task)
            case "handwritten":
                return load_rubric(RUBRICS / f"shapes_{self.task}_handwritten.yaml")
            case "placebo":
                return placebo_rubric(await self._existing(self, self.model_of_placebo), seed=SEED)
            case "other_arr" | "other_blind":
                before = self.seed - 1
                other = Site(self.place, self.task, before, self.condition, self.model_of_placebo, self.recorded)
                return await self._existing(other, "arr" if arm == "other_arr" else "blind")
            case _:
                return await self.induce(arm, self._seeds_of(arm))

    @staticmethod
    async def _existing(site: "Site", arm: Arm) -> Rubric:
        made = await site.make(arm)
        if made.rubric is None:
            raise EmptyRubric(f"no {arm} rubric in world {site.seed}: {made.failed}")
        return made.rubric

    def _seeds_of(self, arm: Arm) -> Sequence[Comparison]:
        return coin_flips(self.seeds(), seed=SEED) if arm.startswith("shuffled") else self.seeds()

    async def induce(self, arm: Arm, seeds: Sequence[Comparison]) -> Rubric:
        """One run of the recipe an arm is named after. Raises `EmptyRubric`."""
        exemplars = self._exemplars() if arm.endswith("guided") else ()
        writer, k = await self.writer(), self.condition.criteria_per_pair
        if "arr" in arm:
            arr = ArrSettings(criteria_per_pair=k, exemplars=exemplars)
            return await induce_arr(seeds, writer, arr, name=arm, record=_forget)
        blind = BlindSettings(criteria_per_pair=k, exemplars=exemplars)
        return await induce_blind(seeds, writer, await self.judge(), blind, name=arm, record=_forget)

    async def cross_fit(self, arm: Arm) -> tuple[dict[str, Any], Asked]:
        """The evidence the seed pairs give for an arm's recipe."""
        judge = await self.judge()
        clock = Clock(judge, await self.writer())
        evidence = await cross_fit(self.seeds(), lambda seeds: self.induce(arm, seeds), judge)
        return evidence.to_json(), clock.read()

    def _exemplars(self) -> tuple[Exemplar, ...]:
        self.folder.mkdir(exist_ok=True)
        write_exemplars(sample_pairs(self.world, "seed"), self.world, self.folder / "exemplars.yaml")
        return load_exemplars(self.folder / "exemplars.yaml")


def draw(world: World, split: Split, count: int, folder: Path) -> list[Comparison]:
    """The first pairs of a world's split, their pictures in `folder`; those of `make_world`, for any rule."""
    folder.mkdir(exist_ok=True)
    return [_drawn(pair, world, folder) for pair in islice(sample_pairs(world, split), count)]


def _drawn(pair: ShapePair, world: World, folder: Path) -> Comparison:
    files = [folder / f"{pair.id}-{i}.png" for i in (1, 2)]
    scenes = dict(zip(files, pair.candidates, strict=True))
    source = folder / f"source-{pair.prompt_id}.png" if pair.source else None
    if source and pair.source:
        scenes[source] = pair.source
    for file, scene in scenes.items():
        if not file.exists():
            file.write_bytes(encode(scene, SIZE))
    images = (str(files[0]), str(files[1]))
    return Comparison(pair.id, world.task, pair.prompt, images, str(source) if source else None, pair.ranks)


def _forget(_: object) -> None:
    """Events are not kept: a study wants the rubric alone."""
