"""The model card of the tiny edit policy."""

from workbench.evaluation.statistics import Estimate
from workbench.shapes.pretrain.edit_accuracy import EditAccuracy

_CARD = """# Tiny Qwen-Image-Edit

A `QwenImageEditPipeline` of diffusers with {weights:.1f} million weights that carries out instructions such as "change
the red circle to blue" in pictures of one to four coloured circles, squares and triangles, 64 x 64 pixels. It exists
so that training with rewards can be tried in minutes on two CPU cores, by the code that trains Qwen-Image-Edit.
Everything about it is synthetic: no photograph and nobody's picture was used, and no number below says anything about
real pictures.

    policy = load_policy(PolicyConfig(path="data/models/tiny_qwen_edit", size=64), "cpu")
    asked = Prompt("any id", "change the red circle to blue", "source.png")
    draw(policy, [asked], seeds=[0], steps=8, shift=3.0)[0][0]

`load_policy` is in `workbench.rpo.policies.load`, `PolicyConfig` in `workbench.rpo.config`, `Prompt` in
`workbench.rpo.policy` and `draw` in `workbench.rpo.measured`. The noise comes from seed and id. Prompts and sources are
made by `write_prompts("edit", "test", 500, folder)` of `workbench.shapes.prompt_files`. The pipeline's own call is not
to be used: it needs torchvision and enlarges every source to a million pixels, of which this transformer has seen none.

## Measured

{pairs} different held-out pairs of source and instruction, `edit_triples({pairs}, 0, "test")` of
`workbench.shapes.small_world`, with seeds 0 to {last_seed}, 8 steps of the ODE, no guidance, read from the pixels
by `workbench.shapes.measure`. Right is a picture with an `instruction` and a `preservation` of at least 0.9 by
`workbench.shapes.changes`. The ceiling is what the same measurement makes of the true targets after the autoencoder.
Synthetic; 95% intervals over pairs.

| | right | ceiling |
|---|---|---|
{rows}

## How it was made

    python -m workbench.shapes.pretrain edit --out data/models

Seed {seed}: {vae_steps:,} steps of the autoencoder and {flow_steps:,} of flow matching, transformer and text model
together, on {triples:,} synthetic edits of the training split. Edits are split by a checksum of source and
instruction, so no test pair was seen in training.
"""


def write_card(measured: EditAccuracy, ceiling: EditAccuracy, **facts: float) -> str:
    """The card as Markdown; `facts` fill the places of the template above."""
    rows = [
        f"| {name} | {estimate.percent()} | {best.percent()} |"
        for (name, estimate), (_, best) in zip(_lines(measured), _lines(ceiling), strict=True)
    ]
    return _CARD.format(rows="\n".join(rows), **facts)


def _lines(measured: EditAccuracy) -> list[tuple[str, Estimate]]:
    return [
        ("fully right", measured.fully),
        ("instruction", measured.instruction),
        ("preservation", measured.preservation),
        *((f"fully right, {action}", estimate) for action, estimate in measured.actions.items()),
    ]
