"""Qwen-Image-Edit and its successor 2509 (editing): the source's tokens stand behind the target's in the sequence."""

from typing import Any, ClassVar, Self

import torch
from diffusers import DiffusionPipeline
from PIL import Image
from torch import Tensor
from transformers import Qwen2VLImageProcessorPil

from workbench.pairs.comparison import Task
from workbench.rpo.config import PolicyConfig
from workbench.rpo.policies.base import Embeddings, LoraPolicy, weights_dtype
from workbench.rpo.policies.latents import pack, to_tensor
from workbench.rpo.policies.one_frame import take_one_frame
from workbench.rpo.policies.qwen_text import read_beside, size_seen
from workbench.rpo.policies.sources import fitting, open_source
from workbench.rpo.policy import Cond, Prompt


class QwenEditPolicy(LoraPolicy):
    """`QwenEditPolicy.load(PolicyConfig(path="data/models/tiny_qwen_edit", size=64), "cpu")`."""

    task: ClassVar[Task] = "edit"
    encoders: ClassVar[tuple[str, ...]] = ("text_encoder",)

    def __init__(
        self,
        pipeline: Any,
        processor: Any,
        config: PolicyConfig,
        *,
        seed: int = 0,
        embeddings: Embeddings | None = None,
    ) -> None:
        super().__init__(pipeline, config, seed=seed, embeddings=embeddings)
        self.processor = processor
        take_one_frame(self.vae)
        shape = (1, self.channels, 1, 1)
        self._mean = torch.tensor(self.vae.config.latents_mean, device=self.device).view(shape)
        self._std = torch.tensor(self.vae.config.latents_std, device=self.device).view(shape)

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
        """Read the pipeline, of either class; parameters as `load_policy` has them."""
        device = torch.device(device)
        # The pipelines' processor handles video too, and needs torchvision for it.
        without = ("processor", "text_encoder", "tokenizer") if embeddings else ("processor",)
        pipeline: Any = DiffusionPipeline.from_pretrained(  # type: ignore[no-untyped-call]
            config.path, dtype=weights_dtype(config, device, dtype), **dict.fromkeys(without)
        )
        processor = None if embeddings else Qwen2VLImageProcessorPil.from_pretrained(config.path, subfolder="processor")
        return cls(pipeline.to(device), processor, config, seed=seed, embeddings=embeddings)

    @property
    def channels(self) -> int:
        """Channels of the VAE's latents."""
        return int(self.vae.config.z_dim)

    def velocity(self, x_t: Tensor, sigma: float, cond: Cond) -> Tensor:
        """v `(B, S, C)` in float32; with true CFG v_0 + s (v - v_0) brought back to the length of v, token by token.

        No gradient goes through v_0, the velocity of the instruction " ".
        """
        v = self._evaluate(x_t, sigma, cond, "")
        if self.config.true_cfg > 1:
            with torch.no_grad():
                empty = self._evaluate(x_t, sigma, cond, "empty_")
            guided = empty + self.config.true_cfg * (v - empty)
            v = guided * (v.norm(dim=-1, keepdim=True) / guided.norm(dim=-1, keepdim=True))
        return v

    def _evaluate(self, x_t: Tensor, sigma: float, cond: Cond, which: str) -> Tensor:
        mask = cond.tensors[f"{which}prompt_mask"].bool()  # (B, L)
        grid = 2 * self.scale
        shapes = [(1, cond.height // grid, cond.width // grid)] * 2  # the target's, and the source's
        with self._autocast():
            v = self.transformer(
                hidden_states=torch.cat([x_t, cond.tensors["source"].to(x_t)], dim=1),  # (B, S + S', C)
                timestep=x_t.new_full((len(x_t),), sigma),
                encoder_hidden_states=cond.tensors[f"{which}prompt_embeds"],
                encoder_hidden_states_mask=None if mask.all() else mask,
                img_shapes=[shapes] * len(x_t),
                return_dict=False,
            )[0]
        velocity: Tensor = v[:, : x_t.shape[1]].float()
        return velocity

    def _encode(self, prompt: Prompt) -> Cond:
        picture = open_source(prompt)
        width, height = fitting(picture, self.config.size)
        fitted = picture.resize((width, height), Image.Resampling.LANCZOS)
        seen = picture.resize(size_seen(self.pipeline, picture, self.config.size), Image.Resampling.LANCZOS)
        tensors = self._texts(prompt.text, seen, "")
        if self.config.true_cfg > 1:
            tensors |= self._texts(" ", seen, "empty_")
        pixels = to_tensor(fitted)[None, :, None].to(self.device, self.vae.dtype)  # (1, 3, 1, H, W)
        latents = self.vae.encode(pixels).latent_dist.mode()[:, :, 0].float()
        tensors["source"] = pack((latents - self._mean) / self._std)
        return Cond(tensors, height, width)

    def _texts(self, text: str, seen: Image.Image, which: str) -> dict[str, Tensor]:
        embeds = read_beside(self.pipeline, self.processor, text, seen)
        return {f"{which}prompt_embeds": embeds, f"{which}prompt_mask": embeds.new_ones(embeds.shape[:2])}

    def _pixels(self, latents: Tensor) -> Tensor:
        z = (latents * self._std + self._mean)[:, :, None]  # (B, C, 1, H / f, W / f)
        pixels: Tensor = self.vae.decode(z.to(self.vae.dtype), return_dict=False)[0][:, :, 0]
        return pixels
