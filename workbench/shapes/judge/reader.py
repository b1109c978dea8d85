"""Reading a criterion: which attributes of a picture a sentence is about, and whether it wants more or less of them."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

import yaml

from workbench.pairs.comparison import Task
from workbench.shapes.attributes import attributes
from workbench.shapes.judge.settings import Vocabulary

NEGATION_REACH = 8
"""How many words a negation reaches, if no stop comes first."""

_FULL_STOPS = frozenset((".", ";", ":", "but", "while", "whereas", "yet", "though"))
_TOKEN = re.compile(r"[a-z]+|\d+|[.,;:]")
_DIGITS = {"1": "one", "2": "two", "3": "three", "4": "four"}


@dataclass(frozen=True, slots=True)
class Reading:
    """What a reader took from a criterion.

    - `shares`: signed shares by attribute, positive for more of it; their sizes sum to 1, or to 0 when it is vague.
    """

    shares: Mapping[str, float]

    @property
    def vague(self) -> bool:
        """Nothing in it was understood."""
        return not self.shares


@dataclass(frozen=True, slots=True)
class _Cue:
    """`kind` is `strong`, `weak`, `fidelity`, `negation`, `no negation`, `trailing` or `wrong`."""

    words: tuple[str, ...]
    kind: str
    attribute: str = ""
    sign: int = 1


@dataclass(slots=True)
class _Notes:
    """What has been found so far in one sentence."""

    strong: dict[str, int]
    weak: dict[str, int]
    fidelity: bool = False
    wrong: int = 0


@lru_cache(maxsize=50_000)
def read_criterion(text: str, task: Task, vocabulary: Vocabulary) -> Reading:
    """Read one criterion as a judge with this vocabulary does.

    >>> read_criterion("No visible specks.", "t2i", Vocabulary()).shares
    {'cleanness': 1.0}
    >>> read_criterion("Soft, dreamy edges are preferred.", "t2i", Vocabulary()).shares
    {'sharpness': -1.0}
    """
    notes = _take_notes(_tokens(text), vocabulary)
    known = attributes(task)
    fidelity = tuple(_words()["fidelity"][task])
    signs = {name: sign for name, sign in notes.strong.items() if name in known and sign}
    if not signs:
        signs = {name: sign for name, sign in notes.weak.items() if name in known and sign}
    if not signs and notes.fidelity:
        signs = dict.fromkeys(fidelity, 1)
    if notes.wrong:
        topics = {*_words()["fidelity"][task], "preservation"}
        signs = {name: (-1 if notes.wrong > 0 else 1) if name in topics else sign for name, sign in signs.items()}
    return Reading({name: (1.0 if sign > 0 else -1.0) / len(signs) for name, sign in signs.items()})


def _take_notes(tokens: list[str], vocabulary: Vocabulary) -> _Notes:
    notes = _Notes({}, {})
    cues = _cues(vocabulary)
    sign, reach = 1, 0
    turned, last = "", _Cue((), "")  # the attribute last turned round, and the cue just read
    i = 0
    while i < len(tokens):
        cue = _match(tokens, i, cues)
        width = len(cue.words) if cue else 1
        if tokens[i] in _FULL_STOPS:
            sign, reach, turned = 1, 0, ""
        elif tokens[i] == ",":
            sign, reach = 1, 0
        if reach > 0:
            reach -= 1
        elif sign < 0:
            sign = 1
        if cue is None:
            last = _Cue((), "")
        elif cue.kind == "trailing" and last.kind == "strong" and len(tokens[i - 1]) > 2:
            notes.strong[last.attribute] = notes.strong.get(last.attribute, 0) - 2 * last.sign
        elif cue.kind == "negation":
            sign, reach = -sign, NEGATION_REACH
        elif cue.kind == "wrong":
            notes.wrong += sign
        elif cue.kind == "fidelity":
            notes.fidelity = True
        elif cue.kind in ("strong", "weak"):
            # "no specks, grain or noise": after a comma a negation goes on for words about the same thing.
            own = cue.sign * (-1 if sign < 0 or cue.attribute == turned else 1)
            turned = cue.attribute if own != cue.sign else ""
            found = notes.strong if cue.kind == "strong" else notes.weak
            found[cue.attribute] = found.get(cue.attribute, 0) + own
            last = _Cue(cue.words, cue.kind, cue.attribute, own)
        i += width
    return notes


def _tokens(text: str) -> list[str]:
    plain = re.sub(r"n['’]t\b", " not", text.lower()).replace("-", " ")
    return [_DIGITS.get(token, token) for token in _TOKEN.findall(plain)]


def _match(tokens: list[str], start: int, cues: Mapping[str, tuple[_Cue, ...]]) -> _Cue | None:
    """The longest cue that begins at `start`; cues are listed by their first three letters, longest first."""
    for cue in cues.get(tokens[start][:3], ()):
        end = start + len(cue.words)
        if end <= len(tokens) and all(
            token.startswith(word[:-1]) if word.endswith("*") else token == word
            for token, word in zip(tokens[start:end], cue.words, strict=True)
        ):
            return cue
    return None


@cache
def _words() -> dict[str, Any]:
    words: dict[str, Any] = yaml.safe_load(
        files("workbench.shapes.judge").joinpath("reader_words.yaml").read_text(encoding="utf-8")
    )
    return words


@cache
def _cues(vocabulary: Vocabulary) -> dict[str, tuple[_Cue, ...]]:
    """What a reader with this vocabulary listens for, by the first three letters."""
    words = _words()
    found: list[_Cue] = []
    for attribute, poles in words["cues"].items():
        for pole, sign in (("for", 1), ("against", -1)):
            known = keep_known(poles[pole], vocabulary, "reader")
            found += [_Cue(tuple(cue.split()), "strong", attribute, sign) for cue in known]
    for attribute, weak in words["weak_cues"].items():
        found += [_Cue((cue,), "weak", attribute) for cue in weak]
    for name, kind in (
        ("no_negations", "no negation"),
        ("negations", "negation"),
        ("trailing_negations", "trailing"),
        ("wrong_words", "wrong"),
        ("fidelity_words", "fidelity"),
    ):
        found += [_Cue(tuple(cue.split()), kind) for cue in words[name]]
    # sorted() is stable: of two cues of one length, the one listed first above wins.
    found = sorted(found, key=lambda cue: -len(cue.words))
    table: dict[str, list[_Cue]] = {}
    for cue in found:
        table.setdefault(cue.words[0].rstrip("*")[:3], []).append(cue)
    return {prefix: tuple(listed) for prefix, listed in table.items()}


def keep_known(words: Iterable[str], vocabulary: Vocabulary, side: str) -> list[str]:
    """The words of a list that are known on one `side` (`reader` or `writer`): the first, and a share of the others."""
    first, *others = words
    return [first, *(word for word in others if _is_known(word, vocabulary, side))]


def _is_known(word: str, vocabulary: Vocabulary, side: str) -> bool:
    digest = hashlib.blake2b(f"{vocabulary.seed}|{side}|{word}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") / 2**32 >= vocabulary.unknown
