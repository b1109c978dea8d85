"""FLUX.1 (text to image): `FluxPipeline`'s own parts, with velocity as the pipeline computes it."""

from typing import Any, ClassVar, Self

import torch
from diffusers import FluxPipeline
from torch import Tensor

from workbench.pairs.comparison import Task
from workbench.rpo.config import PolicyConfig
from workbench.rpo.policies.base import Embeddings, LoraPolicy, weights_dtype
from workbench.rpo.policies.latents import positions
from workbench.rpo.policy import Cond, Prompt

TEXT_TOKENS = 512
"""What the pipeline lets T5 read, where the tokenizer has no smaller limit."""


class FluxPolicy(LoraPolicy):
    """`FluxPolicy.load(PolicyConfig(path="data/models/tiny_flux", size=64), "cpu")`."""

    task: ClassVar[Task] = "t2i"
    encoders: ClassVar[tuple[str, ...]] = ("text_encoder", "text_encoder_2")

    @classmethod
    def load(
        cls,
        config: PolicyConfig,
        device: torch.device | str,
        *,
        seed: int = 0,
        embeddings: Embeddings | None = None,
        dtype: torch.dtype | None = None,
    ) -> Self:
        """Read the pipeline; with `embeddings` its text encoders are left out.

        - `seed`: of the adapter's A.
        - `dtype`: of the frozen weights; None is the configuration's, on the CPU float32.
        """
        device = torch.device(device)
        without = ("text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2") if embeddings else ()
        pipeline: Any = FluxPipeline.from_pretrained(  # type: ignore[no-untyped-call]
            config.path, dtype=weights_dtype(config, device, dtype), **dict.fromkeys(without)
        )
        return cls(pipeline.to(device), config, seed=seed, embeddings=embeddings)

    @property
    def channels(self) -> int:
        """Channels of the VAE's latents."""
        return int(self.pipeline.vae.config.latent_channels)

    def velocity(self, x_t: Tensor, sigma: float, cond: Cond) -> Tensor:
        """v `(B, S, C)` in float32; with true CFG v_0 + s (v - v_0), no gradient through v_0 (the empty prompt's)."""
        v = self._evaluate(x_t, sigma, cond, "")
        if self.config.true_cfg > 1:
            with torch.no_grad():
                empty = self._evaluate(x_t, sigma, cond, "empty_")
            v = empty + self.config.true_cfg * (v - empty)
        return v

    def _evaluate(self, x_t: Tensor, sigma: float, cond: Cond, which: str) -> Tensor:
        rows, columns = cond.height // self.scale // 2, cond.width // self.scale // 2
        text = cond.tensors[f"{which}prompt_embeds"]  # (B, L, D)
        guided = self.transformer.config.guidance_embeds
        with self._autocast():
            v = self.transformer(
                hidden_states=x_t,
                timestep=x_t.new_full((len(x_t),), sigma),
                guidance=x_t.new_full((len(x_t),), self.config.guidance) if guided else None,
                pooled_projections=cond.tensors[f"{which}pooled_prompt_embeds"],
                encoder_hidden_states=text,
                txt_ids=x_t.new_zeros(text.shape[1], 3),
                img_ids=positions(rows, columns).to(x_t),
                return_dict=False,
            )[0]
        velocity: Tensor = v.float()
        return velocity

    def _encode(self, prompt: Prompt) -> Cond:
        tensors = self._texts(prompt.text, "")
        if self.config.true_cfg > 1:
            tensors |= self._texts("", "empty_")
        return Cond(tensors, self.config.size, self.config.size)

    def _texts(self, text: str, which: str) -> dict[str, Tensor]:
        limit = min(TEXT_TOKENS, self.pipeline.tokenizer_2.model_max_length)
        t5, clip, _ = self.pipeline.encode_prompt(text, max_sequence_length=limit)
        return {f"{which}prompt_embeds": t5, f"{which}pooled_prompt_embeds": clip}

    def _pixels(self, latents: Tensor) -> Tensor:
        vae = self.pipeline.vae
        z = latents / vae.config.scaling_factor + vae.config.shift_factor
        pixels: Tensor = vae.decode(z.to(vae.dtype), return_dict=False)[0]
        return pixels
