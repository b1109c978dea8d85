"""The prompts of the shapes world: what a scene should contain, as text and as data."""

import re
from dataclasses import dataclass

from workbench.shapes.scene import COLORS, SHAPES

COUNTS: tuple[str, ...] = ("one", "two", "three", "four")
SIZE_WORDS: tuple[str, ...] = ("small", "large")
RELATIONS: tuple[str, ...] = ("left of", "right of", "above", "below")
MOST_GROUPS = 4

_GROUP = rf"(?:an?|{'|'.join(COUNTS)})(?: (?:{'|'.join(SIZE_WORDS)}))? (?:{'|'.join(COLORS)}) (?:{'|'.join(SHAPES)})s?"
_RELATED = rf"{_GROUP} (?:{'|'.join(RELATIONS)}) {_GROUP}(?:, with {_GROUP}(?: and {_GROUP})?)?"
_LISTED = rf"(?:{_GROUP}, ){{0,2}}{_GROUP} and {_GROUP}"
_PROMPT = re.compile(rf"\b(?:{_RELATED}|{_LISTED}|{_GROUP})\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Group:
    """Some objects of one kind: `Group(2, "red", "circle", "small")` is "two small red circles"."""

    count: int
    color: str
    shape: str
    size: str | None = None

    def phrase(self) -> str:
        """The group in English; one object takes "a" or "an"."""
        words = [word for word in (self.size, self.color, self.shape) if word]
        if self.count == 1:
            return f"{'an' if words[0][0] in 'aeiou' else 'a'} {' '.join(words)}"
        return f"{COUNTS[self.count - 1]} {' '.join(words)}s"


@dataclass(frozen=True, slots=True)
class SceneSpec:
    """What a prompt asks for: one to four groups; `relation` says where the first lies as seen from the second.

    >>> SceneSpec((Group(1, "red", "circle"), Group(2, "blue", "star")), "left of").prompt()
    'a red circle left of two blue stars'
    """

    groups: tuple[Group, ...]
    relation: str | None = None

    def __post_init__(self) -> None:
        kinds = {(group.color, group.shape) for group in self.groups}
        if not 1 <= len(self.groups) <= MOST_GROUPS or len(kinds) < len(self.groups):
            raise ValueError(f"groups: {self.groups} is not 1 to {MOST_GROUPS} groups of different kinds.")
        if self.relation is not None and (self.relation not in RELATIONS or len(self.groups) < 2):
            raise ValueError(f"relation: {self.relation!r} is not one of {RELATIONS} between at least two groups.")

    def prompt(self) -> str:
        """The prompt in English; `parse_prompt` reads it back."""
        phrases = [group.phrase() for group in self.groups]
        if self.relation is None:
            return _listing(phrases)
        related = f"{phrases[0]} {self.relation} {phrases[1]}"
        return f"{related}, with {_listing(phrases[2:])}" if len(phrases) > 2 else related


def _listing(phrases: list[str]) -> str:
    return phrases[0] if len(phrases) == 1 else f"{', '.join(phrases[:-1])} and {phrases[-1]}"


def parse_group(phrase: str) -> Group:
    """Read "two small red circles"; raises ValueError where number and noun disagree or a word is unknown."""
    number, *adjectives, noun = phrase.lower().split()
    count = 1 if number in ("a", "an") else COUNTS.index(number) + 1
    size = adjectives[0] if len(adjectives) == 2 else None
    shape = noun.removesuffix("s")
    group = Group(count, adjectives[-1], shape, size)
    if (count > 1) != noun.endswith("s"):
        raise ValueError(f"{phrase!r} does not say whether there is one; write {group.phrase()!r}.")
    return group


def parse_prompt(text: str) -> SceneSpec:
    """Read a whole prompt; a final full stop and capitals are ignored. Raises ValueError for any other text."""
    plain = text.strip().rstrip(".").lower()
    if not _PROMPT.fullmatch(plain):
        raise ValueError(
            f"{text!r} is not a prompt of the shapes world, such as 'a red circle left of two blue stars'."
        )
    groups = tuple(parse_group(phrase) for phrase in re.findall(_GROUP, plain))
    relation = re.search("|".join(RELATIONS), plain)
    return SceneSpec(groups, relation.group() if relation else None)


def find_prompt(text: str) -> str | None:
    """The last prompt of the shapes world inside a longer text, as written there; None when there is none."""
    for match in reversed(list(_PROMPT.finditer(text))):
        try:
            parse_prompt(match.group())
        except ValueError:
            continue
        return match.group()
    return None
