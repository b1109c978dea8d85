"""The model card of the tiny text-to-image policy."""

from workbench.shapes.pretrain.accuracy import Accuracy

_CARD = """# Tiny FLUX

A `FluxPipeline` of diffusers with {weights:.1f} million weights that draws one or two groups of coloured circles,
squares and triangles, 64 x 64 pixels, from prompts such as "two red circles left of a blue square". It exists so that
training with rewards can be tried in minutes on two CPU cores, by the code that trains FLUX.1-dev. Everything about it
is synthetic: no photograph and nobody's picture was used, and no number below says anything about real pictures.

    pipeline = FluxPipeline.from_pretrained("data/models/tiny_flux", dtype=torch.float32)
    size = dict(height=64, width=64, num_inference_steps=8, max_sequence_length=16)
    pipeline("a red circle left of two blue squares", **size).images[0]

## Measured

{prompts} different held-out prompts, `prompts("test", {prompts}, 0)` of `workbench.shapes.small_world`, with seeds
0 to {last_seed}, 8 steps of the ODE, no guidance, read from the pixels by `workbench.shapes.measure`. Synthetic; 95%
intervals over prompts.

| | right |
|---|---|
{rows}

Reconstructions by the autoencoder that are still measured fully right: {reconstructed}
(synthetic scenes of development prompts).

## How it was made

    python -m workbench.shapes.pretrain flux --out data/models

Seed {seed}: {vae_steps:,} steps of the autoencoder and {flow_steps:,} of flow matching on {scenes:,} synthetic scenes
with prompts of the training split. Prompts are split by their checksum, so no test prompt was drawn in training.
"""


def write_card(measured: Accuracy, **facts: float | str) -> str:
    """The card as Markdown; `facts` fill the places of the template above."""
    lines = {"fully right": measured.fully, **measured.criteria}
    rows = "\n".join(f"| {name} | {estimate.percent()} |" for name, estimate in lines.items())
    return _CARD.format(rows=rows, **facts)
