"""How often the pictures of a policy are what their prompts ask for, measured from their pixels."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from PIL.Image import Image

from workbench.evaluation.statistics import Estimate, proportion
from workbench.shapes.fidelity import fidelity
from workbench.shapes.grammar import parse_prompt
from workbench.shapes.measure import observe

CRITERIA: tuple[str, ...] = ("count", "color", "shape", "presence", "relation")
"""Of the prompts of the tiny policies; no prompt names a size."""

Draw = Callable[[Sequence[str], int], Sequence[Image]]
"""One picture for each prompt, from a seed."""


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Shares of pictures that are right, each with its interval over prompts.

    - `fully`: right by every criterion.
    - `criteria`: right by one of them; `relation` over the prompts that ask for one.
    """

    fully: Estimate
    criteria: Mapping[str, Estimate]


def right(prompt: str, picture: Image) -> dict[str, bool]:
    """Whether a picture wholly meets each criterion; `relation` is left out where the prompt has none."""
    spec = parse_prompt(prompt)
    met = fidelity(spec, observe(picture).objects)
    return {name: met[name] == 1 for name in CRITERIA if name != "relation" or spec.relation}


def accuracy(prompts: Sequence[str], draw: Draw, seeds: Sequence[int]) -> Accuracy:
    """Draw every prompt once a seed and measure the pictures; `prompts` must be different ones."""
    if len(set(prompts)) < len(prompts):
        raise ValueError(f"prompts: {len(prompts) - len(set(prompts))} of {len(prompts)} are repeated; pass each once.")
    measured = [
        (prompt, right(prompt, picture))
        for seed in seeds
        for prompt, picture in zip(prompts, draw(prompts, seed), strict=True)
    ]
    return Accuracy(
        proportion([all(met.values()) for _, met in measured], [prompt for prompt, _ in measured]),
        {name: _of_criterion(name, measured) for name in CRITERIA},
    )


def _of_criterion(name: str, measured: Sequence[tuple[str, dict[str, bool]]]) -> Estimate:
    asked = [(prompt, met[name]) for prompt, met in measured if name in met]
    return proportion([met for _, met in asked], [prompt for prompt, _ in asked])
