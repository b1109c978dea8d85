"""Why a judge decided as it did: short plain sentences about what it noticed."""

from collections import Counter
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

import numpy as np
import yaml

from workbench.pairs.comparison import Task
from workbench.shapes.attributes import attributes
from workbench.shapes.grammar import COUNTS, parse_prompt
from workbench.shapes.judge.eyes import Seen
from workbench.shapes.judge.mind import Attention, Percept, noticed
from workbench.shapes.judge.settings import JudgeSettings
from workbench.shapes.scene import PlacedShape

MOST_CITED = 2
CITABLE = 0.02
"""Smaller weighted differences are not cited."""


def reason_for_ranks(
    settings: JudgeSettings, task: Task, attention: Attention, percept: Percept, ranks: Sequence[int]
) -> tuple[str, ...]:
    """Up to two attributes' names that were noticed and speak for the candidate ranked first, the weightiest first."""
    best, worst = int(np.argmin(ranks)), int(np.argmax(ranks))
    weighed = attention.weights * noticed(settings, attention, percept)
    gains = weighed * (percept.values[best] - percept.values[worst])
    order = np.argsort(-gains, kind="stable")[:MOST_CITED]
    return tuple(attributes(task)[k] for k in order if gains[k] > CITABLE)


def explain_ranks(
    cited: Sequence[str], task: Task, percept: Percept, ranks: Sequence[int], prompt: str, shown: Sequence[Seen]
) -> str:
    """The reason as text, for what `reason_for_ranks` cites."""
    best, worst = int(np.argmin(ranks)), int(np.argmax(ranks))
    if ranks[best] == ranks[worst]:
        return "Nothing that matters separates the images."
    sentences = []
    for name in cited:
        k = attributes(task).index(name)
        way = "more" if percept.values[best][k] > percept.values[worst][k] else "less"
        template = _sentences().get(name, {}).get(way, "")
        counted = _miscounted(prompt, shown, worst) if (name, way) == ("count", "more") else ""
        sentences.append(counted or template.format(best=best + 1, worst=worst + 1))
    return (
        " ".join(filter(None, sentences))
        or f"Little separates the images; image {best + 1} looks a bit better overall."
    )


def describe(shown: Sequence[Seen]) -> str:
    """What is in the images, plainly.

    `Image 1: two red circles and one blue star.`
    """
    lines = [f"Image {i}: {_contents(seen.observation.objects)}." for i, seen in enumerate(shown, start=1)]
    return " ".join(lines) or "I see no image."


def _miscounted(prompt: str, shown: Sequence[Seen], index: int) -> str:
    """A sentence about the first group of which an image shows another number, or nothing."""
    try:
        groups = parse_prompt(prompt).groups
    except ValueError:
        return ""
    there = Counter((each.color, each.shape) for each in shown[index].observation.objects)
    for group in groups:
        n = there[group.color, group.shape]
        if n != group.count:
            wanted = COUNTS[group.count - 1]
            return f"Image {index + 1} has {_some(n, group.color, group.shape)} where the prompt asks for {wanted}."
    return ""


def _contents(objects: Sequence[PlacedShape]) -> str:
    groups = Counter((each.color, each.shape) for each in objects)
    return " and ".join(_some(n, *kind) for kind, n in groups.items()) or "nothing on a plain background"


def _some(n: int, color: str, shape: str) -> str:
    number = COUNTS[n - 1] if 1 <= n <= len(COUNTS) else "no" if n == 0 else str(n)
    return f"{number} {color} {shape}{'' if n == 1 else 's'}"


@cache
def _sentences() -> dict[str, dict[str, str]]:
    text = files("workbench.shapes.judge").joinpath("reason_words.yaml").read_text(encoding="utf-8")
    sentences: dict[str, dict[str, str]] = yaml.safe_load(text)
    return sentences
