"""`workbench rpo`: what a training run will take, prompts encoded beforehand, and training from a terminal."""

import sys
from pathlib import Path
from typing import Annotated

import typer

Config = Annotated[Path, typer.Argument(help="The run's YAML file (workbench.rpo.config).")]
Processes = Annotated[int, typer.Option(min=1, help="Processes, one an accelerator.")]


def rpo_estimate(
    config: Config,
    processes: Processes = 1,
    memory: Annotated[float | None, typer.Option(min=1, help="GB of each device, to say whether it fits.")] = None,
) -> None:
    """Memory, time and judge calls of a run, before anything is downloaded or started."""
    from workbench.rpo.config import RpoConfig
    from workbench.rpo.estimate import estimate

    print(estimate(RpoConfig.load(config), processes=processes, device_memory_gb=memory))


def rpo_prepare(
    config: Config,
    out: Annotated[Path, typer.Option(help="Folder for the embeddings, in Auto-Rubric as Reward's layout.")],
    device: Annotated[str, typer.Option(help="Where the text encoders run, such as cuda.")] = "cpu",
) -> None:
    """Encode the run's prompts once; a run whose `prompts` is OUT/metadata.json needs no text encoder."""
    from workbench.progress import Progress
    from workbench.rpo.config import RpoConfig
    from workbench.rpo.policies.embeddings import METADATA, write
    from workbench.rpo.policies.load import load_policy
    from workbench.rpo.prompts import read_prompts

    asked = RpoConfig.load(config)
    prompts = read_prompts(asked.prompts)
    with Progress("prompts", total=len(prompts)) as progress:
        written = write(load_policy(asked.policy, device), prompts, out, progress=lambda _: progress.advance())
    print(f"{written} prompts in {out}; set prompts: {out / METADATA}")


def rpo_train(
    config: Config,
    out: Annotated[Path, typer.Option(help="Run folder; one that was stopped goes on.")],
    processes: Processes = 1,
) -> None:
    """Train in a process of its own and print its lines; Ctrl-C stops it with a checkpoint."""
    from workbench.rpo.config import RpoConfig
    from workbench.rpo.launch import TrainingError, start

    asked = RpoConfig.load(config)
    try:
        training = start(asked, out, processes=processes)
        try:
            status = training.follow(print)
        except KeyboardInterrupt:
            status = training.stop()
    except TrainingError as error:
        sys.exit(f"workbench: {error}")
    print(f"{status.state} after update {status.update} of {status.updates}: {out}")
    if status.state == "paused":
        print(status.problem, file=sys.stderr)
        raise typer.Exit(3)
