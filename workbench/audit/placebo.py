"""A placebo: a rubric of the same length and build that says nothing a decision could rest on."""

from dataclasses import replace
from functools import cache
from importlib.resources import files

import numpy as np

from workbench.rubrics.rubric import Criterion, Rubric

CLOSE_ENOUGH = 4
"""So few words of a criterion may be missing."""
CHOICES = 12
"""Among so many sentences the one of the best length is taken."""


def placebo_rubric(rubric: Rubric, *, seed: int) -> Rubric:
    """As many themes and criteria, with their weights and about as many words each, of sentences on opening files.

    What a rubric gains over its placebo is owed to what it says; the rest to being given a rubric at all. Levels are
    left out, their words counted into their criterion's.
    """
    rng, left = np.random.default_rng(seed), list[str]()
    themes = []
    for number, theme in enumerate(rubric.themes, start=1):
        criteria = tuple(
            Criterion(criterion.id, _about(_words_of(criterion), left, rng), criterion.weight)
            for criterion in theme.enabled_criteria()
        )
        if criteria:
            themes.append(replace(theme, name=f"Part {number}" if theme.name else "", criteria=criteria))
    return Rubric(f"placebo of {rubric.name}", rubric.task, tuple(themes))


@cache
def neutral_sentences() -> tuple[str, ...]:
    """Sentences about image files and looking at them, true of any image."""
    text = files("workbench.audit").joinpath("neutral_sentences.txt").read_text(encoding="utf-8")
    return tuple(text.splitlines())


def _words_of(criterion: Criterion) -> int:
    return sum(len(text.split()) for text in (criterion.text, *(level.text for level in criterion.levels)))


def _about(words: int, left: list[str], rng: np.random.Generator) -> str:
    """Sentences of `words` words together, to within a few; each is used once before any is used again."""
    said: list[str] = []
    missing = words
    while not said or missing > CLOSE_ENOUGH:
        if not left:
            left += [neutral_sentences()[i] for i in rng.permutation(len(neutral_sentences()))]
        among = left[-CHOICES:]
        best = min(among, key=lambda sentence: abs(missing - len(sentence.split())))
        left.remove(best)
        said.append(best)
        missing -= len(best.split())
    return " ".join(said)
