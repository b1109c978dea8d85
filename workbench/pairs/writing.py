"""Writing comparisons as JSONL."""

import base64
import json
import os
from collections.abc import Iterable, Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

from workbench.atomic import replacing
from workbench.pairs.comparison import Comparison, ImageSource
from workbench.pairs.images import inspect
from workbench.pairs.sources import ImageError, is_data_url, is_url


def write_jsonl(comparisons: Iterable[Comparison], path: str | Path) -> None:
    """Write one comparison a line; the whole file appears at once, or not at all.

    Images in the file's folder are written relative to it, others by their absolute path; bytes become `data:` URLs,
    which `load` turns into bytes again.
    """
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.writelines(_lines(comparisons, path))


def holds(path: str | Path, comparisons: Iterable[Comparison]) -> bool:
    """Whether the file has just what `write_jsonl` would write into it."""
    with Path(path).open("rb") as file:
        return all(there == line for there, line in zip_longest(file, _lines(comparisons, path)))


def _lines(comparisons: Iterable[Comparison], path: str | Path) -> Iterator[bytes]:
    folder = os.path.realpath(Path(path).absolute().parent)
    for comparison in comparisons:
        yield json.dumps(_record(comparison, folder), ensure_ascii=False).encode() + b"\n"


def _record(comparison: Comparison, folder: str) -> dict[str, Any]:
    record: dict[str, Any] = {
        "id": comparison.id,
        "task": comparison.task,
        "prompt": comparison.prompt,
        "images": [_source(image, folder) for image in comparison.images],
    }
    if comparison.source_image is not None:
        record["source_image"] = _source(comparison.source_image, folder)
    if comparison.ranks is not None:
        record["ranks"] = list(comparison.ranks)
    if comparison.scores is not None:
        record["scores"] = list(comparison.scores)
    if comparison.tags:
        record["tags"] = dict(comparison.tags)
    return record


def _source(source: ImageSource, folder: str) -> str:
    if isinstance(source, bytes):
        return f"data:{_mime(source)};base64,{base64.b64encode(source).decode()}"
    if is_url(source) or is_data_url(source):
        return source
    path = os.path.abspath(source)
    inside = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
    return os.path.relpath(inside, folder) if inside.startswith(folder + os.sep) else path


def _mime(data: bytes) -> str:
    try:
        return f"image/{inspect(data).format.lower()}"
    except ImageError:
        return "application/octet-stream"
