"""Who judges in an audit: with which rubric, on which pictures, how often."""

from dataclasses import dataclass
from typing import Literal

Basis = Literal["audited", "placebo", "from coin flips", "reordered", "paraphrased"]
Caption = Literal["vote", "key words"]


@dataclass(frozen=True, slots=True)
class Arm:
    """One judge of an audit; its verdicts are in `arms/<name>.jsonl`.

    - `rubric`: the one it is given; None for none.
    - `caption`: what is written below the worse image of every pair.
    - `repeated`: asked several times at a temperature above 0; the others once, at the client's.
    """

    name: str
    rubric: Basis | None
    caption: Caption | None = None
    repeated: bool = False


FREE = Arm("free", None)
RUBRIC = Arm("rubric", "audited")
PLACEBO = Arm("placebo", "placebo")
COIN_FLIPS = Arm("coin-flips", "from coin flips")
REORDERED = Arm("reordered", "reordered")
PARAPHRASED = Arm("paraphrased", "paraphrased")
REPEATS = Arm("repeats", "audited", repeated=True)
FREE_REPEATS = Arm("free-repeats", None, repeated=True)
VOTE = Arm("vote", "audited", "vote")
FREE_VOTE = Arm("free-vote", None, "vote")
KEY_WORDS = Arm("keywords", "audited", "key words")
FREE_KEY_WORDS = Arm("free-keywords", None, "key words")

ARMS = (
    FREE,
    RUBRIC,
    PLACEBO,
    COIN_FLIPS,
    REORDERED,
    PARAPHRASED,
    REPEATS,
    FREE_REPEATS,
    VOTE,
    FREE_VOTE,
    KEY_WORDS,
    FREE_KEY_WORDS,
)
"""In the order they judge, so that a budget buys the first."""
