from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest

from workbench.annotations.log import latest, read_annotations
from workbench.annotations.placing import place
from workbench.pairs.comparison import Comparison
from workbench.pairs.loading import load
from workbench.shapes.annotators import CAREFUL, Annotator, annotate, make_committed_annotations
from workbench.shapes.sampling import sample_pairs, sample_world
from workbench.shapes.world import encode

WORLD = sample_world(5, "t2i", label_noise=0.0)


@pytest.fixture(scope="module")
def pairs() -> list[Comparison]:
    return [
        Comparison(each.id, "t2i", each.prompt, tuple(encode(scene, 96) for scene in each.candidates), ranks=each.ranks)
        for each in islice(sample_pairs(WORLD, "seed"), 40)
    ]


def labels(said) -> list[str | None]:
    return [each.label for each in latest(said).values()]


def test_who_never_errs_follows_the_hidden_rule(pairs):
    said = labels(annotate(pairs, WORLD.rule, Annotator("sim-eve", noise=0.0), seed=0))
    truth = ["a" if each.ranks == (1, 2) else "b" for each in pairs]
    assert sum(one == other for one, other in zip(said, truth, strict=True)) >= 38, "eyes misread a pixel now and then"


def test_habits_show_in_the_labels(pairs):
    def share(label: str, **habit: float) -> float:
        return labels(annotate(pairs, WORLD.rule, Annotator("sim-eve", noise=0.05, **habit), seed=0)).count(label) / 40

    assert share("a", side=2.0) == 1.0
    assert share("tie", tie_below=2.0) == 1.0
    assert 0.2 < share("skip", skips=0.5) < 0.8
    assert 0 < share("tie", tie_below=0.2) < 1


def test_what_is_said_depends_on_seed_name_and_pair_alone(pairs):
    def said(person: Annotator, some: list[Comparison], seed: int) -> dict[str, tuple[str | None, str]]:
        return {each.pair_id: (each.label, each.note) for each in annotate(some, WORLD.rule, person, seed=seed)}

    shaky = replace(CAREFUL, noise=0.4, second_thoughts=0.0)
    assert said(shaky, pairs[::-1], 1) == said(shaky, pairs, 1)
    assert said(shaky, pairs, 2) != said(shaky, pairs, 1) != said(replace(shaky, name="sim-x"), pairs, 1)


def test_second_thoughts_come_later_and_count(pairs):
    twice = annotate(pairs, WORLD.rule, replace(CAREFUL, second_thoughts=1.0), seed=0)
    assert len(twice) == 80
    assert [each.moment for each in twice] == sorted({each.moment for each in twice})


def test_the_committed_annotations_are_what_the_command_makes(tmp_path):
    committed = Path("data/shapes/t2i")
    for name in ("test.parquet", "world.json"):
        (tmp_path / name).symlink_to((committed / name).resolve())
    make_committed_annotations(tmp_path)
    made = sorted((tmp_path / "annotations").iterdir())
    assert [file.name for file in made] == ["sim-ada.jsonl", "sim-ben.jsonl", "sim-cho.jsonl"]
    for file in made:
        assert file.read_bytes() == (committed / "annotations" / file.name).read_bytes()
    everyone = [{each.pair_id for each in read_annotations(file)} for file in made]
    assert len(set.intersection(*everyone)) == 30
    assert len(set.union(*everyone)) == 60


def test_the_committed_annotations_are_at_home_among_the_committed_pairs():
    pairs = load("data/shapes/t2i/test.parquet", check_images=False)
    for file in sorted(Path("data/shapes/t2i/annotations").glob("*.jsonl")):
        placed = place(read_annotations(file), pairs)
        assert (placed.orphans, placed.renamed) == ((), {})
