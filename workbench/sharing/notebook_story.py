"""An executed notebook as a narrative: its words and outputs in order, its code folded, nothing in it trusted."""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from html import escape, unescape
from pathlib import Path
from typing import Any

from workbench.foreign import displayable, foreign_html
from workbench.runs.readable import WIDGET
from workbench.sharing.markup import clean_html, clean_picture, markdown_html, preformatted
from workbench.sharing.narrative import Block, Narrative, figure_block

PLOTLY = "application/vnd.plotly.v1+json"

_QUESTION = re.compile(r"\*\*Question[.:]?\*\*[.:]?\s*(.+?)(?:\n\s*\n|\Z)", re.S)
_HEADING = re.compile(r"<(/?)h([1-6])\b")
_FIRST_HEADING = re.compile(r"<h1\b[^>]*>(.*?)</h1>", re.S)
_UNDRAWN = re.compile(r"<!DOCTYPE[^>]*>|<metadata\b.*?</metadata\s*>|<!--.*?-->", re.I | re.S)
_PICTURES = ("image/png", "image/jpeg", "image/webp", "image/gif")


def notebook_story(path: Path) -> Narrative:
    """Raises `ValueError` naming the file where it is no notebook."""
    title, question = "", ""
    blocks: list[Block] = []
    for number, cell in enumerate(_cells(path), start=1):
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
    for number, cell in enumerate(_cells(path), start=1):
        for output in _outputs(cell):
            data = output.get("data")
            if not isinstance(data, dict):
                continue
            for kind in set(_PICTURES) & set(data):
                with suppress(ValueError):
                    yield f"cell {number}", base64.b64decode("".join(_joined(data[kind]).split()), validate=True)


def _cells(path: Path) -> list[dict[str, Any]]:
    try:
        return [cell for cell in json.loads(path.read_bytes())["cells"] if isinstance(cell, dict)]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is not a notebook ({error!r:.200}); execute it again with workbench run") from error


def _outputs(cell: Mapping[str, Any]) -> list[dict[str, Any]]:
    outputs = cell.get("outputs")
    return [output for output in outputs if isinstance(output, dict)] if isinstance(outputs, list) else []


def _code_blocks(cell: Mapping[str, Any], source: str, place: str) -> Iterator[Block]:
    if source.strip() and cell.get("cell_type") == "code":
        lines = source.count("\n") + 1
        what = "parameters given" if "injected-parameters" in _tags(cell) else f"code, {lines} line{'s'[: lines > 1]}"
        yield Block(place, f'<details class="code"><summary>{what}</summary>{preformatted(source)}</details>')
    for number, output in enumerate(_outputs(cell), start=1):
        if block := _output_block(output, f"{place}, output {number}"):
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
        traceback = output.get("traceback")
        lines = "\n".join(map(str, traceback)) if isinstance(traceback, list) else _joined(traceback)
        said = foreign_html(f"{output.get('ename')}: {output.get('evalue')}", 1000)
        html = f'<p class="failed">this cell failed: {said}</p><details><summary>traceback</summary>'
        return Block(place, f"{html}{preformatted(lines or str(output.get('evalue')))}</details>")
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
    return Block(place, html, hidden=drawn)


def _one_lower(html: str) -> str:
    """Headings one level lower, as the page's own title is the only one of the first."""
    return _HEADING.sub(lambda match: f"<{match.group(1)}h{min(6, int(match.group(2)) + 1)}", html)


def _plain(markdown: str) -> str:
    """A paragraph of Markdown without its marks."""
    return " ".join(unescape(re.sub(r"<[^>]*>", "", markdown_html(markdown))).split())


def _tags(cell: Mapping[str, Any]) -> list[str]:
    metadata = cell.get("metadata")
    tags = metadata.get("tags") if isinstance(metadata, dict) else None
    return tags if isinstance(tags, list) else []


def _joined(text: Any) -> str:
    """What nbformat stores as a text or as its lines."""
    return "".join(map(str, text)) if isinstance(text, list) else str(text or "")
