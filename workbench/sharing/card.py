"""The card at the head of a page: what was asked of what, with what, by which code, and what came out."""

import json
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from workbench.evaluation.results import Results
from workbench.foreign import displayable, foreign_html
from workbench.rubrics.diff import diff
from workbench.sharing.subject import Subject
from workbench.widgets.diff_html import diff_html
from workbench.widgets.rubric_html import rubric_html

_HOW = {
    "notebook": "a notebook, headless, by workbench run",
    "evaluate": "an evaluation, each pair in both orders of its images",
    "induce": "an induction of a rubric from seed pairs",
    "audit": "an audit of a rubric",
}
_SHORT = 12
BIAS = "position bias"


def facts(subject: Subject) -> list[tuple[str, str]]:
    """What the card lists, as pairs of a word and a text that is not yet fit to be shown."""
    return [(name, text) for name, text in _facts(subject) if text]


def card_html(subject: Subject) -> str:
    """The facts as a list of definitions."""
    lines = [f"<div><dt>{escape(name)}</dt><dd>{foreign_html(text, 600)}</dd></div>" for name, text in facts(subject)]
    return f"<dl>{''.join(lines)}</dl>"


def results_html(subject: Subject) -> str:
    """A table of every judge's numbers with intervals and n, and the sentence of the comparison."""
    shown = [(each, each.results) for each in subject.judged if each.results]
    if not shown:
        return ""
    head = "".join(f'<th scope="col">{foreign_html(judged.name, 80)}</th>' for judged, _ in shown)
    names = [name for name, _ in shown[0][1].rows()]
    lines = "".join(
        f'<tr><th scope="row">{name}</th>{"".join(_cell(results, name) for _, results in shown)}</tr>' for name in names
    )
    lines += _row("verdicts", [_outcomes(results) for _, results in shown])
    lines += _row("took", [f"{results.calls:,} calls, ${results.cost_usd:.4f}" for _, results in shown])
    sentence = f'<p class="sentence">{escape(subject.comparison.sentence)}</p>' if subject.comparison else ""
    head = f"<thead><tr><td></td>{head}</tr></thead>"
    return f'{sentence}<div class="wide"><table class="numbers">{head}<tbody>{lines}</tbody></table></div>'


def rubrics_html(subject: Subject) -> str:
    """The rubrics as trees, folded where they are several, and what changed in them."""
    trees = [rubric_html(each, findings=False) for each in subject.rubrics]
    if len(trees) > 1:
        names = [foreign_html(each.name, 120) for each in subject.rubrics]
        trees = [f"<details><summary>{name}</summary>{tree}</details>" for name, tree in zip(names, trees, strict=True)]
    changed = [
        f"<h3>What changed from {foreign_html(before.name, 120)}</h3>{diff_html(diff(before, after))}"
        for before, after in subject.changes
    ]
    return "".join([*trees, *changed])


def _facts(subject: Subject) -> Iterator[tuple[str, str]]:
    manifest = subject.manifest
    judged = [each.manifest for each in subject.judged] or [manifest]
    yield "run", subject.path.resolve().name
    yield "made by", _HOW.get(manifest.kind, manifest.kind) + _sessions(subject)
    yield "date", _date(subject)
    yield "state", "" if subject.state == "finished" else f"{subject.state}: what is here is not all"
    yield from _dataset(subject)
    yield "judges", ", ".join(each.name for each in subject.judged)
    yield "rubric", ", ".join(f"{each.name} ({each.hash[:_SHORT]})" for each in subject.rubrics) or "none"
    yield "model", _joined(each.models for each in (*judged, manifest))
    yield "server", _joined([str(each.facts.get("server_version") or "version unknown")] for each in judged)
    yield "sampling", _joined(_sampling(each) for each in judged)
    yield "seed", _seed(subject)
    yield "code", _code(manifest.environment.get("git"))
    yield "cost", _cost(subject)
    yield "packages", _packages(manifest.environment)
    yield "evidence", f"{subject.evidence}{', synthetic: the embedded world, not a real model' * subject.synthetic}"
    yield "parameters", _parameters(manifest.inputs.get("parameters"))


