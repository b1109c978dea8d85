"""Exemplars for guide mode: what an imagined person of a world would say about a few of their decisions."""

from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import yaml

from workbench.atomic import replacing
from workbench.shapes.attributes import satisfaction
from workbench.shapes.rule import CLAUSES
from workbench.shapes.sampling import ShapePair, World
from workbench.shapes.scene import exact

REASONS = 2
"""People name at most this many reasons."""


def write_exemplars(pairs: Iterable[ShapePair], world: World, path: Path, *, count: int = 6) -> None:
    """Write `{prompt, preferred, dispreferred, rationale}` for the first `count` pairs, one of each prompt."""
    told: dict[str, dict[str, str]] = {}
    for pair in pairs:
        if pair.prompt not in told:
            told[pair.prompt] = {"prompt": pair.prompt, **_tell(pair, world)}
        if len(told) == count:
            break
    with replacing(path) as temporary:
        temporary.write_text(yaml.safe_dump(list(told.values()), sort_keys=False, width=110), encoding="utf-8")


def _tell(pair: ShapePair, world: World) -> dict[str, str]:
    """The weightiest differences that speak for the preferred picture, in words."""
    source = exact(pair.source) if pair.source else None
    winner, loser = (
        satisfaction(world.task, pair.prompt, exact(pair.candidates[pair.ranks.index(rank)]), source) for rank in (1, 2)
    )
    gains = {name: weight * (winner[name] - loser[name]) for name, weight in world.rule.weights.items()}
    speaking = sorted((name for name in gains if gains[name] > 0), key=lambda name: -gains[name])
    clauses = [CLAUSES[name] if world.rule.weights[name] > 0 else CLAUSES[name][::-1] for name in speaking]
    named = list(islice(clauses, REASONS)) or [("that I like better", "that I like less")]
    return {
        "preferred": "a picture " + " and ".join(more for more, _ in named),
        "dispreferred": "a picture " + " and ".join(less for _, less in named),
        "rationale": "I prefer the picture " + " and ".join(more for more, _ in named) + ".",
    }
