"""Measuring a policy: the same noise before and after, fixed denominators, intervals that hold what they promise."""

import math
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from PIL import Image
from toy_policy import PROMPTS, ToyPolicy, perturbed

from workbench.rpo.policy import Cond, Prompt
from workbench.rpo.watching.measured import Measured, changes, draw, gain, measure


def red(prompt: Prompt, image: Image.Image) -> Mapping[str, bool | None]:
    value = np.asarray(image)[..., 0].mean()
    return {"red": bool(value > 127), "bright": None if prompt.text == "two" else bool(value > 100)}


def test_every_prompt_and_seed_is_in_the_table_and_what_is_not_asked_for_is_left_out() -> None:
    found = measure(ToyPolicy(), PROMPTS, seeds=range(3), inspect=red)
    assert found.criteria["red"].shape == (5, 3)
    assert np.isnan(found.criteria["bright"]).all(axis=1).tolist() == [prompt.text == "two" for prompt in PROMPTS]
    assert found.share("bright").n == 12
    assert found.share("right").n == 15
    assert np.isnan(found.rates("bright")).sum() == 1


def test_right_is_right_by_every_criterion_that_is_asked_for() -> None:
    nan = math.nan
    found = Measured(
        PROMPTS[:2], (0, 1), {"a": np.array([[1, 1], [1, 0]]), "b": np.array([[1, 0], [nan, nan]])}, np.zeros(2)
    )
    assert found.right.tolist() == [[1, 0], [1, 0]]
    assert found.rates("right").tolist() == [0.5, 0.5]


def test_a_picture_depends_on_prompt_and_seed_and_not_on_its_batch() -> None:
    policy = ToyPolicy(tokens=2)
    alone = measure(policy, PROMPTS[3:4], seeds=(1,), inspect=red, keep=1)
    together = measure(policy, PROMPTS, seeds=(0, 1), inspect=red, keep=5, batch=2)
    assert alone.pictures[0][0].tobytes() == together.pictures[3][1].tobytes()
    assert together.pictures[3][0].tobytes() != together.pictures[3][1].tobytes()
    assert len(measure(policy, PROMPTS, seeds=(0,), inspect=red, keep=3, batch=2).pictures) == 3


def test_the_adapter_is_what_is_measured_and_nothing_is_left_to_differentiate() -> None:
    policy = perturbed(ToyPolicy(), scale=2.0)
    ((adapted, *_),) = draw(policy, PROMPTS, (0,), 8, 3.0)
    with policy.reference():
        ((base, *_),) = draw(policy, PROMPTS, (0,), 8, 3.0)
    assert adapted.tobytes() != base.tobytes()
    assert torch.is_grad_enabled()


@pytest.mark.parametrize(("truncate", "second"), [(True, 0.954), (False, 21 / 22)])
def test_times_are_told_as_the_sampler_of_training_tells_them(truncate: bool, second: float) -> None:
    told: list[float] = []

    class Listening(ToyPolicy):
        def velocity(self, x_t: torch.Tensor, sigma: float, cond: Cond) -> torch.Tensor:
            told.append(sigma)
            return super().velocity(x_t, sigma, cond)

    draw(Listening(), PROMPTS, (0,), 8, 3.0, truncate=truncate)
    assert len(told) == 8
    assert told[1] == pytest.approx(second, abs=1e-9)


def test_diversity_is_the_distance_between_seeds() -> None:
    class Painter(ToyPolicy):
        def decode(self, x_0: torch.Tensor, cond: object) -> list[Image.Image]:
            value = 255 if self.calls % 2 else 0
            self.calls += 1
            return [Image.new("RGB", (8, 8), (value, value, value)) for _ in x_0]

        calls = 0

    assert measure(Painter(), PROMPTS, seeds=(0, 1), inspect=red).rates("diversity").tolist() == [1.0] * 5
    # of three two-seed distances two are 1
    assert measure(Painter(), PROMPTS, seeds=(0, 1, 2), inspect=red).diversity == pytest.approx(2 / 3)
    assert np.isnan(measure(Painter(), PROMPTS, seeds=(0,), inspect=red).diversity).all()


def test_a_prompt_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="2 prompts, but not each with an id of its own"):
        measure(ToyPolicy(), [PROMPTS[0], PROMPTS[0]], seeds=(0,), inspect=red)


def test_a_single_run_has_the_interval_over_prompts() -> None:
    before, after = np.array([0.0, 0.5, 0.25, 1.0]), np.array([0.25, 0.5, 0.75, 1.0])
    found = gain(before, [after])
    assert (found.value, found.over_runs, found.ci95) == (pytest.approx(0.1875), None, found.over_prompts)
    # t_3 = 3.182; the differences .25, 0, .5, 0 have the deviation .2394
    assert found.ci95[1] - found.value == pytest.approx(3.182 * 0.2394 / 2, rel=1e-3)
    assert found.points() == "+18.8 points [-19.3, +56.8], 1 run x 4 prompts"


def test_prompts_that_do_not_ask_do_not_count() -> None:
    before, after = np.array([0.0, math.nan, 0.5]), np.array([1.0, math.nan, 0.5])
    found = gain(before, [after, after])
    assert (found.value, found.prompts, found.runs) == (0.5, 2, 2)
    assert found.over_runs == (0.5, 0.5)


@pytest.mark.parametrize(("run", "prompt", "rest"), [(0.03, 0.3, 0.2), (0.0, 0.3, 0.2), (0.05, 0.0, 0.3), (0, 0, 0.3)])
def test_the_interval_holds_the_truth_for_new_prompts_and_runs(run: float, prompt: float, rest: float) -> None:
    rng = np.random.default_rng(0)
    runs, prompts, held, tries = 5, 60, 0, 800
    for _ in range(tries):
        cells = rng.normal(0, run, (runs, 1)) + rng.normal(0, prompt, prompts) + rng.normal(0, rest, (runs, prompts))
        low, high = gain(np.zeros(prompts), list(0.1 + cells)).ci95
        held += low <= 0.1 <= high
    assert 0.935 < held / tries <= 0.995


def test_what_changed_is_told_by_criterion_and_none_is_told_that_one_prompt_asks_for() -> None:
    def found(a: list[list[float]]) -> Measured:
        b = np.array([[1, 1], [math.nan, math.nan]])
        return Measured(PROMPTS[:2], (0, 1), {"a": np.array(a), "b": b}, np.zeros(2))

    changed = changes(found([[0, 0], [1, 0]]), found([[1, 1], [1, 0]]))
    assert list(changed) == ["everything right", "a"]
    assert (changed["a"].before.value, changed["a"].after.value) == (0.25, 0.75)
    assert changed["a"].difference.value == 0.5
    assert changed["a"].row()["change"].startswith("+50.0")


def test_one_prompt_is_too_few() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        gain(np.array([0.5]), [np.array([1.0])])
