"""The plain word a measured number earns; always its 95% interval decides, never the number alone."""

from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Literal

import yaml

from workbench.evaluation.statistics import Estimate

Word = Literal["ok", "weak", "bad", "undecided", "reference", "fact", "not measured"]
"""`reference`: shown for comparison; `fact`: counted, with nothing to decide."""

Rule = Callable[[Estimate], Word]

AGREES, DISAGREES = 0.9, 0.75
WORTH_HAVING = 0.02
TOLERATED = 0.1


def agrees(estimate: Estimate) -> Word:
    """`ok` surely above 90%, `bad` surely below 75%, `weak` surely below 90%."""
    low, high = estimate.ci95 or (0.0, 1.0)
    if low >= AGREES:
        return "ok"
    return "bad" if high < DISAGREES else "weak" if high < AGREES else "undecided"


def gains(estimate: Estimate) -> Word:
    """`ok` surely above 0, `bad` surely below; `weak` if a gain of 2 points or more can be ruled out."""
    low, high = estimate.ci95 or (-1.0, 1.0)
    if low > 0:
        return "ok"
    return "bad" if high < 0 else "weak" if high < WORTH_HAVING else "undecided"


def resists(estimate: Estimate) -> Word:
    """`ok` surely no more than 10% of verdicts moved, `bad` surely more, `weak` surely some."""
    low, high = estimate.ci95 or (-1.0, 1.0)
    if high <= TOLERATED:
        return "ok"
    return "bad" if low > TOLERATED else "weak" if low > 0 else "undecided"


def beats(chance: float) -> Rule:
    """`ok` surely above `chance`, `bad` surely below."""

    def rule(estimate: Estimate) -> Word:
        low, high = estimate.ci95 or (0.0, 1.0)
        return "ok" if low > chance else "bad" if high < chance else "undecided"

    return rule


def reference(_: Estimate) -> Word:
    """Nothing is decided."""
    return "reference"


def meaning(measure: str, word: Word, least: float | None) -> str:
    """The sentence for a row; `least` is the smallest change these pairs could show."""
    shown = f"{least * 100:.1f} points" if least is not None else "no size"
    return meanings()[measure][word].format(least=shown)


@cache
def meanings() -> dict[str, dict[str, str]]:
    """Sentences by measure and word."""
    text = files("workbench.audit").joinpath("meanings.yaml").read_text(encoding="utf-8")
    found: dict[str, dict[str, str]] = yaml.safe_load(text)
    return found
