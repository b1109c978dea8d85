"""The parameters of a study over sampled worlds, and the lines of its results."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from workbench.evaluation.statistics import Difference
from workbench.pairs.comparison import Task
from workbench.rubrics.rubric import Rubric, Theme
from workbench.runs.lines import read_lines
from workbench.shapes.arms import taste_as_rule
from workbench.shapes.judge.settings import JudgeSettings, sample_settings
from workbench.shapes.sampling import World, sample_world

Arm = Literal[
    "none",
    "placebo",
    "handwritten",
    "other_arr",
    "other_blind",
    "shuffled_arr",
    "shuffled_blind",
    "arr",
    "blind",
    "arr_guided",
    "blind_guided",
    "oracle",
]
"""How the judge is told what to look at; all but `none` with a rubric.

- `placebo`: about as long as the induced one, and about nothing. - `handwritten`: written before any label was seen.
- `other_*`: induced in the world before this one. - `shuffled_*`: induced from this world's seeds, labels by coin flip.
- `*_guided`: induced with people's exemplars in view. - `oracle`: the hidden rule in words.
"""
INDUCED_HERE: tuple[Arm, ...] = ("arr", "blind", "arr_guided", "blind_guided", "shuffled_arr", "shuffled_blind")
"""Induced from the seed pairs of the world they are judged in."""


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Seeds(Part):
    """World seeds `first`, `first + 1`, ..."""

    first: int = Field(ge=1)
    count: int = Field(ge=1)


class Condition(Part):
    """One way to set up every world; what is not stated is as `make_world` and `sample_settings` draw it."""

    name: str = "base"
    seed_pairs: int = Field(default=60, ge=1)
    rule: Literal["hidden", "taste"] = "hidden"
    """`taste`: people like just what the judge likes anyway."""
    label_noise: float = Field(default=0.05, ge=0, le=0.5)
    """0.5 makes labels random, of seed and test pairs alike."""
    judge: dict[str, Any] = {}
    """Settings of the judge in place of those drawn; a mapping replaces only the keys it names."""
    writer: dict[str, Any] | None = None
    """The same for a writer of its own; without it, the judge writes."""
    writer_world: int = 0
    """A writer's settings are drawn for the world seed this much higher."""
    criteria_per_pair: int = Field(default=5, ge=1)

    def world(self, task: Task, seed: int) -> World:
        drawn = sample_world(seed, task, self.label_noise)
        if self.rule == "hidden":
            return drawn
        return World(seed, task, taste_as_rule(self.judge_settings(task, seed)), self.label_noise)

    def judge_settings(self, task: Task, seed: int) -> JudgeSettings:
        return _overridden(sample_settings(task, seed), self.judge)

    def writer_settings(self, task: Task, seed: int) -> JudgeSettings | None:
        """None where the judge writes."""
        if self.writer is None:
            return None
        return _overridden(sample_settings(task, seed + self.writer_world), self.writer)


