"""Prompts encoded once and kept in a folder, as ARR has it: a run from such a folder loads no text encoder.

    FOLDER/metadata.json            a list with one entry a prompt: file names, caption; for edits also source and sizes
    FOLDER/prompt_embed/0.pt        (L, D)
    FOLDER/pooled_prompt_embeds/0.pt, text_ids/0.pt                 text to image (FLUX): (D'), (3)
    FOLDER/prompt_attention_mask/0.pt, image_latents/0.pt           edits: (L), (C, 1, H / f, W / f), normalised

ARR fills edits' embeddings up with zeros to 5000 tokens, 36 MB each; here they are written as long as they are
(`original_length` says how long) and read either way. Source paths are as the prompts have them.
"""

import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError

import torch
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, field_validator
from torch import Tensor

from workbench.atomic import replacing
from workbench.rpo.config import PolicyConfig, faults
from workbench.rpo.policies.base import LoraPolicy
from workbench.rpo.policies.latents import pack, unpack
from workbench.rpo.policy import Cond, Prompt
from workbench.rpo.prompts import read_prompts

METADATA = "metadata.json"


class _Entry(BaseModel):
    """One prompt's line of the metadata; names are of files in folders called like ARR's."""

    model_config = ConfigDict(extra="ignore")

    caption: str
    prompt_embed_path: str
    pooled_prompt_embeds_path: str | None = None
    text_ids: str | None = None
    prompt_attention_mask: str | None = None
    image_latents: str | None = None
    source_image: str | None = None
    original_length: int | None = None
    calculated_height: int | None = None
    calculated_width: int | None = None

    @field_validator(
        "prompt_embed_path", "pooled_prompt_embeds_path", "text_ids", "prompt_attention_mask", "image_latents"
    )
    @classmethod
    def _plain(cls, name: str | None) -> str | None:
        if name is not None and name != os.path.basename(name):
            raise ValueError("must be the name of a file, without folders")
        return name


@dataclass(frozen=True, slots=True)
class EmbeddingFolder:
    """Prompts that can be read without their encoders; `size` is the policy's, pixels a side."""

    folder: Path
    size: int
    _entries: Mapping[tuple[str, str | None], _Entry] = field(repr=False)

    def __len__(self) -> int:
        return len(self._entries)

    def read(self, prompt: Prompt) -> Cond:
        """The prompt as it was encoded, a batch of one.

        Raises `ValueError` where it is not among them, damaged, or of another size.
        """
        entry = self._entries.get(_key(prompt))
        if entry is None:
            raise ValueError(f"prompt {prompt.id} ({prompt.text!r}) is not among those encoded in {self.folder}")
        embeds = self._tensor("prompt_embed", entry.prompt_embed_path, 2)  # (L, D)
        if entry.image_latents is None:
            pooled = self._tensor("pooled_prompt_embeds", entry.pooled_prompt_embeds_path, 1)
            return Cond({"prompt_embeds": embeds[None], "pooled_prompt_embeds": pooled[None]}, self.size, self.size)
        embeds = embeds[: entry.original_length]
        latents = self._tensor("image_latents", entry.image_latents, 4)[:, 0]  # (C, H / f, W / f)
        height, width = entry.calculated_height or 0, entry.calculated_width or 0
        if not 0.5 < height * width / self.size**2 < 2:
            raise ValueError(
                f"{self.folder}: {prompt.text!r} was encoded for {width}x{height} pixels, policy.size is {self.size}: "
                "set it to what the folder was made for, or make another"
            )
        tensors = {
            "prompt_embeds": embeds[None],
            "prompt_mask": torch.ones(1, len(embeds)),
            "source": pack(latents[None]),
        }
        return Cond(tensors, height, width)

    def _tensor(self, what: str, name: str | None, dimensions: int) -> Tensor:
        path = self.folder / what / (name or "")
        try:
            tensor = torch.load(path, map_location="cpu", weights_only=True)
        except (OSError, RuntimeError, UnpicklingError, EOFError) as error:
            raise ValueError(f"{path} cannot be read ({error}): encode the prompts again") from error
        if not isinstance(tensor, Tensor) or tensor.ndim != dimensions:
            shape = tuple(tensor.shape) if isinstance(tensor, Tensor) else type(tensor).__name__
            raise ValueError(f"{path} holds {shape}, wanted is a tensor of {dimensions} dimensions")
        return tensor


