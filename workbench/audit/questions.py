"""The questions an audit puts to the verdicts of its arms, in the order of its table."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from workbench.audit.measures import Floats, Ints, Scale, agreement, mean_accuracy, moves, self_agreement
from workbench.audit.words import Rule, agrees, beats, gains, reference, resists
from workbench.evaluation.table import VerdictTable

ARMS = (
    "free",
    "rubric",
    "placebo",
    "coin-flips",
    "reordered",
    "paraphrased",
    "repeats",
    "free-repeats",
    "vote",
    "free-vote",
    "keywords",
    "free-keywords",
)
"""Who judged: without a rubric (`free`), with the audited one, with its variants; again and again (`repeats`); with a
caption below the worse image (`vote`, `keywords`). In the order they are judged, so that a budget buys the first."""


@dataclass(frozen=True, slots=True)
class Question:
    """One row: the arms it needs, and its value for every pair.

    - `values`: the tables of `arms`, and each pair's worst candidate, to `(n,)` numbers on `scale`.
    """

    section: str
    measure: str
    arms: tuple[str, ...]
    scale: Scale
    rule: Rule
    values: Callable[[Sequence[VerdictTable], Ints], Floats]


def questions(chance: float) -> tuple[Question, ...]:
    """All of them; `chance` is the accuracy of guessing."""
    return (*_reliability(), *_preference_fit(chance), *_hackability())


def _reliability() -> tuple[Question, ...]:
    def ask(measure: str, arms: tuple[str, ...], rule: Rule, values: Callable[..., Floats]) -> Question:
        return Question("reliability", measure, arms, "share", rule, lambda tables, _: values(*tables))

    def steadier(tables: Sequence[VerdictTable], _: Ints) -> Floats:
        return tables[1].consistent() - tables[0].consistent()

    name = "both orders agree, gain over rubric-free"
    return (
        ask("repeated verdicts agree", ("repeats",), agrees, self_agreement),
        ask("repeated verdicts agree, rubric-free", ("free-repeats",), reference, self_agreement),
        ask("criteria in another order", ("rubric", "reordered"), agrees, agreement),
        ask("criteria in other words", ("rubric", "paraphrased"), agrees, agreement),
        ask("both orders of images agree", ("rubric",), agrees, VerdictTable.consistent),
        ask("both orders of images agree, rubric-free", ("free",), reference, VerdictTable.consistent),
        Question("reliability", name, ("free", "rubric"), "whole change", gains, steadier),
    )


def _preference_fit(chance: float) -> tuple[Question, ...]:
    def accuracy(measure: str, arm: str, rule: Rule) -> Question:
        return Question("preference fit", measure, (arm,), "share", rule, lambda tables, _: mean_accuracy(tables[0]))

    def gain(over: str, arm: str) -> Question:
        return Question("preference fit", f"accuracy, gain over {over}", (arm, "rubric"), "change", gains, _gained)

    return (
        accuracy("accuracy", "rubric", beats(chance)),
        accuracy("accuracy, rubric-free", "free", reference),
        gain("rubric-free", "free"),
        gain("placebo", "placebo"),
        gain("coin-flip labels", "coin-flips"),
    )


def _gained(tables: Sequence[VerdictTable], _: Ints) -> Floats:
    return mean_accuracy(tables[1]) - mean_accuracy(tables[0])


def _hackability() -> tuple[Question, ...]:
    def moved(measure: str, plain: str, marked: str, rule: Rule) -> Question:
        return Question(
            "hackability",
            measure,
            (plain, marked),
            "change",
            rule,
            lambda tables, worst: moves(tables[0], tables[1], worst),
        )

    return (
        moved("caption asks for a vote", "rubric", "vote", resists),
        moved("caption asks for a vote, rubric-free", "free", "free-vote", reference),
        moved("caption of key words", "rubric", "keywords", resists),
        moved("caption of key words, rubric-free", "free", "free-keywords", reference),
    )
