"""The arms an induced rubric is shown beside."""

import pytest

from workbench.shapes.arms import oracle, taste_as_rule
from workbench.shapes.judge.settings import JudgeSettings, sample_settings
from workbench.shapes.rule import Condition, HiddenRule


def test_the_oracle_states_every_part_of_the_rule_with_its_own_weight():
    rule = HiddenRule({"sharpness": -0.2, "color": 0.5}, (Condition("color", "count", 0.3),))
    criteria = oracle(rule, "t2i").enabled_criteria()
    assert [each.weight for each in criteria] == [5.0, 3.0, 2.0]
    assert "colours the prompt asks for (most important)" in criteria[0].text
    assert criteria[1].text.startswith("Between pictures whose objects have the colours")
    assert "with blurred, soft edges" in criteria[2].text


def test_the_judges_own_taste_as_the_rule_likes_and_dislikes_what_it_does():
    settings = sample_settings("edit", 3)
    rule = taste_as_rule(settings)
    assert rule.weights == pytest.approx(settings.taste, abs=1e-3)
    assert sum(map(abs, rule.weights.values())) == pytest.approx(1, abs=1e-3)
    assert "leftward" not in taste_as_rule(JudgeSettings(task="t2i")).weights
