"""The hidden rule: what the imagined people of a world like and dislike."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.random import Generator

from workbench.pairs.comparison import Task
from workbench.shapes.attributes import FIDELITY

RIGHT = 0.99
"""An attribute is right from here on, for what matters only then."""

CLAUSES: Mapping[str, tuple[str, str]] = {
    "count": ("with the number of objects the prompt asks for", "with another number of objects than was asked for"),
    "color": ("whose objects have the colours the prompt asks for", "whose colours differ from the prompt"),
    "shape": ("whose objects have the shapes the prompt asks for", "whose shapes differ from the prompt"),
    "presence": ("in which every object named in the prompt appears", "in which something named is missing"),
    "relation": ("with the spatial arrangement the prompt asks for", "with another arrangement than was asked for"),
    "size": ("whose objects are as small or large as the prompt says", "whose sizes differ from the prompt"),
    "instruction": ("in which the requested edit was carried out", "in which the requested edit was not carried out"),
    "preservation": ("that leaves everything else as it was in the source", "that changes more than was requested"),
    "sharpness": ("with sharp edges", "with blurred, soft edges"),
    "cleanness": ("that is free of noise and specks", "that is noisy and speckled"),
    "brightness": ("with the brighter background", "with the darker background"),
    "fill": ("whose objects fill more of the canvas", "whose objects leave more of the canvas empty"),
    "balance": ("with a centred, balanced composition", "with an off-centre composition"),
    "leftward": ("with more of its objects on the left half", "with more of its objects on the right half"),
}
"""How to ask for more and for less of each attribute: "prefer the picture ..."."""


@dataclass(frozen=True, slots=True)
class Condition:
    """`weight` for `target`, but only where `gate` is right: a count that matters only if the colours are right."""

    gate: str
    target: str
    weight: float


@dataclass(frozen=True, slots=True)
class HiddenRule:
    """utility = sum_i weight_i * s_i + sum_j weight_j * s_target(j) * [s_gate(j) is right], s in [0, 1].

    A negative weight is a taste for less, such as for blur. The absolute weights sum to 1.
    """

    weights: Mapping[str, float]
    conditions: tuple[Condition, ...] = ()

    def utility(self, satisfaction: Mapping[str, float]) -> float:
        """How much people of this world like a picture, between -1 and 1."""
        plain = sum(weight * satisfaction[name] for name, weight in self.weights.items())
        return plain + sum(
            each.weight * satisfaction[each.target] for each in self.conditions if satisfaction[each.gate] >= RIGHT
        )

    def as_rubric_sentences(self) -> list[str]:
        """The rule in plain English, the weightiest first."""
        stated = [(abs(weight), _preference(name, weight)) for name, weight in self.weights.items()]
        for each in self.conditions:
            gate = f"Between pictures {CLAUSES[each.gate][0]}, "
            stated.append((abs(each.weight), gate + _preference(each.target, each.weight).lower()))
        return [f"{sentence} ({_importance(weight)})." for weight, sentence in sorted(stated, reverse=True)]

    def to_json(self) -> dict[str, Any]:
        """The rule as JSON data; `from_json` reads it back."""
        return {"weights": dict(self.weights), "conditions": [asdict(each) for each in self.conditions]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "HiddenRule":
        """The rule from the data `to_json` wrote."""
        return cls(dict(data["weights"]), tuple(Condition(**each) for each in data["conditions"]))


def sample_rule(task: Task, rng: Generator) -> HiddenRule:
    """A random rule: some of what the prompt asks for, one or two matters of style, now and then an odd taste.

    Sharpness and cleanness are disliked in three worlds of ten, three worlds of ten have a condition, and in one of
    four people also care about left and right, which no judge of this world has a word for.
    """
    # three or four: a prompt need not mention a relation or a size, and then these decide nothing
    chosen = rng.permutation(list(FIDELITY[task]))[: rng.integers(3, 5)].tolist()
    weights = {name: float(rng.uniform(0.5, 1.0)) for name in chosen}
    style = rng.permutation(["sharpness", "cleanness", "brightness", "fill", "balance"])[: rng.integers(1, 3)].tolist()
    for name in style:
        liked = rng.random() < (0.7 if name in ("sharpness", "cleanness") else 0.5)
        weights[name] = float(rng.uniform(0.3, 0.8)) * (1 if liked else -1)
    if rng.random() < 0.25:
        weights["leftward"] = float(rng.uniform(0.2, 0.5)) * float(rng.choice([-1, 1]))
    conditions: tuple[Condition, ...] = ()
    if rng.random() < 0.3:
        gate, target = chosen[:2]
        conditions = (Condition(gate, target, weights.pop(target)),)
    return _normalised(weights, conditions)


def _normalised(weights: Mapping[str, float], conditions: tuple[Condition, ...]) -> HiddenRule:
    total = float(np.sum(np.abs([*weights.values(), *(each.weight for each in conditions)])))
    return HiddenRule(
        {name: round(weight / total, 4) for name, weight in weights.items()},
        tuple(Condition(each.gate, each.target, round(each.weight / total, 4)) for each in conditions),
    )


def _preference(name: str, weight: float) -> str:
    more, less = CLAUSES[name]
    return f"Prefer the picture {more if weight > 0 else less}"


def _importance(weight: float) -> str:
    if weight >= 0.3:
        return "most important"
    return "important" if weight >= 0.15 else "less important"
