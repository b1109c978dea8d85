"""The edit instructions of the shapes world, as text and as data."""

import re
from dataclasses import dataclass
from typing import Literal

from workbench.shapes.scene import COLORS, SHAPES, PlacedShape

Action = Literal["recolor", "reshape", "remove", "add", "resize", "move"]

RESIZES: tuple[str, ...] = ("larger", "smaller")
EDGES: tuple[str, ...] = ("left", "right", "top", "bottom")

_COLOR = "|".join(COLORS)
_SHAPE = "|".join(SHAPES)
_KIND = rf"(?P<color>{_COLOR}) (?P<shape>{_SHAPE})(?P<plural>s?)"
_FORMS: dict[Action, str] = {
    "recolor": rf"change the {_KIND} to (?P<value>{_COLOR})",
    "reshape": rf"change the {_KIND} to (?:an? )?(?P<value>{_SHAPE})s?",
    "remove": rf"remove the {_KIND}",
    "add": rf"add an? (?P<color>{_COLOR}) (?P<shape>{_SHAPE})",
    "resize": rf"make the {_KIND} (?P<value>{'|'.join(RESIZES)})",
    "move": rf"move the {_KIND} to the (?P<value>{'|'.join(EDGES)})",
}
_PATTERNS = {action: re.compile(rf"\b{form}\b", re.IGNORECASE) for action, form in _FORMS.items()}


@dataclass(frozen=True, slots=True)
class Edit:
    """One change to a picture.

    - `color`, `shape`: the kind of object it is about; `plural` when it names all of several.
    - `value`: the new colour or shape, `larger` or `smaller`, or the edge to move to; empty for remove and add.

    >>> Edit("recolor", "red", "circle", "blue").instruction()
    'change the red circle to blue'
    """

    action: Action
    color: str
    shape: str
    value: str = ""
    plural: bool = False

    def instruction(self) -> str:
        """The edit in English; `parse_instruction` reads it back."""
        kind = f"{self.color} {self.shape}{'s' if self.plural else ''}"
        match self.action:
            case "recolor":
                return f"change the {kind} to {self.value}"
            case "reshape":
                return f"change the {kind} to {self.value}s" if self.plural else f"change the {kind} to a {self.value}"
            case "remove":
                return f"remove the {kind}"
            case "add":
                return f"add {'an' if self.color[0] in 'aeiou' else 'a'} {kind}"
            case "resize":
                return f"make the {kind} {self.value}"
            case "move":
                return f"move the {kind} to the {self.value}"

    def names(self, shape: PlacedShape) -> bool:
        """Whether the edit is about this object of the source; an edit that adds is about none."""
        return self.action != "add" and (shape.color, shape.shape) == (self.color, self.shape)


def parse_instruction(text: str) -> Edit:
    """Read a whole instruction; a final full stop and capitals are ignored. Raises ValueError for any other text."""
    plain = text.strip().rstrip(".").lower()
    for action, pattern in _PATTERNS.items():
        if match := pattern.fullmatch(plain):
            parts = match.groupdict(default="")
            edit = Edit(action, parts["color"], parts["shape"], parts.get("value", ""), parts.get("plural") == "s")
            if edit.instruction() == plain:
                return edit
    raise ValueError(
        f"{text!r} is not an instruction of the shapes world, such as 'change the red circle to blue', "
        "'remove the red circle', 'add a red circle', 'make the red circle larger', 'move the red circle to the left'."
    )


def find_instruction(text: str) -> str | None:
    """The last instruction of the shapes world inside a longer text, as written there; None when there is none."""
    matches = [match for pattern in _PATTERNS.values() for match in pattern.finditer(text)]
    for match in sorted(matches, key=lambda match: match.start(), reverse=True):
        try:
            parse_instruction(match.group())
        except ValueError:
            continue
        return match.group()
    return None
