"""How often the pictures of an edit policy are what their instructions ask for, measured from their pixels."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

from PIL.Image import Image

from workbench.evaluation.statistics import Estimate, proportion
from workbench.shapes.changes import change
from workbench.shapes.instructions import Action
from workbench.shapes.measure import observe
from workbench.shapes.render import render
from workbench.shapes.small_world import WIDTH, EditTriple

CHANGED = 0.9
"""Least change that counts as right: all objects that were named, a resize by 1.31 where 1.35 was asked for."""
PRESERVED = 0.9
"""Least preservation that counts as right: every object kept, none added, the background off by at most 0.04."""

Redraw = Callable[[Sequence[EditTriple], int], Sequence[Image]]
"""One edited picture for each source and instruction, from a seed."""


@dataclass(frozen=True, slots=True)
class EditAccuracy:
    """Shares of pictures that are right, each with its interval over pairs of source and instruction.

    - `fully`: the whole change is there and everything else is as it was.
    - `instruction`, `preservation`: either of the two.
    - `actions`: `fully` over the edits of one kind.
    """

    fully: Estimate
    instruction: Estimate
    preservation: Estimate
    actions: Mapping[str, Estimate]


def right_edit(triple: EditTriple, picture: Image) -> dict[str, bool]:
    """Whether a picture has the whole change that was asked for, and whether it has kept the rest of the source."""
    met = change(triple.edit, observe(render(triple.source, WIDTH)), observe(picture))
    return {"instruction": met["instruction"] >= CHANGED, "preservation": met["preservation"] >= PRESERVED}


def edit_accuracy(triples: Sequence[EditTriple], redraw: Redraw, seeds: Sequence[int]) -> EditAccuracy:
    """Edit every source once a seed and measure the pictures."""
    measured = [
        (i, triple.edit.action, right_edit(triple, picture))
        for seed in seeds
        for i, (triple, picture) in enumerate(zip(triples, redraw(triples, seed), strict=True))
    ]
    pairs = [i for i, _, _ in measured]
    fully = [all(met.values()) for _, _, met in measured]
    return EditAccuracy(
        proportion(fully, pairs),
        proportion([met["instruction"] for _, _, met in measured], pairs),
        proportion([met["preservation"] for _, _, met in measured], pairs),
        {action: _of_action(action, measured) for action in get_args(Action)},
    )


def _of_action(action: str, measured: Sequence[tuple[int, str, dict[str, bool]]]) -> Estimate:
    own = [(i, all(met.values())) for i, kind, met in measured if kind == action]
    return proportion([fully for _, fully in own], [i for i, _ in own])
