"""Two ways to one gradient: `replay` evaluates trained steps again, `fused` takes gradients while sampling.

At ratio 1 the surrogate's gradient is linear in the advantages, sum_i c(A_i) grad log pi_i, so `fused` keeps
grad log pi_i of every candidate until its verdict arrives: one accumulator each, and no second evaluation. Both add to
`.grad` the gradient of the sum over candidates and trained steps; whoever steps divides by how many verdicts came.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from workbench.rpo import sampler
from workbench.rpo.config import ObjectiveConfig
from workbench.rpo.draws import Noise
from workbench.rpo.finite import all_finite
from workbench.rpo.objective import StepSums, penalty, ratio_sums, surrogate
from workbench.rpo.policy import Cond, Policy
from workbench.rpo.rollout import Evaluation, Rollout, for_candidates, sample


def learn(rollout: Rollout, advantages: Sequence[float], objective: ObjectiveConfig) -> StepSums:
    """Add the gradient of a rollout's summed losses to `.grad`, by the strategy it was sampled for.

    - `advantages`: `B * group`; groups that have none are passed over.
    """
    if rollout.gradients is not None:
        return _combine(rollout, rollout.gradients, advantages, objective)
    return replay(rollout, advantages, objective)


def sample_for(objective: ObjectiveConfig, evaluation: Evaluation, cond: Cond, noise: Noise) -> Rollout:
    """Sample as the objective's strategy wants it for `learn`."""
    return (sample_with_gradients if objective.strategy == "fused" else sample)(evaluation, cond, noise)


def replay(rollout: Rollout, advantages: Sequence[float], objective: ObjectiveConfig) -> StepSums:
    """Evaluate every trained step again with gradients, one backward pass each; the reference only for beta > 0."""
    group, evaluation = rollout.group, rollout.evaluation
    live = [b for b in range(len(rollout.cond)) if any(advantages[b * group : (b + 1) * group])]
    if not live:
        return StepSums()
    rows = [b * group + g for b in live for g in range(group)]
    advantage = torch.tensor([advantages[row] for row in rows], dtype=torch.float64, device=rollout.x_0.device)
    cond = rollout.cond.select(live)
    each, seen = for_candidates(cond, group), StepSums()
    for i, state in rollout.states.items():
        is_shared = evaluation.plan.evaluated_once(i)
        x_t, told = (state.x_t[live], cond) if is_shared else (state.x_t[rows], each)
        seen += _replay_step(evaluation, i, x_t, told, state.x_next[rows], state.log_prob[rows], advantage, objective)
    return seen


def _replay_step(
    evaluation: Evaluation,
    i: int,
    x_t: Tensor,
    cond: Cond,
    x_next: Tensor,
    old_log_prob: Tensor,
    advantage: Tensor,
    objective: ObjectiveConfig,
) -> StepSums:
    std, elements, kl = evaluation.plan.transitions[i].std, x_next[0].numel(), None
    mean = evaluation.mean(i, x_t, cond)
    log_prob = evaluation.log_prob(i, x_next, mean)
    # A single round is on-policy by definition, and in half precision a batch without its ties rounds otherwise than
    # the one that was sampled, by more than the clip.
    sampled = log_prob.detach() if objective.rounds == 1 else old_log_prob
    loss = evaluation.plan.weights[i] * surrogate(log_prob, sampled, advantage, elements, objective)
    if objective.beta > 0:
        with torch.no_grad(), evaluation.policy.reference():
            mean_ref = evaluation.mean(i, x_t, cond)
        candidates = len(x_next) // len(mean)
        mean, mean_ref = mean.repeat_interleave(candidates, 0), mean_ref.repeat_interleave(candidates, 0)
        loss = loss + penalty(x_next, mean, mean_ref, std, objective)
        kl = sampler.kl(mean.detach(), mean_ref, std)
    evaluation.finite(loss, "loss", i)
    loss.sum().backward()  # type: ignore[no-untyped-call]
    gradients = {name: each.grad for name, each in evaluation.policy.trainable().items() if each.grad is not None}
    all_finite(gradients, "gradient of", update=evaluation.update, step=i, sigma=evaluation.plan.sigmas[i])
    return ratio_sums(log_prob, old_log_prob, elements, objective, kl)


def sample_with_gradients(evaluation: Evaluation, cond: Cond, noise: Noise) -> Rollout:
    """Sample, and on the way take each candidate's sum over trained steps of weight times grad log pi."""
    parameters = list(evaluation.policy.trainable().values())
    size = sum(parameter.numel() for parameter in parameters)
    accumulators = torch.zeros(
        len(cond) * noise.candidates, size, dtype=parameters[0].dtype, device=parameters[0].device
    )

    def step(i: int, x_t: Tensor, told: Cond, z: Tensor) -> tuple[Tensor, Tensor]:
        taken = []
        candidates = len(z) // len(x_t)
        for row in range(len(x_t)):  # one at a time: a backward pass of a batch costs the batch for each of its rows
            own = range(row * candidates, (row + 1) * candidates)
            with torch.enable_grad():
                x_next, log_prob = evaluation.take(i, x_t[row : row + 1], told.select([row]), z[own.start : own.stop])
                for number, candidate in enumerate(own):
                    is_last = number + 1 == candidates
                    parts = torch.autograd.grad(
                        log_prob[number], parameters, retain_graph=not is_last, materialize_grads=True
                    )
                    gradient = torch.cat([part.flatten() for part in parts])
                    evaluation.finite(gradient, "gradient of log_prob", i)
                    accumulators[candidate].add_(gradient, alpha=evaluation.plan.weights[i])
            taken.append((x_next, log_prob.detach()))
        return torch.cat([x_next for x_next, _ in taken]), torch.cat([log_prob for _, log_prob in taken])

    return replace(sample(evaluation, cond, noise, step), gradients=accumulators)


def _combine(rollout: Rollout, gradients: Tensor, advantages: Sequence[float], objective: ObjectiveConfig) -> StepSums:
    """Weigh the candidates' gradients by d surrogate / d log pi at ratio 1, and report that ratio."""
    group, elements = rollout.group, rollout.x_0[0].numel()
    rows = [row for row in range(len(advantages)) if any(advantages[row // group * group :][:group])]
    if not rows:
        return StepSums()
    advantage = torch.tensor([advantages[row] for row in rows], dtype=torch.float64, device=gradients.device)
    log_prob = torch.zeros_like(advantage, requires_grad=True)
    loss = surrogate(log_prob, torch.zeros_like(advantage), advantage, elements, objective)
    (slope,) = torch.autograd.grad(loss.sum(), log_prob)
    _add(rollout.evaluation.policy, slope.to(gradients) @ gradients[rows])
    olds = [state.log_prob[rows] for state in rollout.states.values()]
    return sum((ratio_sums(old, old, elements, objective) for old in olds), StepSums())


def _add(policy: Policy, flat: Tensor) -> None:
    parameters = list(policy.trainable().values())
    for parameter, part in zip(parameters, torch.split(flat, [each.numel() for each in parameters]), strict=True):
        part = part.view_as(parameter)
        parameter.grad = part.clone() if parameter.grad is None else parameter.grad + part
