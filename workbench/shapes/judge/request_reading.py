"""What a request asks for, from its messages alone."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from workbench.pairs.comparison import Task
from workbench.shapes.grammar import find_prompt
from workbench.shapes.instructions import find_instruction
from workbench.shapes.judge.chat import ChatBody, ImagePart, Message, RequestRefused, TextPart
from workbench.shapes.judge.eyes import Eyes, Seen
from workbench.shapes.judge.rubric_text import WrittenCriterion, find_criteria, numbered_criteria, without_rubric

Kind = Literal["rank", "score", "rubrics", "categories", "free"]
KINDS: tuple[Kind, ...] = ("categories", "rubrics", "rank", "score")

_SOURCE_LABEL = re.compile(r"\b(?:source|base|original|input|reference)\b[^\n]{0,40}$", re.IGNORECASE)
_PROMPT_LABEL = re.compile(r"^\W*(?:text |edit(?:ing)? )?(?:prompt|instruction|caption|query)\W*:\s*(.+)$", re.I | re.M)
_EXEMPLARS = re.compile(r"<exemplars?>.*?</exemplars?>", re.DOTALL | re.IGNORECASE)
_RATIONALE = re.compile(r"^\W*(?:why|rationale|because)\W*:\s*(.+)$", re.IGNORECASE | re.MULTILINE)
_LABEL = re.compile(
    r"\b(?:human|people|expected|label|annotat|ground)[^\[\n]{0,80}\[\s*(\d+(?:\s*,\s*\d+)*)\s*\]", re.I
)
_WINNER = re.compile(
    r"\b(?:preferred|winner|chosen|better)\W+(?:\w+\W+){0,2}image (\d)|image (\d) (?:is|was) prefer", re.I
)
_RANGE = re.compile(
    r"(?:from|scale|between)\D{0,12}(\d+(?:\.\d+)?)[^\d\n]{0,20}?(?:to|and|-|–)\s*(\d+(?:\.\d+)?)", re.I
)
_NUMBER_WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_NUMBERS = {word: i for i, word in enumerate(_NUMBER_WORDS, start=1)}
_NUMBER = rf"(\d+|{'|'.join(_NUMBERS)})"


@dataclass(frozen=True, slots=True)
class Scale:
    """The scores a request allows; `step` is 1 where they are whole numbers."""

    low: float = 1.0
    high: float = 5.0
    step: float = 1.0


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, understood.

    - `keys`: of the JSON object wanted, in order; empty where plain text is wanted.
    - `criteria`: of the rubric to judge by; `rationales`: why people decided as they did, from exemplars.
    - `label`: the ranking the request says people gave.
    - `listed`: the listed lines of the user's text: criteria to revise or to put in order.
    - `turns`: messages so far; an answer asked for again is another answer.
    """

    kind: Kind
    keys: tuple[str, ...]
    schema: Mapping[str, Any]
    task: Task
    prompt: str
    candidates: tuple[Seen, ...]
    source: Seen | None
    criteria: tuple[WrittenCriterion, ...]
    rationales: tuple[str, ...]
    label: tuple[int, ...] | None
    listed: tuple[WrittenCriterion, ...]
    system: str
    user: str
    turns: int
    text_length: int

    @property
    def ties(self) -> bool:
        """Whether equal ranks are allowed."""
        return bool(re.search(r"\bties are (?:allowed|permitted|fine|possible)\b", self._rules, re.I))

    @property
    def scale(self) -> Scale:
        """The range of scores: the schema's, else the one the text states, else 1 to 5."""
        field = self.schema.get("properties", {}).get("score", {})
        low, high = field.get("minimum"), field.get("maximum")
        if low is None or high is None:
            stated = _RANGE.search(self._rules)
            low, high = stated.groups() if stated else (1, 5)
        fractions = field.get("type") != "integer" and "fraction" in self._rules.lower()
        low, high = sorted((float(low), float(high)))
        return Scale(low, high, max(0.5 if fractions else 1.0, (high - low) / 200))

    @property
    def count(self) -> int:
        """How many criteria are wanted."""
        return self._number(rf"\bexactly {_NUMBER}\b") or self._schema_items("rubrics") or 5

    @property
    def themes(self) -> int:
        """The most themes wanted."""
        return (
            self._number(rf"(?:at most|up to|no more than|≤|<=)\s*{_NUMBER}\b") or self._schema_items("categories") or 5
        )

    @property
    def _rules(self) -> str:
        """What is said outside the rubric, whose words say what to look at and not how to answer."""
        return without_rubric(f"{self.system}\n{self.user}")

    def _schema_items(self, key: str) -> int | None:
        """The most entries the schema allows under `key`, or the fewest where it sets no maximum."""
        field = self.schema.get("properties", {}).get(key, {})
        return field.get("maxItems") or field.get("minItems") or None

    def _number(self, pattern: str) -> int | None:
        found = re.search(pattern, f"{self.system}\n{self.user}", re.IGNORECASE)
        return None if found is None else int(_NUMBERS.get(found[1].lower(), found[1]))


