"""`workbench evaluate`: a judge over labelled pairs, without a rubric, with one, or with one for each prompt."""

import sys
from collections.abc import Iterator, Sequence
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
    Images,
    MaxCalls,
    MaxCost,
    MaxTokens,
    Model,
    Outputs,
    RunOut,
    Seed,
    Structured,
    Task,
    Timeout,
    client_of,
    finish,
)

if TYPE_CHECKING:
    from workbench.evaluation.evaluate import Evaluation
    from workbench.judges.rubric_source import RubricSource
    from workbench.pairs.comparison import Comparison
    from workbench.rubrics.rubric import Rubric
    from workbench.vlm.client import VlmClient


def evaluate(
    pairs: Annotated[Path, typer.Argument(help="Labelled pairs to judge.")],
    rubric: Annotated[Path | None, typer.Option(help="Rubric file; rubric-free without it.")] = None,
    zero_shot: Annotated[
        bool, typer.Option("--zero-shot", help="Write a rubric for each prompt, without labels; more calls.")
    ] = False,
    library: Annotated[
        Path | None,
        typer.Option(help="Folder of rubrics to take the nearest prompt's from, as of a zero-shot run."),
    ] = None,
    judge: Annotated[
        Literal["ranking", "scoring"], typer.Option(help="All candidates at once, or one by one.")
    ] = "ranking",
    base_url: BaseUrl = "",
    model: Model = "",
    out: RunOut = None,
    ties: Annotated[bool, typer.Option(help="Let the judge call ties.")] = False,
    criteria: Annotated[bool, typer.Option(help="Also ask for a verdict under each criterion.")] = False,
    soft: Annotated[bool, typer.Option(help="Read confidence from the rank token's log-probabilities.")] = False,
    exemplars: Annotated[Path | None, typer.Option(help="Human exemplars shown to the judge (YAML).")] = None,
    guide: Guide = None,
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
    from workbench.evaluation.evaluate import evaluate as evaluate_judge
    from workbench.judges.exemplars import exemplars_text, load_exemplars
    from workbench.judges.vlm_judge import RankingJudge, ScoringJudge
    from workbench.pairs.loading import load

    if judge == "scoring" and (ties or criteria or soft or exemplars or zero_shot or library):
        raise ValueError(
            "--judge scoring takes no --ties, --criteria, --soft, --exemplars, --zero-shot or --library; leave them out"
        )
    _check_source(rubric, zero_shot, library, criteria, guide)
    comparisons = load(pairs, task=task, allow_outside=allow_outside, allow_urls=allow_urls)[:limit]
    fixed = _load(rubric, comparisons) if rubric else None
    shown = exemplars_text(load_exemplars(exemplars)) if exemplars else ""
    client = client_of(
        base_url, model,
        max_calls=max_calls, max_cost=max_cost, max_tokens=max_tokens, timeout=timeout, concurrency=concurrency,
        seed=seed, structured=structured, extra=extra, cache=cache, allow_urls=allow_urls,
        temperature=temperature, transport=images,
    )  # fmt: skip
    given = fixed or _source(zero_shot, library, client, comparisons, guide)
    chosen = (
        ScoringJudge(client, fixed)
        if judge == "scoring"
        else RankingJudge(client, given, ties=ties, criteria=criteria, soft=soft, exemplars=shown)
    )

    async def work() -> None:
        async with client:
            print(chosen.estimate(comparisons, samples).line(), file=sys.stderr)
            run = await evaluate_judge(
                comparisons, chosen, dataset=pairs, rubric=given, out=out, outputs=outputs, client=client,
                samples=samples, allow_urls=allow_urls,
            )  # fmt: skip
            warnings = [*_warnings(run, comparisons, ties), *_about_rubrics(run, given, comparisons)]
            if fixed and (partial := fixed.provenance.get("partial")):
                warnings.append(
                    f"{rubric} is unfinished, go on with `workbench induce`; when it was written: {partial}"
                )
            _report(run, warnings)

    finish(work())


def _check_source(
    rubric: Path | None, zero_shot: bool, library: Path | None, criteria: bool, guide: Path | None
) -> None:
    """Raises `ValueError` for options about rubrics that do not go together."""
    given = {"--rubric": rubric, "--zero-shot": zero_shot, "--library": library}
    if len(both := [option for option, value in given.items() if value]) > 1:
        raise ValueError(f"{' and '.join(both)} exclude each other: a comparison is judged by one rubric; choose one")
    if criteria and (zero_shot or library):
        raise ValueError("--criteria needs --rubric: one rubric for all pairs, whose criteria can be told apart")
    if guide and not zero_shot:
        raise ValueError("--guide is for the writer of --zero-shot; to show exemplars to the judge use --exemplars")


def _load(path: Path, comparisons: "Sequence[Comparison]") -> "Rubric":
    from workbench.rubrics.files import load_rubric

    rubric = load_rubric(path, task=comparisons[0].task)
    if not rubric.enabled_criteria():
        raise ValueError(f"{path} has no enabled criterion: enable one, or judge without a rubric")
    return rubric


def _source(
    zero_shot: bool, library: Path | None, client: "VlmClient", comparisons: "Sequence[Comparison]", guide: Path | None
) -> "RubricSource | None":
    """Where each prompt's own rubric comes from, if anywhere."""
    from workbench.judges.exemplars import load_exemplars

    if zero_shot:
        from workbench.induction.zero_shot import PerPromptRubrics, ZeroShotSettings

        settings = ZeroShotSettings(exemplars=load_exemplars(guide) if guide else ())
        return PerPromptRubrics(client, settings, pairs=comparisons)
    if library:
        from workbench.induction.retrieval import RetrievedRubrics
        from workbench.rubrics.library import load_library

        return RetrievedRubrics(load_library(library))
    return None


def _report(run: "Evaluation", warnings: "Sequence[str]") -> None:
    """Print what came out. Raises `ValueError` where that is nothing."""
    if run.judged == 0:
        print("every verdict was in this run folder already: nothing was asked", file=sys.stderr)
    for warning in warnings:
        print(f"WARNING: {warning}", file=sys.stderr)
    print(run.results.to_text())
    if failed := run.results.outcomes["error"]:
        print(f"{failed:,} verdicts ended in error: run the same command again to ask only these again")
    print(f"run folder: {run.path}")
    if (run.path / "rubrics").exists():
        print(f"the rubrics used: {run.path / 'rubrics'}")
    if failed + run.results.outcomes["invalid"] == sum(run.results.outcomes.values()):
        raise ValueError(f"not one verdict came, nothing was measured: read `detail` in {run.path}")


def _warnings(run: "Evaluation", comparisons: "Sequence[Comparison]", ties: bool) -> Iterator[str]:
    """What makes the numbers mean less than they seem to."""
    if run.seeds_judged:
        yield f"{run.seeds_judged} of these pairs are seeds of the rubric; accuracy on them proves nothing"
    tied = sum(c.ranks is not None and len(set(c.ranks)) < len(c.ranks) for c in comparisons)
    if tied and not ties:
        yield f"{tied} pairs are labelled as ties, which this judge cannot answer; see --ties"


def _about_rubrics(
    run: "Evaluation", given: "Rubric | RubricSource | None", comparisons: "Sequence[Comparison]"
) -> Iterator[str]:
    """What to know of rubrics that each prompt has of its own."""
    from workbench.induction.retrieval import RetrievedRubrics
    from workbench.induction.zero_shot import PerPromptRubrics

    of = f"of {len(comparisons)} pairs"
    if run.without_rubric:
        yield f"{run.without_rubric} {of} were judged without a rubric: none was verified, or near enough"
    if isinstance(given, PerPromptRubrics):
        chosen = sum(comparison.id in given.verifiers for comparison in comparisons)
        yield (
            f"the rubrics of {chosen} {of} were chosen for being judged consistently on these very pairs: their "
            "consistency and position bias prove nothing"
        )
    if isinstance(given, RetrievedRubrics) and (known := given.exact_hits(comparisons)):
        yield f"{known} {of} have a prompt the library was made for; accuracy on them says little of new prompts"
