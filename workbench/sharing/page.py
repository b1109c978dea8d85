"""One HTML file that needs nothing but a browser: no network, no server, and no script but its own."""

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any

from workbench.foreign import foreign_html
from workbench.pairs.comparison import Comparison
from workbench.pairs.sources import ImageError, is_url, read_bytes
from workbench.runs.manifest import now
from workbench.sharing.card import card_html, facts, results_html, rubrics_html
from workbench.sharing.markup import plain_text
from workbench.sharing.narrative import Block, Narrative
from workbench.sharing.previews import SIDE, Previews, pictures_of
from workbench.sharing.secrets import Text, texts_of
from workbench.sharing.subject import Subject
from workbench.widgets.kernel_widget import asset
from workbench.widgets.pair_grid import pair_grid
from workbench.widgets.pair_viewer import VIEWER_SCRIPTS, VIEWER_STYLES

PAGE_SCRIPTS = ("comments.js", "page.js")
STATIC_PAIRS = 6
FIRST_PICTURES = 24
"""Pictures before plotly.js, which takes its time: the first pairs can be seen meanwhile."""
_RUBRIC = ("The rubric", "The rubrics")
_CONTENTS = {
    "results": "Results",
    "card": "What was run",
    "rubric": "Rubric",
    "narrative": "Narrative",
    "pairs": "Pairs",
}

_PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")


@dataclass(frozen=True, slots=True)
class Page:
    """A page in parts.

    - `parts`: what `page.html` has room for, by name. - `sizes`: bytes, by what takes them.
    - `texts`: everything in it that is not the tool's own, to be searched before it is written.
    """

    parts: Mapping[str, str]
    sizes: Mapping[str, int]
    texts: Sequence[Text]

    def html(self) -> str:
        """The whole file."""
        return _PLACEHOLDER.sub(lambda match: self.parts[match.group(1)], _file("page.html"))


def make_page(subject: Subject, narrative: Narrative, viewer: Mapping[str, Any], previews: Previews) -> Page:
    """Put a page together; `viewer` is `viewer_data`, and what is not there is left out of the page."""
    figures = [dict(block.figure) for block in narrative.blocks if block.figure]
    scripts = [_page_script(), *([_plotly(), _figure_script()] if figures else [])]
    pictures = list(_pictures(previews)) if viewer else []
    results, rubrics = results_html(subject), rubrics_html(subject)
    sections = {
        "results": _section("results", "Results", results + _file("words.html") if results else ""),
        "rubric": _section("rubric", _RUBRIC[len(subject.rubrics) > 1], rubrics),
        "narrative": _section("narrative", "The notebook" if subject.notebook else "", _narrative(narrative)),
        "pairs": _pairs(subject) if viewer else "",
    }
    parts = {
        "policy": _policy(scripts),
        "title": escape(narrative.title),
        "styles": asset(*VIEWER_STYLES) + _file("page.css"),
        "heading": foreign_html(narrative.title, 300),
        "badges": _badges(subject),
        "question": f'<p class="question">{foreign_html(narrative.question, 2000)}</p>' if narrative.question else "",
        "notes": "".join(f'<p class="note">{foreign_html(note)}</p>' for note in _notes(subject)),
        "card": card_html(subject),
        "contents": _contents([*(name for name, html in sections.items() if html), "card"]),
        **sections,
        "made": f"Written by workbench share on {now()[:10]}. It opens without network, and sends nothing.",
        "data": _json("page-figures", figures) + (_json("page-pairs", viewer) if viewer else ""),
        "first_pictures": "".join(pictures[:FIRST_PICTURES]),
        "pictures": "".join(pictures[FIRST_PICTURES:]),
        "script": _script(scripts[0]),
        "figure_scripts": "".join(map(_script, scripts[1:])),
    }
    sizes = {
        "pictures": sum(map(len, pictures)),
        "figures": sum(map(len, scripts[1:])) + len(json.dumps(figures)),
        "pairs and verdicts": len(parts["data"].encode()) - len(json.dumps(figures)),
        "narrative": len(parts["narrative"].encode()),
    }
    texts = [Text("results", plain_text(results)), Text("rubric", plain_text(rubrics))]
    return Page(parts, sizes, [*texts, *_texts(subject, narrative, viewer)])


def _texts(subject: Subject, narrative: Narrative, viewer: Mapping[str, Any]) -> Iterator[Text]:
    yield Text("title", narrative.title)
    yield Text("question", narrative.question)
    yield from (Text(f"card, {name}", text) for name, text in facts(subject))
    yield from (Text("note", note) for note in _notes(subject))
    for block in narrative.blocks:
        yield Text(block.place, f"{block.title}\n{plain_text(block.html)}\n{block.hidden}")
        if block.figure:
            yield from texts_of(f"{block.place}, figure", block.figure)
    for pair_id, view in viewer.get("views", {}).items():
        yield from texts_of(f"pair {pair_id!r:.80}", view)
    yield from texts_of("viewer", viewer.get("about", {}))
    yield from texts_of("viewer, pictures", viewer.get("problems", {}))


