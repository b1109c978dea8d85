"""Judges whose rubric comes from a source, and what the record keeps of it."""

import json

import pytest
from scripted_client import ScriptedClient, ranks

from workbench.evaluation.evaluate import evaluate
from workbench.evaluation.record import VerdictRecord, read_verdicts
from workbench.judges.verdict import Usage, Verdict
from workbench.judges.vlm_judge import RankingJudge
from workbench.pairs.comparison import Comparison
from workbench.rubrics.files import load_rubric
from workbench.rubrics.library import load_library
from workbench.rubrics.rubric import Criterion, Rubric, Theme
from workbench.runs.manifest import read_manifest
from workbench.vlm.budget import Estimate
from workbench.vlm.errors import BudgetSpent, NoAnswer, Spent


def rubric(text, prompt="a red circle"):
    return Rubric("r", "t2i", (Theme("", criteria=(Criterion("c1", text),)),), {"prompt": prompt})


def pair(number, prompt="a red circle"):
    return Comparison(f"p{number}", "t2i", prompt, (b"A%d" % number, b"B%d" % number), ranks=(1, 2))


class ByPrompt:
    """The rubric a table has for a prompt; each takes three calls, once."""

    name = "by prompt"

    def __init__(self, table) -> None:
        self.table = table
        self.spent: dict[str, Usage] = {}
        self.asked: list[str] = []

    def identity(self):
        return {"source": "by prompt"}

    async def rubric_for(self, comparison):
        self.asked.append(comparison.prompt)
        found = self.table[comparison.prompt]
        if isinstance(found, Exception):
            raise found
        self.spent.setdefault(comparison.prompt, Usage(300, 30, 0.25, 3))
        return found

    def take_usage(self, comparison):
        taken = self.spent[comparison.prompt]
        self.spent[comparison.prompt] = Usage()
        return taken

    def most_calls(self, comparisons):
        return 3 * len({c.prompt for c in comparisons})


PLAIN = rubric("As many objects as asked for.")
TABLE = {"a red circle": rubric("The circle is red."), "a dog": rubric("The dog has four legs.", "a dog"), "fog": None}


async def test_each_prompt_is_judged_by_its_own_rubric_and_the_verdict_says_which():
    client = ranks(1, 2)
    judge = RankingJudge(client, ByPrompt(TABLE))
    red = await judge.compare(pair(1), (0, 1))
    dog = await judge.compare(pair(2, "a dog"), (0, 1))
    none = await judge.compare(pair(3, "fog"), (0, 1))
    first, second, third = client.requests
    assert "The circle is red." in first.system
    assert "The dog has four legs." in second.system
    assert "four legs" not in first.system
    assert third.system == RankingJudge(client).request(pair(3), (0, 1)).system
    assert [v.rubric for v in (red, dog, none)] == [TABLE["a red circle"].hash, TABLE["a dog"].hash, None]


async def test_what_a_rubric_took_is_charged_to_one_verdict_even_if_that_fails():
    judge = RankingJudge(ranks(1, 2), ByPrompt(TABLE))
    first = await judge.compare(pair(1), (0, 1))
    second = await judge.compare(pair(1), (1, 0))
    assert (first.usage.calls, first.usage.input_tokens, first.usage.cost_usd) == (3 + 1, 300 + 100, 0.25 + 0.5)
    assert second.usage.calls == 1
    failing = ScriptedClient(lambda _: NoAnswer("gone", Spent(calls=2)))
    failed = await RankingJudge(failing, ByPrompt(TABLE)).compare(pair(1), (0, 1))
    assert (failed.outcome, failed.usage.calls, failed.rubric) == ("error", 3 + 2, TABLE["a red circle"].hash)


def test_verdicts_by_criterion_need_one_rubric_for_all():
    with pytest.raises(ValueError, match="criteria=True needs one rubric for all comparisons; by prompt gives each"):
        RankingJudge(ranks(1, 2), ByPrompt(TABLE), criteria=True)


