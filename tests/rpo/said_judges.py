"""Judges that say what a test wants, and groups for them."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from workbench.judges.verdict import Usage, Verdict
from workbench.pairs.comparison import Comparison

Script = Callable[[Comparison, tuple[int, ...]], Verdict | Exception]


class SaidJudge:
    """Gives `script(comparison, order)`, or raises it, after a turn of the event loop; remembers what it was asked."""

    def __init__(self, script: Script, name: str = "said", *, pointwise: bool = False, delay_s: float = 0.0) -> None:
        self.script = script
        self.name = name
        self.pointwise = pointwise
        self.delay_s = delay_s
        self.asked: list[tuple[str, tuple[int, ...]]] = []
        self.at_once = self.most_at_once = 0

    def identity(self) -> dict[str, Any]:
        return {"judge": self.name}

    async def compare(self, comparison: Comparison, order: Sequence[int], sample: int = 0) -> Verdict:
        self.asked.append((comparison.id, tuple(order)))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(self.delay_s)
        self.at_once -= 1
        said = self.script(comparison, tuple(order))
        if isinstance(said, Exception):
            raise said
        return said


def win(index: int, **fields: Any) -> Verdict:
    """A pair won by its candidate 0 or 1; one call of two tokens."""
    fields = {"usage": Usage(1, 1, 0.5, 1), "reason": "seen", **fields}
    return Verdict(ranks=(1, 2) if index == 0 else (2, 1), **fields)


TIE = Verdict(ranks=(1, 1), usage=Usage(1, 1, 0.5, 1))
FAILED = Verdict(ranks=None, failure="error", detail="no answer", usage=Usage(1, 0, 0.25, 1))


def scores(*values: float) -> SaidJudge:
    """A reward model that always gives these scores."""
    ranks = tuple(1 + sum(other > value for other in values) for value in values)
    return SaidJudge(lambda *_: Verdict(ranks=ranks, scores=values), pointwise=True)


def by_order(said: Mapping[tuple[int, ...], Verdict]) -> SaidJudge:
    """A judge of pairs that goes by the order shown."""
    return SaidJudge(lambda _, order: said[order])


def group(n: int = 2, name: str = "u0-g0") -> Comparison:
    """Candidates `0`, `1`, ... in bytes."""
    return Comparison(name, "t2i", "a red circle", tuple(str(i).encode() for i in range(n)))
