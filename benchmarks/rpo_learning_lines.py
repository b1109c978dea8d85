"""The lines of `rpo_learning.py`'s results: one for the frozen base, one for every run and budget."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from workbench.pairs.comparison import Task
from workbench.rpo.watching.measured import Measured
from workbench.runs.lines import read_lines
from workbench.shapes.small_world import Split

Floats = NDArray[np.float64]


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Rates(Part):
    """What was measured, prompt by prompt.

    - `criteria`: by name, with `right` for all of them, a character for every prompt: how many of its pictures are
      right, `-` where it does not ask or does not count. - `diversity`: one number a prompt.
    """

    seeds: int
    criteria: dict[str, str]
    diversity: list[float]

    @classmethod
    def of(cls, measured: Measured, kinds: list[str], main: tuple[str, ...]) -> "Rates":
        """From a measurement; `kinds` are the prompts' actions for edits.

        `right` and the criteria are then of the `main` actions alone, `right` is also told for each action, and for
        all `others` together.
        """
        rates = {name: measured.rates(name) for name in ("right", *measured.criteria)}
        if kinds:
            right, is_main = rates["right"], np.isin(kinds, main)
            rates = {name: np.where(is_main, values, np.nan) for name, values in rates.items()}
            rates |= {kind: np.where(np.array(kinds) == kind, right, np.nan) for kind in main}
            rates["others"] = np.where(is_main, np.nan, right)
        n = len(measured.seeds)
        digits = {
            name: "".join("-" if np.isnan(value) else str(round(value * n)) for value in values)
            for name, values in rates.items()
        }
        return cls(seeds=n, criteria=digits, diversity=[round(float(each), 4) for each in measured.diversity])

    def rates(self, name: str) -> Floats:
        """The share of pictures right for every prompt, NaN where it does not ask; `diversity` where `right` counts."""
        if name == "diversity":
            return np.where(np.isnan(self.rates("right")), np.nan, self.diversity)
        return np.array([np.nan if each == "-" else int(each) / self.seeds for each in self.criteria[name]])


class Look(Part):
    """One look at fixed prompts while training: win rates against the base, and alarms."""

    update: int
    reward: float | None
    judge: dict[str, Any] | None = None
    gold: dict[str, Any] | None = None
    alarms: list[str] = []


class Line(Part):
    """The base (`arm` is `base`), or one run.

    - `design`: hash of all that must be equal for lines to be compared: weights, prompts, seeds, sampler.
    - `config`: of the run, as `RpoConfig` has it.
    - `seconds`: of training, by part. - `load`: processes that wanted the machine when the run began.
    - `decided`, `tied`, `failed`: groups. - `alarms`: about pictures of development prompts at the end.
    """

    schema_version: Literal["workbench.rpo_learning/1"] = "workbench.rpo_learning/1"
    design: str
    task: Task
    split: Split = "test"
    arm: str
    seed: int = 0
    budget: str = ""
    rates: Rates
    config: dict[str, Any] = {}
    updates: int = 0
    images: int = 0
    seconds: dict[str, float] = {}
    decided: int = 0
    tied: int = 0
    failed: int = 0
    judge_calls: int = 0
    kl: float | None = None
    looks: list[Look] = []
    alarms: list[str] = []
    threads: int = 0
    load: float = 0.0

    @property
    def key(self) -> tuple[str, int, str]:
        """What is run once."""
        return self.arm, self.seed, self.budget


def read_results(path: Path) -> list[Line]:
    """All lines so far; none where there is no file."""
    return list(read_lines(path, Line.model_validate_json, "a run of rpo_learning")) if path.exists() else []
