"""What a comparison shows, by content: files of other names with the same bytes are the same picture."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from workbench.pairs.comparison import Comparison, ImageSource, Task
from workbench.pairs.prompts import same_words
from workbench.pairs.sources import ImageError, read_bytes, shown


@dataclass(frozen=True, slots=True)
class Content:
    """What people were shown, whatever its id, its label and its files' names.

    - `prompt`: without its case and spacing. - `source`, `images`: the pictures' hashes, candidates in the dataset's
      order.
    """

    task: Task
    prompt: str
    source: str | None
    images: tuple[str, ...]

    @property
    def unordered(self) -> "Content":
        """The same with the candidates in no particular order: equal for comparisons of the same pictures."""
        return Content(self.task, self.prompt, self.source, tuple(sorted(self.images)))


def contents(comparisons: Sequence[Comparison], *, allow_urls: bool = False) -> dict[str, Content]:
    """The `Content` of each comparison by its id; every image is read once.

    An image that cannot be read, and a URL unless URLs are allowed, is known by its name instead.
    """
    known: dict[ImageSource, str] = {}

    def known_as(source: ImageSource) -> str:
        if source not in known:
            try:
                known[source] = hash_image(source, allow_urls=allow_urls)
            except ImageError:
                known[source] = f"named {shown(source)}"
        return known[source]

    return {
        c.id: Content(
            c.task,
            same_words(c.prompt),
            None if c.source_image is None else known_as(c.source_image),
            tuple(map(known_as, c.images)),
        )
        for c in comparisons
    }


def hash_image(source: ImageSource, *, allow_urls: bool = False) -> str:
    """SHA-256 of the encoded image. Raises `ImageError` where it cannot be read."""
    return hashlib.sha256(read_bytes(source, allow_urls=allow_urls)).hexdigest()


def contradictory(comparisons: Sequence[Comparison], seen: Mapping[str, Content]) -> tuple[str, ...]:
    """Ids, in their order, of comparisons that prefer one of two pictures to the other where another prefers the other.

    It is so whatever the order and number of candidates: 1, 2, 3 of three pictures contradicts 2, 1 of the first and
    the last. Ties prefer nothing.

    - `seen`: the `contents` of the comparisons.
    """
    preferring: dict[tuple[object, ...], dict[str, None]] = defaultdict(dict)
    for c in comparisons:
        own = seen[c.id]
        for i, j in combinations(range(len(c.images)), 2):
            if c.ranks is not None and c.ranks[i] != c.ranks[j] and own.images[i] != own.images[j]:
                better, worse = (i, j) if c.ranks[i] < c.ranks[j] else (j, i)
                preferring[own.task, own.prompt, own.source, own.images[better], own.images[worse]][c.id] = None
    found = {
        id for (*asked, better, worse), ids in preferring.items() if (*asked, worse, better) in preferring for id in ids
    }
    return tuple(c.id for c in comparisons if c.id in found)
