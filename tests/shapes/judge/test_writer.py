"""What the judge writes: criteria for an example, revisions, and criteria put in order."""

import numpy as np
import pytest

from workbench.shapes.attributes import ATTRIBUTES_T2I
from workbench.shapes.judge.grouping import group_criteria
from workbench.shapes.judge.reader import read_criterion
from workbench.shapes.judge.settings import JudgeSettings, Vocabulary, WriterHabits, perfect
from workbench.shapes.judge.writer import Evidence, mentions, write_criteria

FULL = Vocabulary()


def written(settings: JudgeSettings, evidence: Evidence, count: int = 5, seed: int = 0) -> tuple[str, ...]:
    texts, _ = write_criteria(settings, "t2i", evidence, count, np.random.default_rng(seed))
    return texts


def habits(**values: float) -> JudgeSettings:
    return perfect("t2i").model_copy(update={"writer": WriterHabits(**values)})


def differs(**values: float) -> Evidence:
    return Evidence(dict.fromkeys(ATTRIBUTES_T2I, 0.0) | values, {})


@pytest.mark.parametrize("count", [1, 2, 5, 12])
def test_exactly_as_many_as_asked_for(count: int) -> None:
    for settings in (perfect("t2i"), habits(vagueness=0.5, duplicates=0.5, inattention=0.5, naming=0.5)):
        assert len(written(settings, differs(count=0.5), count)) == count


def test_a_careful_writer_names_what_sets_the_winner_apart_in_the_right_direction() -> None:
    evidence = differs(count=0.4, sharpness=-0.5, color=-0.6, brightness=0.01)
    for seed in range(20):
        for text in written(perfect("t2i"), evidence, seed=seed):
            shares = read_criterion(text, "t2i", FULL).shares
            # The loser's better colours are not held against the winner, and what hardly differs is left out.
            # A sentence or two uses words that no reader knows.
            assert not shares or shares.get("count", 0) > 0 or shares.get("sharpness", 0) < 0, text


def test_what_differs_more_is_written_about_first() -> None:
    first = [written(perfect("t2i"), differs(count=0.9, fill=0.1), 1, seed)[0] for seed in range(300)]
    about = [read_criterion(text, "t2i", FULL).shares for text in first]
    count = sum("count" in shares for shares in about)
    fill = sum("fill" in shares for shares in about)
    assert count > 4 * fill > 0


def test_each_habit_shows_and_is_off_at_0() -> None:
    evidence = differs(count=0.5, sharpness=0.5, fill=0.5, cleanness=0.5, balance=0.5)
    careful = [text for seed in range(60) for text in written(perfect("t2i"), evidence, seed=seed)]
    vague = [text for seed in range(60) for text in written(habits(vagueness=0.5), evidence, seed=seed)]
    naming = [text for seed in range(60) for text in written(habits(naming=0.5), evidence, seed=seed)]
    careless = [text for seed in range(60) for text in written(habits(inattention=0.9), evidence, seed=seed)]

    def unread(texts: list[str]) -> float:
        return float(np.mean([read_criterion(text, "t2i", FULL).vague for text in texts]))

    def off_topic(texts: list[str]) -> float:
        shares = [read_criterion(text, "t2i", FULL).shares for text in texts]
        return float(np.mean([bool({"color", "presence", "relation", "size"} & set(each)) for each in shares]))

    assert unread(vague) > unread(careful) + 0.3
    assert any("Image 1" in text for text in naming)
    assert not any("Image" in text for text in careful)
    assert off_topic(careless) > off_topic(careful) + 0.2

    def repeats(settings: JudgeSettings) -> int:
        total = 0
        for seed in range(60):
            about = [tuple(read_criterion(t, "t2i", FULL).shares) for t in written(settings, evidence, seed=seed)]
            total += len(about) - len(set(about))
        return total

    assert repeats(habits(duplicates=0.6)) > 2 * repeats(perfect("t2i"))


def test_a_revision_is_written_anew_and_supports_the_label() -> None:
    previous = ("Edges are crisp.", "The number of objects is right.", "The background is dark.", "It has charm.")
    evidence = Evidence(dict.fromkeys(ATTRIBUTES_T2I, 0.0) | {"count": 0.5, "sharpness": -0.4}, {}, previous)
    texts = [text for seed in range(10) for text in written(perfect("t2i"), evidence, 4, seed)]
    assert not set(previous) & set(texts)
    about = [set(read_criterion(text, "t2i", FULL).shares) for text in texts]
    assert sum(names <= {"count", "sharpness"} for names in about) >= 0.8 * len(about)


def test_rationales_pull_towards_what_they_mention() -> None:
    pull = mentions(["Crisp edges decided it; the number was right in both."], "t2i", FULL)
    assert pull == {"sharpness": 1.0, "count": 1.0}
    plain = Evidence(dict.fromkeys(ATTRIBUTES_T2I, 0.0) | {"fill": 0.3, "sharpness": 0.1}, {})
    guided = Evidence(plain.differences, {"sharpness": 1.0})

    def about_sharpness(evidence: Evidence) -> int:
        texts = [written(perfect("t2i"), evidence, 1, seed)[0] for seed in range(100)]
        return sum("sharpness" in read_criterion(text, "t2i", FULL).shares for text in texts)

    assert about_sharpness(guided) > about_sharpness(plain) + 20
    against = Evidence(dict.fromkeys(ATTRIBUTES_T2I, 0.0) | {"fill": 0.3, "sharpness": -0.5}, {"sharpness": 1.0})
    for seed in range(20):
        for text in written(perfect("t2i"), against, 3, seed):
            assert read_criterion(text, "t2i", FULL).shares.get("sharpness", 0.0) <= 0


def test_grouping_merges_duplicates_and_puts_the_frequent_first() -> None:
    texts = ["Edges are crisp.", "Edges are sharp.", "The edges are crisp.", "The number is right.", "It has charm."]
    found = group_criteria(texts, 5, "t2i", FULL)
    assert [category.tips for category in found] == [
        ("Edges are crisp.", "Edges are sharp."),
        ("The number is right.",),
        ("It has charm.",),
    ]
    assert len({category.theme for category in found}) == 3


def test_grouping_keeps_to_the_most_themes_and_lets_the_majority_decide() -> None:
    texts = ["Edges are crisp."] * 3 + ["Edges are blurred."] + ["The number is right."] * 2 + ["The picture is dark."]
    found = group_criteria(texts, 2, "t2i", FULL)
    assert [category.tips for category in found] == [("Edges are crisp.",), ("The number is right.",)]
    assert group_criteria(["Edges are crisp.", "Edges are blurred."], 2, "t2i", FULL)[0].tips
