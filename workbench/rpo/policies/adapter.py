"""The LoRA of a transformer, in place and without wrapping: attach, switch off, take out, put in, read from disk.

Names are PEFT's without the adapter's own: `transformer_blocks.0.attn.to_q.lora_A.weight`.
"""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from workbench.rpo.config import PolicyConfig

_NAME = "default"


@dataclass(frozen=True, slots=True)
class SavedAdapter:
    """A LoRA as a file has it: W + alpha / rank * B A."""

    state: Mapping[str, Tensor]
    rank: int
    alpha: float


def attach(transformer: Any, config: PolicyConfig, *, seed: int = 0) -> None:
    """Freeze the transformer and add a float32 LoRA to its `targets`: A from N(0, 1 / rank^2), B zero.

    Nothing changes until B does: W + alpha / rank * B A. Raises `ValueError` for a target no linear layer's name
    ends in.
    """
    names = [name for name, module in transformer.named_modules() if isinstance(module, nn.Linear)]
    for target in config.targets:
        if not any(f".{name}".endswith(f".{target}") for name in names):
            endings = ", ".join(sorted({_ending(name) for name in names}))
            raise ValueError(
                f"policy.targets: {target!r} ends no layer of {type(transformer).__name__}; its: {endings}"
            )
    transformer.requires_grad_(False)
    lora = LoraConfig(r=config.rank, lora_alpha=config.alpha, target_modules=list(config.targets))  # type: ignore[arg-type]
    transformer.add_adapter(lora, _NAME)
    for module in _layers(transformer):
        module.cast_input_dtype_enabled = False  # autocast does it; PEFT would keep a float32 copy of every input
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in parameters(transformer).items():
        parameter.data = parameter.data.float()
        if ".lora_A." in name:
            parameter.data.copy_(torch.randn(parameter.shape, generator=generator) / config.rank)


def parameters(transformer: nn.Module) -> dict[str, nn.Parameter]:
    """The adapter's parameters by name."""
    return {
        name.replace(f".{_NAME}.", "."): parameter
        for name, parameter in transformer.named_parameters()
        if ".lora_A." in name or ".lora_B." in name
    }


def state(transformer: nn.Module) -> dict[str, Tensor]:
    """Copies of the adapter's parameters by name."""
    return {name: parameter.detach().clone() for name, parameter in parameters(transformer).items()}


def load_state(transformer: nn.Module, values: Mapping[str, Tensor]) -> None:
    """Set the adapter's parameters; raises `ValueError` where names or shapes are others."""
    own = parameters(transformer)
    if odd := sorted(own.keys() ^ values.keys()):
        where = "has no" if odd[0] in own else "has a"
        raise ValueError(
            f"the saved adapter {where} {odd[0]} ({len(odd)} names differ): choose the same policy.targets"
        )
    for name, parameter in own.items():
        if parameter.shape != values[name].shape:
            raise ValueError(
                f"the saved adapter's {name} is {tuple(values[name].shape)}, not {tuple(parameter.shape)}: "
                "choose the same policy.rank and model"
            )
    with torch.no_grad():
        for name, parameter in own.items():
            parameter.copy_(values[name])


@contextmanager
def disabled(transformer: nn.Module) -> Iterator[None]:
    """Within it the adapter is off, whatever happens."""
    on = [module for module in _layers(transformer) if not module.disable_adapters]
    for module in on:
        module.enable_adapters(False)
    try:
        yield
    finally:
        for module in on:
            module.enable_adapters(True)


def metadata(transformer: Any) -> dict[str, Any]:
    """What `save_lora_weights` writes beside the weights, so that alpha survives."""
    config: dict[str, Any] = transformer.peft_config[_NAME].to_dict()
    return config


def load(transformer: nn.Module, folder: str | Path) -> None:
    """Put an adapter from disk into the attached one; raises `ValueError` for another rank, alpha or set of layers."""
    saved = read(folder)
    ours = metadata(transformer)
    if (saved.rank, saved.alpha) != (ours["r"], ours["lora_alpha"]):
        raise ValueError(
            f"{folder}: rank {saved.rank} and alpha {saved.alpha:g}, but the run has rank {ours['r']} and alpha "
            f"{ours['lora_alpha']:g}: set policy.rank and policy.alpha to the adapter's"
        )
    load_state(transformer, saved.state)


def read(folder: str | Path) -> SavedAdapter:
    """An adapter in the layout of PEFT (as ARR released its own) or of diffusers' `save_lora_weights`.

    Raises `ValueError` for a folder that has neither, or a file without a single LoRA tensor.
    """
    folder = Path(folder)
    peft, diffusers = folder / "adapter_model.safetensors", folder / "pytorch_lora_weights.safetensors"
    path = peft if peft.is_file() else diffusers
    try:
        with safe_open(path, "pt") as file:
            values = {_bare(name): file.get_tensor(name) for name in file.offset_keys()}
            header = file.metadata() or {}
        if path == peft:
            config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
            rank, alpha = config["r"], config["lora_alpha"]
        else:
            config = json.loads(header["lora_adapter_metadata"])
            rank, alpha = config["transformer.r"], config["transformer.lora_alpha"]
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        raise ValueError(
            f"{folder}: no LoRA can be read ({error}); wanted is {peft.name} with adapter_config.json, "
            f"or {diffusers.name}"
        ) from error
    if not values:
        raise ValueError(f"{path}: holds no tensor; ARR's own training code wrote such files: export the adapter anew")
    return SavedAdapter(values, int(rank), float(alpha))


def _layers(transformer: nn.Module) -> Iterator[Any]:
    return (module for module in transformer.modules() if isinstance(module, BaseTunerLayer))


def _ending(name: str) -> str:
    return re.sub(r"^.*\.\d+\.(?=\D)", "", name)


def _bare(name: str) -> str:
    return name.removeprefix("base_model.model.").removeprefix("transformer.").replace(f".{_NAME}.", ".")
