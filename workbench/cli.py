"""The `workbench` command: thin commands over the package; heavy imports wait until a command needs them."""

import asyncio
import json
import os
import sys
from collections.abc import Coroutine, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

import workbench

if TYPE_CHECKING:
    from workbench.evaluation.evaluate import Evaluation
    from workbench.pairs.comparison import Comparison
    from workbench.vlm.client import VlmClient
    from workbench.vlm.settings import Limits

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=workbench.__doc__)
serve = typer.Typer(no_args_is_help=True, help="Start an OpenAI-compatible server on loopback.")
shapes = typer.Typer(no_args_is_help=True, help="The embedded world of coloured shapes.")
runs = typer.Typer(no_args_is_help=True, help="Run folders.")
data = typer.Typer(no_args_is_help=True, help="Datasets.")
cache = typer.Typer(no_args_is_help=True, help="The response cache.")
for name, group in (("serve", serve), ("shapes", shapes), ("runs", runs), ("data", data), ("cache", cache)):
    app.add_typer(group, name=name)

BaseUrl = Annotated[
    str, typer.Option("--base-url", envvar="OPENAI_BASE_URL", help="Endpoint, such as http://127.0.0.1:8000/v1.")
]
Model = Annotated[str, typer.Option(help="Model id; may be left out where the endpoint serves exactly one.")]
MaxCalls = Annotated[int | None, typer.Option(min=1, help="Stop before the run sends more requests than this.")]
MaxCost = Annotated[float | None, typer.Option(min=0, help="Stop before the run costs more US dollars than this.")]
Concurrency = Annotated[int, typer.Option(min=1, help="Most requests in flight; falls by itself on 429.")]
Seed = Annotated[int | None, typer.Option(help="Sampling seed sent to the model.")]
MaxTokens = Annotated[int, typer.Option(min=1, help="Longest answer, in tokens, reasoning included.")]
Timeout = Annotated[float, typer.Option(min=0.1, help="Seconds one request may take; an answer may take twice that.")]
Structured = Annotated[
    Literal["auto", "json_schema", "structured_outputs", "json_object", "off"],
    typer.Option(help="How the answer's JSON schema is enforced; auto falls back to off where a server refuses it."),
]
Extra = Annotated[str, typer.Option(help='Further request fields as JSON; null leaves one out: {"temperature": null}.')]
Task = Annotated[Literal["t2i", "edit"] | None, typer.Option(help="Take only this task's pairs from a mixed file.")]
Cache = Annotated[Path | None, typer.Option(help="Response cache; the user's cache folder unless given.")]
Images = Annotated[Literal["data", "file"], typer.Option(help="How images travel: data URLs, or file:// URLs.")]
AllowOutside = Annotated[bool, typer.Option(help="Accept image paths outside the dataset's folder.")]
Outputs = Annotated[Path, typer.Option(help="Where run folders go.")]
AllowUrls = Annotated[bool, typer.Option(help="Accept images given as http(s) URLs and fetch them.")]


@app.command()
def induce(
    pairs: Annotated[Path, typer.Argument(help="Labelled seed pairs.")],
    out: Annotated[Path, typer.Option(help="Rubric file to write (YAML).")],
    base_url: BaseUrl = "",
    model: Model = "",
    recipe: Annotated[
        Literal["blind", "arr"], typer.Option(help="blind: verified without the label; arr: as published.")
    ] = "blind",
    judge_base_url: Annotated[str, typer.Option(help="Endpoint of the judge, where it is not the writer.")] = "",
    judge_model: Annotated[str, typer.Option(help="Model id of the judge, where it is not the writer.")] = "",
    folds: Annotated[int, typer.Option(min=0, help="Cross-fit in so many parts; 0 measures nothing.")] = 5,
    criteria_per_pair: Annotated[int, typer.Option(min=1, help="Criteria asked for per seed pair.")] = 5,
    criteria: Annotated[int, typer.Option(min=1, help="blind: most criteria kept.")] = 8,
    epochs: Annotated[int, typer.Option(min=1, help="arr: most verifications per seed pair.")] = 5,
    themes: Annotated[int, typer.Option(min=0, help="arr: most themes; 0 leaves one list.")] = 5,
    description: Annotated[str, typer.Option(help="What the images are for.")] = "",
    guide: Annotated[Path | None, typer.Option(help="Human exemplars shown to the writer (YAML).")] = None,
    max_calls: MaxCalls = None,
    max_cost: MaxCost = None,
    max_tokens: MaxTokens = 1024,
    timeout: Timeout = 60.0,
    concurrency: Concurrency = 32,
    seed: Seed = None,
    structured: Structured = "auto",
    extra: Extra = "{}",
    cache: Cache = None,
    outputs: Outputs = Path("outputs"),
    task: Task = None,
    allow_outside: AllowOutside = False,
    allow_urls: AllowUrls = False,
) -> None:
    """Induce a rubric from labelled pairs and write it to a file."""
    from workbench.connect import connect
    from workbench.induction.arr import ArrSettings
    from workbench.induction.blind import BlindSettings
    from workbench.induction.induce import induce as induce_rubric
    from workbench.judges.exemplars import load_exemplars
    from workbench.pairs.loading import load
    from workbench.vlm.settings import ImagePolicy, Sampling

    seeds = load(pairs, task=task, allow_outside=allow_outside, allow_urls=allow_urls)
    exemplars = load_exemplars(guide) if guide else ()
    settings = (
        ArrSettings(criteria_per_pair, epochs, themes, description, exemplars)
        if recipe == "arr"
        else BlindSettings(criteria_per_pair, criteria, description, exemplars, seed or 0)
    )

    def client_of(base_url: str, model: str) -> "VlmClient":
        return connect(
            base_url,
            model,
            sampling=Sampling(max_tokens=max_tokens, seed=seed, extra=_json_object("--extra", extra)),
            limits=_limits(max_calls, max_cost, concurrency, timeout),
            cache=cache,
            structured=structured,
            images=ImagePolicy(allow_urls=allow_urls),
        )

    writer = client_of(base_url, model)
    judge = client_of(judge_base_url or base_url, judge_model) if judge_base_url or judge_model else writer

    async def work() -> None:
        async with writer, nullcontext() if judge is writer else judge:
            print(f"at most {settings.most_calls(len(seeds)):,} calls, and those of {folds} folds", file=sys.stderr)
            induced = await induce_rubric(
                seeds, writer, settings, judge=judge, folds=folds, dataset=pairs, out=out, outputs=outputs,
                allow_urls=allow_urls,
            )  # fmt: skip
            print(f"{induced.rubric.render()}\n\n{induced.summary()}")

    _finish(work())


