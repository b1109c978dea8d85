"""`workbench audit`: whether a rubric is reliable, fits people's preferences, can be cheated, and what it costs."""

import sys
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
    Outputs,
    RubricFile,
    RunOut,
    Structured,
    Task,
    Timeout,
    client_of,
    finish,
)


def audit(
    rubric: RubricFile,
    pairs: Annotated[Path, typer.Argument(help="Labelled pairs, not those the rubric was induced from.")],
    base_url: BaseUrl = "",
    model: Model = "",
    out: RunOut = None,
    repeats: Annotated[int, typer.Option(min=2, help="Verdicts asked for on one question, to see how they vary.")] = 3,
    limit: Annotated[int | None, typer.Option(min=1, help="Audit on the first pairs only.")] = None,
    max_calls: MaxCalls = None,
    max_cost: MaxCost = None,
    max_tokens: MaxTokens = 1024,
    timeout: Timeout = 60.0,
    concurrency: Concurrency = 32,
    seed: Annotated[int | None, typer.Option(help="Sampling seed sent to the model, and of the controls.")] = None,
    structured: Structured = "auto",
    extra: Extra = "{}",
    cache: Cache = None,
    outputs: Outputs = Path("outputs"),
    task: Task = None,
    allow_outside: AllowOutside = False,
    allow_urls: AllowUrls = False,
) -> None:
    """Audit any rubric: reliability, preference fit against a placebo and coin-flip labels, hackability, cost."""
    from workbench.audit.audit import audit as audit_rubric
    from workbench.audit.settings import AuditSettings, estimate_audit
    from workbench.pairs.loading import load
    from workbench.rubrics.files import load_rubric

    labelled = load(pairs, task=task, allow_outside=allow_outside, allow_urls=allow_urls)
    loaded = load_rubric(rubric, task=labelled[0].task)
    settings = AuditSettings(repeats=repeats, limit=limit, seed=seed or 0)
    client = client_of(
        base_url, model,
        max_calls=max_calls, max_cost=max_cost, max_tokens=max_tokens, timeout=timeout, concurrency=concurrency,
        seed=seed, structured=structured, extra=extra, cache=cache, allow_urls=allow_urls,
    )  # fmt: skip

    async def work() -> None:
        async with client:
            print(estimate_audit(loaded, labelled, client, settings).line(), file=sys.stderr)
            audited = await audit_rubric(
                loaded, labelled, client, settings, dataset=pairs, out=out, outputs=outputs, allow_urls=allow_urls
            )
            print(audited.to_text())
            print(f"run folder: {audited.path}")
            if audited.row("accuracy").value is None:
                raise ValueError(
                    f"the rubric's own verdicts all failed, nothing was measured: read {audited.path}/arms"
                )

    finish(work())
