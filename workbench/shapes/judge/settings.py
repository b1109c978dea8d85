"""What a judge of the shapes world is like: its taste, its eyes, its flaws, how it writes. The file is `judge.json`."""

import hashlib
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from workbench.pairs.comparison import Task
from workbench.shapes.attributes import ATTRIBUTES_EDIT, ATTRIBUTES_T2I, STYLE, attributes

SCHEMA: Literal["workbench.judge/1"] = "workbench.judge/1"
SETTINGS_FILE = "judge.json"
SERVER_VERSION = "v1"


class Vocabulary(BaseModel):
    """Which synonyms this judge knows when it reads, and uses when it writes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = 0
    unknown: float = Field(default=0.0, ge=0, le=1)
    """Share of the synonyms it does not know; the plainest word for a thing is always known."""


class WriterHabits(BaseModel):
    """How it writes criteria; each is the share of criteria affected."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    inattention: float = Field(default=0.0, ge=0, le=1)
    """About something in which the candidates need not differ."""
    vagueness: float = Field(default=0.0, ge=0, le=1)
    """Says nothing anybody can check."""
    duplicates: float = Field(default=0.0, ge=0, le=1)
    """Repeats an earlier criterion in other words."""
    naming: float = Field(default=0.0, ge=0, le=1)
    """Names a candidate ("Image 1") in place of a property."""


class JudgeSettings(BaseModel):
    """One judge; every flaw is off at 0, and `JudgeSettings(task=...)` has none.

    Logits are of "this candidate is the better one"; attention is a share of the whole, so weights sum to 1.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal["workbench.judge/1"] = Field(default=SCHEMA, alias="schema")
    task: Task
    world: int = 0
    compliance: float = Field(default=1.0, ge=0, le=1)
    """How far attention follows the rubric, from 0 (not at all) to 1 (wholly)."""
    attention: float = Field(default=0.0, ge=0)
    """Budget B: an attribute with the share a of attention is noticed with 1 - exp(-B a); 0 is unlimited."""
    gain: float = Field(default=20.0, gt=0)
    """Logits per unit of attended difference between two candidates."""
    taste: dict[str, float] = {}
    """Attention without a rubric: signed weights over attributes; empty is even over all that can be put in words."""
    position_bias: float = 0.0
    """Logits the candidate shown first has over the one shown last."""
    noise: float = Field(default=0.0, ge=0)
    """Standard deviation, in logits, of the error on a pair: half its variance is the pair's, half the order's."""
    misreading: dict[str, float] = {}
    """Standard deviation of the error on an attribute's value in one image."""
    suggestibility: float = Field(default=0.0, ge=0)
    """Logits towards the ranking a request says people gave."""
    gullibility: float = Field(default=0.0, ge=0)
    """Logits towards a candidate with a caption written below it."""
    broken_json: float = Field(default=0.0, ge=0, le=1)
    """Share of answers that break the format."""
    refusals: float = Field(default=0.0, ge=0, le=1)
    latency_s: float = Field(default=0.0, ge=0)
    vocabulary: Vocabulary = Vocabulary()
    writer: WriterHabits = WriterHabits()

    @field_validator("taste", "misreading")
    @classmethod
    def _known_attributes(cls, values: dict[str, float]) -> dict[str, float]:
        known = {*ATTRIBUTES_T2I, *ATTRIBUTES_EDIT}
        if unknown := sorted(set(values) - known):
            raise ValueError(f"{unknown[0]!r} is not an attribute; there are {', '.join(sorted(known))}")
        return values

    @property
    def model_id(self) -> str:
        """Names task, world, settings and version: `shapes-t2i-w7-0f3c91aa-v1`. Equal ids answer alike."""
        digest = hashlib.sha256(self.to_json().encode()).hexdigest()[:8]
        return f"shapes-{self.task}-w{self.world}-{digest}-{SERVER_VERSION}"

    def to_json(self) -> str:
        """The text of `judge.json`."""
        # A flaw that came later is written where it is there, so that ids of judges without it stay what they were.
        left_out = {"gullibility"} if self.gullibility == 0 else None
        return self.model_dump_json(by_alias=True, indent=2, exclude=left_out) + "\n"

    @staticmethod
    def load(path: Path) -> "JudgeSettings":
        """Read a `judge.json`, or the one in a world's folder; raises ValueError naming the file and each bad field."""
        file = path / SETTINGS_FILE if path.is_dir() else path
        try:
            return JudgeSettings.model_validate_json(file.read_bytes())
        except OSError as error:
            raise ValueError(
                f"{file}: cannot be read ({error.strerror}); 'workbench shapes make' writes a world with its judge"
            ) from error
        except ValidationError as error:
            problems = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in error.errors())
            raise ValueError(f"{file}: {problems}") from error


def perfect(task: Task, world: int = 0) -> JudgeSettings:
    """A judge without flaws, that follows a rubric to the letter."""
    return JudgeSettings(task=task, world=world)


def sample_settings(task: Task, seed: int) -> JudgeSettings:
    """A judge with moderate flaws and a taste of its own, drawn from `seed`; its world is `seed` too."""
    rng = np.random.default_rng([seed, len(attributes(task))])
    names = [name for name in attributes(task) if name != "leftward"]
    # Models do look at what was asked for, and have a style of their own.
    styled = np.array([name in STYLE for name in names])
    weights = rng.gamma(2.0, size=len(names)) * np.where(styled, 1.0, 1.5)
    odd = styled & (rng.random(len(names)) < 0.1)
    taste = np.where(odd, -weights, weights) / weights.sum()
    spread = rng.uniform(0.02, 0.12, size=len(attributes(task)))

    def between(low: float, high: float) -> float:
        return round(float(rng.uniform(low, high)), 3)

    return JudgeSettings(
        task=task,
        world=seed,
        compliance=between(0.6, 0.9),
        attention=between(6, 12),
        taste={name: round(float(weight), 4) for name, weight in zip(names, taste, strict=True)},
        position_bias=between(0.3, 1.5),
        noise=between(0.5, 1.5),
        misreading={name: round(float(sd), 3) for name, sd in zip(attributes(task), spread, strict=True)},
        suggestibility=between(0.5, 2.5),
        broken_json=between(0.0, 0.02),
        refusals=between(0.0, 0.005),
        vocabulary=Vocabulary(seed=seed, unknown=0.3),
        writer=WriterHabits(
            inattention=between(0.1, 0.3),
            vagueness=between(0.05, 0.2),
            duplicates=between(0.05, 0.2),
            naming=between(0.0, 0.1),
        ),
    )
