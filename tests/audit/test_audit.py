"""A whole audit, against the embedded judge of one small world."""

import asyncio
import json
from collections import Counter
from dataclasses import replace
from itertools import islice

import pytest

from workbench.audit.arms import ARMS
from workbench.audit.audit import audit
from workbench.audit.settings import AuditSettings, estimate_audit
from workbench.evaluation.record import read_verdicts
from workbench.pairs.comparison import Comparison
from workbench.plots import difference_figure
from workbench.rubrics.rubric import Criterion, Rubric, Theme
from workbench.runs.index import list_runs
from workbench.runs.manifest import read_manifest
from workbench.shapes.judge.server import running_server
from workbench.shapes.judge.settings import sample_settings
from workbench.shapes.sampling import sample_pairs, sample_world
from workbench.shapes.world import encode
from workbench.vlm.client import VlmClient
from workbench.vlm.errors import BudgetSpent, NoAnswer
from workbench.vlm.request import Reply
from workbench.vlm.settings import Endpoint, Limits, Sampling

WORLD = 401
PAIRS = 8
SETTINGS = AuditSettings(repeats=2, seed_pairs=4)
SECTIONS = ["reliability", "preference fit", "hackability", "wording", "cost"]


class Refusing(VlmClient):
    """Refuses to paraphrase."""

    async def ask(self, request):
        if "paraphrase" in request.system:
            raise NoAnswer("I'm sorry, but I can't help with that request")
        return await super().ask(request)


class Parrot(VlmClient):
    """Gives the criteria back word for word when it is asked for other words."""

    async def ask(self, request):
        if "paraphrase" not in request.system:
            return await super().ask(request)
        data = {"rubrics": [line.split(". ", 1)[1] for line in request.content[0].splitlines()], "reason": ""}
        return Reply(request.answer.parse(data), data, "", key="parrot")


class Silent(VlmClient):
    """Answers nothing."""

    async def ask(self, request):
        raise NoAnswer("the server said nothing")


def good(count=3):
    sentences = sample_world(WORLD, "t2i").rule.as_rubric_sentences()[:count]
    criteria = tuple(Criterion(f"c{i}", text) for i, text in enumerate(sentences))
    return Rubric("good", "t2i", (Theme("Criteria", criteria=criteria),), {"seed_pairs": ["t2i-w401-test-00001"]})


@pytest.fixture(scope="module")
def pairs():
    world = sample_world(WORLD, "t2i")
    return [
        Comparison(pair.id, "t2i", pair.prompt, tuple(encode(scene, 64) for scene in pair.candidates), ranks=pair.ranks)
        for pair in islice(sample_pairs(world, "test"), PAIRS)
    ]


@pytest.fixture(scope="module")
def served():
    settings = sample_settings("t2i", WORLD)
    with running_server(settings) as url:
        yield Endpoint(url, settings.model_id)


def client_of(served, tmp_path, kind=VlmClient, **limits):
    return kind(served, Sampling(seed=0), Limits(**limits), cache=tmp_path / "cache.sqlite")


async def audited(client, pairs, tmp_path, rubric=None, settings=SETTINGS):
    async with client:
        return await audit(rubric or good(), pairs, client, settings, dataset="world/pairs.jsonl", out=tmp_path / "run")


def measured(found):
    """The rows that do not count what it took."""
    return [row for row in found.rows if row.section in ("reliability", "preference fit", "hackability")]


@pytest.fixture(scope="module")
def whole(served, pairs, tmp_path_factory):
    """An audit that nothing interrupted, its folder, and its client."""
    folder = tmp_path_factory.mktemp("whole")
    client = client_of(served, folder)
    return asyncio.run(audited(client, pairs, folder)), folder, client


async def test_an_audit_is_one_table_with_every_section_and_can_be_done_again_for_nothing(served, pairs, whole):
    found, tmp_path, client = whole
    assert list(dict.fromkeys(row.section for row in found.rows)) == SECTIONS
    assert "not measured" not in {row.word for row in found.rows}
    for row in found.rows:
        if row.unit in ("share", "points"):
            assert row.n == PAIRS
            assert row.ci95[0] <= row.value <= row.ci95[1]
    assert found.row("criteria in another order").value == 1.0  # this judge sums over criteria
    assert found.row("input tokens a verdict").value > 1
    counted = found.row("calls of this audit")
    assert counted.value == client.usage.calls
    data = json.loads((tmp_path / "run" / "audit.json").read_text())
    assert data["schema"] == "workbench.audit/1"
    assert (data["complete"], data["synthetic"]) == (True, True)
    assert len(data["rows"]) == len(found.rows)
    assert "1 of 8 pairs are seeds of the rubric" in found.to_text()
    assert "one rubric that recipe arr, with its default settings, made from 4 of these pairs" in found.to_text()
    assert "so this gain is not what its labels brought" in found.to_text()
    assert "synthetic" in found.to_text().splitlines()[-1]
    assert difference_figure(found.differences(), "Audit", "change", synthetic=True).data
    assert list_runs(tmp_path)["kind"].tolist() == ["audit"]

    again = client_of(served, tmp_path)
    assert (await audited(again, pairs, tmp_path)).rows == found.rows
    assert again.usage.calls == 0


