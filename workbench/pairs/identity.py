"""What makes two datasets the same."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from workbench.pairs.comparison import Comparison, ImageSource
from workbench.pairs.content import hash_image


def dataset_identity(
    dataset: str | Path, comparisons: Iterable[Comparison], *, allow_urls: bool = False
) -> dict[str, str]:
    """`{"name", "hash", "with_ids"}` of the comparisons read from the file `dataset`, for the record of a run.

    - `name`: of the folder, where one is given, and the file.
    - `hash`: SHA-256 of what is compared and how people judged it: task, prompt, image bytes, ranks and scores.
    - `with_ids`: the same with the ids, for files that refer to comparisons by id.

    Tags, image paths and the order of comparisons do not matter; the order of candidates does, ranks refer to it.
    Every image is read once. Raises `ImageError` for one that cannot be.
    """
    known: dict[ImageSource | None, str | None] = {None: None}

    def hashed(source: ImageSource | None) -> str | None:
        if source is not None and source not in known:
            known[source] = hash_image(source, allow_urls=allow_urls)
        return known[source]

    digests, named = [], []
    for c in comparisons:
        seen = [c.task, c.prompt, [hashed(i) for i in c.images], hashed(c.source_image), c.ranks, c.scores]
        digests.append(hashlib.sha256(json.dumps(seen).encode()).digest())
        named.append(hashlib.sha256(digests[-1] + c.id.encode()).digest())
    name = "-".join(part for part in (Path(dataset).parent.name, Path(dataset).stem) if part)
    return {"name": name, "hash": _joined(digests), "with_ids": _joined(named)}


def _joined(digests: list[bytes]) -> str:
    return hashlib.sha256(b"".join(sorted(digests))).hexdigest()
