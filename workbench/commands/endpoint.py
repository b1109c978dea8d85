"""`workbench doctor` and `workbench cache merge`: whether a model can be asked, and what it has answered so far."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from workbench.commands.options import BaseUrl, Model


def doctor(base_url: BaseUrl = "", model: Model = "") -> None:
    """Check the endpoint (vision, several images, JSON schema, latency), GPU and disk; each failure names its fix."""
    from workbench.doctor import check_all

    checks = asyncio.run(check_all(base_url, model))
    for check in checks:
        print(check.line())
    if any(check.failed for check in checks):
        raise typer.Exit(1)


def cache_merge(
    into: Annotated[Path, typer.Argument(help="Cache that receives.")],
    others: Annotated[list[Path], typer.Argument(help="Caches to read from.")],
) -> None:
    """Join response caches; answers already there are kept."""
    from workbench.vlm.cache import merge

    print(f"{merge(into, others)} answers added to {into}")
