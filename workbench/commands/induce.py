"""`workbench induce`: from labelled pairs to a rubric, and the evidence for it."""

import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from workbench.commands.options import (
    AllowOutside,
    AllowUrls,
    BaseUrl,
    Cache,
    Concurrency,
    Extra,
    Guide,
    MaxCalls,
    MaxCost,
    MaxTokens,
    Model,
    Outputs,
    Structured,
    Task,
    Timeout,
    client_of,
    finish,
)
from workbench.pairs.problems import printable

if TYPE_CHECKING:
    from workbench.induction.induce import RecipeSettings
    from workbench.pairs.comparison import Comparison
    from workbench.vlm.client import VlmClient


def induce(
    pairs: Annotated[Path, typer.Argument(help="Labelled seed pairs.")],
    out: Annotated[Path, typer.Option(help="Rubric file to write (YAML).")],
    base_url: BaseUrl = "",
    model: Model = "",
    recipe: Annotated[
        Literal["blind", "arr"],
        typer.Option(help="blind: verified in both orders without the label; arr: as published."),
    ] = "blind",
    judge_base_url: Annotated[
        str, typer.Option(help="Endpoint of the judge the rubric is for, where it is not the writer's; same key.")
    ] = "",
    judge_model: Annotated[
        str, typer.Option(help="Its model id, where it is not the writer's; limits then hold for each of the two.")
    ] = "",
    folds: Annotated[
        int, typer.Option(min=0, help="Cross-fit in so many parts to say whether the rubric helps; 0 measures nothing.")
    ] = 5,
    criteria_per_pair: Annotated[int, typer.Option(min=1, help="Criteria asked for per seed pair.")] = 5,
    criteria: Annotated[
        int | None,
        typer.Option(min=1, help="blind: most criteria chosen, 8 unless given; all stay where all do better."),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="arr: most verifications per seed pair; 5 unless given.")
    ] = None,
    themes: Annotated[
        int | None, typer.Option(min=0, help="arr: most themes, 5 unless given; 0 leaves one list.")
    ] = None,
    description: Annotated[str, typer.Option(help="What the images are for.")] = "",
    guide: Guide = None,
    max_calls: MaxCalls = None,
    max_cost: MaxCost = None,
    max_tokens: MaxTokens = 1024,
    timeout: Timeout = 60.0,
    concurrency: Concurrency = 32,
    seed: Annotated[
        int | None, typer.Option(help="Sampling seed sent to the model; blind: also of its random choices.")
    ] = None,
    structured: Structured = "auto",
    extra: Extra = "{}",
    cache: Cache = None,
    outputs: Outputs = Path("outputs"),
    task: Task = None,
    allow_outside: AllowOutside = False,
    allow_urls: AllowUrls = False,
) -> None:
    """Induce a rubric from labelled pairs, write it to a file, and say whether it makes the judge better."""
    from workbench.induction.arr import ArrSettings
    from workbench.induction.blind import BlindSettings
    from workbench.induction.induce import induce as induce_rubric
    from workbench.judges.exemplars import load_exemplars
    from workbench.pairs.loading import load

    if out.suffix.lower() not in (".yaml", ".yml"):
        raise ValueError(f"--out {out}: must end in .yaml; other formats cannot hold weights and evidence")
    exemplars = load_exemplars(guide) if guide else ()
    _refuse_others(recipe, {"criteria": criteria} if recipe == "arr" else {"epochs": epochs, "themes": themes})
    settings: RecipeSettings = (
        ArrSettings(criteria_per_pair, epochs or 5, 5 if themes is None else themes, description, exemplars)
        if recipe == "arr"
        else BlindSettings(criteria_per_pair, criteria or 8, description, exemplars, seed or 0)
    )
    seeds = load(pairs, task=task, allow_outside=allow_outside, allow_urls=allow_urls)

    def connected(base_url: str, model: str) -> "VlmClient":
        return client_of(
            base_url, model,
            max_calls=max_calls, max_cost=max_cost, max_tokens=max_tokens, timeout=timeout, concurrency=concurrency,
            seed=seed, structured=structured, extra=extra, cache=cache, allow_urls=allow_urls,
        )  # fmt: skip

    writer = connected(base_url, model)
    judge = connected(judge_base_url or base_url, judge_model) if judge_base_url or judge_model else writer

    async def work() -> None:
        async with writer, nullcontext() if judge is writer else judge:
            print(_most_calls(settings, seeds, folds), file=sys.stderr)
            induced = await induce_rubric(
                seeds, writer, settings, judge=judge, folds=folds, dataset=pairs, out=out, outputs=outputs,
                allow_urls=allow_urls,
            )  # fmt: skip
            if failed := induced.rubric.provenance["counts"].get("failed_verdicts"):
                print(
                    f"WARNING: {failed:,} of the judge's verdicts failed and had no say: run the same command again to "
                    "ask only for errors again",
                    file=sys.stderr,
                )
            rubric = "\n".join(printable(line) for line in induced.rubric.render().splitlines())
            print(f"{rubric}\n\n{induced.summary()}")

    finish(work())


def _refuse_others(recipe: str, others: Mapping[str, int | None]) -> None:
    """Raises `ValueError` for options of the other recipe, which would change nothing."""
    if given := [f"--{name}" for name, value in others.items() if value is not None]:
        raise ValueError(f"--recipe {recipe} takes no {', '.join(given)}; leave it out, or choose the other recipe")


def _most_calls(settings: "RecipeSettings", seeds: "Sequence[Comparison]", folds: int) -> str:
    """The most calls of the rubric and of its evidence, as a line."""
    from workbench.induction.evidence import most_calls

    line = f"at most {settings.most_calls(len(seeds)):,} calls for the rubric"
    if folds and (evidence := most_calls(seeds, settings.most_calls, folds=folds)):
        line += f" and {evidence:,} for its evidence (--folds {folds})"
    return f"{line}; less what is cached, more for answers asked for twice"
