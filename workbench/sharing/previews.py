"""Small pictures for a shared page: each picture once, by the hash of its preview, without metadata."""

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import PurePath

from workbench.pairs.comparison import Comparison, ImageSource
from workbench.pairs.images import encode_preview
from workbench.pairs.sources import ImageError, is_data_url, is_url, read_bytes
from workbench.progress import Progress

SIDE = 448
"""Pixels of a preview's longest side."""

QUALITIES = (80, 70, 60, 50)
"""Of WebP, the best first; beyond the last one pictures would no longer show what judges speak of."""

MOST_BYTES = 18 * 2**20
"""Of all previews; as text in a page they take a third more."""

_SAMPLED = 24


@dataclass(frozen=True, slots=True)
class Previews:
    """WebP files by key, and the key of every picture that was asked for.

    - `problems`: for the key of a picture that cannot be shown, why.
    """

    encoded: Mapping[str, bytes] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)
    keys: Mapping[ImageSource, str] = field(default_factory=dict)


def make_previews(comparisons: Iterable[Comparison], side: int = SIDE) -> Previews:
    """Previews of all pictures, a thread a core; one that cannot be read becomes a problem, not an error."""
    sources = list(dict.fromkeys(source for each in comparisons for source in pictures_of(each)))
    encoded: dict[str, bytes] = {}
    problems: dict[str, str] = {}
    keys: dict[ImageSource, str] = {}
    with ThreadPoolExecutor(os.cpu_count() or 1) as threads, Progress("previews", len(sources)) as progress:
        quality = _fitting(sources, side)
        for source, made in zip(sources, threads.map(lambda each: _preview(each, side, quality), sources), strict=True):
            progress.advance()
            if isinstance(made, bytes):
                keys[source] = f"i{hashlib.sha256(made).hexdigest()[:20]}"
                encoded[keys[source]] = made
            else:
                keys[source] = f"x{len(problems)}"
                problems[keys[source]] = made
    return Previews(encoded, problems, keys)


def pictures_of(comparison: Comparison) -> tuple[ImageSource, ...]:
    """The candidates, then the source of an edit."""
    return (*comparison.images, *([comparison.source_image] if comparison.source_image is not None else []))


def _fitting(sources: Sequence[ImageSource], side: int) -> int:
    """The best quality at which all of them fit into `MOST_BYTES`, going by a sample; the last if none does."""
    sample = sources[:: max(1, len(sources) // _SAMPLED)]
    for quality in QUALITIES[:-1]:
        made = [each for each in (_preview(source, side, quality) for source in sample) if isinstance(each, bytes)]
        if sum(map(len, made)) * len(sources) <= MOST_BYTES * max(1, len(made)):
            return quality
    return QUALITIES[-1]


def _preview(source: ImageSource, side: int, quality: int) -> bytes | str:
    try:
        return encode_preview(read_bytes(source), side, quality)
    except ImageError:
        return f"{_named(source)} could not be read when this page was written"


def _named(source: ImageSource) -> str:
    """A picture's name without its folder, which would tell where somebody keeps their files."""
    if isinstance(source, bytes) or is_data_url(source):
        return "a picture inside the dataset's file"
    return "a picture behind a URL" if is_url(source) else f"the picture {PurePath(source).name}"
