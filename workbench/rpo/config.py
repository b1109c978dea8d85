"""What an RPO run is asked to do: one YAML file, every field checked, nothing taken silently.

preset: default
prompts: prompts.txt
policy: {path: data/models/tiny_flux, size: 64}
rewards: [{rubric: rubrics/t2i_general.yaml, base_url: "http://127.0.0.1:8000/v1"}]
updates: 200
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from workbench.atomic import replacing
from workbench.runs.storage import storage
from workbench.vlm.settings import is_synthetic

SCHEMA: Literal["workbench.rpo/1"] = "workbench.rpo/1"

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "default": {},
    "paper": {
        "sampling": {
            "kind": "dance",
            "eta": 0.3,
            "window": "all",
            "mirrored": False,
            "weights": "uniform",
            "truncate": True,
        },
        "objective": {"advantage": "paper", "clip_on": "mean", "kl": "log_ratio", "beta": 0.01},
        "optimizer": {"lr": 5e-5, "warmup": 0, "betas": [0.9, 0.999]},
    },
}
"""What differs from the fields' defaults, which were chosen on the embedded world (docs/log.md).

`paper` is ARR's FLUX launcher (arXiv 2605.08354; batch 32 from its appendix, as the launcher's never steps).
"""

ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
"""What ARR adapts in both transformers (launchers of arXiv 2605.08354)."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PolicyConfig(_Part):
    """The generator and its adapter."""

    path: str
    """A diffusers pipeline: a folder, or a name on a hub."""
    size: int = Field(default=512, ge=16, le=4096)
    """Pixels a side of what is sampled; an edit keeps its source's aspect ratio at this area."""
    guidance: float = Field(default=3.5, ge=0)
    """Embedded guidance, where the transformer takes one (FLUX.1-dev)."""
    true_cfg: float = Field(default=1.0, ge=1)
    """Classifier-free guidance with a second, detached evaluation; 1 is none."""
    dtype: Literal["bfloat16", "float32"] = "bfloat16"
    """Of the frozen weights; the adapter is float32."""
    rank: int = Field(default=16, ge=1)
    alpha: float = Field(default=32, gt=0)
    targets: tuple[str, ...] = ATTENTION
    """Name endings of the layers to adapt."""
    checkpointing: float = Field(default=0.0, ge=0, le=1)
    """Share of the transformer's blocks whose activations are computed again in the backward pass."""


