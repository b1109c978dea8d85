"""What one person said about one comparison at one time: a label, a note, or both."""

import getpass
import hashlib
import json
import os
import re
import unicodedata
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError

from workbench.pairs.comparison import Comparison
from workbench.pairs.content import Content, contents
from workbench.pairs.problems import brief
from workbench.runs.storage import first_fault
from workbench.vlm.json_text import clean_text

SCHEMA = "workbench.annotation/1"
LONGEST_NOTE = 20_000
LONGEST_NAME = 200
TIE, SKIP = "tie", "skip"

_LABEL = re.compile(r"[a-z]|tie|skip")


@dataclass(frozen=True, slots=True)
class Annotation:
    """A person's word on a comparison. Of several by one `author` on one `pair_id` the last counts.

    - `time`: UTC, ISO 8601, to the second or finer: `2026-11-21T10:00:00.250000+00:00`.
    - `label`: `a`, `b`, ... for the candidate preferred, in the dataset's order; `tie`; `skip` for no opinion; None
      where there is only a note, or where an earlier label is taken back.
    - `rubric`, `dataset`: hashes of the rubric in view and of the dataset; None where there was none, or not known.
    - `content`: `content_hash` of the comparison, by which it is found again under another id.

    Author and note are other people's text: show them through `workbench.foreign` alone. Raises `ValueError`
    naming the field, its value and what is allowed.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    pair_id: str
    author: str
    time: str
    label: str | None
    note: str = ""
    rubric: str | None = None
    dataset: str | None = None
    content: str | None = None
    schema: Literal["workbench.annotation/1"] = "workbench.annotation/1"

    def __post_init__(self) -> None:
        for name in ("pair_id", "author", "note"):
            object.__setattr__(self, name, clean_text(getattr(self, name)))
        if not self.pair_id:
            raise ValueError("pair_id is empty; name the comparison")
        if not self.author.strip() or len(self.author) > LONGEST_NAME:
            raise ValueError(f"author {brief(self.author)} must be a name of 1 to {LONGEST_NAME} characters")
        if self.label is not None and not _LABEL.fullmatch(self.label):
            raise ValueError(f"label {brief(self.label)} must be a letter from a to z, tie, skip, or null")
        if len(self.note) > LONGEST_NOTE:
            raise ValueError(
                f"note has {len(self.note):,} characters; at most {LONGEST_NOTE:,} are kept with a pair: shorten it"
            )
        moment(self.time)

    @classmethod
    def of(
        cls,
        comparison: Comparison,
        author: str,
        label: str | None,
        note: str = "",
        *,
        rubric: str | None = None,
        dataset: str | None = None,
    ) -> "Annotation":
        """What `author` says about `comparison` now; its images are read for `content`."""
        return cls(comparison.id, author, now(), label, note, rubric, dataset, content_hash(comparison))

    @property
    def key(self) -> tuple[str, str]:
        """What makes two lines one person's word on one pair; the later line counts."""
        return self.pair_id, self.author

    @property
    def moment(self) -> datetime:
        """`time` as something that sorts."""
        return moment(self.time)

    def to_line(self) -> bytes:
        """The annotation as one line of JSON, its schema first and its newline included."""
        return json.dumps({"schema": self.schema, **asdict(self)}, ensure_ascii=False).encode() + b"\n"


_ADAPTER = TypeAdapter(Annotation)


def read_annotation(record: Any) -> Annotation:
    """The annotation that decoded JSON holds. Raises `ValueError` saying what is wrong with it."""
    if not isinstance(record, dict):
        raise ValueError(f"it is a JSON {type(record).__name__}, not an object")
    if record.get("schema") != SCHEMA:
        raise ValueError(f"its schema is {brief(str(record.get('schema')))}, not '{SCHEMA}'")
    try:
        return _ADAPTER.validate_python(record)
    except ValidationError as error:
        raise ValueError(first_fault(error).removeprefix("Value error, ")) from error


def content_hash(comparison: Comparison) -> str:
    """SHA-256 of what people were shown: task, prompt, and images in their order, whatever their names and ids."""
    return hash_content(contents([comparison])[comparison.id])


def hash_content(content: Content) -> str:
    """`content_hash` of a comparison whose images have been read already."""
    shown = [content.task, content.prompt, content.source, *content.images]
    return hashlib.sha256(json.dumps(shown).encode()).hexdigest()


def default_author() -> str:
    """`WORKBENCH_AUTHOR`, else the login name, else `unknown`."""
    try:
        name = os.environ.get("WORKBENCH_AUTHOR", "").strip() or getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        name = ""
    return clean_text(name)[:LONGEST_NAME] or "unknown"


def now() -> str:
    """The time in UTC, to the microsecond, so that what one person says twice keeps its order."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def moment(time: str) -> datetime:
    """The instant a text names. Raises `ValueError` for anything but UTC to the second or finer."""
    try:
        instant = datetime.fromisoformat(time)
    except ValueError:
        instant = None
    if instant is None or instant.utcoffset() != timedelta(0) or len(time) < len("2026-11-21T10:00:00Z"):
        raise ValueError(f"time {brief(time)} must be UTC in ISO 8601, to the second: 2026-11-21T10:00:00Z")
    return instant


def shown(text: str, longest: int = 40) -> str:
    """A name that other people chose, in one line and without signs that a terminal would obey."""
    plain = "".join(char if char.isprintable() else "·" for char in text)
    return plain if len(plain) <= longest else plain[: longest - 1] + "…"


def plain_name(author: str) -> str:
    """A name without its case, outer spaces and signs nobody sees: two people with one such name may be the same."""
    folded = unicodedata.normalize("NFKC", author).casefold()
    return "".join(char for char in folded if char.isprintable()).strip()
