"""One line of `verdicts.jsonl`: a verdict, the order it was given in, and whether people agree."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field, StringConstraints, TypeAdapter

from workbench.judges.verdict import Usage, Verdict
from workbench.pairs.comparison import Comparison
from workbench.pairs.prompts import prompt_id
from workbench.runs.lines import read_lines
from workbench.vlm.json_text import clean_text

Order = Literal["forward", "reverse"]
ORDERS: tuple[Order, Order] = ("forward", "reverse")

Outcome = Annotated[str, StringConstraints(pattern=r"^([a-z]|tie|invalid|error)$")]


@dataclass(frozen=True, slots=True)
class VerdictRecord:
    """What one judge said about one comparison in one order; every rank is in the dataset's order of candidates.

    - `shown`: the order of candidates the judge saw, `shown[0]` first.
    - `prompt_id`: pairs of one prompt share it; intervals are clustered by it.
    - `outcome`: `a`, `b`, ... for the winner, `tie`, `invalid` or `error`.
    - `correct`: the human ranking was reproduced; None when nobody labelled the pair. A failed verdict is False
      here, to keep denominators fixed, and is counted as a failure in the outcomes.
    - `confidence`: probability of the candidate ranked first, in (0, 1]. `latency_s`: seconds, None from the cache.
    - `rubric`: the hash of the rubric used, where every prompt may have another; None for the judge's own, or none.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    pair_id: str
    order: Order
    sample: Annotated[int, Field(ge=0, lt=10_000)]
    shown: Annotated[tuple[int, ...], Field(min_length=1)]
    prompt_id: str
    outcome: Outcome
    ranks: tuple[int, ...] | None
    correct: bool | None
    confidence: float | None = None
    reason: str = ""
    criteria: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    scores: tuple[float, ...] | None = None
    detail: str = ""
    usage: Usage = field(default_factory=Usage)
    cached: bool = False
    keys: tuple[str, ...] = ()
    latency_s: float | None = None
    rubric: str | None = None
    schema: Literal["workbench.verdict/1"] = "workbench.verdict/1"

    @classmethod
    def of(
        cls,
        comparison: Comparison,
        order: Order,
        verdict: Verdict,
        *,
        sample: int = 0,
        latency_s: float | None = None,
    ) -> "VerdictRecord":
        """The record of `verdict`, given on `comparison` shown in `shown_order(comparison, order)`."""
        return cls(
            pair_id=comparison.id,
            order=order,
            sample=sample,
            shown=shown_order(comparison, order),
            prompt_id=prompt_id(comparison.prompt),
            outcome=verdict.outcome,
            ranks=verdict.ranks,
            correct=is_correct(verdict.ranks, comparison.ranks),
            confidence=verdict.probability,
            reason=clean_text(verdict.reason),
            criteria=verdict.criteria,
            scores=verdict.scores,
            detail=clean_text(verdict.detail),
            usage=verdict.usage,
            cached=verdict.cached,
            keys=verdict.keys,
            latency_s=latency_s,
            rubric=verdict.rubric,
        )

    def to_line(self) -> bytes:
        """The record as one line of JSON, its newline included."""
        return _ADAPTER.dump_json(self) + b"\n"

    @staticmethod
    def from_line(line: bytes | str) -> "VerdictRecord":
        """The record of one line; raises `ValueError` naming the field that is wrong."""
        return _ADAPTER.validate_json(line)

    @property
    def key(self) -> tuple[str, Order, int]:
        """What makes two lines the same verdict; the later line counts."""
        return self.pair_id, self.order, self.sample


_ADAPTER = TypeAdapter(VerdictRecord)


def read_verdicts(path: str | os.PathLike[str]) -> Iterator[VerdictRecord]:
    """`read_lines` of a `verdicts.jsonl`; for one `record.key` the last line counts."""
    return read_lines(path, VerdictRecord.from_line, "a verdict")


def last_verdicts(path: str | os.PathLike[str]) -> list[VerdictRecord]:
    """What a log says in the end: of several lines with one `record.key` the last."""
    return list({record.key: record for record in read_verdicts(path)}.values())


def last_outcomes(path: str | os.PathLike[str]) -> dict[tuple[str, Order, int], str]:
    """The outcome of every verdict a log holds, by `record.key`; empty for a log that does not exist yet."""
    if not os.path.exists(path):
        return {}
    return {record.key: record.outcome for record in read_verdicts(path)}


def shown_order(comparison: Comparison, order: Order) -> tuple[int, ...]:
    """The permutation a judge is shown: `forward` has the human's winner first, `reverse` is its mirror image.

    Candidates go from best to worst by the human label, ties and unlabelled comparisons in the dataset's order.

    >>> shown_order(Comparison("p", "t2i", "a dog", ("a.png", "b.png"), ranks=(2, 1)), "forward")
    (1, 0)
    """
    ranks = comparison.ranks or (1,) * len(comparison.images)
    forward = tuple(sorted(range(len(ranks)), key=ranks.__getitem__))
    return forward if order == "forward" else forward[::-1]


def is_correct(ranks: Sequence[int] | None, label: Sequence[int] | None) -> bool | None:
    """Whether `ranks` order the candidates exactly as `label` does, ties included; None without a label.

    >>> is_correct((1, 3, 2), (1, 3, 2)), is_correct((1, 1), (1, 2)), is_correct(None, (1, 2)), is_correct((1, 2), None)
    (True, False, False, None)
    """
    if label is None:
        return None
    return ranks is not None and _dense(ranks) == _dense(label)


def pairwise_agreement(ranks: Sequence[int] | None, label: Sequence[int]) -> float:
    """The share of candidate pairs that `ranks` order as `label` does, in [0, 1]; 0 for a failed verdict.

    >>> pairwise_agreement((1, 2, 3), (2, 1, 3))  # two of the three candidate pairs
    0.6666666666666666
    """
    if ranks is None:
        return 0.0
    couples = [(i, j) for i in range(len(label)) for j in range(i)]
    same = sum(_sign(ranks[i] - ranks[j]) == _sign(label[i] - label[j]) for i, j in couples)
    return same / len(couples)


def _dense(ranks: Sequence[int]) -> list[int]:
    levels = sorted(set(ranks))
    return [levels.index(rank) for rank in ranks]


def _sign(number: int) -> int:
    return (number > 0) - (number < 0)
