"""Make the tiny policies from nothing: `python -m workbench.shapes.pretrain flux|edit|all --out data/models`."""

import argparse
from pathlib import Path

import torch

from workbench.shapes.pretrain import tiny_flux, tiny_qwen_edit


def main() -> None:
    """Train, save and measure the policies asked for; with 2 threads the same seed gives the same weights."""
    parser = argparse.ArgumentParser(prog="python -m workbench.shapes.pretrain", description=__doc__)
    parser.add_argument("policy", choices=("flux", "edit", "all"), help="text to image, edits, or both")
    parser.add_argument("--out", type=Path, required=True, help="folder that gets tiny_flux/ and tiny_qwen_edit/")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--effort", type=float, default=1.0, help="share of the steps, to try it out: 0.01 for minutes")
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    # PyTorch's flash attention on the CPU takes twice as long as plain attention on sequences this short
    torch.backends.cuda.enable_flash_sdp(False)
    if arguments.policy in ("flux", "all"):
        tiny_flux.make(arguments.out / "tiny_flux", seed=arguments.seed, effort=arguments.effort)
    if arguments.policy in ("edit", "all"):
        tiny_qwen_edit.make(arguments.out / "tiny_qwen_edit", seed=arguments.seed, effort=arguments.effort)


if __name__ == "__main__":
    main()
