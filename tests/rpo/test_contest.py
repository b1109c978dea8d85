"""What the last comparison with the base says, on verdicts worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from toy_policy import PROMPTS, ToyPolicy

from workbench.evaluation.record import VerdictRecord
from workbench.rpo.policy import Prompt
from workbench.rpo.watching import contest as module
from workbench.rpo.watching.contest import OVERALL, contest, failed, lost, wins
from workbench.rpo.watching.measured import measure


def verdict(pair, prompt, order, ranks, **criteria):
    outcome = "invalid" if ranks is None else "tie" if ranks[0] == ranks[1] else "ab"[ranks.index(1)]
    shown = (0, 1) if order == "forward" else (1, 0)
    return VerdictRecord(pair, order, 0, shown, prompt, outcome, ranks, None, criteria=criteria)


def both(pair, prompt, forward, reverse, **criteria):
    return [
        verdict(pair, prompt, "forward", forward, **criteria),
        verdict(pair, prompt, "reverse", reverse, **criteria),
    ]


RECORDS = [
    *both("p1", "x", (2, 1), (2, 1), count=(2, 1), color=(1, 2)),  # trained
    *both("p2", "x", (1, 2), (1, 2), count=(2, 1), color=(1, 1)),  # base
    *both("p3", "y", (1, 2), (2, 1), count=(2, 1), color=(1, 2)),  # the orders differ
    *both("p4", "z", (2, 1), None, count=(2, 1)),  # one order failed
]


def test_a_win_needs_both_orders_and_a_failed_pair_is_left_out_and_counted():
    found = wins(RECORDS)
    assert found[OVERALL].value == pytest.approx((1 + 0 + 0.5) / 3)
    assert found[OVERALL].n == 3
    assert failed(RECORDS) == 1


def test_a_pair_is_lost_where_both_orders_prefer_the_base():
    assert lost(RECORDS) == ["p2"]


def test_every_criterion_the_judge_was_asked_for_has_its_own_share():
    found = wins(RECORDS)
    assert found["count"].value == pytest.approx(1)
    assert found["color"].value == pytest.approx((0 + 0.5 + 0) / 3)
    assert found["count"].ci95[0] < 1, "three pairs prove nothing"


def test_no_pair_at_all_is_no_rate():
    assert wins(both("p1", "x", None, None))[OVERALL].value is None


class Painter:
    """Paints the seed: grey for the base, red for the trained policy."""

    task = "t2i"
    is_reference = False

    def reference(self):
        painter = self

        class Off:
            def __enter__(self):
                painter.is_reference = True

            def __exit__(self, *_):
                painter.is_reference = False

        return Off()


def test_base_and_trained_stand_side_by_side_for_every_prompt_and_seed(monkeypatch):
    def draw(policy, prompts, seeds, steps, shift, *, truncate):
        color = (90, 90, 90) if policy.is_reference else (200, 0, 0)
        return [[Image.new("RGB", (4, 4), color) for _ in prompts] for _ in seeds]

    monkeypatch.setattr(module, "draw", draw)
    prompts = [Prompt(str(i), f"prompt {i}") for i in range(3)]
    pairs = contest(Painter(), prompts, range(2), steps=4, shift=3.0, batch=2)
    assert [pair.id for pair in pairs] == ["0-s0", "0-s1", "1-s0", "1-s1", "2-s0", "2-s1"]
    import io

    for pair in pairs:
        base, trained = (np.asarray(Image.open(io.BytesIO(each)))[0, 0].tolist() for each in pair.images)
        assert (base, trained) == ([90, 90, 90], [200, 0, 0])


class Particular(ToyPolicy):
    """Takes no two prompts at once whose sources differ in size."""

    task = "edit"

    def encode(self, prompts):
        (size,) = {prompt.source for prompt in prompts}
        return replace(super().encode(prompts), height=8 * len(size))


def test_sources_of_several_sizes_are_drawn_by_size_and_told_in_order():
    prompts = [replace(prompt, source=b"x" * (1 + i % 2)) for i, prompt in enumerate(PROMPTS)]
    pairs = contest(Particular(), prompts, range(1), steps=3, shift=3.0, batch=2)
    assert [pair.id for pair in pairs] == [f"p{i}-s0" for i in range(5)]
    found = measure(
        Particular(), prompts, range(2), lambda prompt, image: {"right": prompt.id != "p3"}, batch=2, keep=2
    )
    assert found.criteria["right"].mean(axis=1).tolist() == [1, 1, 1, 0, 1]
    assert [len(own) for own in found.pictures] == [2, 2]