def read_request(body: ChatBody, eyes: Eyes, task: Task) -> Asked:
    """Understand a request; `task` is assumed where no image says otherwise. Raises `RequestRefused`."""
    schema = _schema(body)
    question = _question(body.messages)
    system = "\n".join(m.text() for m in body.messages if m.role in ("system", "developer"))
    user = question.text()
    candidates, source = _images(question, eyes)
    kind, keys = _kind(schema, body, (user, system))
    if candidates or source:
        task = "edit" if source else "t2i"
    if kind in ("rank", "score") and not candidates:
        raise RequestRefused(400, f"messages: a {kind} was asked for, but the last question shows no image", "messages")
    own_words = _EXEMPLARS.sub("", user)
    return Asked(
        kind=kind,
        keys=keys,
        schema=schema,
        task=task,
        prompt=_prompt(own_words, task),
        candidates=candidates,
        source=source,
        criteria=find_criteria(_EXEMPLARS.sub("", system)) or find_criteria(own_words),
        rationales=tuple(_RATIONALE.findall(f"{system}\n{user}")),
        label=_label(own_words, len(candidates)),
        listed=numbered_criteria(own_words),
        system=system,
        user=user,
        turns=len(body.messages),
        text_length=sum(len(message.text()) for message in body.messages),
    )


def _schema(body: ChatBody) -> Mapping[str, Any]:
    """The JSON schema the answer must satisfy, or an empty one."""
    stated: object = None
    if body.structured_outputs and body.structured_outputs.json_ is not None:
        stated = body.structured_outputs.json_
        if isinstance(stated, str):
            try:
                stated = json.loads(stated)
            except json.JSONDecodeError as error:
                raise RequestRefused(400, f"structured_outputs.json: {error}", "structured_outputs") from error
    elif body.response_format and body.response_format.json_schema:
        stated = body.response_format.json_schema.json_schema
    if stated is None:
        return {}
    if not isinstance(stated, dict) or not isinstance(stated.get("properties"), dict):
        raise RequestRefused(400, "response_format: the schema must be an object with properties", "response_format")
    return stated


def _question(messages: Sequence[Message]) -> Message:
    """The last user message with images; without any, the first user message, which later ones only follow up."""
    users = [message for message in messages if message.role == "user"]
    if not users:
        raise RequestRefused(400, "messages: there is no user message", "messages")
    shown = [message for message in users if any(isinstance(part, ImagePart) for part in message.parts())]
    return shown[-1] if shown else users[0]


def _images(question: Message, eyes: Eyes) -> tuple[tuple[Seen, ...], Seen | None]:
    """Candidates in the order shown, and the image whose label says that it is the source."""
    candidates: list[Seen] = []
    source: Seen | None = None
    label = ""
    for part in question.parts():
        if isinstance(part, TextPart):
            label = (part.text.strip().splitlines() or [""])[-1]
            continue
        seen = eyes.look(part.image_url.url)
        if source is None and _SOURCE_LABEL.search(label[-60:]):
            source = seen
        else:
            candidates.append(seen)
        label = ""
    return tuple(candidates), source


def _kind(schema: Mapping[str, Any], body: ChatBody, texts: tuple[str, str]) -> tuple[Kind, tuple[str, ...]]:
    """What is asked, and the keys of the answer: the schema's, else those of the last JSON example in the text."""
    keys = tuple(schema.get("properties", {}))
    for text in texts:
        keys = keys or _example_keys(text)
    for kind in KINDS:
        if kind in keys:
            return kind, keys
    for kind in KINDS:
        if not keys and re.search(rf"[\"'`]{kind}[\"'`]", "\n".join(texts)):
            return kind, ("reason", kind)
    wants_json = body.response_format is not None and body.response_format.type == "json_object"
    return "free", keys or (("answer",) if wants_json else ())


def _example_keys(text: str) -> tuple[str, ...]:
    """The keys of the JSON example in a text: the last that begins a line, else the first anywhere."""
    begins = [match.end() for match in re.finditer(r"^[ \t`]*(?=\{)", text, re.MULTILINE)] or [text.find("{")]
    example = text[begins[-1] :] if begins[-1] >= 0 else ""
    return tuple(dict.fromkeys(re.findall(r"\"(reason|criteria|rank|score|rubrics|categories)\"\s*:", example)))


def _prompt(text: str, task: Task) -> str:
    """The prompt or edit instruction: on the last line that is labelled so, else anywhere; empty when there is none."""
    find = find_prompt if task == "t2i" else find_instruction
    for line in reversed(_PROMPT_LABEL.findall(text)):
        if found := find(line):
            return found.lower()
    return (find(text) or "").lower()


def _label(text: str, n: int) -> tuple[int, ...] | None:
    """The ranking people gave, where the text states one for `n` candidates."""
    if stated := _LABEL.search(text):
        ranks = tuple(int(rank) for rank in stated[1].split(","))
        return ranks if len(ranks) == n else None
    if n == 2 and (winner := _WINNER.search(text)):
        best = int(winner[1] or winner[2])
        return tuple(1 if i == best else 2 for i in (1, 2)) if best in (1, 2) else None
    return None
