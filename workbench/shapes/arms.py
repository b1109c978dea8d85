"""What an induced rubric is shown beside in a world where the truth is known: the truth in words, or none to tell."""

from workbench.pairs.comparison import Task
from workbench.rubrics.rubric import Criterion, Rubric, Theme
from workbench.shapes.attributes import attributes
from workbench.shapes.judge.mind import default_taste
from workbench.shapes.judge.settings import JudgeSettings
from workbench.shapes.rule import HiddenRule

WEIGHT_SCALE = 10
"""A rule's weights sum to 1; written as a rubric's they are this many times as large, to be readable."""


def oracle(rule: HiddenRule, task: Task, *, weighted: bool = True) -> Rubric:
    """The hidden rule in words, each sentence a criterion with the rule's own weight.

    - `weighted`: False leaves all criteria at weight 1.
    """
    sizes = [*map(abs, rule.weights.values()), *(abs(each.weight) for each in rule.conditions)]
    weights = sorted(sizes, reverse=True) if weighted else [1.0 / WEIGHT_SCALE] * len(sizes)
    stated = zip(rule.as_rubric_sentences(), weights, strict=True)  # the weightiest first, too
    criteria = tuple(
        Criterion(f"c{i}", text, weight=round(WEIGHT_SCALE * weight, 2)) for i, (text, weight) in enumerate(stated, 1)
    )
    return Rubric("oracle", task, (Theme("What people prefer", criteria=criteria),))


def taste_as_rule(settings: JudgeSettings) -> HiddenRule:
    """People who like just what this judge likes without a rubric: there is nothing a rubric could tell it."""
    taste = default_taste(settings, settings.task)
    named = zip(attributes(settings.task), taste.tolist(), strict=True)
    return HiddenRule({name: round(weight, 4) for name, weight in named if weight})
