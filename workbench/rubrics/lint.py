"""What is wrong with a rubric's wording, found by word lists alone: nothing is asked of a model.

The kinds are those the documentation of Auto-Rubric as Reward asks authors to avoid. A missed fault costs little, a
good criterion called bad is lost where a recipe drops it, so a list that could go either way says nothing.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import yaml

from workbench.rubrics.rubric import Criterion, Rubric

Kind = Literal[
    "vague", "comparative", "redundant", "not observable", "no source protection", "easy to game", "too long"
]

MOST_WORDS = 40
"""A longer criterion is more than one."""
MOST_DEMANDS = 2
"""Demands of one criterion: its sentences, its clauses with `must` or `should`, or what `as well as` joins."""
LONGEST_SENTENCE = 1_000
"""Characters of a sentence that are looked at, so that hostile text is soon done with."""
ALIKE = 2 / 3
"""Shared stems over all stems (Jaccard) from which two criteria say the same."""

_ADVICE: dict[Kind, str] = {
    "vague": "name something that can be pointed at in one image and how it must be",
    "comparative": "ask about one image on its own, so that it can be checked without the other candidate",
    "not observable": "ask for what can be seen in the image, given the prompt and the source alone",
    "easy to game": "say how much is right, such as 'as the prompt states', or a generator will push it without end",
    "too long": "split it into criteria of one requirement each",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault.

    - `criterion`: its id; empty for the rubric as a whole, and for a text on its own.
    - `message`: what was found and what to do. - `words`: what it was found by, in lower case unless a name.
    """

    kind: Kind
    criterion: str
    message: str
    words: tuple[str, ...]


def lint(rubric: Rubric) -> tuple[Finding, ...]:
    """The faults of a rubric's enabled criteria, in their order, then those of the rubric as a whole.

    English only: of text without Latin letters nothing but its length is looked at. Levels count as part of what a
    criterion names. A criterion much like an earlier one is reported, naming that one.
    """
    criteria = rubric.enabled_criteria()
    found: list[Finding] = []
    earlier: dict[str, str] = {}  # ids by text
    for criterion in criteria:
        levels = " ".join(level.text for level in criterion.levels)
        found += [replace(finding, criterion=criterion.id) for finding in _faults(criterion.text, levels)]
        found += _repeats(criterion, earlier)
        earlier.setdefault(criterion.text, criterion.id)
    if rubric.task == "edit" and not any(_protects(criterion.text) for criterion in criteria):
        found.append(
            Finding(
                "no source protection", "", "no criterion asks that everything the instruction does not name stays as "
                "in the source: add one, or a prettier picture of something else wins", (),
            )
        )  # fmt: skip
    return tuple(found)


def lint_text(text: str) -> tuple[Finding, ...]:
    """The faults of one criterion on its own: vague, comparative, not observable, easy to game, too long.

    English only: of text without Latin letters nothing but its length is looked at.

    >>> [finding.kind for finding in lint_text("Image 1 has a better composition.")]
    ['comparative']
    >>> lint_text("Every object the prompt names is in the picture.")
    ()
    """
    return tuple(_faults(text, ""))


def alike(a: str, b: str) -> bool:
    """Whether two criteria say nearly the same in nearly the same words: word order and synonyms are not understood.

    Both or neither hold a negation, and their word stems, without those that say little, overlap by
    |A ∩ B| / |A ∪ B| ≥ 2/3.

    >>> [alike("The edges are sharp.", other) for other in ("Edges of objects look sharp", "The edges are soft.")]
    [True, False]
    """
    first, second = stems(a), stems(b)
    if not first or not second:
        return _normal(a) == _normal(b)
    if _list("negation").isdisjoint(_tokens(_normal(a))) != _list("negation").isdisjoint(_tokens(_normal(b))):
        return False
    return len(first & second) >= ALIKE * len(first | second)


def repeated(text: str, earlier: Iterable[str]) -> str | None:
    """The first of `earlier` criteria that `text` is `alike` to; None where it says something new.

    >>> repeated("The edges are sharp.", ["Nothing is cropped.", "Edges of objects look sharp"])
    'Edges of objects look sharp'
    """
    return next((other for other in earlier if alike(text, other)), None)


def _faults(text: str, levels: str) -> Iterator[Finding]:
    normal = _normal(text)
    if re.search("[a-z]", normal):
        if words := _praise_alone(f"{normal} {_normal(levels)}"):
            yield _finding("vague", "names nothing that can be checked", words)
        if words := _matches("comparative", normal) or _lettered(text):
            yield _finding("comparative", "needs another candidate", words)
        if words := _matches("not observable", normal):
            yield _finding("not observable", "cannot be seen in the image", words)
        if words := _matches("easy to game", normal) or _unbounded(normal):
            yield _finding("easy to game", "rewards more and more of something", words)
    if problem := _too_long(text, normal):
        yield _finding("too long", problem, ())


