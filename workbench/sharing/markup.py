"""HTML and Markdown that somebody else wrote, made fit for a page: no script, no request, no style beyond its text."""

import base64
import binascii
import io
import re
import secrets
from html import escape, unescape

import bleach  # type: ignore[import-untyped]
from bleach.css_sanitizer import CSSSanitizer  # type: ignore[import-untyped]
from mistune import create_markdown
from PIL import Image

from workbench.foreign import displayable
from workbench.pairs.images import decode
from workbench.pairs.sources import MAX_BYTES, ImageError

LONGEST = 400_000
"""Characters of one HTML output that are taken, its pictures not counted."""

TAGS = frozenset((
    "a", "abbr", "b", "bdi", "blockquote", "br", "caption", "code", "col", "colgroup", "dd", "del", "details",
    "div", "dl", "dt", "em", "figcaption", "figure", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "img", "ins",
    "kbd", "li", "mark", "ol", "p", "pre", "q", "s", "samp", "section", "small", "span", "strong", "sub", "summary",
    "sup", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "tt", "u", "ul", "var",
))  # fmt: skip
_ATTRIBUTES = frozenset(("align", "alt", "aria-hidden", "colspan", "dir", "lang", "open", "rowspan", "scope", "style"))
_CSS = frozenset((
    "align-items", "background", "background-color", "border", "border-bottom", "border-collapse", "border-color",
    "border-left", "border-radius", "border-right", "border-spacing", "border-style", "border-top", "border-width",
    "box-sizing", "color", "column-gap", "display", "flex", "flex-direction", "flex-wrap", "font", "font-family",
    "font-size", "font-style", "font-variant", "font-weight", "gap", "grid-template-columns", "height",
    "justify-content", "letter-spacing", "line-height", "list-style", "list-style-type", "margin", "margin-bottom",
    "margin-left", "margin-right", "margin-top", "max-height", "max-width", "min-height", "min-width", "opacity",
    "overflow", "overflow-wrap", "overflow-x", "overflow-y", "padding", "padding-bottom", "padding-left",
    "padding-right", "padding-top", "row-gap", "table-layout", "text-align", "text-decoration", "text-indent",
    "text-overflow", "text-transform", "vertical-align", "white-space", "width", "word-break", "word-wrap",
))  # fmt: skip
_WHOLE = re.compile(r"<(script|style|template|noscript|iframe|object|svg|math)\b.*?(?:</\1\s*>|\Z)", re.I | re.S)
_PICTURE = re.compile(r"data:image/(?:png|jpeg|webp|gif);base64,([A-Za-z0-9+/=\s]+)")
_MARKED_PICTURE = re.compile(r'src="wb-picture-([0-9a-f]+)-(\d+)"')
_HARMLESS = frozenset((
    "dpi", "gamma", "srgb", "transparency", "progression", "progressive", "jfif", "jfif_version", "jfif_unit",
    "jfif_density", "adobe", "adobe_transform", "background", "loop", "duration", "timestamp", "interlace",
    "chromaticity", "version", "extension", "compression",
))  # fmt: skip

_COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")

_markdown = create_markdown(escape=False, plugins=["table", "strikethrough", "task_lists", "footnotes"])


class _Styles(CSSSanitizer):  # type: ignore[misc]
    """Bleach's, without values that name anything outside the page."""

    def sanitize_css(self, style: str) -> str:
        kept = str(super().sanitize_css(style))
        return "" if re.search(r"url|image|expression|@|\\|/\*", kept, re.I) else kept


def clean_html(html: str) -> str:
    """Markup of a notebook's output without anything that acts: text, tables, lists and pictures inside it remain.

    Pictures lose their metadata; links lead to the web, or to a place in the page. What is behind `LONGEST`
    characters is cut.
    """
    nonce, pictures = secrets.token_hex(8), list[str]()

    def aside(match: re.Match[str]) -> str:
        pictures.append(match.group())
        return f"wb-picture-{nonce}-{len(pictures) - 1}"

    short = _PICTURE.sub(aside, html)
    text = displayable(_WHOLE.sub("", short), LONGEST)
    cleaned = bleach.Cleaner(
        tags=TAGS,
        attributes=lambda tag, name, value: _allowed(tag, name, value, nonce),
        protocols=("http", "https", "mailto"),
        css_sanitizer=_Styles(allowed_css_properties=_CSS),
        strip=True,
    ).clean(text)

    def back(match: re.Match[str]) -> str:
        known = match.group(1) == nonce and int(match.group(2)) < len(pictures)
        url = clean_picture(pictures[int(match.group(2))]) if known else None
        return f'src="{url}"' if url else 'alt="a picture that cannot be read"'

    return _MARKED_PICTURE.sub(back, str(cleaned)).replace("<a ", '<a rel="noopener noreferrer" ')


def markdown_html(text: str) -> str:
    """Markdown as HTML, as clean as `clean_html` leaves it."""
    return clean_html(str(_markdown(text)))


def clean_picture(url: str) -> str | None:
    """A `data:` URL of PNG, JPEG, WebP or GIF that holds pixels and nothing else; None if it cannot be read."""
    match = _PICTURE.fullmatch(url)
    if not match or len(url) > 2 * MAX_BYTES:
        return None
    try:
        data = base64.b64decode("".join(match.group(1).split()), validate=True)
        if not metadata_of(data):
            return f"{url[: match.start(1)]}{base64.b64encode(data).decode()}"
        buffer = io.BytesIO()
        decode(data).save(buffer, "PNG", optimize=True)
    except (binascii.Error, ImageError):
        return None
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def metadata_of(data: bytes) -> list[str]:
    """What an image file holds besides its pixels, such as `exif` or `comment`. Raises `ImageError`."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            found = {str(name).lower() for name in image.info}
            if image.format == "PNG":
                image.load()  # texts may stand behind the pixels
                found |= {str(name).lower() for name in image.info}
            if image.getexif():
                found.add("exif")
    except Exception as error:  # Pillow's plugins raise nearly anything on a damaged file
        raise ImageError(f"not a readable image file ({error})") from error
    return sorted(name for name in found if name not in _HARMLESS and name != "icc_profile")


def plain_text(html: str) -> str:
    """The words of cleaned markup and what its attributes say, pictures left out, to be searched."""
    short = _PICTURE.sub("", html)
    return f"{unescape(re.sub(r'<[^>]*>', '', short))}\n{unescape(short)}"


def preformatted(text: str, limit: int = 20_000) -> str:
    """Text of a program as it is, colours of terminals left out."""
    return f"<pre>{escape(displayable(_COLOURS.sub('', text), limit))}</pre>"


def _allowed(tag: str, name: str, value: str, nonce: str) -> bool:
    if tag == "img" and name == "src":
        return value.startswith(f"wb-picture-{nonce}-")
    if tag == "a" and name == "href":
        return value.startswith("#") or bool(re.match(r"(?:https?|mailto):", value, re.I))
    return name in _ATTRIBUTES
