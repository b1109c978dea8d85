"""From a configuration to its policy, by what the pipeline calls itself."""

import json
from pathlib import Path

import torch
from diffusers.utils.logging import disable_progress_bar
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

from workbench.rpo.config import PolicyConfig
from workbench.rpo.policies.base import Embeddings, LoraPolicy
from workbench.rpo.policies.flux import FluxPolicy
from workbench.rpo.policies.qwen_edit import QwenEditPolicy


def load_policy(
    config: PolicyConfig,
    device: torch.device | str,
    *,
    seed: int = 0,
    embeddings: Embeddings | None = None,
    dtype: torch.dtype | None = None,
) -> LoraPolicy:
    """The policy at `config.path`; a further model needs a line here and a file beside.

    - `seed`: of the adapter's A.
    - `embeddings`: prompts encoded before; the text encoders are then not loaded.
    - `dtype`: of the frozen weights; None is the configuration's, on the CPU float32.

    Raises `ValueError` for a path that is no pipeline, and for one of an unknown class.
    """
    disable_progress_bar()
    match class_name(config.path):
        case "FluxPipeline":
            return FluxPolicy.load(config, device, seed=seed, embeddings=embeddings, dtype=dtype)
        case "QwenImageEditPipeline" | "QwenImageEditPlusPipeline":
            return QwenEditPolicy.load(config, device, seed=seed, embeddings=embeddings, dtype=dtype)
        case other:
            raise ValueError(
                f"policy.path: {config.path} is a {other}; FluxPipeline, QwenImageEditPipeline and "
                "QwenImageEditPlusPipeline can be trained"
            )


def class_name(path: str) -> str:
    """What the pipeline in a folder or on the hub calls itself; raises `ValueError` where there is none."""
    index = part_of(path, "model_index.json")
    return str(json.loads(index.read_text(encoding="utf-8")).get("_class_name"))


def part_of(path: str, name: str) -> Path:
    """A file of the pipeline in a folder or on the hub; raises `ValueError` where there is none."""
    if Path(path).is_dir():
        if not (file := Path(path) / name).is_file():
            raise ValueError(f"policy.path: {path} has no {name}: pass the folder of a saved diffusers pipeline")
        return file
    try:
        return Path(hf_hub_download(path, name))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise ValueError(
            f"policy.path: {path!r} is no folder here, and {name} cannot be had from the hub "
            f"({type(error).__name__}): pass a downloaded pipeline's folder"
        ) from error
