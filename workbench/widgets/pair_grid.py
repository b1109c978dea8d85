"""Pairs as plain HTML: prompt, images, the human label and what a judge said. Needs no kernel and no script."""

import base64
from collections.abc import Iterable, Mapping
from html import escape

from workbench.evaluation.record import VerdictRecord
from workbench.foreign import foreign_html
from workbench.html import FONT
from workbench.pairs.comparison import Comparison, ImageSource
from workbench.pairs.images import encode_preview
from workbench.pairs.sources import ImageError, read_bytes

_CARD = (
    "display:inline-block;vertical-align:top;margin:0 16px 16px 0;padding:8px 10px;"
    "border:1px solid #8885;border-radius:8px"
)
_PICTURE = "display:inline-block;vertical-align:top;margin:4px 6px 0 0;text-align:center;font-size:12px"
_MISSING = "box-sizing:border-box;border:2px dashed #b37400;border-radius:4px;padding:6px;overflow-wrap:anywhere"
_LONGEST_TEXT = 400
_QUALITY = 90


def pair_grid(
    comparisons: Iterable[Comparison],
    judges: Mapping[str, Mapping[str, Iterable[VerdictRecord]]] | None = None,
    *,
    notes: Mapping[str, str] | None = None,
    side: int = 160,
) -> str:
    """HTML of a few comparisons with previews of at most `side` pixels; all text in it is escaped, and an image that
    cannot be read is a box that says so.

    - `judges`: verdicts to show under the images, by judge and pair id.
    - `notes`: a word to put over a pair, such as `fixed`, by pair id.
    """
    cards = []
    for comparison in comparisons:
        said = {judge: records.get(comparison.id, ()) for judge, records in (judges or {}).items()}
        cards.append(_card(comparison, said, (notes or {}).get(comparison.id, ""), side))
    return f'<div style="{FONT}">{"".join(cards)}</div>'


def _card(comparison: Comparison, said: Mapping[str, Iterable[VerdictRecord]], note: str, side: int) -> str:
    pictures = []
    if comparison.source_image is not None:
        pictures.append(_picture(comparison.source_image, "source", side, preferred=False))
    ranks = comparison.ranks
    for index, image in enumerate(comparison.images):
        preferred = ranks is not None and ranks[index] == 1
        caption = f"{chr(ord('a') + index)}{' · people prefer' if preferred else ''}"
        pictures.append(_picture(image, caption, side, preferred))
    width = (side + 16) * len(pictures)
    lines = "".join(_verdict(judge, record) for judge, records in said.items() for record in records)
    word = f"{_text(note)}: " if note else ""
    head = f'<div style="max-width:{width}px">{word}<b>{_text(comparison.prompt)}</b></div>'
    return (
        f'<div style="{_CARD}">{head}<div>{"".join(pictures)}</div><div style="max-width:{width}px">{lines}</div></div>'
    )


def _picture(source: ImageSource, caption: str, side: int, preferred: bool) -> str:
    border = "3px solid #009E73" if preferred else "3px solid transparent"
    try:
        image = f'<img src="{preview(source, side)}" alt="{escape(caption)}" style="border:{border};border-radius:4px">'
    except ImageError as error:
        image = f'<div style="{_MISSING};width:{side}px">no image: {_text(str(error))}</div>'
    return f'<span style="{_PICTURE}">{image}<br>{escape(caption)}</span>'


def _verdict(judge: str, record: VerdictRecord) -> str:
    mark = {True: "✓ right", False: "✗ wrong", None: ""}[record.correct]
    said = record.reason or record.detail
    # Reasons speak of Image 1, 2, ... in the order shown; captions of a, b, ... in the dataset's.
    shown = ", ".join(f"{chr(ord('a') + index)} as Image {i}" for i, index in enumerate(record.shown, start=1))
    return (
        f'<div style="margin-top:6px">{_text(judge)}, shown {shown}: <b>{escape(record.outcome)}</b> {mark}<br>'
        f'<span style="opacity:.8">{_text(said)}</span></div>'
    )


def _text(text: str) -> str:
    return foreign_html(text, _LONGEST_TEXT)


def preview(source: ImageSource, side: int) -> str:
    """A `data:` URL of the image scaled to at most `side` pixels, without metadata. Raises `ImageError`."""
    return f"data:image/webp;base64,{base64.b64encode(preview_bytes(source, side)).decode()}"


def preview_bytes(source: ImageSource, side: int, *, allow_urls: bool = False) -> bytes:
    """The same as a WebP file. Raises `ImageError`."""
    return encode_preview(read_bytes(source, allow_urls=allow_urls), side, _QUALITY)
