"""Candidates part where their noise does, cost what the plan says, and are the same whoever samples them."""

import pytest
import torch
from toy_policy import PROMPTS, ToyPolicy, perturbed

from workbench.rpo.config import SamplingConfig
from workbench.rpo.counted import Counted
from workbench.rpo.draws import Noise, generator, position
from workbench.rpo.finite import NotFiniteError
from workbench.rpo.plan import forwards, make_plan
from workbench.rpo.rollout import Evaluation, Rollout, for_candidates, sample

WINDOW = SamplingConfig(kind="flow_grpo", eta=0.7, window=2, starts=(2, 2), group=3)


def rollout(
    sampling: SamplingConfig, policy: ToyPolicy | Counted, groups: tuple[int, ...] = (0, 1), update: int = 0
) -> Rollout:
    plan = make_plan(sampling, generator(0, "plan"))
    cond = policy.encode([PROMPTS[j] for j in groups])
    noise = Noise(0, update, groups, sampling.group)
    return sample(Evaluation(policy, plan, sampling.truncate, update), cond, noise)


def test_candidates_of_a_group_are_one_up_to_the_first_noisy_step_and_differ_after_it() -> None:
    made = rollout(WINDOW, perturbed(ToyPolicy(tokens=3)))
    assert list(made.states) == [2, 3]
    assert made.states[2].x_t.shape == (2, 3, 2)  # one for each group
    assert made.states[3].x_t.shape == (6, 3, 2)
    assert len({tuple(x.flatten().tolist()) for x in made.x_0}) == 6


@pytest.mark.parametrize(
    "sampling",
    [
        WINDOW,
        WINDOW.model_copy(update={"window": 1, "starts": (0, 0)}),
        WINDOW.model_copy(update={"window": "all", "kind": "dance", "eta": 0.3, "group": 2}),
        WINDOW.model_copy(update={"same_noise": False}),
    ],
    ids=["window", "first", "all", "own-noise"],
)
def test_as_many_evaluations_as_the_plan_says(sampling: SamplingConfig) -> None:
    counted = Counted(ToyPolicy())
    made = rollout(sampling, counted)
    asked = forwards(made.evaluation.plan, sampling.group, "replay", kl=False)
    assert counted.forwards == {"sampling": 2 * asked.sampling, "graded": 0, "reference": 0}


@pytest.mark.parametrize("window", [1, 2, "all"])
def test_sharing_changes_no_bit(window: int) -> None:
    sampling = WINDOW.model_copy(update={"window": window})
    policy = perturbed(ToyPolicy(tokens=3))
    shared = rollout(sampling, policy, groups=(0,))
    plan = shared.evaluation.plan
    each = for_candidates(shared.cond, sampling.group)
    noise = Noise(0, 0, (0,), sampling.group)
    x_t = policy.init_latents(each, [noise.initial(True)[0] for _ in range(sampling.group)])
    rows = range(sampling.group)
    with torch.no_grad():
        for i in range(len(plan.transitions)):
            if i <= plan.branch:  # every candidate for itself, in a batch of one as the shared evaluation is
                v = torch.cat([policy.velocity(x_t[[b]], plan.sigmas[i], each.select([b])) for b in rows])
            else:
                v = policy.velocity(x_t, plan.sigmas[i], each)
            mean = plan.transitions[i].x * x_t + plan.transitions[i].v * v
            x_t = mean + plan.transitions[i].std * noise.fresh(i, x_t) if i in plan.trained else mean
    assert shared.x_0.equal(x_t)


def test_a_group_comes_out_the_same_alone_and_among_others() -> None:
    policy = perturbed(ToyPolicy(tokens=3))
    together, alone = rollout(WINDOW, policy, (0, 1)), rollout(WINDOW, policy, (1,))
    assert torch.allclose(together.x_0[3:], alone.x_0, atol=1e-6)
    assert torch.allclose(together.states[3].log_prob[3:], alone.states[3].log_prob, atol=1e-5)


def test_candidates_without_a_common_start_have_their_own() -> None:
    own = rollout(WINDOW.model_copy(update={"same_noise": False}), ToyPolicy())
    assert own.states[2].x_t.shape == (6, 1, 2)
    assert len({tuple(x.flatten().tolist()) for x in own.states[2].x_t}) == 6


def test_noise_is_its_own_for_every_update_group_candidate_and_step() -> None:
    like = torch.zeros(1, 4, 2)
    drawn = [
        z
        for update in (0, 1)
        for step in (0, 1)
        for z in Noise(0, update, (0, 1), 2).fresh(step, like).flatten(1).tolist()
    ]
    assert len({tuple(z) for z in drawn}) == 16
    assert Noise(0, 0, (1,), 2).fresh(0, like).equal(Noise(0, 0, (0, 1), 2).fresh(0, like)[2:])


def test_mirrored_candidates_take_the_same_noise_with_opposite_signs() -> None:
    like = torch.zeros(1, 4, 2)
    plain, mirrored = Noise(0, 3, (5, 6), 3).fresh(1, like), Noise(0, 3, (5, 6), 3, mirrored=True).fresh(1, like)
    for group in (0, 3):
        first, second, third = mirrored[group : group + 3]
        assert first.equal(plain[group])
        assert second.equal(-first)
        assert third.equal(plain[group + 2])  # has nobody to mirror


def test_prompts_come_once_in_an_epoch_in_an_order_of_its_own() -> None:
    epochs = [[position(0, 20 * epoch + place, 20) for place in range(20)] for epoch in (0, 1)]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(20))
    assert epochs[0] != epochs[1]
    assert epochs[0] != [position(1, place, 20) for place in range(20)]


def test_nan_is_named_where_it_comes_up() -> None:
    policy = ToyPolicy()
    policy.poison = lambda x_t, v: v * torch.nan if len(x_t) == 6 else v
    with pytest.raises(
        NotFiniteError, match=r"update 7, step 3 \(sigma 0.8333\): velocity \(torch.float32\).* 12 of 12"
    ):
        rollout(WINDOW, policy, update=7)
