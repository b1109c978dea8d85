"""The trained policy against its frozen base, on prompts it was not trained on: what a judge prefers, and in what."""

from collections.abc import Mapping, Sequence
from statistics import fmean

from workbench.evaluation.record import VerdictRecord
from workbench.evaluation.statistics import Estimate, proportion
from workbench.pairs.comparison import Comparison, winner
from workbench.rpo.policy import Policy, Prompt
from workbench.rpo.reward import png
from workbench.rpo.rollout import batches
from workbench.rpo.watching.measured import draw

OVERALL = "overall"


def contest(
    policy: Policy,
    prompts: Sequence[Prompt],
    seeds: Sequence[int],
    *,
    steps: int,
    shift: float,
    truncate: bool = False,
    batch: int,
) -> list[Comparison]:
    """A pair of every prompt and seed: candidate a is the base's, b the trained one's, from one noise, by the ODE.

    - `steps`, `shift`, `truncate`: as in `SamplingConfig`.
    """
    pairs: dict[int, list[Comparison]] = {}
    for numbers in batches(policy, prompts, range(len(prompts)), batch):
        some = [prompts[number] for number in numbers]
        with policy.reference():
            base = draw(policy, some, seeds, steps, shift, truncate=truncate)
        trained = draw(policy, some, seeds, steps, shift, truncate=truncate)
        for i, (number, prompt) in enumerate(zip(numbers, some, strict=True)):
            pairs[number] = [
                Comparison(
                    f"{prompt.id}-s{seed}", policy.task, prompt.text, (png(before[i]), png(after[i])), prompt.source
                )
                for seed, before, after in zip(seeds, base, trained, strict=True)
            ]
    return [pair for number in sorted(pairs) for pair in pairs[number]]


def wins(records: Sequence[VerdictRecord]) -> dict[str, Estimate]:
    """How often the trained candidate is preferred to the base's, overall and by each criterion that was asked for.

    A pair counts 1 where both orders prefer candidate b, 0 where both prefer a, else 1/2; pairs of which an order
    failed are left out, so `n` says how many there are. Intervals are clustered by prompt.
    """
    verdicts: dict[str, list[VerdictRecord]] = {}
    for record in records:
        verdicts.setdefault(record.pair_id, []).append(record)
    whole = [pair for pair in verdicts.values() if all(each.ranks for each in pair)]
    names = list(dict.fromkeys(name for pair in whole for each in pair for name in each.criteria))
    codes = {prompt: code for code, prompt in enumerate(dict.fromkeys(pair[0].prompt_id for pair in whole))}
    prompts = [codes[pair[0].prompt_id] for pair in whole]
    found = {OVERALL: proportion([_won([each.outcome for each in pair]) for pair in whole], prompts)}
    for name in names:
        found[name] = proportion([_won([winner(each.criteria[name]) for each in pair]) for pair in whole], prompts)
    return found


def failed(records: Sequence[VerdictRecord]) -> int:
    """How many pairs `wins` leaves out."""
    return len({record.pair_id for record in records if record.ranks is None})


def lost(records: Sequence[VerdictRecord]) -> list[str]:
    """The pairs in which both orders prefer the base's candidate."""
    outcomes: dict[str, set[str]] = {}
    for record in records:
        outcomes.setdefault(record.pair_id, set()).add(record.outcome)
    return [pair for pair, said in outcomes.items() if said == {"a"}]


def _won(outcomes: Sequence[str]) -> float:
    shares: Mapping[str, float] = {"a": 0.0, "b": 1.0}
    return fmean(shares.get(each, 0.5) for each in outcomes) if len(set(outcomes)) == 1 else 0.5