class SamplingConfig(_Part):
    """How candidates come about (symbols of `workbench.rpo.sampler`)."""

    steps: int = Field(default=8, ge=2)
    shift: float = Field(default=3.0, gt=0)
    kind: Literal["flow_grpo", "dance", "cps", "ode"] = "cps"
    """Of the noisy steps; all others, and always the last one, are ODE steps."""
    eta: float = Field(default=0.7, ge=0)
    window: int | Literal["all"] = 1
    """How many consecutive steps are noisy and trained; `all` is every step but the last."""
    starts: tuple[int, int] = (1, 4)
    """First and last step at which a window may start, drawn anew for every update."""
    weights: Literal["uniform", "noise"] = "noise"
    """`noise` weighs a trained step by its noise over its sensitivity, so that early steps count."""
    same_noise: bool = True
    """Candidates of a group start from one noise, and share all evaluations up to the first noisy step."""
    mirrored: bool = True
    """Two and two candidates take the noise z and -z at noisy steps: further apart, their common part cancels."""
    group: int = Field(default=2, ge=2)
    """Candidates per prompt."""
    truncate: bool = False
    """Tell the transformer int(1000 sigma) / 1000, as ARR does."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.kind == "cps" and self.eta > 1:
            raise ValueError(f"eta={self.eta}: kind 'cps' replaces at most all noise, so choose eta up to 1")
        if self.window == "all":
            return self
        first, last = self.starts
        if self.window < 1 or not 0 <= first <= last or last + self.window > self.steps - 1:
            raise ValueError(
                f"window={self.window} from starts={list(self.starts)} does not fit the steps 0 to {self.steps - 2} "
                f"that can be noisy (steps={self.steps}, the last is always an ODE step): window at least 1, starts in "
                "order, and last start + window at most steps - 1"
            )
        return self


class ObjectiveConfig(_Part):
    """What is maximised (`workbench.rpo.objective`)."""

    advantage: Literal["paper", "centered", "group"] = "centered"
    clip: tuple[float, float] = (0.2, 0.2)
    """How far the log-ratio may fall and rise, in nats of the whole sample; for `mean` how far the ratio may."""
    clip_on: Literal["joint", "mean"] = "joint"
    """`mean` averages log-probabilities over latent elements, as the published code does."""
    kl: Literal["gaussian", "log_ratio"] = "gaussian"
    """`log_ratio` is ARR's term, whose gradient does not pull towards the reference."""
    beta: float = Field(default=0.2, ge=0)
    """Weight of the KL term; at 0 the reference is never evaluated. A judge's constant leanings, such as for more or
    brighter objects, add up faster than what it knows: a weak term lets them carry the policy away. The exact oracle
    has none, and with 0.01 taught no less in a first run (undecided)."""
    strategy: Literal["replay", "fused"] = "replay"
    rounds: int = Field(default=1, ge=1)
    """Updates per rollout."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.strategy == "fused" and (self.beta > 0 or self.rounds > 1):
            raise ValueError(
                "strategy 'fused' makes one update per rollout without a reference: set beta to 0 and rounds to 1, "
                "or choose strategy 'replay'"
            )
        if min(self.clip) <= 0 or (self.clip_on == "mean" and self.clip[0] >= 1):
            raise ValueError(
                f"clip={list(self.clip)} with clip_on={self.clip_on!r}: both numbers say how far from no change, above "
                "0, and a mean ratio cannot fall by 1 or more"
            )
        return self


class RewardConfig(_Part):
    """One judge among those that give the reward."""

    kind: Literal["ranking", "scoring", "oracle", "shuffled", "person"] = "ranking"
    """`oracle` measures the shapes world exactly; `shuffled` is a coin: it must teach nothing; `person` votes in the
    notebook that trains (`workbench.rpo.train.train`)."""
    rubric: str | None = None
    """A rubric file; None is the rubric-free judge."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Share of the rubric's criteria left out, others for every comparison."""
    base_url: str = ""
    model: str = ""
    world: str | None = None
    """A shapes world, whose judge is started on the spot where there is no base_url."""
    weight: float = Field(default=1.0, gt=0)
    both_orders: bool = True
    """Ask in both orders; a disagreement is a tie."""
    max_calls: int | None = Field(default=None, ge=1)
    """Requests a process may send between one start of the run and the next; then it pauses, its state saved."""

    @property
    def is_synthetic(self) -> bool:
        """Whether the judge is of the embedded world, or no judge at all but its exact measurement."""
        own = self.kind in ("oracle", "shuffled") or bool(self.world and not self.base_url)
        return own or is_synthetic(self.model)

    def calls(self, candidates: int) -> int:
        """Answers asked of a model about a group of so many candidates."""
        if self.kind == "scoring":
            return candidates
        return math.comb(candidates, 2) * (2 if self.both_orders else 1) if self.kind == "ranking" else 0


class OptimizerConfig(_Part):
    """AdamW over the adapter."""

    lr: float = Field(default=1.5e-4, gt=0)
    warmup: int = Field(default=10, ge=0)
    """Updates of linear warm-up; constant afterwards."""
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = Field(default=1e-4, ge=0)
    max_grad_norm: float = Field(default=1.0, gt=0)
    ema: float = Field(default=0.0, ge=0, lt=1)
    """Decay per update of the averaged adapter that is evaluated and exported; 0 keeps none."""


