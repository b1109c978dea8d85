"""Writing criteria for a labelled example: what sets the preferred image apart, in this judge's words and habits."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml
from numpy.random import Generator

from workbench.pairs.comparison import Task
from workbench.shapes.attributes import attributes
from workbench.shapes.judge.reader import keep_known, read_criterion
from workbench.shapes.judge.settings import JudgeSettings, Vocabulary

NOTICEABLE = 0.05
"""Smaller differences between candidates are not written about."""
PULL = 0.5
"""What a mention in an exemplar's rationale, or in feedback, counts, in units of an attribute's difference."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What there is to write about.

    - `differences`: by attribute, how much more of it the best candidate has than the others, in [-1, 1].
    - `mentioned`: signed mentions by attribute, from rationales and feedback.
    - `previous`: criteria that were rejected.
    - `best`, `worst`: places of the candidates in the order shown, from 1.
    """

    differences: Mapping[str, float]
    mentioned: Mapping[str, float]
    previous: tuple[str, ...] = ()
    best: int = 1
    worst: int = 2


@dataclass(frozen=True, slots=True)
class _Point:
    """Something to say: an attribute, and +1 for more of it or -1 for less."""

    attribute: str
    sign: int

    @property
    def pole(self) -> str:
        return "for" if self.sign > 0 else "against"


def write_criteria(
    settings: JudgeSettings, task: Task, evidence: Evidence, count: int, rng: Generator
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Exactly `count` criteria, and the names of the themes they were meant to be about."""
    salience = _salience(task, evidence)
    # Told to revise, a writer takes more care, and writes anew: it has no table to read criteria with.
    care = 0.5 if evidence.previous else 1.0
    texts: list[str] = []
    points: list[_Point] = []
    while len(texts) < count:
        point = _next_point(settings, task, salience, points, care, rng)
        if point is None:
            texts.append(str(rng.choice(writer_words()["vague"]["sentences"])))
            continue
        points.append(point)
        texts.append(_phrase_anew(point, settings.vocabulary, texts, rng))
        if rng.random() < care * settings.writer.naming:
            texts[-1] = _name_images(texts[-1], evidence, rng)
    return tuple(texts), tuple(dict.fromkeys(theme_name(point.attribute) for point in points))


def mentions(texts: Sequence[str], task: Task, vocabulary: Vocabulary) -> dict[str, float]:
    """Signed shares by attribute of what sentences speak of, each at most 1 in size.

    >>> mentions(["The edges are crisp."], "t2i", Vocabulary())
    {'sharpness': 1.0}
    """
    found: dict[str, float] = {}
    for text in texts:
        for sentence in re.split(r"(?<=[.;!?])\s+", text):
            for name, share in read_criterion(sentence, task, vocabulary).shares.items():
                found[name] = max(-1.0, min(1.0, found.get(name, 0.0) + share))
    return found


def theme_name(attribute: str) -> str:
    """What a writer calls the theme of an attribute."""
    return str(writer_words()["attributes"][attribute]["theme"])


def phrase(attribute: str, sign: int, vocabulary: Vocabulary, rng: Generator) -> str:
    """One sentence that asks for more (`sign` 1) or less (-1) of an attribute, in words this writer knows."""
    point = _Point(attribute, sign)
    template = str(rng.choice(writer_words()["attributes"][attribute][point.pole]))

    def synonym(slot: re.Match[str]) -> str:
        return str(rng.choice(keep_known(writer_words()["words"][slot[1]], vocabulary, "writer")))

    text = re.sub(r"\{(\w+)\}", synonym, template)
    return text[0].upper() + text[1:]


def reword(vocabulary: Vocabulary, task: Task, text: str, rng: Generator) -> str:
    """A criterion in the writer's own words; what it does not understand, or has no words for, comes back as it was."""
    points = [
        _Point(name, 1 if share > 0 else -1) for name, share in read_criterion(text, task, vocabulary).shares.items()
    ]
    if not points or not set(points) <= set(_sayable(task)):
        return text
    return " ".join(phrase(point.attribute, point.sign, vocabulary, rng) for point in points)


@cache
def writer_words() -> dict[str, Any]:
    """The writer's sentences and synonyms."""
    words: dict[str, Any] = yaml.safe_load(
        files("workbench.shapes.judge").joinpath("writer_words.yaml").read_text(encoding="utf-8")
    )
    return words


def _sayable(task: Task) -> list[_Point]:
    """What this world's writers have words for."""
    known = writer_words()["attributes"]
    poles = {"for": 1, "against": -1}
    return [
        _Point(name, sign)
        for name in attributes(task)
        if name in known
        for pole, sign in poles.items()
        if pole in known[name]
    ]


def _salience(task: Task, evidence: Evidence) -> dict[_Point, float]:
    """How strongly each sayable point suggests itself; points that speak against the label are left out."""
    salience: dict[_Point, float] = {}
    for point in _sayable(task):
        difference = point.sign * evidence.differences.get(point.attribute, 0.0)
        pull = point.sign * evidence.mentioned.get(point.attribute, 0.0)
        if difference >= NOTICEABLE or (pull > 0 and difference > -NOTICEABLE):
            salience[point] = max(0.0, difference) + PULL * max(0.0, pull)
    return salience


def _next_point(
    settings: JudgeSettings,
    task: Task,
    salience: Mapping[_Point, float],
    points: Sequence[_Point],
    care: float,
    rng: Generator,
) -> _Point | None:
    """What to write about next; None for nothing in particular."""
    habits = settings.writer
    slip = rng.random(3)
    anything = [point for point in _sayable(task) if point.sign > 0]
    if slip[0] < care * habits.vagueness:
        return None
    if points and slip[1] < care * habits.duplicates:
        return points[int(rng.integers(len(points)))]
    fresh = [point for point in salience if point not in points]
    # When all that differs has been said, the careless write on about other things, the careful say it again.
    careless = care * habits.inattention * (1 if fresh else 2)
    if slip[2] < careless or not salience:
        return anything[int(rng.integers(len(anything)))]
    among = fresh or list(salience)
    weights = [salience[point] + 1e-9 for point in among]
    return among[int(rng.choice(len(among), p=[weight / sum(weights) for weight in weights]))]


def _phrase_anew(point: _Point, vocabulary: Vocabulary, texts: Sequence[str], rng: Generator) -> str:
    """A sentence not yet written, unless this writer has no other words left."""
    text = phrase(point.attribute, point.sign, vocabulary, rng)
    for _ in range(10):
        if text not in texts:
            break
        text = phrase(point.attribute, point.sign, vocabulary, rng)
    return text


def _name_images(text: str, evidence: Evidence, rng: Generator) -> str:
    template = str(rng.choice(writer_words()["naming"]))
    return template.format(criterion=text, best=evidence.best, worst=evidence.worst)
