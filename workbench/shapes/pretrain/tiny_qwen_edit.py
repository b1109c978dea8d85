"""The tiny edit policy: a genuine QwenImageEditPipeline in miniature, trained on edits of small scenes.

Every part is of the class the full-size pipeline has and is used as that pipeline uses it: the instruction goes
through Qwen2.5-VL together with the source picture, and the source's latents are appended to the sequence that is
denoised (Qwen-Image Technical Report, arXiv 2508.02324). What is saved is drawn by `workbench.rpo.policies`: the
pipeline's own call needs torchvision and enlarges every source to a million pixels.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import torch
from diffusers import AutoencoderKLQwenImage, FlowMatchEulerDiscreteScheduler, QwenImageTransformer2DModel
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from transformers import Qwen2_5_VLForConditionalGeneration

from workbench.rpo.config import PolicyConfig
from workbench.rpo.policies.load import load_policy
from workbench.rpo.policy import Policy, Prompt
from workbench.rpo.watching.measured import draw
from workbench.shapes.pretrain import qwen_text, qwen_vae
from workbench.shapes.pretrain.accuracy import EDIT_CRITERIA, FULLY, accuracy, right_edit
from workbench.shapes.pretrain.card import write_card
from workbench.shapes.pretrain.effort import scaled
from workbench.shapes.pretrain.flow import FlowSettings, train_flow
from workbench.shapes.pretrain.folder import forget_paths
from workbench.shapes.pretrain.qwen_text import (
    DROPPED,
    Seen,
    build_image_processor,
    build_text_model,
    build_tokenizer,
    hidden_states,
    see,
)
from workbench.shapes.small_world import WIDTH, EditTriple, edit_triples, picture
from workbench.shapes.world import encode

TRIPLES, FLOW_STEPS = 24_000, 4_000
BATCH = 64
VAE_TRIPLES, VAE_STEPS = 6_000, 900
"""Of so many triples the autoencoder sees both pictures; it needs fewer."""
TEST_TRIPLES, TEST_SEEDS = 500, 2
HEADS, HEAD_WIDTH, LAYERS = 4, 32, 4
STEPS, SHIFT = 8, 3.0
NOTHING = " "
"""The instruction of an example without one, as in the pipeline's examples of guidance."""
SHAPES_OF_SEQUENCE = [(1, 4, 4), (1, 4, 4)]
"""Frames, rows and columns of tokens: what is denoised, then the source."""
MODELS: dict[str, Any] = {
    "transformer": QwenImageTransformer2DModel,
    "vae": AutoencoderKLQwenImage,
    "text_encoder": Qwen2_5_VLForConditionalGeneration,
}
Scheduler: Any = FlowMatchEulerDiscreteScheduler
INDEX = {
    "_class_name": "QwenImageEditPipeline",
    "_diffusers_version": diffusers.__version__,
    "processor": ["transformers", "Qwen2VLProcessor"],
    "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
    "text_encoder": ["transformers", "Qwen2_5_VLForConditionalGeneration"],
    "tokenizer": ["transformers", "Qwen2Tokenizer"],
    "transformer": ["diffusers", "QwenImageTransformer2DModel"],
    "vae": ["diffusers", "AutoencoderKLQwenImage"],
}


@dataclass(frozen=True, slots=True)
class EditPolicy:
    """The parts of a QwenImageEditPipeline, on the CPU."""

    transformer: Any
    vae: Any
    text_encoder: Any
    tokenizer: Any
    image_processor: Any
    scheduler: Any


def make(out: Path, *, seed: int = 0, effort: float = 1.0) -> None:
    """Draw edits, train the VAE, then transformer and text model; save them to `out` in float16 with a card.

    `effort` scales the numbers of edits and steps.
    """
    start = time.monotonic()
    n, n_vae, vae_steps, flow_steps = (scaled(effort, full) for full in (TRIPLES, VAE_TRIPLES, VAE_STEPS, FLOW_STEPS))
    triples = edit_triples(n, seed, "train")
    policy = build_policy(qwen_vae.train_vae(_pictures(triples[:n_vae]), vae_steps, seed), seed)
    train(policy, triples, FlowSettings(steps=flow_steps, batch=BATCH, shift=SHIFT), seed)
    save(policy, out)
    print(f"{out}: saved after {(time.monotonic() - start) / 60:.0f} minutes", flush=True)
    describe(out, seed=seed, effort=effort)


