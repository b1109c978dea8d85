"""The text side of the tiny edit policy: instructions and the pictures they are about, through a small Qwen2.5-VL.

As in QwenImageEditPipeline, a template is put around the instruction, the source picture is seen beside it, and what
becomes of the template's system prompt is dropped.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from torch import Tensor
from transformers import (
    DynamicCache,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2Tokenizer,
    Qwen2VLImageProcessorPil,
)

from workbench.shapes.instructions import EDGES, RESIZES
from workbench.shapes.scene import COLORS, SHAPES

TEMPLATE = (
    "<|im_start|>system\nDescribe the key features of the input image (color, shape, size, texture, objects, "
    "background), then explain how the user's text instruction should alter or modify the image. Generate a new image "
    "that meets the user's requirements while maintaining consistency with the original input where appropriate."
    "<|im_end|>\n<|im_start|>user\n<|vision_start|>{}<|vision_end|>{}<|im_end|>\n<|im_start|>assistant\n"
)
"""What QwenImageEditPipeline wraps a picture's tokens and an instruction in."""
DROPPED = 64
"""Tokens before `<|vision_start|>`: by Qwen's tokenizer and by this one, which cuts text at the same places."""
SPECIAL: tuple[str, ...] = (
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
SEEN = 56
"""Pixels a side of the source as Qwen2.5-VL sees it: 4 x 4 patches, merged into 2 x 2 tokens."""
PATCHES, SEEN_TOKENS = 16, 4
WIDTH = 128


def build_tokenizer() -> Any:
    """Qwen's byte-pair tokenizer with merges for the words of the template and of all instructions: one token each."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = Qwen2Tokenizer().backend_tokenizer.pre_tokenizer
    trainer = trainers.BpeTrainer(
        vocab_size=4096,
        min_frequency=1,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator([TEMPLATE.replace("<|", "\n").replace("|>", "\n"), *_phrases()], trainer)
    model = json.loads(tokenizer.to_str())["model"]
    build: Any = Qwen2Tokenizer
    merges = [tuple(pair) for pair in model["merges"]]
    return build(vocab=model["vocab"], merges=merges, additional_special_tokens=list(SPECIAL))


def build_image_processor() -> Any:
    """Qwen's image processor, with room for 56 x 56 pixels whatever the picture's size."""
    return Qwen2VLImageProcessorPil(size={"shortest_edge": SEEN**2, "longest_edge": SEEN**2})


def build_text_model(tokenizer: Any) -> Any:
    """An untrained Qwen2.5-VL: two layers of width 128 over one vision layer of width 64."""
    build: Any = Qwen2_5_VLForConditionalGeneration
    return build(
        Qwen2_5_VLConfig(
            text_config={
                "vocab_size": len(tokenizer),
                "hidden_size": WIDTH,
                "intermediate_size": 2 * WIDTH,
                "num_hidden_layers": 2,
                "num_attention_heads": 4,
                "num_key_value_heads": 2,
                "max_position_embeddings": 1024,
                "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [4, 6, 6]},
                "bos_token_id": None,
                "eos_token_id": tokenizer.eos_token_id,
            },
            vision_config={
                "depth": 1,
                "hidden_size": WIDTH // 2,
                "intermediate_size": WIDTH,
                "num_heads": 2,
                "out_hidden_size": WIDTH,
                "fullatt_block_indexes": [0],
            },
            image_token_id=tokenizer.convert_tokens_to_ids("<|image_pad|>"),
            video_token_id=tokenizer.convert_tokens_to_ids("<|video_pad|>"),
            vision_start_token_id=tokenizer.convert_tokens_to_ids("<|vision_start|>"),
            vision_end_token_id=tokenizer.convert_tokens_to_ids("<|vision_end|>"),
            tie_word_embeddings=True,
        )
    )


@dataclass(frozen=True, slots=True)
class Seen:
    """Instructions and their sources as tensors.

    - `ids`, `mask`: tokens `(N, 64 + L)` of the whole template, padded on the right, and which of them are none.
    - `pixels`: normalised patches `(N, 16, 588)` of the sources in float16, each frame once.
    """

    ids: Tensor
    mask: Tensor
    pixels: Tensor

    def select(self, index: Tensor) -> "Seen":
        """Some of them."""
        return Seen(self.ids[index], self.mask[index], self.pixels[index])


def see(tokenizer: Any, processor: Any, instructions: Sequence[str], sources: Sequence[Image.Image]) -> Seen:
    """What the text model reads."""
    image = "<|image_pad|>" * SEEN_TOKENS
    texts = [TEMPLATE.format(image, instruction) for instruction in instructions]
    tokens = tokenizer(texts, padding=True, return_tensors="pt")
    pixels = torch.cat(
        [
            processor(images=list(sources[i : i + 256]), return_tensors="pt")["pixel_values"].half()
            for i in range(0, len(sources), 256)
        ]
    )
    # (patches, channel x 2 equal frames x pixels)
    once = pixels.view(-1, PATCHES, 3, 2, pixels.shape[-1] // 6)[:, :, :, 0].flatten(2)
    return Seen(tokens["input_ids"], tokens["attention_mask"], once)


def hidden_states(model: Any, seen: Seen, mapped: Tensor) -> Tensor:
    """The last hidden states `(B, L, 128)` of all after the system prompt, which is the same for all and read once.

    Where `mapped (B,)` is true, the picture's tokens have places in rows and columns, as Qwen2.5-VL was trained; where
    not, they follow each other like words, as QwenImageEditPipeline has it with Transformers 5, which gives the model
    no `mm_token_type_ids`. The tiny policy learns both.
    """
    batch, length = seen.ids.shape
    inner = model.model
    patches = seen.pixels.float().view(batch * PATCHES, 3, 1, -1).expand(-1, -1, 2, -1).reshape(batch * PATCHES, -1)
    grid = torch.tensor([[1, 4, 4]]).expand(batch, 3)
    image = inner.visual(patches, grid_thw=grid).pooler_output.view(batch, SEEN_TOKENS, WIDTH)
    prefix = inner.language_model(input_ids=seen.ids[:1, :DROPPED], use_cache=True).past_key_values
    cache = DynamicCache()
    for i, layer in enumerate(prefix.layers):
        cache.update(layer.keys.expand(batch, -1, -1, -1), layer.values.expand(batch, -1, -1, -1), i)
    words = inner.language_model.embed_tokens(seen.ids[:, DROPPED:])
    embeds = torch.cat([words[:, :1], image.to(words.dtype), words[:, 1 + SEEN_TOKENS :]], dim=1)
    states: Tensor = inner.language_model(
        inputs_embeds=embeds,
        attention_mask=seen.mask,
        position_ids=torch.where(mapped[:, None], *_positions(length)[:, :, None]),
        past_key_values=cache,
        use_cache=True,
    ).last_hidden_state
    return states


def _positions(length: int) -> Tensor:
    """Places `(2, 3, length - 64)` in time, row and column of the tokens after the system prompt: mapped, in a row."""
    plain = torch.arange(DROPPED, length).expand(3, -1)
    mapped = plain.clone()
    first = DROPPED + 1
    mapped[:, 1 : 1 + SEEN_TOKENS] = first + torch.tensor([[0, 0, 0, 0], [0, 0, 1, 1], [0, 1, 0, 1]])
    mapped[:, 1 + SEEN_TOKENS :] -= SEEN_TOKENS - 2
    return torch.stack([mapped, plain])


def _phrases() -> list[str]:
    """Every word of an instruction, as it comes at the beginning and after a blank."""
    nouns = [word for shape in SHAPES for word in (shape, f"{shape}s")]
    verbs = ["change", "remove", "add", "make", "move"]
    return [*verbs, *(f" {word}" for word in (*COLORS, *nouns, *RESIZES, *EDGES, "the", "to", "a", "an"))]
