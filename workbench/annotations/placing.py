"""Which pair of a dataset an annotation is about, and which annotations are about none: orphans."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from workbench.annotations.annotation import SKIP, TIE, Annotation, hash_content
from workbench.pairs.comparison import Comparison, letter
from workbench.pairs.content import contents


@dataclass(frozen=True, slots=True)
class Orphan:
    """An annotation that belongs to no pair of the dataset, and why."""

    annotation: Annotation
    why: str


@dataclass(frozen=True, slots=True)
class Placed:
    """Annotations beside the pairs they are about.

    - `annotations`: all of them, orphans too, in the order given; those whose pair has another id now bear that one.
    - `orphans`: those about no pair. - `renamed`: the new id of each pair that was found by what it shows.
    """

    annotations: tuple[Annotation, ...]
    orphans: tuple[Orphan, ...]
    renamed: dict[str, str]

    @property
    def at_home(self) -> list[Annotation]:
        """The annotations about pairs of the dataset."""
        lost = {id(orphan.annotation) for orphan in self.orphans}
        return [annotation for annotation in self.annotations if id(annotation) not in lost]


def place(
    annotations: Iterable[Annotation], comparisons: Sequence[Comparison], *, hashes: Collection[str] = ()
) -> Placed:
    """Look every annotation's pair up by its content, and where none was kept by its id.

    - `hashes`: what the dataset is known by; an annotation without content that names another dataset is an orphan.
      Unless given, that is not looked at.

    Every image is read once, and none where no annotation kept the content.
    """
    annotations = list(annotations)
    shown: dict[str, str] = {}
    if any(annotation.content for annotation in annotations):
        shown = {id: hash_content(content) for id, content in contents(comparisons).items()}
    showing: dict[str, list[str]] = defaultdict(list)
    for pair_id, content in shown.items():
        showing[content].append(pair_id)
    letters = {c.id: set(map(letter, range(len(c.images)))) for c in comparisons}
    placed, orphans, renamed = [], [], {}
    for annotation in annotations:
        found = showing.get(annotation.content or "", [])
        if annotation.content and shown.get(annotation.pair_id) != annotation.content and len(found) == 1:
            renamed[annotation.pair_id] = found[0]
            annotation = replace(annotation, pair_id=found[0])
        placed.append(annotation)
        if why := _homeless(annotation, found, letters, hashes):
            orphans.append(Orphan(annotation, why))
    return Placed(tuple(placed), tuple(orphans), renamed)


def _homeless(
    annotation: Annotation, found: Sequence[str], letters: dict[str, set[str]], hashes: Collection[str]
) -> str:
    """Why the annotation is an orphan; empty where it is none."""
    if annotation.pair_id not in letters:
        return f"{len(found)} pairs show the same" if found else "no such pair"
    if annotation.content and annotation.pair_id not in found:
        return "the pair of this id shows something else"
    if not annotation.content and annotation.dataset and hashes and annotation.dataset not in hashes:
        return "of another dataset"
    if annotation.label not in {None, TIE, SKIP, *letters[annotation.pair_id]}:
        return f"the pair has no candidate {annotation.label}"
    return ""
