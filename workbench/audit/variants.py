"""Variants of a rubric that a sound one should agree with, and one made from labels that mean nothing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from workbench.induction.answers import Criteria, criteria_answer
from workbench.induction.arr import ArrSettings, induce_arr
from workbench.induction.events import Event
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


async def from_coin_flips(
    rubric: Rubric,
    comparisons: Sequence[Comparison],
    client: VlmClient,
    *,
    pairs: int,
    epochs: int,
    seed: int,
    record: Callable[[Event], None],
) -> Rubric:
    """What the published recipe makes of the first `pairs` comparisons with random labels, cut to the rubric's length.

    The same model writes it, about the same pictures, in the form induced rubrics have; only what people preferred is
    missing. So a gain over it is owed to the labels. It is fair although the pairs are among the audited ones: every
    ranking is drawn by coin, independently of the label, so the rubric cannot know one and no pair need be left out.

    Raises as `induce_arr` does, `EmptyRubric` included.
    """
    rng = np.random.default_rng(seed)
    flipped = [
        replace(each, ranks=tuple(int(rank) for rank in rng.permutation(len(each.images)) + 1), scores=None)
        for each in comparisons[:pairs]
    ]
    settings = ArrSettings(max_epochs=epochs)
    induced = await induce_arr(flipped, client, settings, name=f"coin flips for {rubric.name}", record=record)
    return _shortened(induced, len(rubric.enabled_criteria()))


def _shortened(rubric: Rubric, count: int) -> Rubric:
    """The first `count` criteria; the recipe puts those first that decide most often."""
    themes, left = [], count
    for theme in rubric.themes:
        kept = theme.criteria[:left]
        left -= len(kept)
        if kept:
            themes.append(replace(theme, criteria=kept))
    return replace(rubric, themes=tuple(themes))


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