def describe(folder: Path, *, seed: int = 0, effort: float = 1.0) -> None:
    """Measure the policy that `make` saved on held-out edits, as training runs it, and write its card."""
    policy = load_policy(PolicyConfig(path=str(folder), size=WIDTH), "cpu")
    chosen = edit_triples(TEST_TRIPLES, 0, "test")
    measured = accuracy(chosen, lambda some, seed: redraw(policy, some, seed), right_edit, range(TEST_SEEDS))
    ceiling = accuracy(chosen, lambda some, _: reconstruct(policy.vae, some), right_edit, [0])
    parts = (policy.transformer, policy.vae, policy.pipeline.text_encoder)
    named = [each for part in parts for each in part.named_parameters()]
    weights = [each.numel() for name, each in named if "lora_" not in name]
    card = write_card(
        "tiny_qwen_edit",
        {name: [measured[name], ceiling[name]] for name in (FULLY, *EDIT_CRITERIA)},
        weights=sum(weights) / 1e6,
        pairs=len(chosen),
        last_seed=TEST_SEEDS - 1,
        seed=seed,
        vae_steps=scaled(effort, VAE_STEPS),
        flow_steps=scaled(effort, FLOW_STEPS),
        triples=scaled(effort, TRIPLES),
    )
    (folder / "README.md").write_text(card, encoding="utf-8")
    print(f"{folder}: {measured[FULLY].percent()} of pictures fully right (synthetic)", flush=True)


def build_transformer() -> Any:
    """Qwen-Image's transformer with four blocks; modulations and the last layer start at zero."""
    transformer = MODELS["transformer"](
        patch_size=2,
        in_channels=4 * qwen_vae.CHANNELS,
        out_channels=qwen_vae.CHANNELS,
        num_layers=LAYERS,
        attention_head_dim=HEAD_WIDTH,
        num_attention_heads=HEADS,
        joint_attention_dim=qwen_text.WIDTH,
        axes_dims_rope=(8, 12, 12),
    )
    modulations = [layer[1] for block in transformer.transformer_blocks for layer in (block.img_mod, block.txt_mod)]
    for layer in (*modulations, transformer.norm_out.linear, transformer.proj_out):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    return transformer


def build_policy(vae: Any, seed: int) -> EditPolicy:
    """An untrained policy around a trained VAE."""
    torch.manual_seed(seed)
    tokenizer = build_tokenizer()
    return EditPolicy(
        transformer=build_transformer(),
        vae=vae,
        text_encoder=build_text_model(tokenizer),
        tokenizer=tokenizer,
        image_processor=build_image_processor(),
        scheduler=Scheduler(shift=SHIFT, use_dynamic_shifting=False),
    )


def train(policy: EditPolicy, triples: Sequence[EditTriple], settings: FlowSettings, seed: int) -> list[float]:
    """Train transformer and text model together; returns the losses. Every picture is encoded once, beforehand."""
    pictures = _pictures(triples)
    latents = qwen_vae.encode(policy.vae, pictures)
    sources, targets = latents[::2], latents[1::2]  # (N, 16, 32)
    seen = see_triples(policy, triples, pictures[::2])
    nothing = _nothing(policy, seen)

    def velocity(x_t: Tensor, t: Tensor, index: Tensor, dropped: Tensor) -> Tensor:
        batch = seen.select(index)
        without = dropped[:, None]
        batch = Seen(
            torch.where(without, nothing.ids, batch.ids), torch.where(without, nothing.mask, batch.mask), batch.pixels
        )
        text = hidden_states(policy.text_encoder, batch, index % 2 == 0)
        return predict(policy, x_t, t, sources[index], text, batch.mask)

    return train_flow((policy.transformer, policy.text_encoder), velocity, targets, settings, seed)


