"""`workbench shapes make` and `workbench serve shapes`: a sampled world, and its judge as a server."""

from pathlib import Path
from typing import Annotated, Literal

import typer


def shapes_make(
    out: Annotated[Path, typer.Argument(help="Folder to write.")],
    world: Annotated[int, typer.Option(help="Seed of the world.")],
    task: Annotated[Literal["t2i", "edit"], typer.Option()],
    pairs: Annotated[int, typer.Option(min=1, help="How many pairs.")],
    test: Annotated[bool, typer.Option("--test", help="Of the prompts kept apart for testing.")] = False,
) -> None:
    """Write a sampled world: pairs.jsonl, images and its judge's settings.

    Seed pairs unless --test is given: the same world's seed pairs always begin alike, so a rubric induced from some
    must be evaluated on test pairs.
    """
    from workbench.shapes.world import make_world

    make_world(world, task, pairs, out, test=test)
    made = f"{pairs} {task} {'test' if test else 'seed'} pairs of world {world} in {out}"
    print(f"{made}; serve its judge with: workbench serve shapes --world {out}")


def serve_shapes(
    world: Annotated[Path | None, typer.Option(help="A world's folder; the committed t2i world unless given.")] = None,
    image_root: Annotated[Path | None, typer.Option(help="Folder under which file:// images may be read.")] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 picks a free one.")] = 8777,
) -> None:
    """Serve the judge of a shapes world on loopback until interrupted."""
    from workbench.shapes.judge.server import serve
    from workbench.shapes.judge.settings import JudgeSettings

    serve(JudgeSettings.load(world or Path("data/shapes/t2i")), port=port, image_root=image_root)
