from pathlib import Path

import pytest

from workbench.judges.exemplars import load_exemplars
from workbench.shapes.attributes import satisfaction
from workbench.shapes.exemplars import write_exemplars
from workbench.shapes.rule import CLAUSES
from workbench.shapes.sampling import sample_pairs, sample_world
from workbench.shapes.scene import exact


@pytest.mark.parametrize("task", ["t2i", "edit"])
def test_exemplars_load_in_guide_mode_and_name_reasons_people_had(task, tmp_path):
    world = sample_world(11, task)
    path = tmp_path / "exemplars.yaml"
    write_exemplars(sample_pairs(world, "seed"), world, path, count=5)
    exemplars = load_exemplars(path)
    assert len({exemplar.prompt for exemplar in exemplars}) == 5
    cared_for = {clause for name in world.rule.weights for clause in CLAUSES[name]}
    for exemplar in exemplars:
        assert any(clause in exemplar.rationale for clause in cared_for) or "like better" in exemplar.rationale


def test_the_reason_is_a_difference_between_the_two_pictures(tmp_path):
    world = sample_world(11, "t2i")
    path = tmp_path / "exemplars.yaml"
    write_exemplars(sample_pairs(world, "seed"), world, path, count=1)
    (exemplar,) = load_exemplars(path)
    pair = next(iter(sample_pairs(world, "seed")))
    winner, loser = (
        satisfaction("t2i", pair.prompt, exact(pair.candidates[pair.ranks.index(rank)])) for rank in (1, 2)
    )
    named = [name for name, clauses in CLAUSES.items() if any(clause in exemplar.rationale for clause in clauses)]
    assert named
    assert all(winner[name] != loser[name] for name in named)


@pytest.mark.parametrize("task", ["t2i", "edit"])
def test_the_committed_exemplars_are_those_of_the_committed_world(task, tmp_path):
    world = sample_world(7, task)
    write_exemplars(sample_pairs(world, "seed"), world, tmp_path / "exemplars.yaml")
    committed = Path(__file__).parents[2] / "data" / "shapes" / task / "exemplars.yaml"
    assert committed.read_text() == (tmp_path / "exemplars.yaml").read_text()