@app.command()
def evaluate(
    pairs: Annotated[Path, typer.Argument(help="Labelled pairs to judge.")],
    rubric: Annotated[Path | None, typer.Option(help="Rubric file; rubric-free without it.")] = None,
    judge: Annotated[
        Literal["ranking", "scoring"], typer.Option(help="All candidates at once, or one by one.")
    ] = "ranking",
    base_url: BaseUrl = "",
    model: Model = "",
    out: Annotated[Path | None, typer.Option(help="Run folder; named after its inputs unless given.")] = None,
    ties: Annotated[bool, typer.Option(help="Let the judge call ties.")] = False,
    criteria: Annotated[bool, typer.Option(help="Also ask for a verdict under each criterion.")] = False,
    soft: Annotated[bool, typer.Option(help="Read confidence from the rank token's log-probabilities.")] = False,
    exemplars: Annotated[Path | None, typer.Option(help="Human exemplars shown to the judge (YAML).")] = None,
    samples: Annotated[int, typer.Option(min=1, help="Independent verdicts per pair and order.")] = 1,
    limit: Annotated[int | None, typer.Option(min=1, help="Judge only the first pairs.")] = None,
    temperature: Annotated[float, typer.Option(min=0)] = 0.0,
    max_calls: MaxCalls = None,
    max_cost: MaxCost = None,
    max_tokens: MaxTokens = 1024,
    timeout: Timeout = 60.0,
    concurrency: Concurrency = 32,
    seed: Seed = None,
    structured: Structured = "auto",
    extra: Extra = "{}",
    cache: Cache = None,
    images: Images = "data",
    outputs: Outputs = Path("outputs"),
    task: Task = None,
    allow_outside: AllowOutside = False,
    allow_urls: AllowUrls = False,
) -> None:
    """Judge every pair in both orders, write a run folder, and print the table."""
    from workbench.connect import connect
    from workbench.evaluation.evaluate import evaluate as evaluate_judge
    from workbench.judges.exemplars import exemplars_text, load_exemplars
    from workbench.judges.vlm_judge import RankingJudge, ScoringJudge
    from workbench.pairs.loading import load
    from workbench.rubrics.files import load_rubric
    from workbench.vlm.settings import ImagePolicy, Sampling

    if judge == "scoring" and (ties or criteria or soft or exemplars):
        raise ValueError("--judge scoring takes no --ties, --criteria, --soft or --exemplars; leave them out")
    comparisons = load(pairs, task=task, allow_outside=allow_outside, allow_urls=allow_urls)[:limit]
    loaded = load_rubric(rubric, task=comparisons[0].task) if rubric else None
    if loaded and not loaded.enabled_criteria():
        raise ValueError(f"{rubric} has no enabled criterion: enable one, or judge without a rubric")
    shown = exemplars_text(load_exemplars(exemplars)) if exemplars else ""
    client = connect(
        base_url,
        model,
        sampling=Sampling(temperature, max_tokens=max_tokens, seed=seed, extra=_json_object("--extra", extra)),
        limits=_limits(max_calls, max_cost, concurrency, timeout),
        cache=cache,
        structured=structured,
        images=ImagePolicy(transport=images, allow_urls=allow_urls),
    )
    chosen = (
        ScoringJudge(client, loaded)
        if judge == "scoring"
        else RankingJudge(client, loaded, ties=ties, criteria=criteria, soft=soft, exemplars=shown)
    )

    async def work() -> None:
        async with client:
            print(chosen.estimate(comparisons, samples).line(), file=sys.stderr)
            run = await evaluate_judge(
                comparisons, chosen, dataset=pairs, rubric=loaded, out=out, outputs=outputs, client=client,
                samples=samples, allow_urls=allow_urls,
            )  # fmt: skip
            if run.judged == 0:
                print("every verdict was in this run folder already: nothing was asked", file=sys.stderr)
            for warning in _warnings(run, comparisons, ties):
                print(f"WARNING: {warning}", file=sys.stderr)
            print(run.results.to_text())
            if failed := run.results.outcomes["error"]:
                print(f"{failed:,} verdicts ended in error: run the same command again to ask only these again")
            print(f"run folder: {run.path}")
            if failed + run.results.outcomes["invalid"] == sum(run.results.outcomes.values()):
                raise ValueError(f"not one verdict came, nothing was measured: read `detail` in {run.path}")

    _finish(work())


