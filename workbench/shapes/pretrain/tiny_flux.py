"""The tiny text-to-image policy: a genuine FluxPipeline of 2.6 million weights, trained on the shapes world."""

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel
from PIL.Image import Image
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel, PreTrainedTokenizerFast, T5Config, T5EncoderModel

from workbench.rpo.policies.latents import pack, positions
from workbench.shapes.grammar import COUNTS, RELATIONS, SIZE_WORDS
from workbench.shapes.pretrain.accuracy import FULLY, accuracy, right
from workbench.shapes.pretrain.card import write_card
from workbench.shapes.pretrain.effort import scaled
from workbench.shapes.pretrain.flow import FlowSettings, train_flow
from workbench.shapes.pretrain.folder import forget_paths
from workbench.shapes.pretrain.vae import encode, reconstructed, train_vae
from workbench.shapes.scene import COLORS, SHAPES
from workbench.shapes.small_world import picture, prompts, t2i_scenes

SCENES, VAE_SCENES, VAE_STEPS = 60_000, 30_000, 900
FLOW_ROUNDS = (2_200, 2_400)
TEST_PROMPTS, TEST_SEEDS = 400, 4
PARTS = ("transformer", "text_encoder", "text_encoder_2", "vae")
TEXT_TOKENS = 16
HEADS, HEAD_WIDTH = 4, 32
WIDTH = HEADS * HEAD_WIDTH
POOLED = 64
SHIFT = 3.0
PAD, END, UNKNOWN = 0, 1, 2


def vocabulary() -> dict[str, int]:
    """Every word of the prompts of the shapes world, after padding, end and unknown."""
    related = [word for relation in RELATIONS for word in relation.split()]
    nouns = [word for shape in SHAPES for word in (shape, f"{shape}s")]
    words = ["a", "an", *COUNTS, *SIZE_WORDS, *COLORS, *nouns, *related, "and", "with", ","]
    return {word: i for i, word in enumerate(dict.fromkeys(["<pad>", "</s>", "<unk>", *words]))}


def build_tokenizer() -> Any:
    """Words as tokens, `</s>` after the last, at most 16 in all; a full stop is dropped."""
    tokenizer = Tokenizer(models.WordLevel(vocabulary(), unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), normalizers.Replace(".", "")])
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", END)])
    build: Any = PreTrainedTokenizerFast
    return build(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        model_max_length=TEXT_TOKENS,
    )


def build_transformer() -> Any:
    """FLUX's transformer with two double and four single blocks; modulations and the last layer start at zero."""
    build: Any = FluxTransformer2DModel
    transformer = build(
        patch_size=1,
        in_channels=32,
        num_layers=2,
        num_single_layers=4,
        attention_head_dim=HEAD_WIDTH,
        num_attention_heads=HEADS,
        joint_attention_dim=WIDTH,
        pooled_projection_dim=POOLED,
        guidance_embeds=False,
        axes_dims_rope=(8, 12, 12),
    )
    modulations = [
        *(norm.linear for block in transformer.transformer_blocks for norm in (block.norm1, block.norm1_context)),
        *(block.norm.linear for block in transformer.single_transformer_blocks),
        transformer.norm_out.linear,
    ]
    for layer in (*modulations, transformer.proj_out):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    return transformer


def build_text_encoders() -> tuple[Any, Any]:
    """A CLIP of one layer, whose pooled token the modulations read, and a T5 of two, whose tokens attention reads."""
    words = len(vocabulary())
    clip = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=words,
            hidden_size=POOLED,
            intermediate_size=2 * POOLED,
            projection_dim=POOLED,
            num_hidden_layers=1,
            num_attention_heads=2,
            max_position_embeddings=TEXT_TOKENS,
            hidden_act="gelu",
            pad_token_id=PAD,
            bos_token_id=END,
            eos_token_id=END,
        )
    )
    t5 = T5EncoderModel(
        T5Config(
            vocab_size=words,
            d_model=WIDTH,
            d_kv=HEAD_WIDTH,
            d_ff=2 * WIDTH,
            num_layers=2,
            num_heads=HEADS,
            dropout_rate=0.0,
            feed_forward_proj="gated-gelu",
            relative_attention_num_buckets=32,
            relative_attention_max_distance=TEXT_TOKENS,
            pad_token_id=PAD,
            eos_token_id=END,
        )
    )
    torch.nn.init.normal_(t5.shared.weight)
    _look_nearby(t5)
    return clip, t5


def _look_nearby(t5: Any) -> None:
    """Let each head start out looking one or two words back or ahead: which words belong together is soon learned.

    One run each of 2,200 steps: 4% of pictures fully right without it, 29% with it and with 60,000 scenes in place of
    30,000 (300 dev prompts, synthetic), so not all of the gain need be due to it.
    """
    bias = t5.encoder.block[0].layer[0].SelfAttention.relative_attention_bias.weight  # (32 distances, 4 heads)
    torch.nn.init.zeros_(bias)
    with torch.no_grad():
        for head, bucket in enumerate((1, 17, 2, 18)):  # distances -1, +1, -2, +2
            bias[bucket, head] = 4.0


