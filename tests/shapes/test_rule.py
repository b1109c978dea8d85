import json

import numpy as np
import pytest

from workbench.pairs.comparison import Task
from workbench.shapes.attributes import ATTRIBUTES_EDIT, ATTRIBUTES_T2I, attributes
from workbench.shapes.judge.reader import read_criterion
from workbench.shapes.judge.settings import Vocabulary
from workbench.shapes.rule import Condition, HiddenRule, sample_rule

TASKS: tuple[Task, ...] = ("t2i", "edit")


def rules(task: Task, n: int = 300) -> list[HiddenRule]:
    return [sample_rule(task, np.random.default_rng(seed)) for seed in range(n)]


def test_utility_is_the_weighted_sum_with_conditions() -> None:
    rule = HiddenRule({"color": 0.5, "sharpness": -0.2}, (Condition("color", "count", 0.3),))
    right = {"color": 1.0, "sharpness": 0.5, "count": 0.5}
    assert rule.utility(right) == pytest.approx(0.5 - 0.1 + 0.15)
    assert rule.utility(right | {"color": 0.5}) == pytest.approx(0.25 - 0.1)  # the count no longer matters


@pytest.mark.parametrize("task", TASKS)
def test_sampled_rules_survive_json_and_weigh_one_in_all(task: Task) -> None:
    for rule in rules(task):
        assert HiddenRule.from_json(json.loads(json.dumps(rule.to_json()))) == rule
        sizes = [abs(weight) for weight in rule.weights.values()] + [abs(each.weight) for each in rule.conditions]
        assert sum(sizes) == pytest.approx(1, abs=1e-3)
        assert {*rule.weights, *(each.target for each in rule.conditions)} <= set(attributes(task))


@pytest.mark.parametrize("task", TASKS)
def test_worlds_differ_and_some_are_odd(task: Task) -> None:
    sampled = rules(task)
    share = {
        "conditions": np.mean([bool(rule.conditions) for rule in sampled]),
        "leftward": np.mean(["leftward" in rule.weights for rule in sampled]),
        "blur": np.mean([rule.weights.get("sharpness", 0) < 0 for rule in sampled]),
    }
    assert share["conditions"] == pytest.approx(0.3, abs=0.08)
    assert share["leftward"] == pytest.approx(0.25, abs=0.08)
    assert 0.02 < share["blur"] < 0.2


@pytest.mark.parametrize(("task", "names"), [("t2i", ATTRIBUTES_T2I), ("edit", ATTRIBUTES_EDIT)])
@pytest.mark.parametrize("weight", [1.0, -1.0])
def test_a_judge_that_knows_all_words_reads_the_rule_as_it_is(
    task: Task, names: tuple[str, ...], weight: float
) -> None:
    for name in names:
        (sentence,) = HiddenRule({name: weight}).as_rubric_sentences()
        read = read_criterion(sentence, task, Vocabulary()).shares
        assert read == ({} if name == "leftward" else {name: weight}), sentence


def test_the_weightiest_sentence_comes_first() -> None:
    rule = HiddenRule({"fill": 0.1, "count": 0.6}, (Condition("color", "shape", 0.3),))
    first, second, third = rule.as_rubric_sentences()
    assert first == "Prefer the picture with the number of objects the prompt asks for (most important)."
    assert second.startswith("Between pictures whose objects have the colours the prompt asks for, prefer the picture")
    assert third.endswith("(less important).")
