"""Commands on one rubric or two: what is wrong with its wording, what its criteria are worth, what is different."""

import sys
import textwrap
from collections.abc import Iterator
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
    MaxCalls,
    MaxCost,
    MaxTokens,
    Model,
    RubricFile,
    Structured,
    Task,
    Timeout,
    client_of,
    finish,
)
from workbench.pairs.problems import printable

if TYPE_CHECKING:
    from workbench.induction.weigh import Weighed
    from workbench.rubrics.rubric import Criterion, Rubric

MOST_WIDE = 120
"""Characters of a line of the table."""


def lint(
    rubric: RubricFile,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 if anything is found.")] = False,
    task: Annotated[Literal["t2i", "edit"] | None, typer.Option(help="What a .txt rubric is for.")] = None,
) -> None:
    """List what is vague, comparative, redundant, unobservable, endless or too long in a rubric; nothing is asked."""
    from workbench.rubrics.files import load_rubric
    from workbench.rubrics.lint import lint as find_faults

    loaded = load_rubric(rubric, task=task)
    found = find_faults(loaded)
    for finding in found:
        print(printable(f"{finding.criterion or loaded.name}: {finding.kind}: {finding.message}"))
    faulty = len({finding.criterion for finding in found if finding.criterion})
    print(f"{rubric}: {len(found)} findings, {faulty} of {len(loaded.enabled_criteria())} criteria have one")
    if strict and found:
        raise typer.Exit(1)


def rubrics_diff(
    before: Annotated[Path, typer.Argument(help="The older rubric file.")],
    after: Annotated[Path, typer.Argument(help="The newer one.")],
    task: Annotated[Literal["t2i", "edit"] | None, typer.Option(help="What .txt rubrics are for.")] = None,
) -> None:
    """Compare two rubrics, criterion by criterion and word by word; nothing is asked."""
    from workbench.rubrics.diff import diff
    from workbench.rubrics.files import load_rubric

    found = diff(load_rubric(before, task=task), load_rubric(after, task=task))
    for line in found.text().splitlines():
        print(printable(line))


def weigh(
    rubric: RubricFile,
    pairs: Annotated[Path, typer.Argument(help="Labelled pairs, not those the rubric will be evaluated on.")],
    out: Annotated[Path, typer.Option(help="Rubric file to write: with weights, useless criteria switched off.")],
    most: Annotated[int, typer.Option(min=1, help="Most criteria kept.")] = 8,
    base_url: BaseUrl = "",
    model: Model = "",
    max_calls: MaxCalls = None,
    max_cost: MaxCost = None,
    max_tokens: MaxTokens = 1024,
    timeout: Timeout = 60.0,
    concurrency: Concurrency = 32,
    seed: Annotated[int | None, typer.Option(help="Sampling seed sent to the model, and of the random halves.")] = None,
    structured: Structured = "auto",
    extra: Extra = "{}",
    cache: Cache = None,
    task: Task = None,
    allow_outside: AllowOutside = False,
    allow_urls: AllowUrls = False,
) -> None:
    """Weigh a rubric's criteria by how well the judge's ranks under each predict people; 2 calls a pair."""
    from workbench.induction.weigh import weigh as weigh_criteria
    from workbench.judges.vlm_judge import RankingJudge
    from workbench.pairs.loading import load
    from workbench.progress import Progress
    from workbench.rubrics.files import load_rubric

    labelled = load(pairs, task=task, allow_outside=allow_outside, allow_urls=allow_urls)
    loaded = load_rubric(rubric, task=labelled[0].task)
    _check_out(out, loaded)
    client = client_of(
        base_url, model,
        max_calls=max_calls, max_cost=max_cost, max_tokens=max_tokens, timeout=timeout, concurrency=concurrency,
        seed=seed, structured=structured, extra=extra, cache=cache, allow_urls=allow_urls,
    )  # fmt: skip

    async def work() -> None:
        async with client:
            if loaded.enabled_criteria():
                print(RankingJudge(client, loaded, criteria=True).estimate(labelled).line(), file=sys.stderr)
            with Progress("weighing", 2 * len(labelled), client.usage) as progress:
                weighed = await weigh_criteria(loaded, labelled, client, most=most, seed=seed or 0, progress=progress)
            print(_table(weighed, synthetic=client.endpoint.is_synthetic))
            _save(weighed.rubric, out)
            print(f"rubric: {out}")

    finish(work())


