"""An executed notebook as a narrative: its words and outputs in order, its code folded, nothing in it trusted."""

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from html import escape, unescape
from pathlib import Path
from typing import Any

from workbench.sharing.markup import clean_html, clean_picture, markdown_html, preformatted
from workbench.sharing.narrative import Block, Narrative, figure_block
from workbench.widgets.foreign import displayable, foreign_html

PLOTLY = "application/vnd.plotly.v1+json"
WIDGET = "application/vnd.jupyter.widget-view+json"

_QUESTION = re.compile(r"\*\*Question[.:]?\*\*[.:]?\s*(.+?)(?:\n\s*\n|\Z)", re.S)
_HEADING = re.compile(r"<(/?)h([1-6])\b")
_FIRST_HEADING = re.compile(r"<h1\b[^>]*>(.*?)</h1>", re.S)
_UNDRAWN = re.compile(r"<!DOCTYPE[^>]*>|<metadata\b.*?</metadata\s*>|<!--.*?-->", re.I | re.S)
_PICTURES = ("image/png", "image/jpeg", "image/webp", "image/gif")


def notebook_story(path: Path) -> Narrative:
    """Raises `ValueError` naming the file where it is no notebook."""
    try:
        notebook = json.loads(path.read_bytes())
        cells = [cell for cell in notebook["cells"] if isinstance(cell, dict)]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is not a notebook ({error!r:.200}); execute it again with workbench run") from error
    title, question = "", ""
    blocks: list[Block] = []
    for number, cell in enumerate(cells, start=1):
        place = f"cell {number} of the notebook"
        source = _joined(cell.get("source"))
        if cell.get("cell_type") != "markdown":
            blocks += _code_blocks(cell, source, place)
            continue
        if not question and (asked := _QUESTION.search(source)):
            question = _plain(asked.group(1))
            source = source.replace(asked.group(), "\n\n", 1)
        html = markdown_html(source)
        if not title and (heading := _FIRST_HEADING.search(html)):
            title = unescape(re.sub(r"<[^>]*>", "", heading.group(1)))
            html = html.replace(heading.group(), "", 1)
        blocks.append(Block(place, f'<div class="words">{_one_lower(html)}</div>'))
    return Narrative(title or path.parent.name, question, tuple(blocks))


def picture_outputs(path: Path) -> Iterator[tuple[str, bytes]]:
    """The pictures that outputs of a notebook are, and where; those that cannot be read are left out."""
    for number, cell in enumerate(json.loads(path.read_bytes())["cells"], start=1):
        for output in cell.get("outputs") or ():
            data = output.get("data") or {}
            for kind in set(_PICTURES) & set(data):
                with suppress(binascii.Error):
                    yield f"cell {number}", base64.b64decode("".join(_joined(data[kind]).split()), validate=True)


def _code_blocks(cell: Mapping[str, Any], source: str, place: str) -> Iterator[Block]:
    if source.strip() and cell.get("cell_type") == "code":
        lines = source.count("\n") + 1
        what = "parameters given" if "injected-parameters" in _tags(cell) else f"code, {lines} line{'s'[: lines > 1]}"
        yield Block(place, f'<details class="code"><summary>{what}</summary>{preformatted(source)}</details>')
    for number, output in enumerate(cell.get("outputs") or (), start=1):
        if isinstance(output, dict) and (block := _output_block(output, f"{place}, output {number}")):
            yield block


def _output_block(output: Mapping[str, Any], place: str) -> Block | None:
    kind = output.get("output_type")
    if kind == "stream":
        text = _joined(output.get("text"))
        html = preformatted(text)
        if output.get("name") == "stderr":
            html = f"<details><summary>messages</summary>{html}</details>"
        return Block(place, html) if text else None
    if kind == "error":
        lines = _joined([f"{line}\n" for line in output.get("traceback") or ()]) or str(output.get("evalue"))
        said = foreign_html(f"{output.get('ename')}: {output.get('evalue')}", 1000)
        html = f'<p class="failed">this cell failed: {said}</p><details><summary>traceback</summary>'
        return Block(place, f"{html}{preformatted(lines)}</details>")
    data = output.get("data")
    return _data_block(data, place) if isinstance(data, dict) else None


def _data_block(data: Mapping[str, Any], place: str) -> Block | None:
    """The richest form of an output that can be shown without running anything of it."""
    figure = data.get(PLOTLY)
    if isinstance(figure, dict) and isinstance(figure.get("data"), list):
        numbers = clean_html(_joined(data.get("text/html"))) or preformatted(_joined(data.get("text/plain")))
        return figure_block(place, numbers, figure)
    if html := clean_html(_joined(data.get("text/html"))).strip():
        return Block(place, f'<div class="output">{html}</div>')
    for kind in _PICTURES:
        if kind in data and (url := clean_picture(f"data:{kind};base64,{_joined(data[kind]).strip()}")):
            alt = escape(displayable(_joined(data.get("text/plain")), 200))
            return Block(place, f'<img class="picture" src="{url}" alt="{alt}">')
    if svg := _joined(data.get("image/svg+xml")):
        return _drawing(svg, place)
    if text := _joined(data.get("text/markdown")):
        return Block(place, f'<div class="words">{_one_lower(markdown_html(text))}</div>')
    text = _joined(data.get("text/plain"))
    return Block(place, preformatted(text)) if text.strip() and WIDGET not in data else None


def _drawing(svg: str, place: str) -> Block:
    """An SVG as an image, in which nothing runs and nothing is fetched."""
    drawn = _UNDRAWN.sub("", svg)
    url = f"data:image/svg+xml;base64,{base64.b64encode(drawn.encode('utf-8', 'replace')).decode()}"
    html = f'<img class="picture" src="{url}" alt="a drawing">'
    return Block(place, html, hidden=re.sub(r"""\sxmlns(:\w+)?=["'][^"']*["']""", "", drawn))


def _one_lower(html: str) -> str:
    """Headings one level lower, as the page's own title is the only one of the first."""
    return _HEADING.sub(lambda match: f"<{match.group(1)}h{min(6, int(match.group(2)) + 1)}", html)


def _plain(markdown: str) -> str:
    """A paragraph of Markdown without its marks."""
    return " ".join(unescape(re.sub(r"<[^>]*>", "", markdown_html(markdown))).split())


def _tags(cell: Mapping[str, Any]) -> list[str]:
    tags = (cell.get("metadata") or {}).get("tags")
    return tags if isinstance(tags, list) else []


def _joined(text: Any) -> str:
    """What nbformat stores as a text or as its lines."""
    return "".join(map(str, text)) if isinstance(text, list) else str(text or "")
