"""What is the same for every diffusers pipeline with a LoRA on its transformer: caching, noise, the adapter, memory."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Protocol, cast

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from workbench.pairs.comparison import ImageSource, Task
from workbench.rpo.config import PolicyConfig
from workbench.rpo.policies import adapter
from workbench.rpo.policies.latents import pack, to_picture, unpack
from workbench.rpo.policies.recompute import recompute
from workbench.rpo.policy import Cond, Prompt

DECODED = 1024 * 1024


class Embeddings(Protocol):
    """Prompts that were encoded before (`workbench.rpo.policies.embeddings`)."""

    def read(self, prompt: Prompt) -> Cond:
        """The prompt as it was encoded, a batch of one; raises `ValueError` where it is not among them."""


def weights_dtype(config: PolicyConfig, device: torch.device, dtype: torch.dtype | None) -> torch.dtype:
    """What was asked for; otherwise the configuration's on an accelerator, and float32 on the CPU."""
    return dtype or (torch.float32 if device.type == "cpu" else getattr(torch, config.dtype))


class LoraPolicy(ABC):
    """A `Policy`: a transformer with an adapter, an encoder of prompts, a VAE with f = `scale`; packing is 2 x 2."""

    task: ClassVar[Task]
    encoders: ClassVar[tuple[str, ...]]
    """What of the pipeline is only needed to encode prompts."""

    def __init__(
        self, pipeline: Any, config: PolicyConfig, *, seed: int = 0, embeddings: Embeddings | None = None
    ) -> None:
        self.pipeline, self.config = pipeline, config
        self.transformer, self.vae = pipeline.transformer, pipeline.vae.requires_grad_(False)
        self.scale = int(pipeline.vae_scale_factor)
        if config.size % (2 * self.scale):
            raise ValueError(
                f"policy.size={config.size} is not a multiple of {2 * self.scale}, which {config.path} needs"
            )
        if embeddings is not None and config.true_cfg > 1:
            raise ValueError(
                f"policy.true_cfg={config.true_cfg:g} needs the text encoders, for the empty prompt: "
                "take prompts as text, or set it to 1"
            )
        if self.device.type == "cpu":
            # PyTorch's flash attention on the CPU takes twice as long as plain attention on sequences this short
            torch.backends.cuda.enable_flash_sdp(False)
        adapter.attach(self.transformer, config, seed=seed)
        recompute(self.transformer, config.checkpointing)
        self._embeddings = embeddings
        self._encoded: dict[tuple[str, ImageSource | None], Cond] = {}

    @property
    def device(self) -> torch.device:
        return torch.device(self.transformer.device)

    @property
    def dtype(self) -> torch.dtype:
        """Of the frozen weights."""
        return cast(torch.dtype, self.vae.dtype)

    def encode(self, prompts: Sequence[Prompt]) -> Cond:
        """The prompts as the transformer reads them, each encoded once and kept on the CPU.

        Raises `ValueError` for sources of several sizes, and for a new prompt once the encoders are freed.
        """
        each = [self._cond(prompt) for prompt in prompts]
        if len({cond.size for cond in each}) > 1:
            shown = ", ".join(
                f"{prompt.id}: {cond.width}x{cond.height}" for prompt, cond in zip(prompts, each, strict=True)
            )
            raise ValueError(f"one batch has pictures of several sizes ({shown}): set batch to 1, or crop the sources")
        names = each[0].tensors
        return replace(each[0], tensors={name: _stack([cond.tensors[name] for cond in each]) for name in names}).to(
            self.device
        )

    def encode_one(self, prompt: Prompt) -> Cond:
        """One prompt by the encoders, on the CPU and kept nowhere; raises `ValueError` once they are freed."""
        if getattr(self.pipeline, self.encoders[0]) is None:
            raise ValueError(
                f"prompt {prompt.id} ({prompt.text!r}) is new, and the encoders are freed: "
                "give it to `prepare` with the others"
            )
        with torch.no_grad():
            return self._encode(prompt).to("cpu")

    def prepare(self, prompts: Sequence[Prompt]) -> None:
        """Encode all of them and free the encoders: from then on only these can be encoded.

        FLUX.1-dev keeps 4 MB a prompt; more than some thousand belong into a folder of
        `workbench.rpo.policies.embeddings`.
        """
        if self._embeddings is None:
            for prompt in prompts:
                self._cond(prompt)
        self.pipeline.register_modules(**dict.fromkeys(self.encoders))
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def init_latents(self, cond: Cond, generators: Sequence[torch.Generator]) -> Tensor:
        shape = (1, self.channels, cond.height // self.scale, cond.width // self.scale)  # as the pipeline draws it
        noise = torch.cat([torch.randn(shape, generator=generator) for generator in generators])
        return pack(noise).to(self.device)  # (B, S, C)

    def decode(self, x_0: Tensor, cond: Cond) -> list[Image.Image]:
        """As many go through the VAE at a time as one picture of `DECODED` pixels takes the memory of."""
        latents = unpack(x_0, cond.height // self.scale, cond.width // self.scale)
        at_a_time = max(1, DECODED // (cond.height * cond.width))
        with torch.no_grad():
            return [to_picture(each) for part in torch.split(latents, at_a_time) for each in self._pixels(part)]

    def trainable(self) -> Mapping[str, nn.Parameter]:
        return adapter.parameters(self.transformer)

    def reference(self) -> AbstractContextManager[None]:
        return adapter.disabled(self.transformer)

    def export(self, folder: Path) -> None:
        self.pipeline.save_lora_weights(
            folder,
            transformer_lora_layers=adapter.state(self.transformer),
            transformer_lora_adapter_metadata=adapter.metadata(self.transformer),
        )

    def load_adapter(self, folder: str | Path) -> None:
        """Put an exported adapter in place of its own; raises `ValueError` for another rank, alpha or set of layers."""
        adapter.load(self.transformer, folder)

    @property
    @abstractmethod
    def channels(self) -> int:
        """Channels of the VAE's latents."""

    @abstractmethod
    def velocity(self, x_t: Tensor, sigma: float, cond: Cond) -> Tensor: ...

    @abstractmethod
    def _encode(self, prompt: Prompt) -> Cond:
        """One prompt, by the encoders."""

    @abstractmethod
    def _pixels(self, latents: Tensor) -> Tensor:
        """`(B, 3, H, W)` in [-1, 1] of clean latents `(B, C, H / f, W / f)`."""

    def _cond(self, prompt: Prompt) -> Cond:
        key = prompt.text, prompt.source
        if self._embeddings is not None:
            read = self._embeddings.read(prompt)
            return replace(read, tensors={name: each.to(self.dtype) for name, each in read.tensors.items()})
        if key not in self._encoded:
            self._encoded[key] = self.encode_one(prompt)
        return self._encoded[key]

    def _autocast(self) -> AbstractContextManager[Any]:
        half = self.dtype == torch.bfloat16
        return torch.autocast(self.device.type, torch.bfloat16) if half else nullcontext()


def _stack(tensors: Sequence[Tensor]) -> Tensor:
    """Batches of one put together; texts of several lengths are filled up with zeros."""
    longest = max(each.shape[1] for each in tensors)
    padded = [functional.pad(each, (0, 0) * (each.ndim - 2) + (0, longest - each.shape[1])) for each in tensors]
    return torch.cat(padded)