class RpoConfig(_Part):
    """A whole run; `RpoConfig.load(file)` reads it, `RpoConfig.of(preset, ...)` builds it."""

    schema_version: Literal["workbench.rpo/1"] = Field(default=SCHEMA, alias="schema")
    preset: Literal["paper", "default"] = "default"
    prompts: str
    """One prompt a line, or JSONL of edits: `{"source_image", "instruction"}`."""
    policy: PolicyConfig
    sampling: SamplingConfig = SamplingConfig()
    objective: ObjectiveConfig = ObjectiveConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    rewards: tuple[RewardConfig, ...] = Field(min_length=1)
    gold: RewardConfig | None = None
    """A judge that is only watched: training never sees what it says."""
    updates: int = Field(default=300, ge=1)
    groups: int = Field(default=32, ge=1)
    """Prompts per update, over all processes."""
    batch: int = Field(default=1, ge=1)
    """Prompts sampled and replayed together on one process."""
    max_failure_rate: float = Field(default=0.2, ge=0, le=1)
    """Share of an update's groups whose verdict may fail; above it training pauses with its state saved."""
    evaluate_every: int = Field(default=25, ge=0)
    """Updates between looks at fixed prompts, against the frozen base; 0 is never."""
    evaluated: int = Field(default=16, ge=0)
    """How many prompts those are."""
    checkpoint_every: int = Field(default=50, ge=1)
    seed: int = 0

    @model_validator(mode="after")
    def _explores(self) -> Self:
        if self.sampling.kind == "ode" or self.sampling.eta == 0:
            raise ValueError(
                f"sampling.kind={self.sampling.kind!r} with eta={self.sampling.eta} has no noise to learn from: choose "
                "flow_grpo, dance or cps with eta above 0"
            )
        return self

    @model_validator(mode="after")
    def _divides(self) -> Self:
        if self.groups % self.batch:
            raise ValueError(
                f"groups={self.groups} is not a multiple of batch={self.batch}: an update would train on another "
                "number of prompts than asked for; change one of them"
            )
        return self

    @property
    def judges(self) -> dict[str, RewardConfig]:
        """All judges by their field: `rewards[0]`, ..., and `gold`."""
        rewards = {f"rewards[{number}]": each for number, each in enumerate(self.rewards)}
        return {**rewards, "gold": self.gold} if self.gold else rewards

    @property
    def is_synthetic(self) -> bool:
        """Whether a judge is of the embedded world, the gold judge included."""
        return any(each.is_synthetic for each in self.judges.values())

    def per_process(self, processes: int) -> int:
        """Prompts per update of one process. Raises `ValueError` where they cannot be shared out evenly."""
        if self.groups % (processes * self.batch):
            raise ValueError(
                f"groups={self.groups} cannot be dealt out to {processes} processes in batches of {self.batch}: "
                f"choose a multiple of {processes * self.batch}"
            )
        return self.groups // processes

    @classmethod
    def of(cls, preset: str = "default", *settings: Mapping[str, Any], **fields: Any) -> Self:
        """A run from a preset, changed by `settings` and then by `fields`; of a part only what is named changes.

        >>> small = {"policy": {"size": 64}, "optimizer": {"lr": 1e-4}}
        >>> RpoConfig.of("paper", small, prompts="p.txt", policy={"path": "x"}, rewards=[{}]).policy.size
        64
        """
        if preset not in PRESETS:
            raise ValueError(f"preset: {preset!r} is not one of {', '.join(PRESETS)}")
        chosen = PRESETS[preset]
        for each in (*settings, fields):
            chosen = merged(chosen, each)
        return cls.model_validate({"preset": preset, **chosen})

    @classmethod
    def load(cls, path: str | Path, **changes: Any) -> Self:
        """Read a run's YAML file; raises `ValueError` naming the file and every bad field."""
        try:
            fields = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise ValueError(f"{path}: cannot be read as YAML ({error})") from error
        if not isinstance(fields, dict):
            raise ValueError(f"{path}: holds no mapping of fields such as 'prompts: prompts.txt'")
        fields = merged(fields, changes)
        try:
            return cls.of(**{"preset": "default", **fields})
        except ValidationError as error:
            raise ValueError(f"{path}: {faults(error)}") from error

    def save(self, path: str | Path) -> None:
        """Write the run as YAML, presets resolved; `load` gives it back."""
        path = Path(path)
        with storage(path), replacing(path) as temporary:
            temporary.write_text(yaml.safe_dump(self.to_json(), sort_keys=False), encoding="utf-8")

    def to_json(self) -> dict[str, Any]:
        """All fields as plain JSON."""
        return self.model_dump(mode="json", by_alias=True)


def faults(error: ValidationError) -> str:
    """Every bad field of a configuration in one line."""
    parts = []
    for each in error.errors():
        where = ".".join(str(step) for step in each["loc"]) or "configuration"
        what = each["msg"].removeprefix("Value error, ")
        given = f" (given: {each['input']!r})" if each["type"] not in ("missing", "value_error") else ""
        parts.append(f"{where}: {what}{given}")
    return "; ".join(parts)


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `changes` on top; of a mapping in both, only what is named changes."""
    found = dict(base)
    for name, value in changes.items():
        both = isinstance(value, Mapping) and isinstance(found.get(name), Mapping)
        found[name] = merged(found[name], value) if both else value
    return found