def test_the_source_is_in_the_identity_and_its_calls_in_the_estimate():
    client = ranks(1, 2)
    client.estimate = lambda request, count: Estimate(count, 0, 0, 0.0)
    judge = RankingJudge(client, ByPrompt(TABLE))
    assert judge.name == "by prompt"
    assert judge.identity()["rubric"] == {"source": "by prompt"}
    assert judge.estimate([pair(1), pair(2), pair(3, "a dog")]).calls == 2 * 3 + 3 * 2


def test_a_judge_has_a_temperature_of_its_own_only_where_one_is_given():
    client = ranks(1, 2)
    drawing = RankingJudge(client, temperature=0.7)
    assert drawing.request(pair(1), (0, 1)).temperature == 0.7
    assert drawing.identity() == {**RankingJudge(client).identity(), "temperature": 0.7}


async def test_a_spent_budget_comes_through():
    judge = RankingJudge(ranks(1, 2), ByPrompt({"a red circle": BudgetSpent("max_calls")}))
    with pytest.raises(BudgetSpent):
        await judge.compare(pair(1), (0, 1))


def test_the_record_keeps_the_rubric_and_old_lines_are_still_read():
    record = VerdictRecord.of(pair(1), "forward", Verdict(ranks=(1, 2), rubric="abc"))
    assert VerdictRecord.from_line(record.to_line()) == record
    line = json.loads(record.to_line())
    del line["rubric"]
    assert VerdictRecord.from_line(json.dumps(line)).rubric is None


PAIRS = [pair(1), pair(2), pair(3, "a dog"), pair(4, "fog")]


def evaluated(source, out):
    return evaluate(PAIRS, RankingJudge(ranks(1, 2), source), rubric=source, dataset="data/test.jsonl", out=out)


async def test_an_evaluation_counts_the_sources_calls_and_keeps_its_rubrics(tmp_path):
    done = await evaluated(ByPrompt(TABLE), tmp_path / "run")
    assert done.results.calls == 2 * 4 + 3 * 3
    assert done.results.tokens.input == 100 * 8 + 300 * 3
    assert done.without_rubric == 1
    assert read_manifest(done.path).counts["without_rubric"] == 1
    assert read_manifest(done.path).inputs["rubric"] == {"name": "by prompt"}
    assert {r.hash for r in load_library(done.path / "rubrics")} == {r.hash for r in TABLE.values() if r}
    used = {record.pair_id: record.rubric for record in read_verdicts(done.path / "verdicts.jsonl")}
    assert used == {"p1": used["p2"], "p2": used["p1"], "p3": TABLE["a dog"].hash, "p4": None}


async def test_a_killed_evaluation_keeps_the_rubrics_of_its_first_session_too(tmp_path):
    with pytest.raises(BudgetSpent):
        await evaluated(ByPrompt(TABLE | {"a dog": BudgetSpent("enough")}), tmp_path / "run")
    assert not (tmp_path / "run" / "rubrics").exists()
    resumed = await evaluated(ByPrompt(TABLE), tmp_path / "run")
    assert {load_rubric(file).hash for file in (resumed.path / "rubrics").iterdir()} == {
        rubric.hash for rubric in TABLE.values() if rubric
    }
    again = ByPrompt(TABLE)
    assert (await evaluated(again, tmp_path / "run")).judged == 0
    assert again.asked == []


async def test_one_rubric_for_all_is_no_source_in_the_record(tmp_path):
    judge = RankingJudge(ranks(1, 2), PLAIN)
    done = await evaluate(PAIRS, judge, rubric=PLAIN, dataset="data/test.jsonl", out=tmp_path / "run")
    manifest = read_manifest(done.path)
    assert manifest.inputs["rubric"] == {"name": "r", "hash": PLAIN.hash}
    assert "without_rubric" not in manifest.counts
    assert not (done.path / "rubrics").exists()
    assert done.without_rubric == 0
