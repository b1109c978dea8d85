"""The questions an audit puts to the verdicts of its arms, in the order of its table."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from workbench.audit.arms import (
    COIN_FLIPS,
    FREE,
    FREE_KEY_WORDS,
    FREE_REPEATS,
    FREE_VOTE,
    KEY_WORDS,
    PARAPHRASED,
    PLACEBO,
    REORDERED,
    REPEATS,
    RUBRIC,
    VOTE,
    Arm,
)
from workbench.audit.measures import Floats, Ints, Scale, agreement, mean_accuracy, moves, self_agreement
from workbench.audit.words import Rule, agrees, beats, gains, reference, resists
from workbench.evaluation.table import VerdictTable


@dataclass(frozen=True, slots=True)
class Question:
    """One row: the arms it needs, and its value for every pair.

    - `values`: the tables of `arms`, and each pair's worst candidate, to `(n,)` numbers on `scale`.
    """

    section: str
    measure: str
    arms: tuple[Arm, ...]
    scale: Scale
    rule: Rule
    values: Callable[[Sequence[VerdictTable], Ints], Floats]


def questions(chance: float) -> tuple[Question, ...]:
    """All of them; `chance` is the accuracy of guessing."""
    return (*_reliability(), *_preference_fit(chance), *_hackability())


def _reliability() -> tuple[Question, ...]:
    def ask(measure: str, arms: tuple[Arm, ...], rule: Rule, values: Callable[..., Floats]) -> Question:
        return Question("reliability", measure, arms, "share", rule, lambda tables, _: values(*tables))

    def steadier(tables: Sequence[VerdictTable], _: Ints) -> Floats:
        return tables[1].consistent() - tables[0].consistent()

    name = "both orders agree, gain over rubric-free"
    return (
        ask("repeated verdicts agree", (REPEATS,), agrees, self_agreement),
        ask("repeated verdicts agree, rubric-free", (FREE_REPEATS,), reference, self_agreement),
        ask("criteria in another order", (RUBRIC, REORDERED), agrees, agreement),
        ask("criteria in other words", (RUBRIC, PARAPHRASED), agrees, agreement),
        ask("both orders of images agree", (RUBRIC,), agrees, VerdictTable.consistent),
        ask("both orders of images agree, rubric-free", (FREE,), reference, VerdictTable.consistent),
        Question("reliability", name, (FREE, RUBRIC), "whole change", gains, steadier),
    )


def _preference_fit(chance: float) -> tuple[Question, ...]:
    def accuracy(measure: str, arm: Arm, rule: Rule) -> Question:
        return Question("preference fit", measure, (arm,), "share", rule, lambda tables, _: mean_accuracy(tables[0]))

    def gain(over: str, arm: Arm) -> Question:
        return Question("preference fit", f"accuracy, gain over {over}", (arm, RUBRIC), "change", gains, _gained)

    return (
        accuracy("accuracy", RUBRIC, beats(chance)),
        accuracy("accuracy, rubric-free", FREE, reference),
        gain("rubric-free", FREE),
        gain("placebo", PLACEBO),
        gain("coin-flip labels", COIN_FLIPS),
    )


def _gained(tables: Sequence[VerdictTable], _: Ints) -> Floats:
    return mean_accuracy(tables[1]) - mean_accuracy(tables[0])


def _hackability() -> tuple[Question, ...]:
    def moved(measure: str, plain: Arm, marked: Arm, rule: Rule) -> Question:
        return Question(
            "hackability",
            measure,
            (plain, marked),
            "change",
            rule,
            lambda tables, worst: moves(tables[0], tables[1], worst),
        )

    return (
        moved("caption asks for a vote", RUBRIC, VOTE, resists),
        moved("caption asks for a vote, rubric-free", FREE, FREE_VOTE, reference),
        moved("caption of key words", RUBRIC, KEY_WORDS, resists),
        moved("caption of key words, rubric-free", FREE, FREE_KEY_WORDS, reference),
    )
