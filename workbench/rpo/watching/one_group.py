"""One group, looked at: the candidates of a prompt, what the judges said of them, and the advantages that makes."""

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from math import isnan

from workbench.foreign import foreign_html
from workbench.html import FONT
from workbench.judges.verdict import Verdict
from workbench.pairs.comparison import Comparison, ImageSource, letter
from workbench.pairs.images import encode_preview
from workbench.pairs.sources import read_bytes
from workbench.rpo.advantages import advantages
from workbench.rpo.config import RpoConfig
from workbench.rpo.draws import Noise, generator, prompts_of_update
from workbench.rpo.plan import make_plan
from workbench.rpo.policy import Policy, Prompt
from workbench.rpo.reward import Judged, RewardPanel, comparison_of
from workbench.rpo.rollout import Evaluation, sample

_SIDE = 128  # pixels of a picture
_VERDICTS = 8  # are shown; groups of many candidates have more
_TEACHES = {
    "decided": "Decided: training makes the steps of candidates with an advantage above 0 more likely, of others less.",
    "tied": "Tied: no candidate is better than another, so training learns nothing from this group.",
    "failed": "Failed: too few verdicts came, so training learns nothing from this group.",
}


@dataclass(frozen=True, slots=True)
class OneGroup:
    """A group as training has it; a notebook shows its pictures, rewards, advantages and verdicts.

    - `advantages`: one per candidate. - `noisy`: the trained steps, from 0, of `steps`.
    - `shown`: for each verdict the candidates in the order its judge saw them; none for one that scores each by itself.
    """

    comparison: Comparison = field(repr=False)
    judged: Judged = field(repr=False)
    advantages: tuple[float, ...]
    noisy: tuple[int, ...]
    steps: int
    shown: tuple[tuple[int, ...], ...]
    synthetic: bool

    def _repr_html_(self) -> str:
        about = f"group {self.comparison.id}{' (synthetic)' if self.synthetic else ''}, noise added in step "
        about += f"{', '.join(str(i + 1) for i in self.noisy)} of {self.steps}"
        source = self.comparison.source_image
        pictures = [] if source is None else [_picture(source, "source")]
        for i, image in enumerate(self.comparison.images):
            reward = "none" if isnan(self.judged.values[i]) else f"{self.judged.values[i]:.3g}"
            pictures.append(_picture(image, f"{letter(i)}: reward {reward}, advantage {self.advantages[i]:+.2f}"))
        said = zip(self.shown, self.judged.verdicts, strict=True)
        lines = [_line(shown, verdict) for shown, verdict in list(said)[:_VERDICTS]]
        if more := len(self.shown) - len(lines):
            lines.append(f"<li>and {more} more verdicts</li>")
        return (
            f'<div style="{FONT}"><b>{foreign_html(self.comparison.prompt, 400)}</b><br>{about}<div>{"".join(pictures)}'
            f"</div><ul>{''.join(lines)}</ul>{_TEACHES[self.judged.status]}</div>"
        )


async def one_group(
    policy: Policy,
    config: RpoConfig,
    prompts: Sequence[Prompt],
    panel: RewardPanel,
    *,
    update: int | None = None,
    tries: int = 8,
) -> OneGroup:
    """Sample a group of an update, with that update's noise, and have it judged: the first of a few that is decided.

    >>> await one_group(policy, config, read_prompts(config.prompts), panel)  # doctest: +SKIP

    - `update`: the one after the last unless given. - `tries`: how many groups to look at; the last one if none of them
      is decided. Raises `StopRun` as a panel does.
    """
    update = config.updates + 1 if update is None else update
    plan = make_plan(config.sampling, generator(config.seed, "update", update, "plan"))
    evaluation = Evaluation(policy, plan, config.sampling.truncate, update)
    for number, prompt in enumerate(prompts_of_update(config, prompts, update)[: max(tries, 1)]):
        noise = Noise.of(config, update, [number])
        pictures = sample(evaluation, policy.encode([prompt]), noise).pictures()
        comparison = comparison_of(update, number, policy.task, prompt.text, pictures, prompt.source)
        judged = await panel.judge(comparison)
        if judged.status == "decided":
            break
    return OneGroup(
        comparison,
        judged,
        advantages(config.objective.advantage, judged),
        plan.trained,
        config.sampling.steps,
        tuple(_shown(panel, len(pictures))),
        config.is_synthetic,
    )


def _shown(panel: RewardPanel, candidates: int) -> Iterator[tuple[int, ...]]:
    """For every verdict on a group, in the panel's order of them."""
    for each in panel.judges:
        if getattr(each.judge, "pointwise", False):
            yield ()
            continue
        for pair in combinations(range(candidates), 2):
            yield pair
            if each.both_orders:
                yield pair[::-1]


def _line(shown: tuple[int, ...], verdict: Verdict) -> str:
    order = ", ".join(f"{letter(index)} as Image {i}" for i, index in enumerate(shown, start=1)) or "each by itself"
    why = verdict.detail if verdict.ranks is None else verdict.reason
    return f"<li>shown {order}: <b>{_said(shown, verdict)}</b> {foreign_html(why, 400)}</li>"


def _said(shown: tuple[int, ...], verdict: Verdict) -> str:
    if verdict.ranks is None:
        return f"no verdict ({verdict.failure})"
    if not shown:
        return "scores " + ", ".join(f"{letter(i)} {score:.3g}" for i, score in enumerate(verdict.scores or ()))
    better = dict(zip("ab", sorted(shown), strict=True)).get(verdict.outcome)  # a verdict is on two of the candidates
    return "tie" if better is None else f"prefers {letter(better)}"


def _picture(source: ImageSource, caption: str) -> str:
    data = base64.b64encode(encode_preview(read_bytes(source), _SIDE, 90)).decode()
    return (
        f'<figure style="display:inline-block;margin:8px 16px 8px 0"><img src="data:image/webp;base64,{data}" '
        f'alt="{caption}" style="width:{_SIDE}px"><figcaption>{caption}</figcaption></figure>'
    )
