"""What a judge says about one comparison, and the protocol every judge follows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from workbench.pairs.comparison import Comparison, winner

Failure = Literal["invalid", "error"]


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens and money one verdict took; zero for what came from the cache."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    calls: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """The ranks a judge gave, in the dataset's order of candidates, whatever order it was shown them in.

    - `ranks`: one per candidate, 1 is best, equal ranks are ties; None if and only if `failure` is set.
    - `failure`: `invalid` for an answer that breaks the format, `error` when no answer came. Never a vote.
    - `probability`: of the candidate ranked first, in (0, 1], read from the rank token; None where there is none.
    - `scores`: pointwise scores in the dataset's order, higher is better.
    - `criteria`: per-criterion ranks by criterion id, in the dataset's order.
    - `detail`: what went wrong, for a failed verdict.
    - `usage`: with rubrics made on the way, the first verdict under one counts what it took as well.
    - `keys`: cache keys of the answers behind the verdict, so that request and raw reply can be looked at.
    - `rubric`: the hash of the rubric used, where every prompt may have another; None for the judge's own, or none.
    """

    ranks: tuple[int, ...] | None
    failure: Failure | None = None
    probability: float | None = None
    scores: tuple[float, ...] | None = None
    criteria: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    reason: str = ""
    detail: str = ""
    usage: Usage = Usage()
    cached: bool = False
    keys: tuple[str, ...] = ()
    rubric: str | None = None

    @property
    def outcome(self) -> str:
        """`a`, `b`, ... for the candidate ranked first in the dataset's order, `tie`, `invalid` or `error`.

        >>> Verdict(ranks=(2, 1)).outcome
        'b'
        """
        return winner(self.ranks) if self.ranks is not None else self.failure or "error"


class Judge(Protocol):
    """Anything that compares the candidates of one comparison.

    A judge that scores every candidate by itself, blind to the order shown, says so with `pointwise = True`; its
    verdicts have `scores`.
    """

    @property
    def name(self) -> str:
        """A short name for tables."""

    def identity(self) -> dict[str, Any]:
        """Everything that decides its verdicts, as JSON: model, rubric hash, prompt version, sampling settings."""

    async def compare(self, comparison: Comparison, order: Sequence[int], sample: int = 0) -> Verdict:
        """Judge the candidates shown in `order`, a permutation of `range(n)`: `order[0]` is the index shown first.

        A failed answer is a `Verdict` with `failure` set. Only what makes going on pointless is raised:
        `workbench.vlm.errors.StopRun` (wrong key, unreachable endpoint, budget spent, disk full).
        """
