"""What a run will take in memory, time and judging, before anything is downloaded or started.

    print(estimate(RpoConfig.load("rpo_flux.yaml"), processes=8, device_memory_gb=80))

Computed from configurations (`workbench.rpo.policies.size`), never measured: memory is right to about a fifth, time as
far as the stated rate is.
"""

import html
from dataclasses import dataclass
from math import ceil
from statistics import mean
from typing import Any

import torch

from workbench.html import html_table
from workbench.rpo.config import PolicyConfig, RpoConfig
from workbench.rpo.plan import BACKWARD, Plan, forwards, make_plan
from workbench.rpo.policies.embeddings import are_embedded
from workbench.rpo.policies.size import ModelSize, model_size

GB = 1e9

H100_TFLOPS = 400.0
"""10^12 operations a second that such transformers reach on an H100 in bfloat16, of a peak of 989."""

RUNTIME_GB = 2.0
"""What CUDA's context, libraries and a fragmented allocator take on an accelerator."""


@dataclass(frozen=True, slots=True)
class Needs:
    """A run's needs; `print` it, or show it in a notebook.

    - `memory`: 10^9 bytes on each device, by part; activations are what one backward pass needs.
    - `decoding`: 10^9 bytes for decoding one picture, at another time than activations; `encoding`: for the encoders of
      prompts, which are freed before training begins, and not loaded where prompts were encoded before.
    - `parameters`, `trained`: of the transformer and of its adapter; `layers`: how many are adapted.
    - `tokens`: of pictures and of text in one forward pass; `tflop`: 10^12 operations of one.
    - `equivalents`: forward passes an update and group, backward passes counted by their cost; the most, as tied and
      failed groups cost their sampling alone.
    - `hours`: of computing at `tflops`, 10^12 operations a second a device; judging is not in it, as it is hidden
      behind sampling where the judge is quick enough.
    - `judge_calls`, `images`: of the whole run.
    """

    config: RpoConfig
    processes: int
    memory: dict[str, float]
    decoding: float
    encoding: float
    parameters: int
    trained: int
    layers: int
    tokens: tuple[int, int]
    tflop: float
    equivalents: float
    hours: float
    tflops: float
    judge_calls: int
    images: int
    device_memory_gb: float | None

    @property
    def peak_gb(self) -> float:
        """10^9 bytes on each device at the worst moment."""
        moments = self.memory["activations"] + self.memory["a block's own work"]
        return sum(self.memory.values()) - moments + max(moments, self.decoding, self.encoding)

    @property
    def fits(self) -> bool | None:
        """Whether it does, into `device_memory_gb` where that was given."""
        return None if self.device_memory_gb is None else self.peak_gb <= self.device_memory_gb

    def rows(self) -> list[tuple[str, str]]:
        """What is shown: a name and a value each."""
        config, (pictures, text) = self.config, self.tokens
        shown = [(f"memory: {part}", _size(gigabytes)) for part, gigabytes in self.memory.items()]
        shown.append(("memory: decoding one picture (at another time)", _size(self.decoding)))
        shown.append(("memory: text encoders (before training)", _size(self.encoding)))
        verdict = {None: "", True: ": fits", False: ": DOES NOT FIT"}[self.fits]
        room = "" if self.device_memory_gb is None else f" of {self.device_memory_gb:g} GB{verdict}"
        return [
            ("transformer", f"{_count(self.parameters)} parameters, frozen, {config.policy.dtype}"),
            ("adapter", f"{_count(self.trained)} parameters in {self.layers} layers, float32"),
            *shown,
            ("memory: peak of each device", f"{_size(self.peak_gb)}{room}"),
            ("one forward pass", f"{pictures} + {text} tokens, {self.tflop:.3g} TFLOP"),
            ("one group", f"{self.equivalents:.1f} forward-equivalents at most"),
            ("one update", f"{config.groups} groups of {config.sampling.group} on {self.processes} process(es)"),
            ("computing", f"{_time(self.hours)} for {config.updates} updates at {self.tflops:g} TFLOP/s a device"),
            ("images", f"{self.images:,}"),
            ("judge calls", f"{self.judge_calls:,} at most, repeated answers come from the cache"),
        ]

    def __str__(self) -> str:
        width = max(len(name) for name, _ in self.rows())
        return "\n".join(f"{name:<{width}}  {value}" for name, value in self.rows())

    def _repr_html_(self) -> str:
        cells = [(html.escape(name), html.escape(value)) for name, value in self.rows()]
        return html_table(("what", "estimate"), cells)


def estimate(
    config: RpoConfig, *, processes: int = 1, device_memory_gb: float | None = None, tflops: float = H100_TFLOPS
) -> Needs:
    """What the run will need.

    - `device_memory_gb`: to say whether it fits.
    - `tflops`: 10^12 operations a second that one device reaches on this model.

    Raises `ValueError` for a model that is neither a folder, nor published by that name, nor to be had from the hub,
    and for groups that cannot be dealt out to the processes.
    """
    config.per_process(processes)
    model, policy = model_size(config.policy.path), config.policy
    tflop = model.tflop(policy.size)
    equivalents = _equivalents(config)
    looks = ceil(config.updates / config.evaluate_every) if config.evaluate_every and config.evaluated else 0
    looking = config.evaluated * (looks + 1 if looks else 0)
    guided = 2 if policy.true_cfg > 1 else 1
    work = config.updates * config.groups * equivalents + looking * config.sampling.steps * guided
    return Needs(
        config=config,
        processes=processes,
        memory=_memory(config, model),
        decoding=model.decoding(policy.size) / GB,
        encoding=0.0 if are_embedded(config.prompts) else model.encoder_parameters * _bytes(policy) / GB,
        parameters=model.parameters,
        trained=model.adapter_parameters(policy),
        layers=len(model.adapted(policy)),
        tokens=model.tokens(policy.size),
        tflop=tflop,
        equivalents=equivalents,
        hours=work * tflop / tflops / processes / 3600,
        tflops=tflops,
        judge_calls=_calls(config, looks),
        images=config.updates * config.groups * config.sampling.group + looking,
        device_memory_gb=device_memory_gb,
    )