class Study(Part):
    """What one parameter file says."""

    about: str = ""
    tasks: tuple[Task, ...] = ("t2i", "edit")
    worlds: Seeds
    """From 1; world 0 is what rubrics are matched on."""
    test_pairs: int = Field(default=250, ge=2)
    arms: tuple[Arm, ...]
    conditions: tuple[Condition, ...] = (Condition(),)
    cross_fit: tuple[Arm, ...] = ()
    """Arms whose recipe is cross-fitted on the seed pairs as well."""
    match: tuple[Arm, ...] = ()
    """Arms whose rubric the blind matcher gets to see."""
    processes: int = Field(default=2, ge=1)

    @model_validator(mode="after")
    def _consistent(self) -> "Study":
        names = [condition.name for condition in self.conditions]
        if len(set(names)) < len(names):
            raise ValueError(f"conditions: the names {', '.join(names)} are not all different")
        if "none" not in self.arms:
            raise ValueError("arms: 'none' is missing; every other arm is compared with it")
        if "placebo" in self.arms and not {"arr", "blind"} & set(self.arms):
            raise ValueError("arms: a placebo must be as long as an induced rubric; add 'blind' or 'arr'")
        if strange := sorted({*self.cross_fit, *self.match} - set(self.arms)):
            raise ValueError(f"cross_fit, match: {', '.join(strange)} is not among the arms")
        if strange := sorted(set(self.cross_fit) - {"arr", "blind", "arr_guided", "blind_guided"}):
            raise ValueError(f"cross_fit: {', '.join(strange)} is not induced from this world's labels")
        for condition in self.conditions:
            for task in self.tasks:  # a setting that cannot be is reported now and not hours later
                condition.judge_settings(task, self.worlds.first)
                condition.writer_settings(task, self.worlds.first)
        return self

    @property
    def model_of_placebo(self) -> Arm:
        """The arm whose rubric the placebo is as long as."""
        return "blind" if "blind" in self.arms else "arr"

    def design(self, condition: Condition, arm: Arm) -> str:
        """A short hash of all that decides an arm's numbers in one world."""
        decides = [condition.model_dump(), self.test_pairs, arm in self.cross_fit, arm in self.match]
        return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:8]

    @staticmethod
    def load(path: Path) -> "Study":
        """Raises `ValueError` naming the file and every field that is wrong."""
        try:
            return Study.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
        except (OSError, yaml.YAMLError) as error:
            raise ValueError(f"{path}: cannot be read as YAML: {error}") from error
        except ValidationError as error:
            problems = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in error.errors())
            raise ValueError(f"{path}: {problems}") from error


class Asked(Part):
    """What something took: requests sent, answers that came from the cache, seconds."""

    calls: int
    cached: int
    seconds: float


class Judged(Part):
    """An arm's numbers on the held-out pairs; `gain` and `resolved_gain` against `none`, pair by pair."""

    n: int
    mean: float
    forward: float
    reverse: float
    resolved: float
    invalid: int
    error: int
    gain: Difference | None
    resolved_gain: Difference | None

    @property
    def position_bias(self) -> float:
        return self.forward - self.reverse


class Match(Part):
    """Which of ten hidden rules a blind matcher took the rubric for.

    - `agreement`: by world seed, the share of pairs on which a flawless judge decides the same with the rubric as with
      that world's rule in words.
    """

    picked: int
    agreement: dict[int, float]


class Line(Part):
    """One arm in one world under one condition; without a rubric `failed` says why."""

    schema_version: Literal["workbench.worlds/1"] = Field(default="workbench.worlds/1", alias="schema")
    design: str
    world: int
    task: Task
    condition: str
    arm: Arm
    rubric_hash: str | None = None
    themes: tuple[Theme, ...] | None = None
    failed: str = ""
    judged: Judged | None = None
    evidence: dict[str, Any] | None = None
    match: Match | None = None
    inducing: Asked | None = None
    cross_fitting: Asked | None = None
    judging: Asked | None = None
    judge: JudgeSettings
    writer: JudgeSettings | None = None
    synthetic: Literal[True] = True

    @property
    def key(self) -> tuple[Task, int, str, Arm]:
        return self.task, self.world, self.condition, self.arm

    @property
    def rubric(self) -> Rubric | None:
        return None if self.themes is None else Rubric(self.arm, self.task, self.themes)

    def to_line(self) -> bytes:
        return self.model_dump_json(by_alias=True).encode() + b"\n"


def read_results(path: Path) -> Iterator[Line]:
    """Every line; a torn last one is left out. Raises `ValueError` naming file and line."""
    return read_lines(path, Line.model_validate_json, "a line of results")


def _overridden(settings: JudgeSettings, changes: dict[str, Any]) -> JudgeSettings:
    fields = settings.model_dump(by_alias=True)
    for name, value in changes.items():
        fields[name] = {**fields[name], **value} if isinstance(fields.get(name), dict) else value
    return JudgeSettings.model_validate(fields)