def _check_out(out: Path, parent: "Rubric") -> None:
    """Raises `ValueError` where the weighed rubric could not be written: better now than when all is answered."""
    from workbench.rubrics.files import check_rubric_path, load_rubric

    check_rubric_path(out)
    if out.suffix.lower() == ".txt":
        raise ValueError(f"--out {out}: a rubric as text holds no weights; name a .yaml file")
    if out.exists() and load_rubric(out).provenance.get("parent", {}).get("hash") != parent.hash:
        raise ValueError(f"--out {out} holds a rubric that was not weighed from {parent.name}; name another file")


def _save(rubric: "Rubric", out: Path) -> None:
    """Write the rubric; raises `ValueError` where `out` holds another one, such as one edited by hand."""
    from workbench.rubrics.files import load_rubric, save_rubric

    if out.exists() and load_rubric(out).hash != rubric.hash:
        raise ValueError(
            f"--out {out} holds another rubric, weighed on other pairs or edited by hand; name another file: the "
            "answers are cached"
        )
    save_rubric(rubric, out)


def _table(weighed: "Weighed", synthetic: bool) -> str:
    """What became of each criterion that was asked about, the weightiest first."""
    asked = [c for theme in weighed.rubric.themes for c in theme.criteria if c.id in weighed.agreement]
    asked.sort(key=lambda criterion: -weighed.selection.weights.get(criterion.id, 0.0))
    lines = [f"{'weight':>6}{'worth':>8}  {'95% interval':<16}{'chosen':>7}{'agrees':>8}  criterion"]
    for criterion in asked:
        lines += _rows(weighed, criterion)
    lines += ["", *textwrap.wrap(" ".join(_legend(weighed, synthetic)), 100)]
    return "\n".join(lines)


def _rows(weighed: "Weighed", criterion: "Criterion") -> Iterator[str]:
    selection, name = weighed.selection, criterion.id
    worth = selection.worth.get(name)
    value = interval = ""
    if worth and worth.value is not None and worth.ci95:
        value, interval = f"{worth.value * 100:+.1f}", "[{:+.1f}, {:+.1f}]".format(*(x * 100 for x in worth.ci95))
    weight = f"{selection.weights[name]:g}" if name in selection.weights else "off"
    chosen = f"{selection.stability[name]:.0%}" if name in selection.stability else ""
    text = printable(f"{name}: {criterion.text}") + (f" (off: {why})" if (why := weighed.dropped.get(name)) else "")
    numbers = f"{weight:>6}{value:>8}  {interval:<16}{chosen:>7}{weighed.agreement[name]:>+8.2f}  "
    first, *more = textwrap.wrap(text, MOST_WIDE - len(numbers))
    yield numbers + first
    yield from (" " * len(numbers) + line for line in more)


def _legend(weighed: "Weighed", synthetic: bool) -> Iterator[str]:
    accuracy = weighed.selection.accuracy
    if weighed.failed:
        yield f"{weighed.failed:,} verdicts failed; pairs without both have no vote: run again to ask for errors again."
    if weighed.selection.strength is None:
        yield "Pairs of so few prompts leave none to hold out: what agrees is kept, with equal weights, and no worth."
    else:
        yield (
            "worth: what leaving the criterion out costs the weighted vote, in points of agreement with people on "
            "pairs of prompts the choice was not made on; chosen: share of random halves of the prompts that chose it."
        )
    yield "agrees: the criterion's mean vote for people's choice, from -1 to 1."
    if accuracy.value is not None and accuracy.ci95:
        low, high = accuracy.ci95
        yield (
            f"The weighted vote agrees with people on {accuracy.value:.1%} (95% interval {low:.1%} to {high:.1%}) of "
            f"{accuracy.n} pairs."
        )
    if synthetic:
        yield "Synthetic."