def advice(config: RpoConfig) -> str:
    """What to change so that a run takes less memory, with what `estimate` makes of it.

    For the message of another error, so it raises none.
    """
    try:
        peak = estimate(config).peak_gb
        others = [(text, estimate(changed).peak_gb) for text, changed in _smaller(config)]
    except Exception:
        return "set policy.checkpointing to 1.0, batch to 1, or policy.size to less"
    helpful = [f"{text} (about {gigabytes:.1f} GB)" for text, gigabytes in others if gigabytes < 0.98 * peak]
    first = f"the estimate for this run is {peak:.1f} GB a device"
    if not helpful:
        return f"{first}, and nothing here makes it smaller: free the device, or take a larger one"
    return f"{first}; {'; or '.join(helpful)}"


def _size(gigabytes: float) -> str:
    return f"{gigabytes:.1f} GB" if gigabytes >= 0.1 else f"{gigabytes * 1e3:.3g} MB"


def _time(hours: float) -> str:
    for unit, name in ((1.0, "h"), (1 / 60, "min")):
        if hours >= unit:
            return f"{hours / unit:.3g} {name}"
    return f"{3600 * hours:.2g} s"


def _count(number: int) -> str:
    for unit, name in ((1e9, "billion"), (1e6, "million"), (1e3, "thousand")):
        if number >= unit:
            return f"{number / unit:.3g} {name}"
    return str(number)


def _smaller(config: RpoConfig) -> list[tuple[str, RpoConfig]]:
    def policy(**fields: Any) -> RpoConfig:
        return config.model_copy(update={"policy": config.policy.model_copy(update=fields)})

    less: list[tuple[str, RpoConfig]] = []
    if config.batch > 1:
        less.append(("set batch to 1", config.model_copy(update={"batch": 1})))
    if config.policy.checkpointing < 1:
        less.append(("set policy.checkpointing to 1.0", policy(checkpointing=1.0)))
    if config.policy.dtype == "float32":
        less.append(("set policy.dtype to bfloat16", policy(dtype="bfloat16")))
    if config.policy.size > 512:
        less.append(("set policy.size to 512", policy(size=512)))
    return less


def _memory(config: RpoConfig, model: ModelSize) -> dict[str, float]:
    policy, objective = config.policy, config.objective
    bytes_each = _bytes(policy)
    trained = model.adapter_parameters(policy)
    # float32: the adapter, its gradient and AdamW's two moments, the average, and one gradient a candidate for `fused`.
    fused = config.batch * config.sampling.group if objective.strategy == "fused" else 0
    copies = 4 + (1 if config.optimizer.ema else 0) + fused
    rows = 1 if fused else config.batch * config.sampling.group
    wide = bytes_each / 2
    return {
        "frozen transformer": model.parameters * bytes_each / GB,
        "VAE": model.vae_parameters * bytes_each / GB,
        "adapter and its optimizer": trained * 4 * copies / GB,
        "activations": rows * model.activations(policy.size, policy.checkpointing) * wide / GB,
        "a block's own work": rows * model.block(policy.size) * wide / GB,
        "runtime": RUNTIME_GB,
    }


def _bytes(policy: PolicyConfig) -> int:
    """Of a frozen weight."""
    return torch.finfo(getattr(torch, policy.dtype)).bits // 8


def _equivalents(config: RpoConfig) -> float:
    """Forward-equivalents of a group, on average over where its window may start."""
    return mean(_group_cost(config, plan) for plan in _plans(config))


def _group_cost(config: RpoConfig, plan: Plan) -> float:
    sampling, objective, policy = config.sampling, config.objective, config.policy
    cost = forwards(plan, sampling.group, objective.strategy, kl=objective.beta > 0, checkpointing=policy.checkpointing)
    guided = 2 if policy.true_cfg > 1 else 1
    learning = guided * (cost.replay + cost.reference) + cost.recompute + BACKWARD * cost.backward
    return guided * cost.sampling + learning * objective.rounds


def _plans(config: RpoConfig) -> list[Plan]:
    first, last = config.sampling.starts
    starts = range(first, last + 1) if config.sampling.window != "all" else range(1)
    settings = [config.sampling.model_copy(update={"starts": (start, start)}) for start in starts]
    return [make_plan(each, torch.Generator()) for each in settings]


def _calls(config: RpoConfig, looks: int) -> int:
    """Answers asked for: of all groups, and of the fixed prompts against the frozen base."""
    groups = sum(reward.calls(config.sampling.group) for reward in config.rewards)
    watched = [*config.rewards, *([config.gold] if config.gold else [])]
    both = [each.model_copy(update={"both_orders": True}) for each in watched]
    looking = looks * config.evaluated * sum(each.calls(2) for each in both)
    return config.updates * config.groups * groups + looking
