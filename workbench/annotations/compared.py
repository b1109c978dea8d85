"""How far some raters agree on the pairs they share, and what those numbers allow one to say."""

from dataclasses import dataclass
from typing import Literal

from workbench.annotations.annotation import shown
from workbench.evaluation.statistics import Estimate

Kind = Literal["people", "everyone", "label", "judge"]

LEAST_PROMPTS = 20
"""With fewer prompts an interval from resampling them is too narrow to be relied on."""
RELIABLE, TENTATIVE = 0.8, 0.667
"""Krippendorff's customary bounds of alpha: to rely on labels, and to conclude from them tentatively."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far some raters agree.

    - `n`: pairs that two of them or more labelled, of `n_prompts` prompts.
    - `percent`: in [0, 1]. - `kappa`: of two raters alone. - `alpha`: Krippendorff's, nominal. 1 is perfect, 0 is what
      chance gives; a value and its interval are None where it is undefined.
    """

    between: tuple[str, ...]
    kind: Kind
    n: int
    n_prompts: int
    percent: Estimate
    kappa: Estimate
    alpha: Estimate

    @property
    def sentence(self) -> str:
        """The numbers that count here, and what they allow one to say."""
        if self.n == 0:
            return self.conclusion
        pairs = f"with {self.n:,} pairs of {self.n_prompts:,} prompts"
        name, beyond = self._beyond_chance
        if beyond.ci95 is None:
            return f"{pairs}: {self.conclusion}"
        low, high = beyond.ci95
        return f"{pairs}, {name} {beyond.value:.2f} (95% interval {low:.2f} to {high:.2f}): {self.conclusion}"

    @property
    def conclusion(self) -> str:
        """What these numbers allow one to say, in a few words."""
        name, beyond = self._beyond_chance
        if self.n == 0:
            return "no pair was labelled by two of them"
        if beyond.ci95 is None:
            return "every label is the same one, so agreement beyond chance is undefined"
        if self.n_prompts < LEAST_PROMPTS:
            return f"too few to conclude from, {LEAST_PROMPTS} prompts are the least"
        return _reliable(*beyond.ci95) if name == "alpha" else _more_than_chance(*beyond.ci95)

    @property
    def _beyond_chance(self) -> tuple[str, Estimate]:
        """People could stand in for each other, which alpha supposes; a judge or a dataset's label could not."""
        return ("alpha", self.alpha) if self.kind in ("people", "everyone") else ("kappa", self.kappa)


def name(row: Agreement) -> str:
    """Who is compared, for a table."""
    if row.kind == "everyone":
        return f"all {len(row.between)} people"
    one, other = (shown(each) for each in row.between)
    return f"{one} and {'the judge ' if row.kind == 'judge' else ''}{other}"


def _more_than_chance(low: float, high: float) -> str:
    if low > 0:
        return "more than chance"
    return "less than chance" if high < 0 else "not told from chance"


def _reliable(low: float, high: float) -> str:
    if low >= RELIABLE:
        return f"agreement to rely on (at least {RELIABLE})"
    if low >= TENTATIVE:
        return f"enough for tentative conclusions (at least {TENTATIVE})"
    if low > 0:
        reached = "not reached" if high < TENTATIVE else "undecided"
        return f"more than chance; {TENTATIVE}, asked of tentative conclusions, is {reached}"
    return _more_than_chance(low, high)
