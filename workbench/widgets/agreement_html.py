"""Agreement as plain HTML: who agrees with whom, what that allows one to say, and the disputed pairs."""

from html import escape

from workbench.annotations.agreement import AgreementReport
from workbench.annotations.compared import name
from workbench.foreign import foreign_html
from workbench.html import FONT, html_table

_HEAD = ("between", "pairs", "prompts", "agreement", "Cohen's kappa", "Krippendorff's alpha", "which is")


def agreement_html(report: AgreementReport, *, most: int = 10) -> str:
    """The report with its `most` disputed pairs; needs no kernel and no script, and all names and notes are escaped.

    >>> display(HTML(agreement_html(report)))  # doctest: +SKIP
    >>> PairViewer(pairs, annotations=path, notes=report.notes).filter(report.ids)  # doctest: +SKIP
    """
    rows = [
        (foreign_html(name(row)), f"{row.n:,}", f"{row.n_prompts:,}", _number(row.percent.shown(".1%")),
         _number(row.kappa.shown()), _number(row.alpha.shown()), escape(row.conclusion))
        for row in report.rows
    ]  # fmt: skip
    parts = [html_table(_HEAD, rows)] if rows else []
    parts.append(
        "<p>In brackets: 95% intervals, clustered by prompt. Kappa and alpha: 1 is full agreement, 0 is chance.</p>"
    )
    parts += [f"<p>{foreign_html(each)}</p>" for each in report.remarks()]
    if report.disagreements:
        parts.append(f"<p><b>{_disputed(len(report.disagreements), most)}</b></p>")
        disputed = [(foreign_html(each.pair_id), foreign_html(each.text, 400)) for each in report.disagreements[:most]]
        parts.append(html_table(("pair", "who says what"), disputed))
    return f'<div style="{FONT};max-width:1200px">{"".join(parts)}</div>'


def _disputed(count: int, most: int) -> str:
    return f"{count:,} disputed pairs" + (f", the {most:,} most disputed" if count > most else "")


def _number(text: str) -> str:
    """A value over its interval, neither broken into lines."""
    value, bracket, interval = text.partition("\u00a0[")
    return f'<span style="white-space:nowrap">{escape(value)}<br>{escape(bracket.strip() + interval)}</span>'
