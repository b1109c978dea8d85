"""A run of the command line as a narrative: what an evaluation, an induction or an audit found."""

import json
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from workbench.evaluation.compare import FLIP_WORDS, RunComparison
from workbench.evaluation.results import Results
from workbench.evaluation.statistics import Estimate
from workbench.figures.theme import LAYOUT, follow_page
from workbench.foreign import displayable, foreign_html
from workbench.sharing.narrative import Block, Narrative, figure_block
from workbench.sharing.subject import Judged, Subject

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

MOST_FLIPS = 60
"""Flips of one kind that are listed; the viewer's filter shows all."""

_SHORT = 90


def run_story(subject: Subject) -> Narrative:
    """The narrative of any run that is no notebook's."""
    stories = {"evaluate": _evaluation, "induce": _induction, "audit": _audit}
    story = stories.get(subject.manifest.kind)
    return story(subject) if story else Narrative(subject.path.name, "", ())


def pair_link(pair_id: str, text: str = "") -> str:
    """A link to a pair in the viewer; any id is fit for it."""
    shown = foreign_html(text or pair_id, _SHORT)
    return f'<a href="#pair={escape(quote(pair_id, safe=""))}">{shown}</a>'


def interval(estimate: Estimate, *, points: bool = False) -> str:
    """`82.5% (95% interval 80.1% to 84.9%, n = 300)`, for a sentence; a change is told in points."""
    if estimate.value is None or estimate.ci95 is None:
        return "not measured"
    numbers = (estimate.value, *estimate.ci95)
    value, low, high = (f"{100 * each:+.1f}" if points else f"{each:.1%}" for each in numbers)
    return f"{value}{' points' * points} (95% interval {low} to {high}, n = {estimate.n:,})"


def _evaluation(subject: Subject) -> Narrative:
    own = subject.own
    assert own is not None
    dataset = displayable(str((own.manifest.inputs.get("dataset") or {}).get("name", "")), _SHORT)
    if subject.baseline:
        before, after = (displayable(each.name, _SHORT) for each in (subject.baseline, own))
        title = f"{after} against {before} on {dataset}"
        question = f"On the same pairs, does {after} agree with people better than {before}?"
    else:
        title = f"{displayable(own.name, _SHORT)} on {dataset}"
        question = f"How often does the judge {displayable(own.name, _SHORT)} agree with people?"
    return Narrative(title, question, tuple(_evaluation_blocks(subject, own)))


def _evaluation_blocks(subject: Subject, own: Judged) -> Iterator[Block]:
    from workbench import plots

    synthetic = subject.synthetic
    shown = {each.name: each.results for each in subject.judged if each.results}
    if not shown:
        yield Block("results", "<p>No numbers yet: the run has no results.</p>")
        return
    if own.results:
        yield Block("results", f"<h2>In words</h2>{_in_words(own.results)}")
    if subject.comparison:
        yield from _comparison_blocks(subject.comparison, synthetic)
    accuracy = {displayable(name, 60): results.accuracy for name, results in shown.items()}
    yield Block("figure of accuracy", "<h2>Agreement with people</h2>")
    yield _figure("figure of accuracy", plots.accuracy_figure(accuracy, "Agreement with people", synthetic=synthetic))
    bias = {displayable(name, 60): results.position_bias for name, results in shown.items()}
    yield Block(
        "figure of bias",
        "<h2>Position bias</h2><p>Forward minus reverse accuracy: above zero the judge favours the first image.</p>",
    )
    yield _figure(
        "figure of bias", plots.difference_figure(bias, "Position bias", "forward minus reverse", synthetic=synthetic)
    )
    for tag, strata in (own.results.strata if own.results else {}).items():
        named = {name: each.mean for name, each in strata.items()}
        title = f"Mean accuracy by {displayable(tag, 40)}, {displayable(own.name, 40)}"
        yield Block(f"figure of {tag}", f"<h2>By {foreign_html(tag, 40)}</h2>")
        yield _figure(f"figure of {tag}", plots.strata_figure(named, title, synthetic=synthetic))


def _in_words(results: Results) -> str:
    failed = results.outcomes.get("invalid", 0) + results.outcomes.get("error", 0)
    words = [
        f"The judge agrees with people on {interval(results.accuracy.mean)} of the pairs, averaged over both orders of "
        f"the images, and on {interval(results.accuracy.resolved)} in both orders at once.",
        f"Its position bias is {interval(results.position_bias, points=True)}; the same image wins in both orders for "
        f"{interval(results.consistency)}.",
    ]
    if failed:
        words.append(f"{failed:,} of {sum(results.outcomes.values()):,} verdicts failed; they count as wrong.")
    if results.n_missing:
        words.append(f"{results.n_missing:,} of {results.n_pairs:,} pairs are not yet judged in both orders.")
    if results.n_unlabelled:
        words.append(f"Pairs without a label, which are in no accuracy: {results.n_unlabelled:,}.")
    return f"<p>{' '.join(words)}</p>"


