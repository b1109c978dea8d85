"""An induction into a run folder, against the real judge of a small world."""

from dataclasses import replace

import pytest

from workbench.connect import connect
from workbench.induction.arr import ArrSettings
from workbench.induction.events import read_events
from workbench.induction.induce import induce
from workbench.pairs.loading import load
from workbench.rubrics.files import load_rubric
from workbench.rubrics.rubric import RubricError
from workbench.runs.manifest import read_manifest
from workbench.shapes.judge.server import running_server
from workbench.shapes.judge.settings import JudgeSettings
from workbench.shapes.world import make_world
from workbench.vlm.errors import BudgetSpent
from workbench.vlm.settings import Limits

PAIRS = 8


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("worlds") / "seeds"
    make_world(11, "t2i", PAIRS, folder)
    return folder


@pytest.fixture(scope="module")
def base_url(world):
    with running_server(JudgeSettings.load(world)) as url:
        yield url


@pytest.fixture
def induced(world, base_url, tmp_path):
    """Induces from the world's pairs with one cache and one outputs folder for the test."""

    async def run(settings=None, *, seeds=None, limits=None, **options):
        async with connect(base_url, cache=tmp_path / "c.sqlite", limits=limits or Limits()) as client:
            pairs = seeds or load(world / "pairs.jsonl")
            return await induce(
                pairs,
                client,
                settings or ArrSettings(),
                dataset=world / "pairs.jsonl",
                outputs=tmp_path / "runs",
                **{"folds": 0, **options},
            )

    return run


async def test_the_run_folder_holds_the_events_the_rubric_and_where_it_came_from(induced, world, tmp_path):
    done = await induced(out=tmp_path / "mine.yaml")
    assert done.path.parent == tmp_path / "runs"
    assert done.path.name.startswith("induce-seeds-pairs-")
    events = list(read_events(done.path / "events.jsonl"))
    ended = [event.pair_id for event in events if event.step in ("kept", "dropped", "failed") and event.pair_id]
    assert sorted(ended) == sorted(pair.id for pair in load(world / "pairs.jsonl"))
    assert events[-1].step == "structured"
    rubric = load_rubric(done.path / "rubric.yaml")
    assert rubric.hash == done.rubric.hash == load_rubric(tmp_path / "mine.yaml").hash
    assert rubric.provenance["recipe"] == "arr"
    assert rubric.provenance["dataset"]["name"] == "seeds-pairs"
    assert len(rubric.provenance["seed_pairs"]) == PAIRS
    manifest = read_manifest(done.path)
    assert (manifest.kind, manifest.status) == ("induce", "finished")
    assert manifest.facts["rubric"]["hash"] == rubric.hash
    assert manifest.counts["seed_pairs"] == PAIRS
    assert f"of {PAIRS} seed pairs" in done.summary()
    assert str(done.path) in done.summary()
    assert done.calls >= 2 * PAIRS + 1


async def test_the_same_induction_again_asks_nothing_and_adds_no_event(induced):
    first = await induced()
    written = (first.path / "events.jsonl").read_bytes()
    again = await induced()
    assert (again.path, again.rubric.hash) == (first.path, first.rubric.hash)
    assert again.calls == 0
    assert again.cached == first.calls
    assert (again.path / "events.jsonl").read_bytes() == written
    assert len(read_manifest(again.path).earlier_sessions) == 1


async def test_other_settings_and_other_seeds_go_to_another_folder(induced, world):
    paths = [
        (await induced()).path,
        (await induced(ArrSettings(criteria_per_pair=2))).path,
        (await induced(seeds=load(world / "pairs.jsonl")[:4])).path,
    ]
    assert len(set(paths)) == 3
    assert all((path / "rubric.yaml").is_file() for path in paths)


async def test_an_induction_that_ran_out_of_calls_goes_on_where_it_stopped(induced, tmp_path):
    with pytest.raises(BudgetSpent, match="A partial rubric, marked so, is in"):
        await induced(limits=Limits(max_calls=9), out=tmp_path / "mine.yaml")
    (folder,) = (tmp_path / "runs").iterdir()
    assert read_manifest(folder).status == "failed"
    for partial in (load_rubric(folder / "rubric.yaml"), load_rubric(tmp_path / "mine.yaml")):
        assert partial.enabled_criteria()
        assert "not done" in partial.provenance["partial"]
    stopped = {replace(event, cached=False) for event in read_events(folder / "events.jsonl")}
    assert stopped
    finished = await induced(out=tmp_path / "mine.yaml")
    assert finished.path == folder
    assert finished.cached >= 9
    assert "partial" not in load_rubric(tmp_path / "mine.yaml").provenance
    events = [replace(event, cached=False) for event in read_events(folder / "events.jsonl")]
    assert stopped <= set(events)
    assert len(events) == len(set(events))
    assert (await induced()).calls == 0


async def test_a_rubric_file_that_cannot_be_one_is_refused_before_the_first_call(induced, tmp_path):
    with pytest.raises((ValueError, RubricError), match="mine"):
        await induced(out=tmp_path / "mine.txt.exe")
    assert not (tmp_path / "runs").exists()


async def test_no_structuring_leaves_one_list_with_the_seed_pair_of_each_criterion(induced):
    rubric = (await induced(ArrSettings(themes=0))).rubric
    assert [theme.name for theme in rubric.themes] == ["Criteria"]
    assert all(criterion.source for criterion in rubric.enabled_criteria())


async def test_a_rubric_edited_by_hand_is_not_overwritten_and_an_own_one_is(induced, tmp_path):
    out = tmp_path / "mine.yaml"
    await induced(out=out)
    await induced(out=out)
    edited = out.read_text().replace("text: ", "text: Edited by hand. ", 1)
    out.write_text(edited)
    with pytest.raises(ValueError, match=r"mine\.yaml holds another rubric, perhaps edited by hand"):
        await induced(out=out)
    assert out.read_text() == edited
