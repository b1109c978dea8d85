"""Variants of a rubric that a sound one should agree with, and one made from labels that mean nothing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from workbench.induction.answers import Criteria, criteria_answer
from workbench.induction.arr import ArrSettings
from workbench.induction.blind import BlindSettings
from workbench.induction.events import Event
from workbench.induction.pool import capped
from workbench.induction.writing import numbered
from workbench.judges.messages import prompt_text
from workbench.pairs.comparison import Comparison
from workbench.rubrics.rubric import Criterion, Rubric
from workbench.vlm.client import VlmClient
from workbench.vlm.request import AnswerFormat, ChatRequest


def reordered(rubric: Rubric, *, seed: int) -> Rubric | None:
    """The same themes and criteria in another order, drawn from `seed`; None where there is only one order."""
    rng = np.random.default_rng(seed)
    for _ in range(100):
        themes = [rubric.themes[i] for i in rng.permutation(len(rubric.themes))]
        themes = [
            replace(theme, criteria=tuple(theme.criteria[i] for i in rng.permutation(len(theme.criteria))))
            for theme in themes
        ]
        shuffled = replace(rubric, name=f"{rubric.name}, reordered", themes=tuple(themes))
        if shuffled.hash != rubric.hash:
            return shuffled
    return None


async def paraphrased(rubric: Rubric, writer: VlmClient) -> Rubric:
    """The rubric with every criterion in other words, written by a model in one call; levels stay as they are.

    Raises `NoAnswer` and `InvalidAnswer`, also for another number of criteria, and `StopRun`.
    """
    criteria = rubric.enabled_criteria()
    system = prompt_text("workbench.audit", "paraphrase", {"count": len(criteria)})
    lines = numbered([" ".join(criterion.text.split()) for criterion in criteria])
    reply = await writer.ask(ChatRequest(system, (lines,), _same_count(len(criteria))))
    written: Criteria = reply.value
    texts = {criterion.id: text for criterion, text in zip(criteria, written.texts, strict=True)}
    return _with_texts(replace(rubric, name=f"{rubric.name}, paraphrased"), texts)


def coin_flip_settings(rubric: Rubric, *, seed: int) -> ArrSettings | BlindSettings:
    """Of the recipe the rubric's provenance names, with its defaults; of the published one for any other rubric.

    `blind` is held to as many criteria as the rubric has.
    """
    if rubric.provenance.get("recipe") == BlindSettings.recipe:
        return BlindSettings(criteria=len(rubric.enabled_criteria()), seed=seed)
    return ArrSettings()


async def from_coin_flips(
    rubric: Rubric,
    comparisons: Sequence[Comparison],
    client: VlmClient,
    *,
    pairs: int,
    seed: int,
    record: Callable[[Event], None],
) -> Rubric:
    """What a recipe makes of the first `pairs` comparisons when a coin decides every label.

    The recipe is that of `coin_flip_settings`, `client` writes and judges, and no more criteria are kept than `rubric`
    has: the first of every theme, then the second of every theme, and so on.

    What it shows: how often a judge agrees with people by a rubric of this kind that cannot know what they like, but
    may say what a model finds sensible. What it does not: which part of a gain the labels alone brought. The audited
    rubric may have another writer, other settings and other pairs behind it; a hand-written one has no labels at all.
    It is one draw of coins, and the interval of a gain over it does not cover other draws.

    The pairs are among the audited ones. The coins know nothing of their labels, so none is given away; a rubric fitted
    to the coins may be somewhat nearer to chance on these pairs than on others.

    Raises as the recipe does.
    """
    rng = np.random.default_rng(seed)
    flipped = [
        replace(each, ranks=tuple(int(rank) for rank in rng.permutation(len(each.images)) + 1), scores=None)
        for each in comparisons[:pairs]
    ]
    settings, name = coin_flip_settings(rubric, seed=seed), f"coin flips for {rubric.name}"
    induced = await settings.induce(flipped, client, client, name=name, record=record)
    return replace(induced, themes=capped(induced.themes, len(rubric.enabled_criteria())))


def _with_texts(rubric: Rubric, texts: Mapping[str, str]) -> Rubric:
    def worded(criterion: Criterion) -> Criterion:
        return replace(criterion, text=texts.get(criterion.id, criterion.text))

    themes = (replace(theme, criteria=tuple(map(worded, theme.criteria))) for theme in rubric.themes)
    return replace(rubric, themes=tuple(themes))


def _same_count(count: int) -> AnswerFormat:
    """`criteria_answer` with just `count` criteria."""
    base = criteria_answer()

    def parse(data: dict[str, Any]) -> Criteria:
        criteria: Criteria = base.parse(data)
        if len(criteria.texts) != count:
            raise ValueError(f'"rubrics" has {len(criteria.texts)} criteria; it must have exactly {count}')
        return criteria

    return AnswerFormat("criteria", base.schema, parse)
