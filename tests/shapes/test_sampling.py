from collections import Counter
from functools import lru_cache
from itertools import islice

import numpy as np
import pytest

from workbench.pairs.comparison import Task
from workbench.shapes.attributes import satisfaction
from workbench.shapes.layout import clear
from workbench.shapes.measure import observe
from workbench.shapes.render import render
from workbench.shapes.sampling import CLEAR_PREFERENCE, ShapePair, sample_pairs, sample_world
from workbench.shapes.scene import exact

TASKS: tuple[Task, ...] = ("t2i", "edit")


@lru_cache
def pairs(task: Task, n: int = 250, seed: int = 11, split: str = "seed", noise: float = 0.0) -> tuple[ShapePair, ...]:
    world = sample_world(seed, task, noise)
    return tuple(islice(sample_pairs(world, "test" if split == "test" else "seed"), n))


def differences(pair: ShapePair, task: Task) -> dict[str, float]:
    source = exact(pair.source) if pair.source else None
    first, second = (satisfaction(task, pair.prompt, exact(scene), source) for scene in pair.candidates)
    return {name: first[name] - second[name] for name in first}


@pytest.mark.parametrize("task", TASKS)
def test_without_noise_every_label_follows_the_rule(task: Task) -> None:
    world = sample_world(11, task, 0.0)
    for pair in pairs(task):
        source = exact(pair.source) if pair.source else None
        first, second = (
            world.rule.utility(satisfaction(task, pair.prompt, exact(scene), source)) for scene in pair.candidates
        )
        assert abs(first - second) >= CLEAR_PREFERENCE
        assert pair.ranks == ((1, 2) if first > second else (2, 1))


@pytest.mark.parametrize("task", TASKS)
def test_label_noise_turns_that_share_of_labels_round(task: Task) -> None:
    agreement = np.mean([a.ranks == b.ranks for a, b in zip(pairs(task), pairs(task, noise=0.2), strict=True)])
    assert agreement == pytest.approx(0.8, abs=0.08)


@pytest.mark.parametrize("task", TASKS)
def test_winners_are_as_often_first_as_second(task: Task) -> None:
    assert np.mean([pair.ranks == (1, 2) for pair in pairs(task)]) == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("task", TASKS)
def test_candidates_trade_one_attribute_for_another(task: Task) -> None:
    traded = [
        min(values) < -0.02 and max(values) > 0.02
        for values in (tuple(differences(pair, task).values()) for pair in pairs(task))
    ]
    assert np.mean(traded) > 0.75


@pytest.mark.parametrize("task", TASKS)
def test_every_attribute_differs_in_some_pairs(task: Task) -> None:
    differs = Counter(
        name for pair in pairs(task) for name, value in differences(pair, task).items() if abs(value) > 0.02
    )
    assert min(differs[name] for name in differences(pairs(task)[0], task)) > 25


@pytest.mark.parametrize("task", TASKS)
def test_what_the_rule_does_not_weigh_says_nothing_about_the_label(task: Task) -> None:
    agreements = []
    for seed in range(11, 16):
        weighed = set(sample_world(seed, task).rule.weights)
        for name in {"sharpness", "cleanness", "brightness"} - weighed:
            gaps = [differences(pair, task)[name] * (1 if pair.ranks[0] == 1 else -1) for pair in pairs(task, 80, seed)]
            agreements += [gap > 0 for gap in gaps if abs(gap) > 0.02]
    assert np.mean(agreements) == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("task", TASKS)
def test_the_label_can_be_seen_in_the_pictures(task: Task) -> None:
    rule = sample_world(11, task).rule
    agrees = []
    for pair in pairs(task)[:60]:
        source = observe(render(pair.source, 128)) if pair.source else None
        first, second = (
            rule.utility(satisfaction(task, pair.prompt, observe(render(scene, 128)), source))
            for scene in pair.candidates
        )
        agrees.append((first > second) == (pair.ranks == (1, 2)))
    print(f"{np.mean(agrees):.0%} of labels follow from the pixels")
    assert np.mean(agrees) >= 0.96


@pytest.mark.parametrize("task", TASKS)
def test_test_prompts_are_none_of_the_seed_prompts(task: Task) -> None:
    seeds, tests = ({pair.prompt for pair in drawn} for drawn in (pairs(task), pairs(task, split="test")))
    assert seeds.isdisjoint(tests)
    assert len(seeds) > 80


@pytest.mark.parametrize("task", TASKS)
def test_a_prompt_has_one_to_three_pairs_of_one_source(task: Task) -> None:
    together: dict[str, list[ShapePair]] = {}
    for pair in pairs(task):
        together.setdefault(pair.prompt_id, []).append(pair)
    assert set(map(len, together.values())) == {1, 2, 3}
    for group in together.values():
        assert len({pair.prompt for pair in group}) == len({pair.source for pair in group}) == 1


@pytest.mark.parametrize("task", TASKS)
def test_sampling_repeats_itself(task: Task) -> None:
    again = tuple(islice(sample_pairs(sample_world(11, task, 0.0), "seed"), 30))
    assert again == pairs(task)[:30]
    assert pairs(task, n=30, seed=12) != again


@pytest.mark.parametrize("task", TASKS)
def test_no_object_touches_another_or_the_border(task: Task) -> None:
    for scene in (
        scene for pair in pairs(task) for scene in pair.candidates if not {"shape", "over"} & {*pair.defects}
    ):
        for each in scene.objects:
            assert clear(each, [other for other in scene.objects if other is not each])


@pytest.mark.parametrize(
    ("defect", "attribute"),
    [("count", "count"), ("color", "color"), ("shape", "shape"), ("relation", "relation"), ("blur", "sharpness")],
)
def test_a_defect_of_one_candidate_shows_in_its_attribute(defect: str, attribute: str) -> None:
    differs = [abs(differences(pair, "t2i")[attribute]) > 0.05 for pair in pairs("t2i") if defect in pair.defects]
    assert np.mean(differs) > 0.6


@pytest.mark.parametrize(
    ("defect", "attribute"),
    [("unmet", "instruction"), ("over", "preservation"), ("background", "preservation"), ("noise", "cleanness")],
)
def test_a_defect_of_an_edit_shows_in_its_attribute(defect: str, attribute: str) -> None:
    differs = [abs(differences(pair, "edit")[attribute]) > 0.05 for pair in pairs("edit") if defect in pair.defects]
    assert np.mean(differs) > 0.6


def test_label_noise_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match=r"label_noise: 0\.7"):
        sample_world(1, "t2i", 0.7)