def open_folder(path: str | Path, config: PolicyConfig) -> EmbeddingFolder:
    """The prompts encoded in a folder (or where its `metadata.json` is); raises `ValueError` where they are none."""
    path = Path(path)
    metadata = path if path.suffix == ".json" else path / METADATA
    try:
        entries = TypeAdapter(list[_Entry]).validate_json(metadata.read_bytes())
    except OSError as error:
        raise ValueError(f"{metadata} cannot be read ({error}): is this a folder of embeddings?") from error
    except ValidationError as error:
        raise ValueError(f"{metadata}: {faults(error)}") from error
    prompts = read_prompts(metadata)
    found = {_key(prompt): entry for prompt, entry in zip(prompts, entries, strict=True)}
    return EmbeddingFolder(metadata.parent, config.size, found)


def embeddings_of(prompts: str | Path, config: PolicyConfig) -> EmbeddingFolder | None:
    """The embeddings where a run's `prompts` are the `metadata.json` of some, None where they are another file."""
    return open_folder(prompts, config) if are_embedded(prompts) else None


def are_embedded(prompts: str | Path) -> bool:
    """Whether a run's `prompts` were encoded before, so that no text encoder is loaded."""
    return Path(prompts).suffix == ".json"


def write(
    policy: LoraPolicy,
    prompts: Iterable[Prompt],
    folder: str | Path,
    *,
    progress: Callable[[int], object] = lambda done: None,
) -> int:
    """Encode prompts into a folder, equal ones once, and return how many there are; the metadata comes last.

    - `progress`: told how many are done.

    Raises `ValueError` where the folder holds embeddings already.
    """
    folder = Path(folder)
    if (folder / METADATA).exists():
        raise ValueError(f"{folder} holds embeddings already: choose another folder, or delete it")
    distinct: dict[tuple[str, str | None], Prompt] = {}
    for prompt in prompts:
        distinct.setdefault(_key(prompt), prompt)
    entries = []
    for number, prompt in enumerate(distinct.values()):
        entries.append(_write_one(policy, prompt, folder, f"{number}.pt"))
        progress(number + 1)
    with replacing(folder / METADATA) as temporary:
        temporary.write_text(json.dumps(entries, indent=1, ensure_ascii=False), encoding="utf-8")
    return len(entries)


def _write_one(policy: LoraPolicy, prompt: Prompt, folder: Path, name: str) -> dict[str, object]:
    if isinstance(prompt.source, bytes):
        raise ValueError(f"prompt {prompt.id}: its source is in memory; a folder of embeddings needs its path")
    cond = policy.encode_one(prompt)
    tensors = cond.tensors
    embeds = tensors["prompt_embeds"][0]
    entry: dict[str, object] = {"prompt_embed_path": name, "caption": prompt.text}
    files = {"prompt_embed": embeds}
    if prompt.source is None:
        entry |= {"text_ids": name, "pooled_prompt_embeds_path": name}
        # FLUX has no places for text; ARR keeps the one row that it repeats for every token.
        files |= {"pooled_prompt_embeds": tensors["pooled_prompt_embeds"][0], "text_ids": torch.zeros(3)}
    else:
        latents = unpack(tensors["source"], cond.height // policy.scale, cond.width // policy.scale)
        entry |= {"prompt_attention_mask": name, "image_latents": name, "source_image": os.path.abspath(prompt.source)}
        entry |= {"original_length": len(embeds), "calculated_height": cond.height, "calculated_width": cond.width}
        files |= {
            "prompt_attention_mask": torch.ones(len(embeds), dtype=torch.long),
            "image_latents": latents[0][:, None],
        }
    for what, tensor in files.items():
        with replacing(folder / what / name) as temporary:
            torch.save(tensor.cpu().clone(), temporary)  # a view would take all that it is a view of along
    return entry


def _key(prompt: Prompt) -> tuple[str, str | None]:
    return prompt.text, None if prompt.source is None else os.path.abspath(str(prompt.source))
