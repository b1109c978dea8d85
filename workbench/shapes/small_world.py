"""The small part of the shapes world that the tiny policies live in: its prompts, splits, scenes and edits.

Six colours, three shapes, one or two groups of one to three objects, at most four in all, 64 x 64 pixels.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice, permutations, product
from typing import Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from workbench.shapes.editing import carry_out, random_edit
from workbench.shapes.grammar import RELATIONS, Group, SceneSpec
from workbench.shapes.instructions import Edit
from workbench.shapes.layout import items, place, random_background
from workbench.shapes.render import render
from workbench.shapes.scene import COLORS, Scene

Split = Literal["train", "dev", "test"]

WIDTH = 64
SHAPES: tuple[str, ...] = ("circle", "square", "triangle")
COUNTS: tuple[tuple[int, int], ...] = ((1, 1), (1, 2), (2, 1), (2, 2), (3, 1), (1, 3))
"""How many objects the two groups of a prompt may have."""
MOST_OBJECTS = 4


@dataclass(frozen=True, slots=True)
class PromptedScene:
    """A prompt and a scene that does what it asks."""

    spec: SceneSpec
    scene: Scene

    @property
    def prompt(self) -> str:
        """What people read."""
        return self.spec.prompt()


@dataclass(frozen=True, slots=True)
class EditTriple:
    """A source, an edit, and one scene that is the source after it."""

    source: Scene
    edit: Edit
    target: Scene

    @property
    def instruction(self) -> str:
        """What people read."""
        return self.edit.instruction()


def random_spec(rng: Generator) -> SceneSpec:
    """A random prompt: a fifth has one group, a fifth two groups side by side, the rest a relation between two."""
    kinds = [(color, shape) for color in COLORS for shape in SHAPES]
    first, second = (kinds[kind] for kind in rng.choice(len(kinds), 2, replace=False))
    form = rng.random()
    if form < 0.2:
        return SceneSpec((Group(int(rng.integers(1, 4)), *first),))
    m, n = COUNTS[rng.integers(len(COUNTS))]
    relation = RELATIONS[rng.integers(len(RELATIONS))] if form >= 0.4 else None
    return SceneSpec((Group(m, *first), Group(n, *second)), relation)


def split_of(text: str) -> Split:
    """The split a text belongs to, by its checksum: a tenth of all is `dev`, a tenth `test`."""
    tenth = zlib.crc32(text.encode()) % 10
    return "test" if tenth == 0 else "dev" if tenth == 1 else "train"


def prompts(split: Split, n: int, seed: int) -> list[str]:
    """`n` different prompts of a split, in an order drawn from the seed; every prompt is equally likely.

    The first prompts of a longer list are those of a shorter one. Raises ValueError when there are fewer than `n`.
    """
    pool = [prompt for prompt in _all_prompts() if split_of(prompt) == split]
    if not 0 < n <= len(pool):
        raise ValueError(f"n: {n} is not between 1 and {len(pool)}, the number of different {split} prompts.")
    order = np.random.default_rng([seed, zlib.crc32(split.encode())]).permutation(len(pool))
    return [pool[i] for i in order[:n]]


def t2i_scenes(n: int, seed: int, split: Split) -> list[PromptedScene]:
    """`n` scenes with prompts of one split, drawn as `random_spec` draws them; prompts repeat."""
    return list(islice(_t2i_scenes(np.random.default_rng([seed, zlib.crc32(split.encode())]), split), n))


def edit_triples(n: int, seed: int, split: Split) -> list[EditTriple]:
    """`n` different edits whose source and instruction together belong to one split."""
    return list(islice(_edit_triples(np.random.default_rng([seed, zlib.crc32(split.encode())]), split), n))


def picture(scene: Scene) -> NDArray[np.uint8]:
    """The scene as pixels `(64, 64, 3)`."""
    return np.asarray(render(scene, WIDTH))


@cache
def _all_prompts() -> tuple[str, ...]:
    """Every prompt of this world, each once: 54 of one group and 9,180 of two."""
    kinds = [(color, shape) for color in COLORS for shape in SHAPES]
    single = [SceneSpec((Group(n, *kind),)) for n in (1, 2, 3) for kind in kinds]
    double = [
        SceneSpec((Group(m, *first), Group(n, *second)), relation)
        for first, second in permutations(kinds, 2)
        for (m, n), relation in product(COUNTS, (None, *RELATIONS))
    ]
    return tuple(spec.prompt() for spec in (*single, *double))


def _random_scene(spec: SceneSpec, rng: Generator) -> Scene | None:
    objects = place(items(spec), spec.relation, rng)
    return Scene(objects, random_background(rng)) if objects else None


def _t2i_scenes(rng: Generator, split: Split) -> Iterator[PromptedScene]:
    while True:
        spec = random_spec(rng)
        if split_of(spec.prompt()) == split and (scene := _random_scene(spec, rng)):
            yield PromptedScene(spec, scene)


def _edit_triples(rng: Generator, split: Split) -> Iterator[EditTriple]:
    known: set[tuple[Scene, Edit]] = set()
    while True:
        source = _random_scene(random_spec(rng), rng)
        if source is None:
            continue
        edit = random_edit(source, rng)
        if not {edit.shape, edit.value if edit.action == "reshape" else edit.shape} <= set(SHAPES):
            continue
        if split_of(f"{source!r} {edit.instruction()}") != split or (source, edit) in known:
            continue
        target = carry_out(edit, source, rng)
        if target is not None and len(target.objects) <= MOST_OBJECTS:
            known.add((source, edit))
            yield EditTriple(source, edit, target)