def predict(policy: EditPolicy, x_t: Tensor, t: Tensor, source: Tensor, text: Tensor, mask: Tensor) -> Tensor:
    """v `(B, 16, 32)` of latents `x_t (B, 16, 32)` at times `t (B,)` beside the source's `(B, 16, 32)`."""
    v: Tensor = policy.transformer(
        hidden_states=torch.cat([x_t, source], dim=1),
        timestep=t,
        encoder_hidden_states=text,
        encoder_hidden_states_mask=mask[:, DROPPED:],
        img_shapes=[SHAPES_OF_SEQUENCE] * len(x_t),
        return_dict=False,
    )[0]
    return v[:, : x_t.shape[1]]


def redraw(policy: Policy, triples: Sequence[EditTriple], seed: int) -> list[Image.Image]:
    """Every source after its edit, as any policy of `workbench.rpo` draws; the noise comes from seed and place.

    Ids are those that `read_prompts` gives the lines of `write_prompts("edit", "test", ...)`.
    """
    asked = [
        Prompt(f"line-{line}", each.instruction, encode(each.source, WIDTH))
        for line, each in enumerate(triples, start=1)
    ]
    parts = [asked[start : start + BATCH] for start in range(0, len(asked), BATCH)]
    return [edited for part in parts for edited in draw(policy, part, [seed], STEPS, SHIFT)[0]]


def see_triples(policy: EditPolicy, triples: Sequence[EditTriple], sources: NDArray[np.uint8]) -> Seen:
    """Instructions and drawn sources `(N, 64, 64, 3)` as the text model reads them."""
    instructions = [each.instruction for each in triples]
    return see(policy.tokenizer, policy.image_processor, instructions, [Image.fromarray(each) for each in sources])


def reconstruct(vae: Any, triples: Sequence[EditTriple]) -> list[Image.Image]:
    """The true targets after the autoencoder, which no edit can be better than."""
    targets = np.stack([picture(each.target) for each in triples])
    return [Image.fromarray(pixels) for pixels in qwen_vae.decode(vae, qwen_vae.encode(vae, targets))]


def _pictures(triples: Sequence[EditTriple]) -> NDArray[np.uint8]:
    """Sources and targets by turns, `(2 N, 64, 64, 3)`."""
    return np.stack([picture(scene) for each in triples for scene in (each.source, each.target)])


def _models(policy: EditPolicy) -> dict[str, Any]:
    return {name: getattr(policy, name) for name in MODELS}


def _nothing(policy: EditPolicy, seen: Seen) -> Seen:
    """An example without instruction, as long as the others."""
    one = see(policy.tokenizer, policy.image_processor, [NOTHING], [Image.new("RGB", (8, 8))])
    missing = seen.ids.shape[1] - one.ids.shape[1]
    pad = policy.tokenizer.pad_token_id
    return Seen(
        torch.nn.functional.pad(one.ids, (0, missing), value=pad),
        torch.nn.functional.pad(one.mask, (0, missing)),
        one.pixels,
    )


def save(policy: EditPolicy, folder: Path) -> None:
    """Write the pipeline's folder and leave the models in float16.

    The processor's video part is there only because loading it asks for one.
    """
    for name, model in _models(policy).items():
        model.half().save_pretrained(folder / name)
    policy.scheduler.save_pretrained(folder / "scheduler")
    policy.tokenizer.save_pretrained(folder / "tokenizer")
    policy.tokenizer.save_pretrained(folder / "processor")
    policy.image_processor.save_pretrained(folder / "processor")
    settings = json.loads((folder / "processor" / "preprocessor_config.json").read_text())
    video = {**settings, "video_processor_type": "Qwen2VLVideoProcessor"}
    del video["image_processor_type"]
    (folder / "processor" / "video_preprocessor_config.json").write_text(json.dumps(video, indent=2) + "\n")
    (folder / "model_index.json").write_text(json.dumps(INDEX, indent=2) + "\n")
    forget_paths(folder)