@app.command()
def doctor(base_url: BaseUrl = "", model: Model = "") -> None:
    """Check the endpoint (vision, several images, JSON schema, latency), GPU and disk; each failure names its fix."""
    from workbench.doctor import check_all

    checks = asyncio.run(check_all(base_url, model))
    for check in checks:
        print(check.line())
    if any(check.failed for check in checks):
        raise typer.Exit(1)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
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
    out: Annotated[Path | None, typer.Option(help="Run folder; named after its inputs unless given.")] = None,
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


@serve.command("shapes")
def serve_shapes(
    world: Annotated[Path | None, typer.Option(help="A world's folder; the committed t2i world unless given.")] = None,
    image_root: Annotated[Path | None, typer.Option(help="Folder under which file:// images may be read.")] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 picks a free one.")] = 8777,
) -> None:
    """Serve the judge of a shapes world on loopback until interrupted."""
    from workbench.shapes.judge.server import serve as serve_world
    from workbench.shapes.judge.settings import JudgeSettings

    serve_world(JudgeSettings.load(world or Path("data/shapes/t2i")), port=port, image_root=image_root)


@shapes.command("make")
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


@runs.command("list")
def runs_list(outputs: Annotated[Path, typer.Argument()] = Path("outputs")) -> None:
    """List run folders with what they found."""
    from workbench.runs.index import list_runs

    if not outputs.is_dir():
        raise ValueError(f"{outputs} is no folder; name the one that holds run folders")
    print(list_runs(outputs).to_string(index=False, na_rep="", float_format="{:.3f}".format))


@runs.command("compare")
def runs_compare(
    first: Annotated[Path, typer.Argument(help="Run folder of the baseline.")],
    second: Annotated[Path, typer.Argument(help="Run folder compared with it.")],
) -> None:
    """Say whether the second run's judge is better on the same pairs, and which pairs flipped."""
    from workbench.evaluation.compare import compare_run_folders

    print(compare_run_folders(first, second).to_text())


@data.command("check")
def data_check(
    pairs: Annotated[Path, typer.Argument(help="Dataset to validate.")],
    task: Task = None,
    allow_outside: AllowOutside = False,
    allow_urls: AllowUrls = False,
) -> None:
    """Read a dataset and all its images, and list every problem at once."""
    from workbench.pairs.loading import load

    comparisons = load(pairs, task=task, allow_outside=allow_outside, allow_urls=allow_urls)
    labelled = sum(comparison.ranks is not None for comparison in comparisons)
    print(f"{pairs}: {len(comparisons)} comparisons, {labelled} labelled, no problem found")


@cache.command("merge")
def cache_merge(
    into: Annotated[Path, typer.Argument(help="Cache that receives.")],
    others: Annotated[list[Path], typer.Argument(help="Caches to read from.")],
) -> None:
    """Join response caches; answers already there are kept."""
    from workbench.vlm.cache import merge

    print(f"{merge(into, others)} answers added to {into}")


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


def _warnings(run: "Evaluation", comparisons: "list[Comparison]", ties: bool) -> Iterator[str]:
    """What makes the numbers mean less than they seem to."""
    if run.seeds_judged:
        yield f"{run.seeds_judged} of these pairs are seeds of the rubric; accuracy on them proves nothing"
    tied = sum(c.ranks is not None and len(set(c.ranks)) < len(c.ranks) for c in comparisons)
    if tied and not ties:
        yield f"{tied} pairs are labelled as ties, which this judge cannot answer; see --ties"


def _finish(work: Coroutine[Any, Any, None]) -> None:
    try:
        asyncio.run(work)
    except KeyboardInterrupt:
        print("\ninterrupted: what was answered is kept, the same command goes on from there", file=sys.stderr)
        raise typer.Exit(130) from None


def _json_object(option: str, text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ValueError(f"{option} is {text!r}, which is not JSON ({error})") from error
    if not isinstance(value, dict):
        raise ValueError(f"{option} is {text!r}; it must be a JSON object")
    return value


def _limits(max_calls: int | None, max_cost: float | None, concurrency: int, timeout: float) -> "Limits":
    from workbench.vlm.settings import Limits

    return Limits(max_calls, max_cost, concurrency, attempt_s=timeout, deadline_s=2 * timeout)


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