async def test_a_spent_budget_leaves_what_was_measured_and_the_same_call_goes_on(served, pairs, whole, tmp_path):
    with pytest.raises(BudgetSpent):
        await audited(client_of(served, tmp_path, max_calls=60), pairs, tmp_path)
    partial = json.loads((tmp_path / "run" / "audit.json").read_text())
    words = {row["measure"]: row["word"] for row in partial["rows"]}
    assert partial["complete"] is False
    assert words["accuracy"] != "not measured"
    assert words["caption asks for a vote"] == "not measured"
    assert read_manifest(tmp_path / "run").status == "failed"

    found = await audited(client_of(served, tmp_path), pairs, tmp_path)
    assert found.complete
    for arm in ARMS:
        keys = Counter(record.key for record in read_verdicts(tmp_path / "run" / "arms" / f"{arm.name}.jsonl"))
        assert set(keys.values()) == {1}, "a verdict was asked for twice"
        assert len(keys) == 2 * PAIRS * (2 if arm.repeated else 1)
    assert found.row("calls of this audit").value <= whole[0].row("calls of this audit").value + 1
    assert measured(found) == measured(whole[0])


@pytest.mark.parametrize("recipe", ["arr", "blind"])
async def test_a_budget_that_ends_in_the_control_leaves_no_half_made_one(recipe, served, pairs, tmp_path):
    rubric = replace(good(), provenance={"recipe": recipe})
    settings = AuditSettings(repeats=2, seed_pairs=8)

    async def run(name, **limits):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        return await audited(client_of(served, folder, concurrency=1, **limits), pairs, folder, rubric, settings)

    whole = await run("whole")
    assert read_manifest(whole.path).inputs["control"] == recipe
    assert not any("not what its labels brought" in note for note in whole.notes)
    written = (tmp_path / "whole" / "run" / "rubrics" / "coin-flips.yaml").read_text()
    assert f"recipe: {recipe}" in written
    for calls in (58, 64):
        with pytest.raises(BudgetSpent):
            await run(f"after-{calls}", max_calls=calls)
        folder = tmp_path / f"after-{calls}" / "run"
        assert (folder / "arms" / "placebo.jsonl").exists()
        assert not (folder / "rubrics" / "coin-flips.yaml").exists()
        resumed = await run(f"after-{calls}")
        assert (folder / "rubrics" / "coin-flips.yaml").read_text() == written
        assert resumed.rows == whole.rows


async def test_a_writer_that_refuses_to_paraphrase_leaves_one_row_unmeasured(served, pairs, tmp_path):
    found = await audited(client_of(served, tmp_path, Refusing), pairs, tmp_path)
    unmeasured = [row for row in found.rows if row.word == "not measured"]
    assert [row.measure for row in unmeasured] == ["criteria in other words"]
    assert "can't help with that" in unmeasured[0].meaning
    assert unmeasured[0].value is None


async def test_a_paraphrase_in_the_same_words_shows_nothing(served, pairs, tmp_path):
    found = await audited(client_of(served, tmp_path, Parrot), pairs, tmp_path)
    row = found.row("criteria in other words")
    assert (row.word, row.value) == ("not measured", None)
    assert "the model gave the same words back" in row.meaning


async def test_verdicts_that_never_came_are_not_called_wrong(served, pairs, tmp_path):
    found = await audited(client_of(served, tmp_path, Silent), pairs, tmp_path)
    assert {row.word for row in found.rows if row.unit in ("share", "points")} == {"not measured"}
    assert "not one verdict came" in found.row("accuracy").meaning
    assert any("verdicts failed" in note for note in found.notes)


async def test_a_rubric_of_one_criterion_has_no_other_order(served, pairs, tmp_path):
    found = await audited(client_of(served, tmp_path), pairs, tmp_path, good(1))
    assert "only one order" in found.row("criteria in another order").meaning


async def test_calls_do_not_exceed_the_estimate_but_for_answers_asked_for_twice(pairs, whole):
    found, folder, client = whole
    expected = estimate_audit(good(), pairs, client, SETTINGS)
    assert found.row("calls of this audit").value <= 1.05 * expected.calls
    given = sum(len(list(read_verdicts(log))) for log in (folder / "run" / "arms").iterdir())
    assert given == SETTINGS.verdicts(PAIRS)
    assert client.usage.input_tokens <= 1.5 * expected.input_tokens


@pytest.mark.parametrize(
    ("rubric", "change", "message"),
    [
        (Rubric("none", "t2i", (Theme("x"),)), {}, "'none' has no enabled criterion"),
        (good(), {"ranks": None}, "8 of 8 comparisons without ranks: t2i-w401-test-00001"),
        (good(), {"ranks": (1, 1)}, "8 of 8 comparisons with ties"),
        (good(), {"task": "edit"}, "is for task t2i, the comparisons are of task edit"),
        (good(), {"images": (b"a",), "ranks": (1,)}, "without 2 to 26 images"),
    ],
)
async def test_what_cannot_be_audited_is_refused_before_anything_is_asked(pairs, tmp_path, rubric, change, message):
    client = VlmClient(Endpoint("http://127.0.0.1:9/v1", "none"), cache=None)
    with pytest.raises(ValueError, match=message):
        await audited(client, [replace(pair, **change) for pair in pairs], tmp_path, rubric)
    assert not (tmp_path / "run").exists()


async def test_no_pairs_at_all_are_refused(tmp_path):
    client = VlmClient(Endpoint("http://127.0.0.1:9/v1", "none"), cache=None)
    with pytest.raises(ValueError, match="no comparisons were given"):
        await audited(client, [], tmp_path)


def test_settings_out_of_range_name_the_parameter():
    with pytest.raises(ValueError, match="repeats=1 must be at least 2"):
        AuditSettings(repeats=1)
    with pytest.raises(ValueError, match="limit=0 must be at least 1"):
        AuditSettings(limit=0)
