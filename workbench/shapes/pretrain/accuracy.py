"""How often the pictures of a policy are what was asked for, measured from their pixels."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TypeVar, get_args

from PIL.Image import Image

from workbench.evaluation.statistics import Estimate, proportion
from workbench.shapes.changes import change
from workbench.shapes.fidelity import fidelity
from workbench.shapes.grammar import parse_prompt
from workbench.shapes.instructions import Action
from workbench.shapes.measure import observe
from workbench.shapes.render import render
from workbench.shapes.small_world import WIDTH, EditTriple

CRITERIA: tuple[str, ...] = ("count", "color", "shape", "presence", "relation")
"""Of the prompts of the tiny policies; no prompt names a size."""
CHANGED = 0.9
"""Least change that counts as right: all objects that were named, a resize by 1.31 where 1.35 was asked for."""
PRESERVED = 0.9
"""Least preservation that counts as right: every object kept, none added, the background off by at most 0.04."""
FULLY = "fully right"
EDIT_CRITERIA: tuple[str, ...] = ("instruction", "preservation", *(f"{FULLY}, {each}" for each in get_args(Action)))

Asked = TypeVar("Asked", bound=Hashable)


def right(prompt: str, picture: Image) -> dict[str, bool]:
    """Whether a picture wholly meets each criterion; `relation` is left out where the prompt has none."""
    spec = parse_prompt(prompt)
    met = fidelity(spec, observe(picture).objects)
    return {name: met[name] == 1 for name in CRITERIA if name != "relation" or spec.relation}


def right_edit(triple: EditTriple, picture: Image) -> dict[str, bool]:
    """Whether a picture has the whole change that was asked for and has kept the rest of the source; then, both."""
    met = change(triple.edit, observe(render(triple.source, WIDTH)), observe(picture))
    done, kept = met["instruction"] >= CHANGED, met["preservation"] >= PRESERVED
    return {"instruction": done, "preservation": kept, f"{FULLY}, {triple.edit.action}": done and kept}


def accuracy(
    asked: Sequence[Asked],
    draw: Callable[[Sequence[Asked], int], Sequence[Image]],
    right: Callable[[Asked, Image], Mapping[str, bool]],
    seeds: Sequence[int],
) -> dict[str, Estimate]:
    """Shares of pictures that are `fully right`, then right by each criterion, with intervals over what was asked.

    Everything is drawn once a seed; pictures without an answer by a criterion do not count for it. Raises `ValueError`
    where something is asked twice.
    """
    if len(set(asked)) < len(asked):
        raise ValueError(f"asked: {len(asked) - len(set(asked))} of {len(asked)} are repeated; pass each once.")
    answers = [
        (i, right(each, picture))
        for seed in seeds
        for i, (each, picture) in enumerate(zip(asked, draw(asked, seed), strict=True))
    ]
    found = {FULLY: [(i, all(met.values())) for i, met in answers]}
    for i, met in answers:
        for name, is_met in met.items():
            found.setdefault(name, []).append((i, is_met))
    return {name: proportion([met for _, met in some], [i for i, _ in some]) for name, some in found.items()}
