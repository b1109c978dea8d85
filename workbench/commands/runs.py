"""`workbench run` and `workbench runs`: notebooks executed into run folders, and what run folders hold."""

import json
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from workbench.commands.options import MaxCalls, MaxCost, Outputs, RunOut, Seed


def run(
    context: typer.Context,
    notebook: Annotated[Path, typer.Argument(help="Notebook to execute.")],
    file: Annotated[Path | None, typer.Option("-f", help="Parameters as YAML.")] = None,
    base_url: Annotated[str | None, typer.Option(help="Short for -p base_url ...")] = None,
    model: Annotated[str | None, typer.Option(help="Short for -p model ...")] = None,
    max_calls: MaxCalls = None,
    max_cost: MaxCost = None,
    concurrency: Annotated[int | None, typer.Option(min=1, help="Most requests in flight.")] = None,
    seed: Seed = None,
    on: Annotated[Literal["local"], typer.Option("--on", help="Where it runs.")] = "local",
    out: RunOut = None,
    outputs: Outputs = Path("outputs"),
) -> None:
    """Execute a notebook into a run folder; -p NAME VALUE, any number of times, sets its parameters."""
    from workbench.runs.notebook import CellFailed, run_notebook

    options = {
        "base_url": base_url,
        "model": model,
        "max_calls": max_calls,
        "max_cost": max_cost,
        "concurrency": concurrency,
        "seed": seed,
    }
    given = [(name, json.dumps(value)) for name, value in options.items() if value is not None]
    given += _name_value_pairs(context.args)
    try:
        print(f"run folder: {run_notebook(notebook, given, file, out=out, outputs=outputs)}")
    except CellFailed as error:
        sys.exit(f"workbench: {error}")


def runs_list(outputs: Annotated[Path, typer.Argument()] = Path("outputs")) -> None:
    """List run folders with what they found."""
    from workbench.runs.index import list_runs

    if not outputs.is_dir():
        raise ValueError(f"{outputs} is no folder; name the one that holds run folders")
    print(list_runs(outputs).to_string(index=False, na_rep="", float_format="{:.3f}".format))


def runs_compare(
    first: Annotated[Path, typer.Argument(help="Run folder of the baseline.")],
    second: Annotated[Path, typer.Argument(help="Run folder compared with it.")],
) -> None:
    """Say whether the second run's judge is better on the same pairs, and which pairs flipped."""
    from workbench.evaluation.compare import compare_run_folders

    print(compare_run_folders(first, second).to_text())


def _name_value_pairs(arguments: list[str]) -> list[tuple[str, str]]:
    """`-p NAME VALUE ...` as papermill takes it; an option of two values is more than typer declares."""
    rest = iter(arguments)
    pairs = []
    for option in rest:
        name, value = next(rest, None), next(rest, None)
        if option != "-p" or name is None or value is None:
            raise ValueError(f"{option!r} is not understood; set parameters with -p NAME VALUE")
        pairs.append((name, value))
    return pairs
