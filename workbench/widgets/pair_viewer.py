"""Looking at pairs in a notebook: images under one zoom, verdicts and reasons of several judges, labels by key."""

import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from workbench.annotations.annotation import Annotation, default_author
from workbench.annotations.log import AnnotationLog
from workbench.evaluation.record import VerdictRecord
from workbench.foreign import displayable
from workbench.html import FONT
from workbench.pairs.comparison import Comparison, letter
from workbench.vlm.cache import Cache, Entry, default_path
from workbench.vlm.errors import StorageFailed
from workbench.vlm.exchange import exchange_of
from workbench.widgets.kernel_widget import KernelWidget, asset
from workbench.widgets.pair_grid import pair_grid
from workbench.widgets.pair_views import annotation_view, by_pair, index_row, pair_view, shown_names
from workbench.widgets.viewer_images import ViewerImages

STATIC_PAIRS = 4

VIEWER_SCRIPTS = (
    "dom.js",
    "words.js",
    "keys.js",
    "difference.js",
    "panes.js",
    "strip.js",
    "verdicts.js",
    "filters.js",
    "layout.js",
    "viewer.js",
)
"""What `mountViewer` consists of, in this order, without a kernel."""

VIEWER_STYLES = ("base.css", "viewer.css")


class PairViewer(KernelWidget):
    """A whole dataset in one viewer; `?` lists its keys. Nothing of it is stored in the notebook but a static excerpt.

        PairViewer(comparisons, {"before": before, "after": after}, baseline="before", annotations="labels.jsonl")

    - `judges`: verdicts by the name to show them under.
    - `baseline`: the judge that flips are relative to.
    - `annotations`: the file labels go to, at once; None only shows. A file that holds anything else is left alone.
    - `author`: who labels, `default_author()` unless given.
    - `rubric`: the hash of the rubric in view, kept with labels.
    - `cache`: the response cache to look requests and raw replies up in; None is the one all runs share.
    - `notes`: a word to put over a pair, such as `fixed`, by pair id.
    - `base_url`: of the server, for the requests shown. - `allow_urls`: fetch http(s) images.
    - `synthetic`: whether pairs or judges are of the embedded world, which is told then.

    Raises `ValueError` for a baseline that is no judge, and for two pairs with one id.
    """

    _esm = asset(*VIEWER_SCRIPTS, "kernel.js", "viewer_kernel.js")
    _css = asset(*VIEWER_STYLES)

    def __init__(
        self,
        comparisons: Iterable[Comparison],
        judges: Mapping[str, Iterable[VerdictRecord]] | None = None,
        *,
        baseline: str | None = None,
        annotations: str | Path | None = None,
        author: str = "",
        rubric: str | None = None,
        cache: Path | None = None,
        notes: Mapping[str, str] | None = None,
        base_url: str = "",
        allow_urls: bool = False,
        synthetic: bool = False,
    ) -> None:
        judges = judges or {}
        if baseline is not None and baseline not in judges:
            raise ValueError(f"baseline is {baseline!r}, which is not among the judges: {', '.join(judges) or 'none'}")
        every = list(comparisons)
        self._pairs = {each.id: each for each in every}
        if len(self._pairs) < len(every):
            ids = [each.id for each in every]
            twice = next(id for id in ids if ids.count(id) > 1)
            raise ValueError(f"comparisons hold two pairs with the id {twice!r}: ids must differ")
        names = shown_names(judges)
        self._judges = list(names.values())
        self._said = by_pair(judges)
        self._baseline = names[baseline] if baseline is not None else None
        self._author = author or default_author()
        self._rubric = rubric
        self._notes = dict(notes or {})
        self._base_url = base_url
        self._cache = Cache(cache or default_path())
        self._allow_urls = allow_urls
        self._synthetic = synthetic
        self._images = ViewerImages(allow_urls=allow_urls)
        self._lock = threading.Lock()
        self._saying = threading.Lock()
        self._chosen: Sequence[str] | None = None
        self._start: str | None = None
        self._log, self._problem = _open_log(annotations)
        super().__init__()

    def show(self, pair_id: str) -> None:
        """Open this pair, in every tab. Raises `ValueError` for an unknown id."""
        self._pair(pair_id)
        with self._lock:
            self._start = pair_id
        self.tell("open", {"id": pair_id})

    def filter(self, ids: Iterable[str] | None) -> None:
        """Keep only these pairs, in this order; None shows all again. Raises `ValueError` for an unknown id."""
        chosen = None if ids is None else list(dict.fromkeys(ids))
        for pair_id in chosen or ():
            self._pair(pair_id)
        with self._lock:
            self._chosen, self._start = chosen, None
        self.tell("changed", {"id": None})

    def to_html(self) -> str:
        """The first few pairs with what was said about them, and how many there are."""
        chosen = self._shown()
        few = chosen[:STATIC_PAIRS]
        judges = {
            judge: {pair.id: self._said.get(pair.id, {}).get(judge, ()) for pair in few} for judge in self._judges
        }
        rest = f"{len(chosen):,} pairs, of which the first {len(few)} are shown here" if len(chosen) > len(few) else ""
        line = f"{rest or f'{len(chosen):,} pairs'}; the interactive viewer needs a running kernel."
        synthetic = " Synthetic: from the embedded world." if self._synthetic else ""
        grid = pair_grid(few, judges, notes=self._notes)
        return f'<div style="{FONT}">{line}{synthetic}</div>{grid}'

    def answer_about(self) -> dict[str, Any]:
        """What stays as it is while the viewer is open."""
        return {
            "judges": self._judges,
            "author": displayable(self._author, 120),
            "writable": self._log is not None,
            "problem": displayable(self._problem, 2000),
            "baseline": self._baseline,
            "synthetic": self._synthetic,
            "start": self._start or next((pair.id for pair in self._shown()), None),
        }

    def answer_index(self) -> list[dict[str, Any]]:
        """A row for every pair that `filter` keeps."""
        people = self._people()
        return [self._row(pair, people.get(pair.id, [])) for pair in self._shown()]

    def answer_pair(self, id: str) -> dict[str, Any]:
        """One pair in full."""
        pair = self._pair(id)
        people = self._people(id).get(id, [])
        return pair_view(pair, self._said_of(pair), people, note=self._notes.get(id, ""))

    def answer_search(self, text: str) -> list[str]:
        """Ids of pairs that have `text` anywhere: in id, prompt, tags, reasons or notes."""
        wanted = text.casefold()
        people = self._people()
        return [pair.id for pair in self._shown() if wanted in self._text(pair, people.get(pair.id, ())).casefold()]

    def answer_image(self, key: str, size: str) -> tuple[str, list[bytes]]:
        """MIME type and data of an image, `thumb` or `full`."""
        pair_id, _, slot = key.rpartition("/")
        pair = self._pair(pair_id)
        source = pair.source_image if slot == "source" else pair.images[int(slot)]
        if source is None:
            raise ValueError(f"the pair {displayable(pair_id, 120)} has no source image")
        mime, data = self._images.thumb(key, source) if size == "thumb" else self._images.full(source)
        return mime, [data]

    def answer_exchange(self, key: str) -> dict[str, Any] | None:
        """The request behind a cache key as curl, and the raw reply; None where it is not in the cache."""
        pair_id = next((id for id, said in self._said.items() if _has_key(said, key)), None)
        if pair_id is None:
            return None
        entry = self._entry(key)
        if entry is None:
            return None
        pair = self._pair(pair_id)
        images = [image for image in (pair.source_image, *pair.images) if image is not None]
        found = exchange_of(entry, images, base_url=self._base_url, allow_urls=self._allow_urls)
        note, facts = displayable(found.note, 2000), displayable(found.facts, 2000)
        return {"request": found.curl, "reply": displayable(found.reply, 200_000), "note": note, "facts": facts}

    def answer_annotate(self, pair_id: str, **change: Any) -> dict[str, Any]:
        """Write a `label`, a `note` or both at once, and tell every tab; the one not given stays as it is on disk."""
        pair = self._pair(pair_id)
        if self._log is None:
            raise ValueError(self._problem)
        allowed = [letter(index) for index in range(len(pair.images))]
        if change.get("label") not in (*allowed, "tie", "skip", None):
            raise ValueError(f"label is {change['label']!r}, must be one of {', '.join(allowed)}, tie, skip")
        with self._saying:
            before = self._log.latest().get((pair_id, self._author))
            kept = {"label": before.label, "note": before.note} if before else {"label": None}
            annotation = Annotation.of(pair, self._author, **{**kept, **change}, rubric=self._rubric)
            try:
                self._log.append(annotation)
            except StorageFailed as error:
                raise ValueError(str(error)) from error
        self.tell("row", {"row": self._row(pair, self._people(pair_id).get(pair_id, []))})
        return annotation_view(annotation)

    def _pair(self, pair_id: str) -> Comparison:
        try:
            return self._pairs[pair_id]
        except KeyError:
            raise ValueError(
                f"no pair has the id {displayable(pair_id, 120)!r}; the viewer has {len(self._pairs):,}"
            ) from None

    def _shown(self) -> list[Comparison]:
        with self._lock:
            chosen = self._chosen
        return [self._pairs[id] for id in (self._pairs if chosen is None else chosen)]

    def _people(self, pair_id: str | None = None) -> dict[str, list[Annotation]]:
        """The latest annotation of each person, of all pairs or one, by pair, oldest first."""
        if self._log is None:
            return {}
        latest = [each for (id, _), each in self._log.latest().items() if pair_id in (None, id)]
        people: dict[str, list[Annotation]] = {}
        for annotation in sorted(latest, key=lambda each: each.moment):
            people.setdefault(annotation.pair_id, []).append(annotation)
        return people

    def _row(self, pair: Comparison, people: Sequence[Annotation]) -> dict[str, Any]:
        return index_row(pair, self._said_of(pair), people, author=self._author, baseline=self._baseline)

    def _said_of(self, pair: Comparison) -> dict[str, list[VerdictRecord]]:
        said = self._said.get(pair.id, {})
        return {judge: said.get(judge, []) for judge in self._judges}

    def _entry(self, key: str) -> Entry | None:
        if not self._cache.path.is_file():  # opening it would make one
            return None
        try:
            with self._lock:
                return self._cache.entry(key)
        except StorageFailed as error:
            raise ValueError(str(error)) from error

    def _text(self, pair: Comparison, people: Sequence[Annotation]) -> str:
        said = (
            text
            for records in self._said.get(pair.id, {}).values()
            for each in records
            for text in (each.reason, each.detail)
        )
        tags = (text for tag in pair.tags.items() for text in tag)
        return "\n".join((pair.id, pair.prompt, *tags, *said, *(each.note for each in people)))


def _open_log(path: str | Path | None) -> tuple[AnnotationLog | None, str]:
    """The log, or why there is none to write to."""
    if path is None:
        return None, 'labels are not kept: PairViewer(..., annotations="annotations.jsonl") names a file for them'
    try:
        return AnnotationLog(path), ""
    except (ValueError, OSError) as error:
        return None, f"labels are not kept: {error}"


def _has_key(said: Mapping[str, Sequence[VerdictRecord]], key: str) -> bool:
    return any(key in record.keys for records in said.values() for record in records)