def _comparison_blocks(comparison: RunComparison, synthetic: bool) -> Iterator[Block]:
    from workbench import plots

    yield Block("comparison", "<h2>What changed</h2>")
    named = {name.replace("_", " "): each for name, each in comparison.differences.items()}
    yield _figure(
        "figure of differences",
        plots.difference_figure(named, "Change on the same pairs", "after minus before", synthetic=synthetic),
    )
    lists = "".join(
        _flips(word, [each.pair_id for each in comparison.flips if each.kind == kind])
        for kind, word in FLIP_WORDS.items()
    )
    told = (
        f"{len(comparison.flips):,} of {comparison.n_pairs:,} pairs flipped. Fixed: right in both orders only after; "
        "broken: only before; swap-only: neither, but the verdict in some order is another one."
    )
    yield Block("flips", f"<h2>Pairs that flipped</h2><p>{told}</p>{lists}")


def _flips(word: str, pair_ids: Sequence[str]) -> str:
    if not pair_ids:
        return f"<p><b>{word}</b>: none</p>"
    links = ", ".join(map(pair_link, pair_ids[:MOST_FLIPS]))
    more = f" and {len(pair_ids) - MOST_FLIPS:,} more" if len(pair_ids) > MOST_FLIPS else ""
    return f'<p class="pairs"><b>{word}</b> ({len(pair_ids):,}): {links}{more}</p>'


def _induction(subject: Subject) -> Narrative:
    rubric, manifest = subject.rubric, subject.manifest
    name = displayable(rubric.name if rubric else subject.path.name, _SHORT)
    blocks = []
    if evidence := manifest.facts.get("evidence"):
        blocks.append(Block("evidence", f"<h2>Does it help?</h2><p>{foreign_html(str(evidence))}</p>"))
    if origins := _origins(subject):
        blocks.append(Block("origins", f"<h2>Where the criteria come from</h2><ul>{origins}</ul>"))
    rows = "".join(
        f'<tr><th scope="row">{foreign_html(key.replace("_", " "))}</th><td>{value:,}</td></tr>'
        for key, value in manifest.counts.items()
    )
    if rows:
        blocks.append(Block("counts", f"<h2>What it took</h2><table>{rows}</table>"))
    question = f"What do the preferences in {_dataset_name(subject)} come down to, as criteria a judge can use?"
    return Narrative(f"The rubric {name}", question, tuple(blocks))


def _origins(subject: Subject) -> str:
    """The seed pairs each criterion came from, as far as they are in the page."""
    known = {each.id for each in subject.dataset.comparisons}
    lines = []
    for criterion in subject.rubric.enabled_criteria() if subject.rubric else ():
        sources = [source.strip() for source in (criterion.source or "").split(",")]
        if links := ", ".join(pair_link(source) for source in sources if source in known):
            lines.append(f'<li>{foreign_html(criterion.text, 300)}<br><span class="faint">{links}</span></li>')
    return "".join(lines)


def _audit(subject: Subject) -> Narrative:
    audit = subject.audit or {}
    name = displayable(str(audit.get("rubric") or (subject.rubric.name if subject.rubric else "")), _SHORT)
    blocks = [Block("audit", f"<h2>What was measured</h2>{_audit_table(audit['rows'])}")] if audit else []
    if not audit or not audit.get("complete"):
        blocks.append(Block("audit", "<p>The audit is not complete.</p>"))
    blocks += [Block("audit, note", f"<p>{foreign_html(str(note))}</p>") for note in audit.get("notes", ())]
    question = f"Is the rubric {name} reliable, does it fit people's preferences, can it be cheated, what does it cost?"
    return Narrative(f"Audit of the rubric {name}", question, tuple(blocks))


def _audit_table(rows: Sequence[Mapping[str, Any]]) -> str:
    from workbench.audit.report import Row

    lines, section = [], ""
    for stored in rows:
        bounds = stored.get("ci95")
        row = Row(**{**stored, "ci95": tuple(bounds) if bounds else None})
        if row.section != section:
            section = row.section
            lines.append(f'<tr><th class="group" colspan="4" scope="rowgroup">{foreign_html(section)}</th></tr>')
        lines.append(
            f"<tr><td>{foreign_html(row.measure)}<br><small>{foreign_html(row.meaning)}</small></td>"
            f"<td>{escape(row.shown())}</td><td>{row.n:,}</td><td>{foreign_html(row.word)}</td></tr>"
        )
    head = "".join(f'<th scope="col">{each}</th>' for each in ("measure", "value, 95% interval", "n", "verdict"))
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def _dataset_name(subject: Subject) -> str:
    dataset = subject.manifest.inputs.get("dataset")
    return displayable(str(dataset.get("name", "the seeds")), _SHORT) if isinstance(dataset, Mapping) else "the seeds"


def _figure(place: str, figure: "Figure") -> Block:
    import plotly.io as pio

    from workbench.figures.text import Alternative

    figure.update_layout(template={"layout": dict(LAYOUT)})
    drawn = follow_page(json.loads(pio.to_json(figure)))
    alternative = Alternative.of(drawn)
    return figure_block(place, alternative.to_html() if alternative else "", drawn)
