"""How large a policy's model is and what a forward pass costs, from its configuration alone: no weights are read."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from torch import nn

from workbench.rpo.config import PolicyConfig
from workbench.rpo.policies.load import class_name, part_of
from workbench.rpo.policies.qwen_text import SEEN

PUBLISHED: Mapping[str, str] = {
    "black-forest-labs/FLUX.1-dev": "flux_1_dev",
    "Qwen/Qwen-Image-Edit": "qwen_image_edit",
    "Qwen/Qwen-Image-Edit-2509": "qwen_image_edit",
}
"""Names on the hub whose published configurations lie beside, so that estimates need no network."""

INSTRUCTION = 40
"""Tokens of an instruction and what the template has around it; the source picture's come on top."""

SAVED = {"FluxTransformerBlock": 18.5, "FluxSingleTransformerBlock": 17.2, "QwenImageTransformerBlock": 20.5}
"""What a block keeps for its backward pass, in bfloat16 values of the model's width per token.

Counted by saved-tensor hooks on small models with CUDA's autocast rules, flash attention and adapted attention layers;
an adapter on feed-forward layers keeps more.
"""


@dataclass(frozen=True, slots=True)
class ModelSize:
    """A transformer, its VAE, and the encoders of its prompts.

    - `width`: of the hidden states; `blocks`: how many of each class; `text_width`: of the embeddings that come in.
    - `linear`: inputs and outputs of every linear layer, by name.
    - `vae_channels`: of the VAE's widest features at the pictures' full size.
    """

    pipeline: str
    parameters: int
    vae_parameters: int
    encoder_parameters: int
    width: int
    text_width: int
    in_channels: int
    blocks: Mapping[str, int]
    linear: Mapping[str, tuple[int, int]]
    scale: int
    text_limit: int
    vae_channels: int

    def tokens(self, size: int) -> tuple[int, int]:
        """Tokens of pictures (target and source) and of text, at `size` pixels a side."""
        target = (size // (2 * self.scale)) ** 2
        if self.pipeline == "FluxPipeline":
            return target, self.text_limit
        seen = min(SEEN, size) if self.pipeline == "QwenImageEditPlusPipeline" else size
        return 2 * target, round(seen / 28) ** 2 + INSTRUCTION

    def tflop(self, size: int) -> float:
        """10^12 floating-point operations of one forward pass of one sample.

        Sum over blocks of 24 S D^2 + 4 S^2 D, plus what comes before and after, and the modulations: once a sample.
        """
        pictures, text = self.tokens(size)
        total, d = pictures + text, self.width
        blocks = sum(self.blocks.values()) * (24 * total * d**2 + 4 * total**2 * d)
        ends = 2 * d * (2 * pictures * self.in_channels + text * self.text_width)
        modulations = 2 * sum(a * b for name, (a, b) in self.linear.items() if _is_once_a_sample(name))
        return (blocks + ends + modulations) / 1e12

    def activations(self, size: int, checkpointing: float) -> float:
        """Bytes that one sample's forward pass keeps for the backward pass; a checkpointed block keeps its input."""
        unit = 2 * sum(self.tokens(size)) * self.width
        full = sum(SAVED[name] * count for name, count in self.blocks.items())
        return unit * ((1 - checkpointing) * full + checkpointing * sum(self.blocks.values()))

    def block(self, size: int) -> float:
        """Bytes of one block's activations and their gradients, in use for a moment."""
        return 2 * max(SAVED.values()) * 2 * sum(self.tokens(size)) * self.width

    def decoding(self, size: int) -> float:
        """Bytes in use while the VAE decodes one picture without tiles: about five of its widest features."""
        return 5 * 2 * self.vae_channels * size**2

    def adapted(self, config: PolicyConfig) -> list[tuple[int, int]]:
        """Inputs and outputs of the layers that `config.targets` names."""
        return [sides for name, sides in self.linear.items() if any(_ends(name, each) for each in config.targets)]

    def adapter_parameters(self, config: PolicyConfig) -> int:
        """Parameters of the LoRA on them."""
        return sum(config.rank * (a + b) for a, b in self.adapted(config))


def model_size(path: str) -> ModelSize:
    """The size of the pipeline in a folder, published by that name, or on the hub; raises `ValueError` for others."""
    return _sized(json.dumps(_described(path)))


@lru_cache(maxsize=8)  # a model of 60 blocks takes a second to lay out, and advice and estimates ask again
def _sized(text: str) -> ModelSize:
    described = json.loads(text)
    with torch.device("meta"):
        transformer, vae = _build(described["transformer"]), _build(described["vae"])
    config: Any = transformer.config
    linear = {
        name: (each.in_features, each.out_features)
        for name, each in transformer.named_modules()
        if isinstance(each, nn.Linear)
    }
    kinds = [type(each).__name__ for each in transformer.modules()]
    return ModelSize(
        pipeline=described["pipeline"],
        parameters=sum(each.numel() for each in transformer.parameters()),
        vae_parameters=sum(each.numel() for each in vae.parameters()),
        encoder_parameters=described["encoder_parameters"],
        width=config.num_attention_heads * config.attention_head_dim,
        text_width=config.joint_attention_dim,
        in_channels=config.in_channels,
        blocks={name: kinds.count(name) for name in SAVED if name in kinds},
        linear=linear,
        text_limit=described.get("text_tokens", 0),
        **_vae_shape(described["vae"]),
    )


def _described(path: str) -> dict[str, Any]:
    if not Path(path).is_dir() and path in PUBLISHED:
        file = Path(__file__).parent / "published" / f"{PUBLISHED[path]}.json"
        described: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return described | ({"pipeline": "QwenImageEditPlusPipeline"} if path.endswith("-2509") else {})
    described = {"pipeline": class_name(path)}
    for part in ("transformer", "vae"):
        described[part] = json.loads(part_of(path, f"{part}/config.json").read_text(encoding="utf-8"))
    described["encoder_parameters"] = _encoder_parameters(path)
    if described["pipeline"] == "FluxPipeline":
        limit = json.loads(part_of(path, "tokenizer_2/tokenizer_config.json").read_text(encoding="utf-8"))
        described["text_tokens"] = int(min(512, limit.get("model_max_length", 512)))
    return described


def _build(config: Mapping[str, Any]) -> nn.Module:
    known = ("FluxTransformer2DModel", "QwenImageTransformer2DModel", "AutoencoderKL", "AutoencoderKLQwenImage")
    if (name := config.get("_class_name")) not in known:
        raise ValueError(f"a model of class {name} cannot be estimated; known are {', '.join(known)}")
    module: nn.Module = getattr(diffusers, str(name)).from_config(config)
    return module


def _encoder_parameters(path: str) -> int:
    """Of all text encoders; a folder may be without, where prompts were encoded before."""
    index = json.loads(part_of(path, "model_index.json").read_text(encoding="utf-8"))
    named = [part for part in ("text_encoder", "text_encoder_2") if part in index]
    there = [part for part in named if not Path(path).is_dir() or (Path(path) / part).is_dir()]
    total = 0
    for part in there:
        config = json.loads(part_of(path, f"{part}/config.json").read_text(encoding="utf-8"))
        library, name = index[part]
        if library != "transformers" or not hasattr(transformers, name):
            raise ValueError(f"{path}: its {part} is {library}.{name}; only those of transformers can be estimated")
        with torch.device("meta"):
            encoder = getattr(transformers, name)(transformers.AutoConfig.for_model(**config))
        total += sum(each.numel() for each in encoder.parameters())
    return total


def _vae_shape(config: Mapping[str, Any]) -> dict[str, int]:
    if "block_out_channels" in config:
        first, second = config["block_out_channels"][:2]
        return {"scale": 2 ** (len(config["block_out_channels"]) - 1), "vae_channels": max(first, second)}
    widest = config["base_dim"] * max(config["dim_mult"][:2])
    return {"scale": 2 ** len(config["temperal_downsample"]), "vae_channels": widest}


def _is_once_a_sample(name: str) -> bool:
    return any(part in name for part in ("norm", "_mod.", "time_text_embed"))


def _ends(name: str, target: str) -> bool:
    return f".{name}".endswith(f".{target}")
