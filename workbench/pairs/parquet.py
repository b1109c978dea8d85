"""Comparisons in one Parquet file with the images inside.

Columns: `id`, `task`, `prompt`, `images` (list of `{bytes, path}`), `source_image` (`{bytes, path}` or null), `ranks`
(list of integers or null), `scores` (list of numbers or null), `tags` (a JSON object as text).
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from workbench.atomic import replacing
from workbench.pairs.comparison import Comparison, ImageSource
from workbench.pairs.rows import Row
from workbench.pairs.sources import is_data_url, read_bytes

ROWS_AT_ONCE = 64

_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("task", pa.string(), nullable=False),
        pa.field("prompt", pa.string(), nullable=False),
        pa.field("images", pa.list_(_IMAGE), nullable=False),
        pa.field("source_image", _IMAGE),
        pa.field("ranks", pa.list_(pa.int64())),
        pa.field("scores", pa.list_(pa.float64())),
        pa.field("tags", pa.string(), nullable=False),
    ],
    metadata={"schema": "workbench.pairs/1"},
)


def write_parquet(comparisons: Iterable[Comparison], path: str | Path, *, allow_urls: bool = False) -> None:
    """Write comparisons with their images' bytes, unchanged; `load` gives them back with bytes for paths.

    Raises `ImageError` for an image that cannot be read; nothing is left at `path` then.
    """
    waiting = iter(comparisons)
    with replacing(path) as temporary, pq.ParquetWriter(temporary, SCHEMA, compression="zstd") as writer:
        while batch := list(islice(waiting, ROWS_AT_ONCE)):
            writer.write_table(pa.Table.from_pylist([_row(c, allow_urls) for c in batch], schema=SCHEMA))


def read_parquet_rows(path: Path) -> Iterator[Row]:
    """The file's rows as records; numbers of rows count from 1."""
    line = 0
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=ROWS_AT_ONCE):
                for values in batch.to_pylist():
                    line += 1
                    yield _record(line, values)
    except pa.ArrowException as error:
        yield Row(line or None, None, f"is not a whole Parquet file ({error})")


def _row(comparison: Comparison, allow_urls: bool) -> dict[str, Any]:
    source = comparison.source_image
    return {
        "id": comparison.id,
        "task": comparison.task,
        "prompt": comparison.prompt,
        "images": [_image(image, allow_urls) for image in comparison.images],
        "source_image": None if source is None else _image(source, allow_urls),
        "ranks": comparison.ranks,
        "scores": comparison.scores,
        "tags": json.dumps(dict(comparison.tags), ensure_ascii=False),
    }


def _image(source: ImageSource, allow_urls: bool) -> dict[str, Any]:
    data = read_bytes(source, allow_urls=allow_urls)
    named = isinstance(source, str) and not is_data_url(source)
    return {"bytes": data, "path": os.path.basename(str(source)) if named else hashlib.sha256(data).hexdigest()[:16]}


def _record(line: int, values: dict[str, Any]) -> Row:
    record = {key: value for key, value in values.items() if value is not None}
    if isinstance(record.get("tags"), str):
        try:
            record["tags"] = json.loads(record["tags"])
        except ValueError as error:
            return Row(line, None, f"has tags that are not a JSON object ({error})")
    return Row(line, record)