def build_pipeline(vae: Any, seed: int) -> Any:
    """An untrained FluxPipeline around a trained VAE."""
    torch.manual_seed(seed)
    clip, t5 = build_text_encoders()
    build: Any = FluxPipeline
    schedule: Any = FlowMatchEulerDiscreteScheduler
    return build(
        scheduler=schedule(shift=SHIFT, use_dynamic_shifting=False),
        vae=vae,
        text_encoder=clip.eval(),
        tokenizer=build_tokenizer(),
        text_encoder_2=t5.eval(),
        tokenizer_2=build_tokenizer(),
        transformer=build_transformer(),
    )


def train(pipeline: Any, prompts: Sequence[str], latents: Tensor, settings: FlowSettings, seed: int) -> list[float]:
    """Train transformer and text encoders together on latents `(N, 8, 8, 8)` of pictures; returns the losses.

    Nothing masks the padding, as in FLUX, and text has no position but what T5 gives it.
    """
    modules = (pipeline.transformer, pipeline.text_encoder, pipeline.text_encoder_2)
    ids, empty = _token_ids(pipeline, prompts), _token_ids(pipeline, [""])
    packed, places = pack(latents), positions(4, 4)  # (N, 16, 32), (16, 3)
    no_places = torch.zeros(TEXT_TOKENS, 3)

    def velocity(x_t: Tensor, t: Tensor, index: Tensor, dropped: Tensor) -> Tensor:
        text = torch.where(dropped[:, None], empty, ids[index])
        v: Tensor = pipeline.transformer(
            hidden_states=x_t,
            timestep=t,
            encoder_hidden_states=pipeline.text_encoder_2(text)[0],
            pooled_projections=pipeline.text_encoder(text).pooler_output,
            txt_ids=no_places,
            img_ids=places,
            return_dict=False,
        )[0]
        return v

    return train_flow(modules, velocity, packed, settings, seed)


def make(out: Path, *, seed: int = 0, effort: float = 1.0) -> None:
    """Draw scenes, train the VAE, then transformer and text encoders; save them to `out` in float16 with a card.

    Flow matching goes in rounds, each with a learning rate that rises and falls, from what the last one saved.
    `effort` scales the numbers of scenes and steps.
    """
    start = time.monotonic()
    scale = partial(scaled, effort)
    scenes = t2i_scenes(scale(SCENES), seed + 1, "train")
    pictures = np.stack([picture(each.scene) for each in scenes])
    vae = train_vae(pictures[: scale(VAE_SCENES)], scale(VAE_STEPS), seed)
    latents, asked = encode(vae, pictures), [each.prompt for each in scenes]
    build_pipeline(vae, seed).save_pretrained(out)
    for number, steps in enumerate(FLOW_ROUNDS):
        pipeline = load(out)
        train(pipeline, asked, latents, FlowSettings(steps=scale(steps), shift=SHIFT), seed + number)
        pipeline.to(torch.float16).save_pretrained(out)
    forget_paths(out)
    print(f"{out}: trained in {(time.monotonic() - start) / 60:.0f} minutes", flush=True)
    describe(out, seed=seed, effort=effort)


def describe(folder: Path, *, seed: int = 0, effort: float = 1.0) -> None:
    """Measure the policy that `make` saved on held-out prompts, and write its card."""
    pipeline = load(folder)
    chosen = prompts("test", TEST_PROMPTS, 0)
    measured = accuracy(chosen, lambda some, seed: draw(pipeline, some, seed), right, range(TEST_SEEDS))
    card = write_card(
        "tiny_flux",
        {name: [share] for name, share in measured.items()},
        weights=sum(each.numel() for name in PARTS for each in getattr(pipeline, name).parameters()) / 1e6,
        prompts=len(chosen),
        last_seed=TEST_SEEDS - 1,
        reconstructed=reconstructed(pipeline.vae, 1000, seed).percent(),
        scenes=scaled(effort, SCENES),
        vae_steps=scaled(effort, VAE_STEPS),
        flow_steps=sum(scaled(effort, steps) for steps in FLOW_ROUNDS),
        seed=seed,
    )
    (folder / "README.md").write_text(card, encoding="utf-8")
    print(f"{folder}: {measured[FULLY].percent()} of pictures fully right (synthetic)", flush=True)


def load(folder: Path) -> Any:
    """The pipeline in float32, silent, on the CPU."""
    build: Any = FluxPipeline
    pipeline = build.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def draw(pipeline: Any, prompts: Sequence[str], seed: int, *, steps: int = 8) -> list[Image]:
    """One picture of 64 x 64 pixels for each prompt, without guidance; the noise of place i comes from (seed, i)."""
    pictures: list[Image] = []
    for start in range(0, len(prompts), 64):
        part = list(prompts[start : start + 64])
        noise = [torch.Generator().manual_seed(1_000_000 * seed + start + i) for i in range(len(part))]
        pictures += pipeline(
            part,
            height=64,
            width=64,
            num_inference_steps=steps,
            generator=noise,
            max_sequence_length=TEXT_TOKENS,
        ).images
    return pictures


def _token_ids(pipeline: Any, prompts: Sequence[str]) -> Tensor:
    ids: Tensor = pipeline.tokenizer(
        list(prompts), padding="max_length", max_length=TEXT_TOKENS, truncation=True, return_tensors="pt"
    ).input_ids
    return ids
