"""An edit's text as Qwen2.5-VL reads it beside the source, by the parts alone: the whole processor needs torchvision.

diffusers 0.42 hands Qwen2.5-VL no `mm_token_type_ids`, so under Transformers 5 its pipelines lose the places of the
source in rows and columns (its issue 14194); here they are given, as the released weights were trained.
"""

from typing import Any

import torch
from diffusers import QwenImageEditPlusPipeline
from PIL import Image
from torch import Tensor

from workbench.rpo.policies.sources import fitting

SEEN = 384
"""Pixels a side, in area, of what 2509's text encoder sees; Qwen-Image-Edit's sees what its VAE does."""

_IMAGE = "<|image_pad|>"


def size_seen(pipeline: Any, picture: Image.Image, size: int) -> tuple[int, int]:
    """Width and height at which the text encoder sees a source, where pictures have an area of size^2."""
    return fitting(picture, min(SEEN, size) if isinstance(pipeline, QwenImageEditPlusPipeline) else size)


def read_beside(pipeline: Any, processor: Any, text: str, seen: Image.Image) -> Tensor:
    """The last hidden states `(1, L, D)` of the picture, the text and what follows; the system prompt's are dropped."""
    patches = processor(images=[seen], return_tensors="pt")
    image = _IMAGE * (int(patches["image_grid_thw"].prod()) // processor.merge_size**2)
    template = pipeline.prompt_template_encode
    system = template[: template.index("user\n") + len("user\n")]
    plus = isinstance(pipeline, QwenImageEditPlusPipeline)
    asked = f"Picture 1: <|vision_start|>{image}<|vision_end|>{text}" if plus else text
    whole = template.replace(_IMAGE, image).replace("{}", asked)
    tokenizer, model = pipeline.tokenizer, pipeline.text_encoder.model
    tokens = tokenizer(whole, return_tensors="pt")["input_ids"].to(model.device)  # (1, L)
    states: Tensor = model(
        input_ids=tokens,
        attention_mask=torch.ones_like(tokens),
        pixel_values=patches["pixel_values"].to(model.device, model.dtype),
        image_grid_thw=patches["image_grid_thw"].to(model.device),
        mm_token_type_ids=(tokens == tokenizer.convert_tokens_to_ids(_IMAGE)).int(),
    ).last_hidden_state
    # 64 by Qwen's own tokenizer, which is the constant in the pipelines.
    return states[:, len(tokenizer(system)["input_ids"]) :]