def _dataset(subject: Subject) -> Iterator[tuple[str, str]]:
    manifest = subject.judged[-1].manifest if subject.judged else subject.manifest
    dataset = manifest.inputs.get("dataset")
    if not isinstance(dataset, Mapping):
        return
    n = manifest.counts.get("pairs") or len(subject.dataset.comparisons)
    counted = f", n = {n:,} pairs" if n else ""
    yield "dataset", f"{dataset.get('name')}{counted} (hash {str(dataset.get('hash'))[:_SHORT]})"


def _row(name: str, cells: Sequence[str]) -> str:
    return f'<tr><th scope="row">{name}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'


def _sessions(subject: Subject) -> str:
    resumed = len(subject.manifest.earlier_sessions)
    return f", in {resumed + 1} sessions" if resumed else ""


def _date(subject: Subject) -> str:
    manifest = subject.manifest
    start, end = manifest.start[:16].replace("T", " "), (manifest.end or "")[:16].replace("T", " ")
    return f"{start} to {end} UTC" if end and end != start else f"{start} UTC"


def _sampling(manifest: Any) -> list[str]:
    judge = manifest.inputs.get("judge")
    sampling = judge.get("sampling") if isinstance(judge, Mapping) else None
    if not isinstance(sampling, Mapping):
        return []
    return [", ".join(f"{name.replace('_', ' ')} {value}" for name, value in sampling.items() if name != "seed")]


def _seed(subject: Subject) -> str:
    seeds: list[list[str]] = []
    for manifest in (subject.manifest, *(each.manifest for each in subject.judged)):
        inputs, judge = manifest.inputs, manifest.inputs.get("judge") or manifest.inputs.get("writer")
        sampling = judge.get("sampling") if isinstance(judge, Mapping) else None
        parts = (inputs, sampling, inputs.get("settings"), inputs.get("parameters"))
        told = [part.get("seed") for part in parts if isinstance(part, Mapping)]
        seeds.append([str(seed) for seed in told if seed is not None])
    return _joined(seeds)


def _code(git: Any) -> str:
    if not isinstance(git, Mapping) or not git.get("commit"):
        return "commit unknown"
    return f"commit {str(git['commit'])[:_SHORT]}{', with changes that are not committed' if git.get('dirty') else ''}"


def _cost(subject: Subject) -> str:
    results = [each.results for each in subject.judged if each.results]
    if results:
        calls, cached = sum(each.calls for each in results), sum(each.cached_calls for each in results)
        dollars = sum(each.cost_usd for each in results)
        return f"${dollars:.4f}, {calls:,} calls, {cached:,} verdicts from the cache"
    told = subject.manifest.counts.get("calls")
    return f"{told:,} calls" if told is not None else ""


def _packages(environment: Mapping[str, Any]) -> str:
    packages = environment.get("packages")
    if not isinstance(packages, Mapping):
        return ""
    shown = [name for name in ("python", "workbench", "openai", "torch", "transformers") if name in packages]
    return ", ".join(f"{name} {packages[name]}" for name in shown)


def _parameters(parameters: Any) -> str:
    return json.dumps(parameters, ensure_ascii=False)[1:-1] if isinstance(parameters, Mapping) and parameters else ""


def _cell(results: Results, name: str) -> str:
    estimate = dict(results.rows()).get(name)
    if estimate is None or estimate.ci95 is None:
        return "<td>-</td>"
    told = estimate.points() if name == BIAS else estimate.percent()
    value, bracket, interval = told.partition("[")
    return f"<td><b>{value.strip()}</b> <small>{bracket}{interval}</small></td>"


def _outcomes(results: Results) -> str:
    return ", ".join(f"{displayable(name, 20)} {count:,}" for name, count in results.outcomes.items() if count)


def _joined(texts: Any) -> str:
    """Each text once."""
    return ", ".join(dict.fromkeys(text for several in texts for text in several))
