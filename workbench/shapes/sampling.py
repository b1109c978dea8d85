"""Worlds: preference pairs whose labels come from a hidden rule, all drawn from a seed."""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Literal

import numpy as np
from numpy.random import Generator

from workbench.pairs.comparison import Task
from workbench.shapes.attributes import satisfaction
from workbench.shapes.defects import DEFECTS_EDIT, defects_t2i, draw_candidate, draw_defects, edit_candidate
from workbench.shapes.editing import carry_out, random_edit
from workbench.shapes.grammar import RELATIONS, SIZE_WORDS, Group, SceneSpec
from workbench.shapes.instructions import Edit
from workbench.shapes.layout import items, place, random_background
from workbench.shapes.rule import HiddenRule, sample_rule
from workbench.shapes.scene import COLORS, SHAPES, Scene, exact

Split = Literal["seed", "test"]

MOST_OBJECTS = 7
MOST_PAIRS_PER_PROMPT = 3
CLEAR_PREFERENCE = 0.05
"""Least difference of utility between the candidates of a pair; nearer ones are drawn again."""


@dataclass(frozen=True, slots=True)
class World:
    """What decides every label: the hidden rule, and how often people say the opposite of what they like."""

    seed: int
    task: Task
    rule: HiddenRule
    label_noise: float


@dataclass(frozen=True, slots=True)
class SceneRequest:
    """A scene to draw from nothing."""

    spec: SceneSpec

    @property
    def prompt(self) -> str:
        """What people read."""
        return self.spec.prompt()


@dataclass(frozen=True, slots=True)
class EditRequest:
    """A source and what to change in it."""

    source: Scene
    edit: Edit

    @property
    def prompt(self) -> str:
        """What people read."""
        return self.edit.instruction()


Request = SceneRequest | EditRequest


@dataclass(frozen=True, slots=True)
class Draw:
    """Two candidates, how much people like each, and the defects of the two together."""

    candidates: tuple[Scene, Scene]
    utilities: tuple[float, float]
    defects: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ShapePair:
    """A preference pair as scenes, not yet drawn."""

    id: str
    prompt_id: str
    prompt: str
    candidates: tuple[Scene, Scene]
    source: Scene | None
    ranks: tuple[int, int]
    defects: tuple[str, ...]


def sample_world(seed: int, task: Task, label_noise: float = 0.05) -> World:
    """The world of a seed; the two tasks of a seed have rules of their own."""
    if not 0 <= label_noise <= 0.5:
        raise ValueError(
            f"label_noise: {label_noise} is not between 0 and 0.5; it is the share of labels turned round."
        )
    return World(seed, task, sample_rule(task, _rng(seed, task)), label_noise)


def sample_pairs(world: World, split: Split) -> Iterator[ShapePair]:
    """Pairs without end, always the same ones: one to three a prompt, no prompt in both splits."""
    number = count(1)
    for request, rng in _requests(world, split):
        source = request.source if isinstance(request, EditRequest) else None
        prompt_id = f"{zlib.crc32(repr(request).encode()):08x}"
        for _ in range(int(rng.integers(1, MOST_PAIRS_PER_PROMPT + 1))):
            draw = _draw(world, request, rng)
            if draw is None:
                continue
            # the two candidates come about in the same way, so the winner is as often the first as the second
            first_wins = (draw.utilities[0] > draw.utilities[1]) != (rng.random() < world.label_noise)
            name = f"{world.task}-w{world.seed}-{split}-{next(number):05d}"
            ranks = (1, 2) if first_wins else (2, 1)
            yield ShapePair(name, prompt_id, request.prompt, draw.candidates, source, ranks, draw.defects)


def _rng(*path: int | str) -> Generator:
    return np.random.default_rng([zlib.crc32(step.encode()) if isinstance(step, str) else step for step in path])


def _requests(world: World, split: Split) -> Iterator[tuple[Request, Generator]]:
    """Prompts of one split, each with the generator its pairs come from; a t2i prompt comes once."""
    known: set[str] = set()
    for i in count():
        rng = _rng(world.seed, world.task, split, i)
        request = _random_request(world.task, rng)
        if request is None or request.prompt in known or _split(request.prompt) != split:
            continue
        if world.task == "t2i":
            known.add(request.prompt)
        yield request, rng


def _split(prompt: str) -> Split:
    return "test" if zlib.crc32(prompt.encode()) % 2 else "seed"


def _random_request(task: Task, rng: Generator) -> Request | None:
    if task == "t2i":
        return SceneRequest(random_spec(rng))
    objects = place(items(random_spec(rng, related=False, groups=int(rng.integers(2, 5)))), None, rng)
    if objects is None or not 3 <= len(objects) <= 6:
        return None
    source = Scene(objects, random_background(rng))
    edit = random_edit(source, rng)
    return EditRequest(source, edit) if carry_out(edit, source, rng) else None


def random_spec(rng: Generator, *, related: bool = True, groups: int | None = None) -> SceneSpec:
    """A random prompt of at most seven objects, of which not many are large."""
    kinds = [(color, shape) for color in COLORS for shape in SHAPES]
    n = groups or int(rng.choice([1, 2, 3, 4], p=[0.2, 0.45, 0.25, 0.1]))
    while True:
        chosen = rng.choice(len(kinds), n, replace=False)
        sizes = [SIZE_WORDS[rng.integers(2)] if rng.random() < 0.4 else None for _ in range(n)]
        counts = [int(rng.integers(1, 3 if size == "large" else 5)) for size in sizes]
        large = sum(number for number, size in zip(counts, sizes, strict=True) if size == "large")
        if sum(counts) <= MOST_OBJECTS and large <= 3:
            break
    relation = RELATIONS[rng.integers(4)] if related and n > 1 and rng.random() < 0.65 else None
    named = zip(counts, chosen, sizes, strict=True)
    return SceneSpec(
        tuple(Group(number, kinds[kind][0], kinds[kind][1], size) for number, kind, size in named), relation
    )


def _draw(world: World, request: Request, rng: Generator) -> Draw | None:
    """Two candidates that people clearly do not like equally; None where none can be had."""
    possible = defects_t2i(request.spec) if isinstance(request, SceneRequest) else DEFECTS_EDIT
    for _ in range(40):
        drawn = draw_defects(possible, rng)
        first, second = (_candidate(request, defects, rng) for defects in drawn)
        if first is None or second is None:
            continue
        utilities = _utility(world, request, first), _utility(world, request, second)
        if abs(utilities[0] - utilities[1]) >= CLEAR_PREFERENCE:
            return Draw((first, second), utilities, tuple(sorted({*drawn[0], *drawn[1]})))
    return None


def _candidate(request: Request, defects: Sequence[str], rng: Generator) -> Scene | None:
    if isinstance(request, SceneRequest):
        return draw_candidate(request.spec, defects, rng)
    return edit_candidate(request.edit, request.source, defects, rng)


def _utility(world: World, request: Request, candidate: Scene) -> float:
    source = exact(request.source) if isinstance(request, EditRequest) else None
    return world.rule.utility(satisfaction(world.task, request.prompt, exact(candidate), source))
