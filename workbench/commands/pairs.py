"""`workbench plan` and `workbench data check`: what is wrong with pairs, and which to label next."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from workbench.commands.options import (
    AllowOutside,
    AllowUrls,
    BaseUrl,
    Cache,
    Concurrency,
    Extra,
    MaxCalls,
    MaxCost,
    MaxTokens,
    Model,
    Seed,
    Structured,
    Task,
    Timeout,
    client_of,
    finish,
)


def plan(
    seeds: Annotated[Path, typer.Argument(help="Seed pairs, labelled or not.")],
    unlabelled: Annotated[Path | None, typer.Option(help="Further pairs to choose from, without labels.")] = None,
    count: Annotated[int, typer.Option(min=1, help="Most pairs to name for labelling.")] = 10,
    base_url: BaseUrl = "",
    model: Model = "",
    max_calls: MaxCalls = None,
    max_cost: MaxCost = None,
    max_tokens: MaxTokens = 1024,
    timeout: Timeout = 60.0,
    concurrency: Concurrency = 32,
    seed: Seed = None,
    structured: Structured = "auto",
    extra: Extra = "{}",
    cache: Cache = None,
    task: Task = None,
    allow_outside: AllowOutside = False,
    allow_urls: AllowUrls = False,
) -> None:
    """Say what is wrong with seed pairs, which kinds are missing, and which pair to label next.

    Without an endpoint only the labels are looked at; with one, its judge is asked about every pair in both orders.
    """
    from workbench.induction.planner import plan_seeds, probe_and_plan
    from workbench.pairs.loading import load

    labelled = load(seeds, task=task, allow_outside=allow_outside, allow_urls=allow_urls)
    pool = load(unlabelled, task=task, allow_outside=allow_outside, allow_urls=allow_urls) if unlabelled else []
    if pool and any(pair.ranks for pair in pool):
        print(f"the labels in {unlabelled} are not read", file=sys.stderr)
        pool = [replace(pair, ranks=None, scores=None) for pair in pool]
    if not base_url:
        print(plan_seeds(labelled, None, pool, count=count, allow_urls=allow_urls).to_text())
        print("no --base-url: kinds of pairs, and which to label next, were not looked at", file=sys.stderr)
        return
    client = client_of(
        base_url, model,
        max_calls=max_calls, max_cost=max_cost, max_tokens=max_tokens, timeout=timeout, concurrency=concurrency,
        seed=seed, structured=structured, extra=extra, cache=cache, allow_urls=allow_urls,
    )  # fmt: skip

    async def work() -> None:
        async with client:
            print(f"at most {2 * (len(labelled) + len(pool)):,} questions", file=sys.stderr)
            planned = await probe_and_plan(labelled, client, pool, count=count, allow_urls=allow_urls)
            print(planned.to_text())

    finish(work())


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
