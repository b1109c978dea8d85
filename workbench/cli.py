"""The `workbench` command: thin commands over the package; heavy imports wait until a command needs them."""

import os
import sys

import typer

import workbench
from workbench.commands.annotations import annotations_agreement, annotations_merge, annotations_seeds
from workbench.commands.audit import audit
from workbench.commands.endpoint import cache_merge, doctor
from workbench.commands.evaluate import evaluate
from workbench.commands.induce import induce
from workbench.commands.pairs import data_check, plan
from workbench.commands.rpo import rpo_estimate, rpo_prepare, rpo_train
from workbench.commands.rubrics import lint, rubrics_diff, weigh
from workbench.commands.runs import run, runs_compare, runs_list
from workbench.commands.shapes import serve_shapes, shapes_make
from workbench.commands.share import share

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=workbench.__doc__)
serve = typer.Typer(no_args_is_help=True, help="Start an OpenAI-compatible server on loopback.")
shapes = typer.Typer(no_args_is_help=True, help="The embedded world of coloured shapes.")
rubrics = typer.Typer(no_args_is_help=True, help="Rubric files.")
rpo = typer.Typer(no_args_is_help=True, help="Fine-tune an image generator with a judge as reward.")
runs = typer.Typer(no_args_is_help=True, help="Run folders.")
annotations = typer.Typer(no_args_is_help=True, help="What people said about pairs.")
data = typer.Typer(no_args_is_help=True, help="Datasets.")
cache = typer.Typer(no_args_is_help=True, help="The response cache.")

for command in (doctor, plan, induce, lint, weigh, evaluate, audit, share):
    app.command()(command)
app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(run)
serve.command("shapes")(serve_shapes)
shapes.command("make")(shapes_make)
rubrics.command("diff")(rubrics_diff)
rpo.command("estimate")(rpo_estimate)
rpo.command("prepare")(rpo_prepare)
rpo.command("train")(rpo_train)
runs.command("list")(runs_list)
runs.command("compare")(runs_compare)
annotations.command("merge")(annotations_merge)
annotations.command("agreement")(annotations_agreement)
annotations.command("seeds")(annotations_seeds)
data.command("check")(data_check)
cache.command("merge")(cache_merge)
groups = {
    "serve": serve,
    "shapes": shapes,
    "rubrics": rubrics,
    "rpo": rpo,
    "runs": runs,
    "annotations": annotations,
    "data": data,
    "cache": cache,
}
for name, group in groups.items():
    app.add_typer(group, name=name)


def main() -> None:
    """The entry point: expected failures end in one message and a non-zero exit, bugs in a traceback."""
    from workbench.vlm.errors import VlmError

    try:
        app()
    except (ValueError, OSError, VlmError) as error:
        if os.environ.get("WORKBENCH_TRACEBACK"):
            raise
        sys.exit(f"workbench: {error}")


if __name__ == "__main__":
    main()
