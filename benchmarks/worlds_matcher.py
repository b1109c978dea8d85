"""A blind matcher: given nothing but a rubric's text, which of ten hidden rules is it about?

It measures whether the rubric makes a flawless judge decide as the rule in words makes it decide: what a rubric does,
not how it is worded. The judge is one without flaws or world, behind HTTP; it reads the rubric and each rule's
sentences in the same way, decides about the same unlabelled pairs, and the rule with most equal decisions is picked.
Rules that lead to like decisions are easily taken for each other, so 100% cannot be had; by chance it is 10%.
"""

from contextlib import AsyncExitStack
from pathlib import Path

import numpy as np
from worlds_site import CONCURRENCY, Place, draw
from worlds_study import Condition, Match

from workbench.evaluation.judging import judge_pairs
from workbench.judges.vlm_judge import RankingJudge
from workbench.pairs.comparison import Comparison, Task
from workbench.rubrics.rubric import Rubric
from workbench.shapes.arms import oracle
from workbench.shapes.judge.settings import perfect
from workbench.shapes.sampling import sample_world
from workbench.vlm.client import VlmClient

PAIRS = 60
RULES = 10
PAIRS_WORLD = 0
"""The world whose prompts and pictures everything is matched on; no study looks at it."""


class Matcher:
    """Matches rubrics of one task; keeps what the judge decides under each rule."""

    def __init__(self, task: Task, pairs: list[Comparison], client: VlmClient) -> None:
        self.task = task
        self._pairs = pairs
        self._client = client
        self._rules: dict[int, list[str]] = {}

    @staticmethod
    async def start(task: Task, folder: Path, stack: AsyncExitStack) -> "Matcher":
        client = await Place(folder, stack).client(perfect(task))
        return Matcher(task, draw(sample_world(PAIRS_WORLD, task), "test", PAIRS, folder / f"match-{task}"), client)

    async def match(self, rubric: Rubric, condition: Condition, seed: int) -> Match:
        """The pick among the rules of the worlds `seed` to `seed + 9`; of several equally near ones, any."""
        decided = await self._decisions(rubric)
        agreement = {}
        for each in range(seed, seed + RULES):
            if each not in self._rules:
                self._rules[each] = await self._decisions(oracle(condition.world(self.task, each).rule, self.task))
            same = [a == b for a, b in zip(decided, self._rules[each], strict=True)]
            agreement[each] = round(sum(same) / len(same), 4)
        nearest = [each for each, share in agreement.items() if share == max(agreement.values())]
        picked = nearest[int(np.random.default_rng(seed).integers(len(nearest)))]
        return Match(picked=picked, agreement=agreement)

    async def _decisions(self, rubric: Rubric) -> list[str]:
        """Winners in both orders."""
        records = await judge_pairs(self._pairs, RankingJudge(self._client, rubric), concurrency=CONCURRENCY)
        return [record.outcome for record in records]
