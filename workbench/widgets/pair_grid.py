"""Pairs as plain HTML: prompt, images, the human label and what a judge said. Needs no kernel and no script."""

import base64
import io
from collections.abc import Iterable, Mapping
from html import escape

from PIL import Image

from workbench.evaluation.record import VerdictRecord
from workbench.pairs.comparison import Comparison, ImageSource
from workbench.pairs.images import decode
from workbench.pairs.sources import read_bytes

_CARD = (
    "display:inline-block;vertical-align:top;margin:0 16px 16px 0;padding:8px 10px;"
    "border:1px solid #8885;border-radius:8px"
)
_PICTURE = "display:inline-block;vertical-align:top;margin:4px 6px 0 0;text-align:center;font-size:12px"
_LONGEST_TEXT = 400


def pair_grid(
    comparisons: Iterable[Comparison],
    records: Mapping[str, Iterable[VerdictRecord]] | None = None,
    *,
    side: int = 160,
) -> str:
    """HTML of a few comparisons with previews of at most `side` pixels; all text in it is escaped.

    - `records`: verdicts to show under the images, by pair id.
    """
    cards = [_card(comparison, (records or {}).get(comparison.id, ()), side) for comparison in comparisons]
    return f'<div style="font-family:system-ui,sans-serif;font-size:13px">{"".join(cards)}</div>'


def _card(comparison: Comparison, records: Iterable[VerdictRecord], side: int) -> str:
    pictures = []
    if comparison.source_image is not None:
        pictures.append(_picture(comparison.source_image, "source", side, preferred=False))
    ranks = comparison.ranks
    for index, image in enumerate(comparison.images):
        preferred = ranks is not None and ranks[index] == 1
        caption = f"{chr(ord('a') + index)}{' · people prefer' if preferred else ''}"
        pictures.append(_picture(image, caption, side, preferred))
    width = (side + 16) * len(pictures)
    lines = "".join(_verdict(record) for record in records)
    head = f'<div style="max-width:{width}px"><b>{_text(comparison.prompt)}</b></div>'
    return (
        f'<div style="{_CARD}">{head}<div>{"".join(pictures)}</div><div style="max-width:{width}px">{lines}</div></div>'
    )


def _picture(source: ImageSource, caption: str, side: int, preferred: bool) -> str:
    border = "3px solid #009E73" if preferred else "3px solid transparent"
    image = f'<img src="{preview(source, side)}" alt="{escape(caption)}" style="border:{border};border-radius:4px">'
    return f'<span style="{_PICTURE}">{image}<br>{escape(caption)}</span>'


def _verdict(record: VerdictRecord) -> str:
    mark = {True: "✓ right", False: "✗ wrong", None: ""}[record.correct]
    said = record.reason or record.detail
    shown = ", ".join(chr(ord("a") + index) for index in record.shown)
    return (
        f'<div style="margin-top:6px">shown {shown}: <b>{escape(record.outcome)}</b> {mark}<br>'
        f'<span style="opacity:.8">{_text(said)}</span></div>'
    )


def _text(text: str) -> str:
    cut = text if len(text) <= _LONGEST_TEXT else text[:_LONGEST_TEXT] + " … (cut)"
    # Half of a surrogate pair, which JSON can hold and no file of text can, would keep the notebook from being saved.
    whole = cut.encode("utf-8", "replace").decode("utf-8")
    return f"<bdi>{escape(whole)}</bdi>"


def preview(source: ImageSource, side: int) -> str:
    """A `data:` URL of the image scaled to at most `side` pixels, without metadata."""
    image = decode(read_bytes(source))
    scale = min(1.0, side / max(image.size))
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    buffer = io.BytesIO()
    image.resize(size, Image.Resampling.LANCZOS).save(buffer, "WEBP", quality=90)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"
