"""One raw record, read as a comparison whose images are still as they were written."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from workbench.pairs import aliases
from workbench.pairs.comparison import ImageSource, Task
from workbench.pairs.labels import rank_scores, read_ranks, read_scores
from workbench.pairs.problems import brief


@dataclass(slots=True)
class Record:
    """What a record says, and its `faults`: what is wrong and what to do, one for each."""

    id: str | None = None
    task: Task = "t2i"
    prompt: str = ""
    images: list[ImageSource] = field(default_factory=list)
    source_image: ImageSource | None = None
    ranks: tuple[int, ...] | None = None
    scores: tuple[float, ...] | None = None
    tags: dict[str, str] = field(default_factory=dict)
    faults: list[tuple[str, str]] = field(default_factory=list)

    def content_id(self) -> str:
        """An id that depends on task, prompt and images as written, so that it survives reordering and relabelling."""
        images = [_written(image) for image in (self.source_image, *self.images)]
        return hashlib.sha256(json.dumps([self.task, self.prompt, images]).encode()).hexdigest()[:12]


def declared_task(raw: Mapping[str, Any]) -> Task | None:
    """The task a record names, if it names a known one."""
    return aliases.read_task(raw.get("task")) or aliases.read_task(raw.get("task_type"))


def read_record(raw: Mapping[str, Any], file_name: str, task: Task | None = None) -> Record:
    """Read a record of our format or any of ARR's; one that names no task has `task`, or what its keys suggest."""
    record = Record()
    record.task = declared_task(raw) or task or aliases.infer_task(raw, file_name)
    for key, nearest in aliases.unknown_keys(raw):
        hint = f"did you mean {nearest}?" if nearest else f"keys are {', '.join(aliases.OWN_KEYS)}"
        record.faults.append((f"unknown key {brief(key)}", hint))
    if raw.get("task") is not None and aliases.read_task(raw["task"]) is None:
        record.faults.append((f"task {brief(raw['task'])} is unknown", "write t2i or edit"))
    _read_id(raw, record)
    _read_prompt(raw, record)
    _read_images(raw, record)
    _read_labels(raw, record)
    _read_tags(raw, record)
    _check_counts(raw, record)
    return record


def _read_id(raw: Mapping[str, Any], record: Record) -> None:
    value = raw.get("id")
    if isinstance(value, str | int) and not isinstance(value, bool) and str(value).strip() and is_unicode(str(value)):
        record.id = str(value)
    elif value is not None:
        record.faults.append((f"id {brief(value)} is not a name", "write a string, or leave the id out"))


def _read_prompt(raw: Mapping[str, Any], record: Record) -> None:
    key, value = aliases.first(raw, aliases.PROMPT_KEYS)
    if isinstance(value, str) and value.strip() and is_unicode(value):
        record.prompt = value
    elif isinstance(value, str) and not is_unicode(value):
        record.faults.append(("the prompt holds half a surrogate pair", "correct its \\u escapes"))
    elif key is None or isinstance(value, str):
        record.faults.append(("no prompt", "add the text the images were made from, under prompt"))
    else:
        record.faults.append((f"{key} {brief(value)} is not text", "put it in quotes"))


def _read_images(raw: Mapping[str, Any], record: Record) -> None:
    key, value = aliases.first(raw, aliases.T2I_KEYS if record.task == "t2i" else aliases.EDIT_KEYS)
    values = value if isinstance(value, list | tuple) else [] if value is None else [value]
    images = [image for image in (_image(item) for item in values) if image is not None]
    if len(images) != len(values):
        record.faults.append((f"{key} holds something that is no path, URL or image", "give a list of paths"))
    source_key, source = aliases.first(raw, aliases.SOURCE_KEYS)
    if record.task == "edit":
        if source_key is not None:
            record.source_image = _image(source)
            if record.source_image is None:
                record.faults.append((f"{source_key} {brief(source)} is no path, URL or image", "give one path"))
        elif aliases.base_comes_first(raw, len(images)):
            record.source_image = images.pop(0)
        elif not aliases.is_arr(raw):
            record.faults.append(
                ("an edit without source_image", "add the image that was edited, or make the task t2i")
            )
    elif source_key is not None and not aliases.is_arr(raw):
        record.faults.append(("source_image in a t2i comparison", "remove it, or make the task edit"))
    record.images = images


def _image(value: object) -> ImageSource | None:
    if isinstance(value, dict):  # an image inside a Parquet file
        value = value.get("bytes") or value.get("path")
    return value if isinstance(value, str | bytes) and value else None


def _read_labels(raw: Mapping[str, Any], record: Record) -> None:
    rank_key, ranks = aliases.first(raw, aliases.RANK_KEYS)
    score_key, scores = aliases.first(raw, aliases.SCORE_KEYS)
    for keys in (aliases.RANK_KEYS, aliases.SCORE_KEYS):
        if all(raw.get(key) is not None for key in keys):
            record.faults.append((f"both {' and '.join(keys)}", "keep one of them"))
    try:
        if rank_key is not None:
            record.ranks = read_ranks(ranks)
        if score_key is not None:
            record.scores = read_scores(scores)
    except (ValueError, OverflowError) as error:
        record.faults.append((str(error), "write one rank per image, 1 is best, equal ranks are ties"))
    if record.scores is not None and len(record.scores) > 1 and record.ranks is None:
        record.ranks = rank_scores(record.scores)


def _read_tags(raw: Mapping[str, Any], record: Record) -> None:
    tags = raw.get("tags")
    if tags is not None and not isinstance(tags, dict):
        record.faults.append((f"tags {brief(tags)} are not an object", 'write for example {"style": "photo"}'))
        return
    for key, value in (tags or {}).items():
        if isinstance(value, str | int | float) and is_unicode(f"{key}{value}"):
            record.tags[str(key)] = value if isinstance(value, str) else json.dumps(value)
        else:
            record.faults.append((f"tag {key} is {brief(value)}", "give each tag one word or number"))
    kind = raw.get("task_type")
    if kind is not None and aliases.read_task(kind) is None:
        words = kind if isinstance(kind, list | tuple) else [kind]
        record.tags.setdefault("task_type", ", ".join(str(word) for word in words))


def _check_counts(raw: Mapping[str, Any], record: Record) -> None:
    n = len(record.images)
    pointwise = n == 1 and record.scores is not None and record.ranks is None
    if n < 2 and not pointwise:
        where = "images" if not aliases.is_arr(raw) else "images, response, image_paths or edited_images"
        record.faults.append(
            (f"{n or 'no'} image{'s' if n != 1 else ''} to compare", f"give at least two under {where}")
        )
        return
    for name, label in (("ranks", record.ranks), ("scores", record.scores)):
        if label is not None and len(label) != n:
            record.faults.append((f"{len(label)} {name} for {n} images", "give one per image, in the images' order"))
            return


def is_unicode(text: str) -> bool:
    """Whether the text can be written to a file; JSON's escapes can spell halves of characters that cannot."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _written(source: ImageSource | None) -> str | None:
    return hashlib.sha256(source).hexdigest() if isinstance(source, bytes) else source
