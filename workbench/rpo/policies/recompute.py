"""Activations that are computed again in the backward pass in place of being kept."""

import re
from typing import Any

from torch import nn
from torch.utils.checkpoint import checkpoint


def recompute(transformer: Any, share: float) -> None:
    """Let that share of the transformer's blocks, spread evenly, keep its input alone and compute the rest again."""
    blocks = [
        block for name, block in transformer.named_modules() if re.fullmatch(r"(single_)?transformer_blocks\.\d+", name)
    ]
    chosen = {id(block) for i, block in enumerate(blocks) if int((i + 1) * share) > int(i * share)}

    def run(block: nn.Module, *arguments: Any) -> Any:
        if id(block) not in chosen:
            return block(*arguments)
        return checkpoint(block, *arguments, use_reentrant=False, preserve_rng_state=False)

    if chosen:
        transformer.enable_gradient_checkpointing(run)