def _finding(kind: Kind, problem: str, words: tuple[str, ...]) -> Finding:
    by = " (" + ", ".join(f"'{word}'" for word in words) + ")" if words else ""
    return Finding(kind, "", f"{problem}{by}: {_ADVICE[kind]}", words)


def _praise_alone(normal: str) -> tuple[str, ...]:
    """The words of praise in a text that names nothing else; none where anything concrete is named."""
    words = _tokens(normal)
    praise = tuple(dict.fromkeys(word for word in words if word in _list("vague")))
    empty = _list("stop") | _list("frame") | _list("abstract") | _list("vague")
    return praise if all(word in empty for word in words) else ()


def _matches(kind: str, normal: str) -> tuple[str, ...]:
    for sentence in re.split(r"(?<=[.!?;]) ", normal):
        for pattern in _patterns(kind):
            if match := pattern.search(sentence[:LONGEST_SENTENCE]):
                return (match[match.lastindex or 0].strip(" .,;:"),)
    return ()


def _lettered(text: str) -> tuple[str, ...]:
    (pattern,) = _patterns("letters")
    match = pattern.search(text) if text != text.upper() else None
    return (match[0],) if match else ()


def _unbounded(normal: str) -> tuple[str, ...]:
    (pattern,) = _patterns("pushable")
    match = pattern.search(normal)
    return (match[0],) if match and not _list("bounds") & set(_tokens(normal)) else ()


def _too_long(text: str, normal: str) -> str:
    # Scripts without spaces: two characters are about a word.
    words = len(re.findall(r"[^\W_]+(?:['’-][^\W_]+)*", re.sub(r"[\u3040-\u9fff\uac00-\ud7af]", "", text)))
    words += len(re.findall(r"[\u3040-\u9fff\uac00-\ud7af]", text)) // 2
    if words > MOST_WORDS:
        return f"has {words} words, more than {MOST_WORDS}"
    demands = max(len(_patterns("more")[0].findall(normal)), len(_patterns("besides")[0].findall(normal)) + 1)
    demands = max(demands, len(re.findall(r"[.!?](?=\s+[A-Z]|\s*$)", text)))
    return f"strings {demands} requirements together" if demands > MOST_DEMANDS else ""


def _repeats(criterion: Criterion, earlier: Mapping[str, str]) -> Iterator[Finding]:
    other = repeated(criterion.text, earlier)
    if other is not None:
        shared = tuple(sorted(stems(criterion.text) & stems(other)))
        message = f"says the same as {earlier[other]}: merge the two, or disable one, or it counts twice"
        yield Finding("redundant", criterion.id, message, shared)


def _protects(text: str) -> bool:
    normal = _normal(text)
    keep, scope = _patterns("protection")
    return bool(keep.search(normal) and scope.search(normal))


def _normal(text: str) -> str:
    """Lower case, single spaces, plain quotes."""
    return " ".join(text.lower().replace("’", "'").replace("“", '"').replace("”", '"').split())


def _tokens(normal: str) -> list[str]:
    return re.findall(r"[a-z]+(?:-[a-z]+)*|\d+", normal.replace("'s", ""))


def stems(text: str) -> frozenset[str]:
    """The words of a text that carry meaning, without their inflections."""
    words = (word for word in re.findall(r"[a-z]+|\d+", _normal(text).replace("'s", "")))
    return frozenset(_stem(word) for word in words if word not in _list("stop") and word not in _list("light"))


def _stem(word: str) -> str:
    """The word without its inflection, spelled one way: `colours` and `color` alike are `color`."""
    word = re.sub(r"(?<=[a-z]{2})our", "or", word).replace("grey", "gray")
    for ending in ("ingly", "edly", "ness", "ing", "ied", "ies", "ed", "es", "ly", "s", "y"):
        stem = word.removesuffix(ending)
        if stem != word and len(stem) >= 3 and not (ending == "s" and stem.endswith(("s", "u", "i"))):
            word = stem
            break
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "ls":
        word = word[:-1]
    return word[:-1] if len(word) > 3 and word.endswith("e") else word


@cache
def _lists() -> dict[str, Any]:
    words: dict[str, Any] = yaml.safe_load(
        files("workbench.rubrics").joinpath("lint_words.yaml").read_text(encoding="utf-8")
    )
    return words


@cache
def _list(name: str) -> frozenset[str]:
    return frozenset(_lists()[name].split())


@cache
def _patterns(name: str) -> tuple[re.Pattern[str], ...]:
    written = _lists()[name]
    written = [written] if isinstance(written, str) else written.values() if isinstance(written, dict) else written
    image = f"(?:{'|'.join(_lists()['images'])})"
    if name == "letters":
        image = f"(?i:{image[3:]}"
    return tuple(re.compile(one.replace("{image}", image).replace("{word}", r"[\w'-]+")) for one in written)