def _contents(there: Sequence[str]) -> str:
    links = [f'<a href="#{name}">{text}</a>' for name, text in _CONTENTS.items() if name in there]
    return f'<nav aria-label="contents">{" ".join(links)}</nav>'


def _section(name: str, heading: str, html: str) -> str:
    title = f"<h2>{heading}</h2>" if heading else ""
    return f'<section id="{name}">{title}{html}</section>' if html else ""


def _badges(subject: Subject) -> str:
    badges = [f'<span class="badge">evidence: {escape(subject.evidence)}</span>']
    if subject.synthetic:
        badges.insert(0, '<span class="badge warn">synthetic</span>')
    if subject.state != "finished":
        badges.insert(0, f'<span class="badge warn">partial: {escape(subject.state)}</span>')
    return "".join(badges)


def _notes(subject: Subject) -> list[str]:
    return [*subject.notes, *filter(None, [subject.dataset.note])]


def _narrative(narrative: Narrative) -> str:
    figures = iter(range(len(narrative.blocks)))
    return "".join(_plot(block, next(figures)) if block.figure else block.html for block in narrative.blocks)


def _plot(block: Block, number: int) -> str:
    """Room for a figure, its title, and its numbers for those who cannot see it."""
    layout = (block.figure or {}).get("layout", {})
    height = layout.get("height")
    room = f' style="min-height:{int(height)}px"' if isinstance(height, int | float) and 0 < height < 5000 else ""
    caption = f"<figcaption>{foreign_html(block.title, 300)}</figcaption>" if block.title else ""
    return (
        f'<figure class="plot">{caption}<div class="plot-box" data-figure="{number}"{room}></div>'
        f"<details><summary>its numbers as a table</summary>{block.html}</details></figure>"
    )


def _pairs(subject: Subject) -> str:
    comparisons = subject.dataset.comparisons
    flips = {flip.pair_id: flip.word for flip in subject.comparison.flips} if subject.comparison else {}
    telling = sorted(comparisons, key=lambda each: each.id not in flips)
    few = [each for each in telling[: 4 * STATIC_PAIRS] if _readable(each)][:STATIC_PAIRS]
    judges: dict[str, dict[str, list[Any]]] = {each.name: {} for each in subject.judged}
    wanted = {each.id for each in few}
    for judged in subject.judged:
        for record in judged.records:
            if record.pair_id in wanted:
                judges[judged.name].setdefault(record.pair_id, []).append(record)
    grid = pair_grid(few, judges, notes=flips) if few else ""
    return (
        f'<section id="pairs"><h2>The pairs</h2><p>{len(comparisons):,} pairs. <span class="scripted">Labels and notes '
        "you write here stay in this browser until you export them; a link ending in "
        f"<code>#pair=ID</code> opens one pair.</span> Pictures are previews of at most {SIDE} pixels a side: fine "
        "detail and differences are only roughly those of the originals.</p>"
        '<div id="comments" class="wb"></div><div id="viewer"></div><p id="link" class="faint"></p>'
        f"<noscript><p>{len(few)} of them, those that flipped first; the others need JavaScript, which is switched off."
        f"</p>{grid}</noscript></section>"
    )


def _readable(comparison: Comparison) -> bool:
    try:
        return all(not is_url(each) and read_bytes(each) for each in pictures_of(comparison))
    except ImageError:
        return False


def _pictures(previews: Previews) -> Iterator[str]:
    for key, data in previews.encoded.items():
        yield f'<script type="text/plain" id="{key}">{base64.b64encode(data).decode()}</script>\n'


def _json(name: str, value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return f'<script type="application/json" id="{name}">{text.replace("<", chr(92) + "u003c")}</script>\n'


@cache
def _page_script() -> str:
    return _alone(asset(*VIEWER_SCRIPTS), *(_file(f"js/{name}") for name in PAGE_SCRIPTS))


@cache
def _figure_script() -> str:
    """Runs behind plotly.js and before the pictures are read."""
    return _alone(asset("dom.js"), _file("js/figures.js"))


def _alone(*parts: str) -> str:
    """A script whose names are its own."""
    return f'"use strict";\n(() => {{\n{"".join(parts)}\n}})();'


@cache
def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


def _script(code: str) -> str:
    assert not re.search(r"</script|<!--", code, re.IGNORECASE), "a script of the page would end early"
    return f"<script>{code}</script>"


def _policy(scripts: Sequence[str]) -> str:
    """Nothing from elsewhere, no script but these, and nothing may be sent anywhere."""
    digests = [base64.b64encode(hashlib.sha256(code.encode()).digest()).decode() for code in scripts]
    hashes = " ".join(f"'sha256-{digest}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


@cache
def _file(name: str) -> str:
    return files("workbench.sharing").joinpath(name).read_text(encoding="utf-8")
