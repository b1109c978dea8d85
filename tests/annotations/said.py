"""Pairs, and what people say about them, in few words."""

from workbench.annotations.annotation import Annotation
from workbench.evaluation.record import ORDERS, VerdictRecord
from workbench.judges.verdict import Verdict
from workbench.pairs.comparison import Comparison


def pair(number: int, *, ranks: tuple[int, ...] | None = (1, 2), prompt: str | None = None) -> Comparison:
    images = (f"a{number}".encode(), f"b{number}".encode())
    return Comparison(f"p{number}", "t2i", prompt or f"prompt {number}", images, ranks=ranks)


def says(author: str, pair_id: str, label: str | None, second: int = 0, **fields) -> Annotation:
    return Annotation(pair_id, author, f"2026-11-21T10:{second // 60:02}:{second % 60:02}Z", label, **fields)


def everything(author: str, labels: str) -> list[Annotation]:
    """One annotation a pair: `a`, `b`, `t` for a tie, `s` for a skip, a space for nothing."""
    words = {"t": "tie", "s": "skip"}
    return [says(author, f"p{i}", words.get(each, each), i) for i, each in enumerate(labels) if each != " "]


def verdicts(comparison: Comparison, forward: str, reverse: str, sample: int = 0) -> list[VerdictRecord]:
    return [
        VerdictRecord.of(comparison, order, _verdict(outcome), sample=sample)
        for order, outcome in zip(ORDERS, (forward, reverse), strict=True)
    ]


def _verdict(outcome: str) -> Verdict:
    if outcome in ("invalid", "error"):
        return Verdict(ranks=None, failure=outcome)
    return Verdict(ranks={"a": (1, 2), "b": (2, 1), "tie": (1, 1)}[outcome])
