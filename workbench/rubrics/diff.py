"""What is different between two rubrics: criterion by criterion, word by word."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from workbench.rubrics.edits import levels_text
from workbench.rubrics.lint import alike
from workbench.rubrics.rubric import Criterion, Rubric, Theme
from workbench.rubrics.wording import Piece, likeness, words

Kind = Literal["added", "removed", "changed", "unchanged"]

SIMILAR = 0.5
"""Shared words over all words, 2 |A ∩ B| / (|A| + |B|), from which two texts are wordings of one criterion."""


@dataclass(frozen=True, slots=True)
class CriterionDiff:
    """One criterion in two rubrics.

    - `before`, `after`: None where it is not in that rubric. - `themes`: the names of its theme, likewise.
    - `pieces`: the text word by word. - `moved`: to another theme. - `reordered`: within its theme.
    """

    before: Criterion | None
    after: Criterion | None
    themes: tuple[str | None, str | None]
    pieces: tuple[Piece, ...]
    moved: bool = False
    reordered: bool = False

    @property
    def id(self) -> str:
        """Its id, the newer where it has two."""
        return (self.after or self.before).id  # type: ignore[union-attr]

    @property
    def kind(self) -> Kind:
        if self.before is None:
            return "added"
        if self.after is None:
            return "removed"
        return "changed" if self.notes() or self.before.text != self.after.text else "unchanged"

    def notes(self) -> tuple[str, ...]:
        """What changed besides the text, a phrase each: `weight 1 to 2`, `disabled`, `moved from Look to Content`."""
        return tuple(_notes(self))


@dataclass(frozen=True, slots=True)
class RubricDiff:
    """Two rubrics side by side.

    - `criteria`: in the order of the newer; one that is gone stands where it was. - `themes`: what changed of themes.
    """

    before: Rubric
    after: Rubric
    criteria: tuple[CriterionDiff, ...]
    themes: tuple[str, ...]

    @property
    def same_to_a_judge(self) -> bool:
        """Whether a judge is shown the same."""
        return self.before.hash == self.after.hash

    def changed(self) -> tuple[CriterionDiff, ...]:
        """The criteria that are not in both as they were."""
        return tuple(each for each in self.criteria if each.kind != "unchanged")

    def sentence(self) -> str:
        """How many criteria were added, removed and changed, in words."""
        counts = Counter(each.kind for each in self.criteria)
        told = [f"{counts[kind]} {kind}" for kind in ("added", "removed", "changed") if counts[kind]]
        if self.themes:
            told.append(f"{len(self.themes)} change{'s' * (len(self.themes) > 1)} of themes")
        if not told:
            return "no difference"
        return ", ".join(told) + ("; a judge is shown the same" if self.same_to_a_judge else "")

    def to_json(self) -> dict[str, Any]:
        """The difference as JSON; unchanged criteria are only counted."""
        return {
            "before": {"name": self.before.name, "hash": self.before.hash},
            "after": {"name": self.after.name, "hash": self.after.hash},
            "same_to_a_judge": self.same_to_a_judge,
            "sentence": self.sentence(),
            "themes": list(self.themes),
            "unchanged": len(self.criteria) - len(self.changed()),
            "criteria": [
                {
                    "id": each.id,
                    "kind": each.kind,
                    "themes": list(each.themes),
                    "pieces": [asdict(piece) for piece in each.pieces],
                    "notes": list(each.notes()),
                }
                for each in self.changed()
            ],
        }

    def text(self) -> str:
        """The difference for a terminal: `+`, `-` and `~` before a criterion, [-removed-] and {+added+} words in it."""
        lines = [f"{self.before.name} to {self.after.name}: {self.sentence()}", *(f"  {line}" for line in self.themes)]
        for each in self.changed():
            mark = {"added": "+", "removed": "-"}.get(each.kind, "~")
            lines.append(f"{mark} {each.id}: " + "".join(_marked(each, piece) for piece in each.pieces))
            lines += [f"    {note}" for note in each.notes()]
        return "\n".join(lines)


def diff(before: Rubric, after: Rubric) -> RubricDiff:
    """Compare two rubrics.

    A criterion is found again by its id or by its very words, then by likeness. Recipes number their criteria anew, so
    where two rubrics are not versions of each other (neither names the other as its parent, and most ids they share
    hold other texts) an id alone says nothing.
    """
    old, new = _criteria(before), _criteria(after)
    pairs = _matched(before, after, list(old), list(new))
    found = {theirs: ours for ours, theirs in pairs.items()}
    renamed = _renamed(before, after, pairs)
    shifted = _reordered([id for id in new if id in found], [id for id in old if id in pairs], found)
    rows: list[CriterionDiff] = []
    for id, (theme, criterion) in new.items():
        if id not in found:
            rows.append(CriterionDiff(None, criterion, (None, theme.name), (Piece("added", criterion.text),)))
            continue
        theme_before, was = old[found[id]]
        moved = theme_before.name != renamed.get(theme.name, theme.name)
        pieces = words(was.text, criterion.text)
        themes = (theme_before.name, theme.name)
        rows.append(CriterionDiff(was, criterion, themes, pieces, moved, id in shifted and not moved))
    for id, (theme, criterion) in old.items():
        if id not in pairs:
            gone = CriterionDiff(criterion, None, (theme.name, None), (Piece("removed", criterion.text),))
            rows.insert(_where(rows, list(old), id), gone)
    return RubricDiff(before, after, tuple(rows), tuple(_theme_changes(before, after, renamed)))


def _criteria(rubric: Rubric) -> dict[str, tuple[Theme, Criterion]]:
    return {criterion.id: (theme, criterion) for theme in rubric.themes for criterion in theme.criteria}


def _matched(before: Rubric, after: Rubric, old: list[str], new: list[str]) -> dict[str, str]:
    """Ids of the newer rubric by those of the older."""
    was = {c.id: c.text for theme in before.themes for c in theme.criteria}
    now = {c.id: c.text for theme in after.themes for c in theme.criteria}
    shared = [id for id in old if id in now]
    kept = [id for id in shared if was[id] == now[id] or likeness(was[id], now[id]) >= SIMILAR]
    trusted = _is_parent(before, after) or _is_parent(after, before) or 2 * len(kept) >= len(shared)
    pairs = {id: id for id in (shared if trusted else [id for id in kept if was[id] == now[id]])}
    by_text = {now[id]: id for id in reversed(new) if id not in pairs.values()}
    for id in old:
        if id not in pairs and (other := by_text.pop(was[id], None)):
            pairs[id] = other
    taken = set(pairs.values())
    for id in old:
        if id not in pairs:
            close = [(likeness(was[id], now[other]), other) for other in new if other not in taken]
            best = max(close, default=(0.0, ""), key=lambda each: each[0])
            same = next((other for _, other in close if alike(was[id], now[other])), None)
            if match := best[1] if best[0] >= SIMILAR else same:
                pairs[id] = match
                taken.add(match)
    return pairs


def _is_parent(one: Rubric, other: Rubric) -> bool:
    parent = other.provenance.get("parent")
    return isinstance(parent, dict) and parent.get("hash") == one.hash


def _renamed(before: Rubric, after: Rubric, pairs: dict[str, str]) -> dict[str, str]:
    """Old theme names by new ones: a name only the older has, for one only the newer has, over most of its criteria."""
    olds = [t for t in before.themes if t.criteria and all(t.name != other.name for other in after.themes)]
    news = [t for t in after.themes if all(t.name != other.name for other in before.themes)]
    found: dict[str, str] = {}
    for theme in news:
        ids = {criterion.id for criterion in theme.criteria}
        for was in olds:
            kept = sum(pairs.get(criterion.id) in ids for criterion in was.criteria)
            if 2 * kept > len(was.criteria) and was.name not in found.values():
                found[theme.name] = was.name
                break
    return found


def _reordered(new: Sequence[str], old: Sequence[str], found: dict[str, str]) -> set[str]:
    """Ids of the newer rubric outside the longest run of matching blocks: the fewest that must have been moved."""
    places = {id: i for i, id in enumerate(old)}
    sequence = [places[found[id]] for id in new]
    best: list[tuple[int, int]] = []  # of the longest rising sequence that ends at each: its length, and the one before
    for i, place in enumerate(sequence):
        before = max(((best[j][0], j) for j in range(i) if sequence[j] < place), default=(0, -1))
        best.append((before[0] + 1, before[1]))
    kept = set()
    at = max(range(len(best)), key=lambda i: best[i][0], default=-1)
    while at >= 0:
        kept.add(at)
        at = best[at][1]
    return {id for i, id in enumerate(new) if i not in kept}


def _where(rows: Sequence[CriterionDiff], old: Sequence[str], id: str) -> int:
    """Behind the nearest criterion that stood before it in the older rubric."""
    places = {row.before.id: i for i, row in enumerate(rows) if row.before}
    earlier = [places[other] for other in old[: old.index(id)] if other in places]
    return earlier[-1] + 1 if earlier else 0


def _theme_changes(before: Rubric, after: Rubric, renamed: dict[str, str]) -> Iterator[str]:
    """Themes added, removed, renamed and weighed, a phrase each."""
    left = list(before.themes)
    order = []
    for theme in after.themes:
        name = renamed.get(theme.name, theme.name)
        was = next((t for t in left if t.name == name), None)
        if was is None:
            yield f"theme {_name(theme)} added"
            continue
        left.remove(was)
        order.append(before.themes.index(was))
        if was.name != theme.name:
            yield f"theme {_name(was)} is now called {_name(theme)}"
        if was.weight != theme.weight:
            yield f"theme {_name(theme)}: weight {was.weight:g} to {theme.weight:g}"
    yield from (f"theme {_name(theme)} removed" for theme in left)
    if order != sorted(order):
        yield f"themes are in another order: {', '.join(_name(theme) for theme in after.themes)}"


def _notes(each: CriterionDiff) -> Iterator[str]:
    was, now = each.before, each.after
    if was is None or now is None:
        theme = each.themes[0] if now is None else each.themes[1]
        yield f"in {theme or 'the unnamed theme'}"
        if (only := now or was) and not only.enabled:
            yield "disabled"
        return
    if was.id != now.id:
        yield f"was {was.id}"
    if was.weight != now.weight:
        yield f"weight {was.weight:g} to {now.weight:g}"
    if was.enabled != now.enabled:
        yield "enabled" if now.enabled else "disabled"
    if was.levels != now.levels:
        yield f"levels {_levels(was)} to {_levels(now)}"
    if each.moved:
        yield f"moved from {each.themes[0] or 'the unnamed theme'} to {each.themes[1] or 'the unnamed theme'}"
    if each.reordered:
        yield "moved to another place"


def _levels(criterion: Criterion) -> str:
    return "(" + "; ".join(levels_text(criterion.levels).split("\n")) + ")" if criterion.levels else "(none)"


def _name(theme: Theme) -> str:
    return f"“{theme.name}”" if theme.name.strip() else "without name"


def _marked(each: CriterionDiff, piece: Piece) -> str:
    if piece.sign == "same" or each.before is None or each.after is None:
        return piece.text
    return f"[-{piece.text}-]" if piece.sign == "removed" else f"{{+{piece.text}+}}"
