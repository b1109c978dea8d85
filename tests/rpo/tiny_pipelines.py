"""Random pipelines of the real classes, small enough to be built in a second; they draw noise, by every rule."""

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderKLQwenImage,
    FlowMatchEulerDiscreteScheduler,
    FluxTransformer2DModel,
    QwenImageTransformer2DModel,
)
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2VLImageProcessorPil,
    T5Config,
    T5EncoderModel,
)

WORDS = (
    "a one two three red green blue yellow purple orange circle square triangle circles squares triangles and left "
    "right above below of the to on with background make add remove change move paint it black white gray"
)


def random_flux(folder: Path, *, guidance_embeds: bool = True, seed: int = 0) -> Path:
    """A FluxPipeline of 64-pixel pictures in `folder`: f = 8, 16 tokens of 16 channels, 8 text tokens."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        tokenizer = _tokenizer(("[PAD]", "[BOS]", "[EOS]"), WORDS.split(), 8, bos="[BOS]", eos="[EOS]")
        parts = {
            "transformer": FluxTransformer2DModel(
                in_channels=16,
                num_layers=1,
                num_single_layers=1,
                attention_head_dim=16,
                num_attention_heads=2,
                joint_attention_dim=24,
                pooled_projection_dim=20,
                guidance_embeds=guidance_embeds,
                axes_dims_rope=(4, 6, 6),
            ),
            "vae": AutoencoderKL(
                down_block_types=("DownEncoderBlock2D",) * 4,
                up_block_types=("UpDecoderBlock2D",) * 4,
                block_out_channels=(4, 4, 4, 4),
                norm_num_groups=2,
                latent_channels=4,
                layers_per_block=1,
                scaling_factor=0.3611,
                shift_factor=0.1159,
                use_quant_conv=False,
                use_post_quant_conv=False,
            ),
            "text_encoder": CLIPTextModel(
                CLIPTextConfig(
                    vocab_size=len(tokenizer),
                    hidden_size=20,
                    intermediate_size=16,
                    num_hidden_layers=1,
                    num_attention_heads=2,
                    max_position_embeddings=8,
                    pad_token_id=0,
                    bos_token_id=1,
                    eos_token_id=2,
                )
            ),
            "text_encoder_2": T5EncoderModel(
                T5Config(vocab_size=len(tokenizer), d_model=24, d_kv=8, d_ff=16, num_layers=1, num_heads=2)
            ),
            "tokenizer": tokenizer,
            "tokenizer_2": tokenizer,
            "scheduler": FlowMatchEulerDiscreteScheduler(shift=3.0),
        }
    return _save(folder, "FluxPipeline", parts)


def random_qwen_edit(folder: Path, *, pipeline: str = "QwenImageEditPipeline", seed: int = 0) -> Path:
    """A QwenImageEditPipeline (or `QwenImageEditPlusPipeline`) of 64-pixel pictures: f = 8, 16 target tokens."""
    specials = ("[PAD]", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        tokenizer = _tokenizer(specials, [*WORDS.split(), "system", "user", "assistant", "Picture", "1", ":"], 256)
        parts = {
            "transformer": QwenImageTransformer2DModel(
                in_channels=16,
                out_channels=4,
                num_layers=2,
                attention_head_dim=16,
                num_attention_heads=2,
                joint_attention_dim=32,
                axes_dims_rope=(4, 6, 6),
            ),
            "vae": AutoencoderKLQwenImage(
                base_dim=4,
                z_dim=4,
                dim_mult=[1, 1, 1, 1],
                num_res_blocks=1,
                temperal_downsample=[False, False, False],
                latents_mean=[0.1, -0.2, 0.3, 0.0],
                latents_std=[0.5, 1.0, 1.5, 2.0],
            ),
            "text_encoder": Qwen2_5_VLForConditionalGeneration(_qwen_config(tokenizer)),
            "tokenizer": tokenizer,
            "processor": Qwen2VLImageProcessorPil(min_pixels=28 * 28, max_pixels=112 * 112),
            "scheduler": FlowMatchEulerDiscreteScheduler(shift=3.0),
        }
    return _save(folder, pipeline, parts)


def _qwen_config(tokenizer: PreTrainedTokenizerFast) -> Qwen2_5_VLConfig:
    ids = {
        f"{name}_token_id": tokenizer.convert_tokens_to_ids(f"<|{token}|>")
        for name, token in (
            ("image", "image_pad"),
            ("vision_start", "vision_start"),
            ("vision_end", "vision_end"),
        )
    }
    return Qwen2_5_VLConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": 32,
            "intermediate_size": 32,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "pad_token_id": 0,
            "rope_parameters": {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 10000.0},
        },
        vision_config={
            "depth": 1,
            "hidden_size": 32,
            "intermediate_size": 32,
            "num_heads": 2,
            "out_hidden_size": 32,
            "fullatt_block_indexes": [0],
        },
        video_token_id=len(tokenizer),
        **ids,
    )


def _tokenizer(
    specials: Sequence[str], words: Sequence[str], length: int, *, bos: str | None = None, eos: str | None = None
) -> PreTrainedTokenizerFast:
    """Word by word; what it does not know is `[UNK]`."""
    vocabulary = {token: index for index, token in enumerate([*specials, "[UNK]", *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens([*specials, "[UNK]"])
    if bos and eos:
        marks = [(bos, vocabulary[bos]), (eos, vocabulary[eos])]
        tokenizer.post_processor = processors.TemplateProcessing(single=f"{bos} $A {eos}", special_tokens=marks)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        bos_token=bos,
        eos_token=eos,
        model_max_length=length,
    )


def _save(folder: Path, pipeline: str, parts: dict[str, object]) -> Path:
    index: dict[str, object] = {"_class_name": pipeline, "_diffusers_version": "0.42.1"}
    for name, part in parts.items():
        part.save_pretrained(folder / name)
        library = "diffusers" if type(part).__module__.startswith("diffusers") else "transformers"
        index[name] = [library, type(part).__name__]
    if "processor" in parts:
        parts["tokenizer"].save_pretrained(folder / "processor")
        index["processor"] = ["transformers", "Qwen2_5_VLProcessor"]
    (folder / "model_index.json").write_text(json.dumps(index, indent=2))
    return folder
