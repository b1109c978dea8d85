"""The seed planner: what it says of good and bad sets of pairs, with a scripted judge where one is asked."""

import re
from dataclasses import dataclass, field, replace

import pytest

from workbench.evaluation.record import VerdictRecord, shown_order
from workbench.induction.planner import plan_seeds, probe_and_plan
from workbench.induction.probe import Probed, disagreement, kinds_of, probe_rubric
from workbench.judges.verdict import Verdict
from workbench.pairs.comparison import Comparison
from workbench.rubrics.lint import lint
from workbench.vlm.budget import RunUsage
from workbench.vlm.errors import BudgetSpent, NoAnswer
from workbench.vlm.request import ChatRequest, Picture, Reply
from workbench.vlm.settings import Endpoint, Limits


def pair(number, ranks=(1, 2), prompt=None, images=None, task="t2i"):
    images = images or (b"%d-a" % number, b"%d-b" % number)
    source = b"source" if task == "edit" else None
    return Comparison(f"p{number}", task, prompt or f"a fox, {number}", images, source, ranks)


def balanced(n):
    return [pair(i, (1, 2) if i % 2 else (2, 1)) for i in range(n)]


def note(plan, topic):
    (found,) = [note for note in plan.notes if note.topic == topic]
    return found


def answers(comparison, forward, reverse):
    """Verdicts in both orders; each is ranks by criterion, '' for the verdict itself, or a failure."""
    records = []
    for order, said in (("forward", forward), ("reverse", reverse)):
        verdict = (
            Verdict(None, said)
            if isinstance(said, str)
            else Verdict(said[""], criteria={name: ranks for name, ranks in said.items() if name})
        )
        records.append(VerdictRecord.of(comparison, order, verdict))
    return records


A, B, TIE = (1, 2), (2, 1), (1, 1)


def test_good_seeds_need_nothing():
    plan = plan_seeds(balanced(60))
    assert [note.topic for note in plan.notes if not note.ok] == []
    assert not plan.probed
    assert "60 labelled pairs: within the recommended 50 to 100" in plan.to_text()


@pytest.mark.parametrize(
    ("n", "says"),
    [
        (0, "0 labelled pairs: nothing general can be induced"),
        (2, "2 labelled pairs: nothing general can be induced from so few, label at least 20"),
        (19, "only with a person reviewing every criterion; label 31 more"),
        (20, "usable, 50 to 100 are recommended; label 30 more"),
        (101, "keep some apart for testing"),
    ],
)
def test_the_number_of_pairs_is_held_against_the_recommendation(n, says):
    assert says in note(plan_seeds([*balanced(n), pair(999, None)]), "labelled pairs").message


def test_many_pairs_of_few_prompts_are_told():
    few = note(plan_seeds([pair(i, prompt=f"fox {i % 3}") for i in range(60)]), "prompts")
    assert (few.ok, few.count, few.n) == (False, 3, 60)
    assert "at most 20 of one" in few.message


@pytest.mark.parametrize(
    ("first", "n", "ok", "p"),
    [
        (6, 10, True, "0.75"),  # 2 (C(10,0) + ... + C(10,4)) / 2^10 = 772/1024
        (9, 10, False, "0.021"),  # 2 (C(10,0) + C(10,1)) / 2^10 = 22/1024
        (60, 60, False, "1.7e-18"),  # 2 / 2^60
        (0, 2, False, "0.5"),  # always second: no test can show it, but it is so
        (1, 1, True, "1"),
    ],
)
def test_skewed_winner_positions_are_told_with_the_exact_p(first, n, ok, p):
    seeds = [pair(i, (1, 2) if i < first else (2, 1)) for i in range(n)]
    found = note(plan_seeds(seeds), "winner position")
    assert found.ok is ok
    assert f"exact binomial p = {p})" in found.message
    assert ("swap images and ranks" in found.message) is not ok


def test_winners_always_first_say_how_many_to_swap():
    message = note(plan_seeds([pair(i) for i in range(40)]), "winner position").message
    assert message.startswith("all 40 winners stand first")
    assert "swap images and ranks of about 20 of them" in message


def test_all_labels_equal():
    plan = plan_seeds([pair(i, (1, 1)) for i in range(5)])
    assert "all 5 labels are ties" in note(plan, "ties").message
    assert not note(plan, "ties").ok
    assert "winner position" not in [note.topic for note in plan.notes]


def test_contradictions_are_found_by_what_is_in_the_files_whatever_their_names_and_order(tmp_path):
    for name, data in (("one.png", b"one"), ("two.png", b"two"), ("copy.png", b"one")):
        (tmp_path / name).write_bytes(data)
    one, two, copy = (str(tmp_path / name) for name in ("one.png", "two.png", "copy.png"))
    seeds = [
        pair(1, A, "a fox", (one, two)),
        pair(2, B, "A  fox", (copy, two)),  # the opposite
        pair(3, B, "a fox", (two, copy)),  # says what p1 says
        pair(4, B, "a dog", (one, two)),  # another prompt
    ]
    plan = plan_seeds(seeds)
    found = note(plan, "contradictory labels")
    assert (found.ok, set(found.pair_ids)) == (False, {"p1", "p2", "p3"})
    assert note(plan, "duplicates").pair_ids == ("p2", "p3")


def test_an_edit_of_another_source_is_another_pair():
    seeds = [pair(1, A, "x", (b"1", b"2"), "edit"), replace(pair(2, B, "x", (b"1", b"2"), "edit"), source_image=b"s2")]
    assert note(plan_seeds(seeds), "contradictory labels").ok


def test_contradictions_between_comparisons_of_more_candidates():
    seeds = [pair(1, (1, 2, 3), "x", (b"1", b"2", b"3")), pair(2, (2, 1), "x", (b"1", b"3"))]
    assert note(plan_seeds(seeds), "contradictory labels").pair_ids == ("p1", "p2")


def test_identical_candidates_and_unlabelled_pairs_are_counted():
    plan = plan_seeds([pair(1, images=(b"same", b"same")), pair(2, None), pair(3)])
    assert note(plan, "identical candidates").pair_ids == ("p1",)
    assert (note(plan, "unlabelled").count, note(plan, "unlabelled").n) == (1, 3)


@pytest.mark.parametrize(
    ("seeds", "unlabelled", "message"),
    [
        ([], [], "no pairs were given"),
        ([pair(1), pair(2, task="edit")], [], "several tasks: edit, t2i"),
        ([pair(1)], [pair(1, None)], "ids used more than once: p1"),
        ([pair(1)], [pair(2)], "unlabelled pairs with ranks: p2"),
        ([pair(1, (1,), images=(b"1",))], [], "1 of 1 pairs without 2 to 26 images: p1"),
    ],
)
async def test_what_cannot_be_planned_is_refused_by_name(seeds, unlabelled, message):
    with pytest.raises(ValueError, match=message):
        plan_seeds(seeds, None, unlabelled)
    with pytest.raises(ValueError, match=message):
        await probe_and_plan(seeds, ScriptedJudge(), unlabelled)


@pytest.mark.parametrize(
    ("label", "criteria", "kinds"),
    [
        (A, {"as-asked": A, "well-made": B}, {"prettier but wrong"}),
        (B, {"as-asked": B, "well-made": A}, {"prettier but wrong"}),
        (A, {"as-asked": TIE, "well-made": A}, {"correct but flawed"}),
        (A, {"as-asked": B, "well-made": A}, {"correct but flawed"}),
        (A, {"as-asked": TIE, "well-made": TIE}, {"subtle"}),
        (A, {"as-asked": B, "well-made": B}, {"against the judge"}),
        (A, {"as-asked": A, "well-made": A}, {"plain"}),
        (A, {"as-asked": TIE, "untouched": A, "well-made": B}, {"over-edited"}),
        (A, {"as-asked": A, "untouched": A, "well-made": TIE}, {"plain"}),
    ],
)
def test_kinds_of_pairs(label, criteria, kinds):
    comparison = pair(1, label)
    said = {"": label, **criteria}
    assert kinds_of(comparison, answers(comparison, said, said)) == kinds


def test_a_verdict_that_turns_with_the_order_makes_a_pair_subtle():
    comparison = pair(1)
    said = {"as-asked": A, "well-made": A}
    assert kinds_of(comparison, answers(comparison, {"": A, **said}, {"": B, **said})) == {"subtle"}


def test_missing_kinds_are_asked_for_with_their_number():
    seeds = balanced(60)
    verdicts = [v for c in seeds for v in answers(c, *[{"": c.ranks, "as-asked": c.ranks, "well-made": c.ranks}] * 2)]
    plan = plan_seeds(seeds, Probed(tuple(verdicts)))
    missing = note(plan, "kind: prettier but wrong")
    assert (missing.ok, missing.count, missing.n) == (False, 0, 60)
    assert "add 5: pairs whose loser is the better-made picture" in missing.message
    assert "kind: over-edited" not in [note.topic for note in plan.notes]
    edits = [replace(c, task="edit", source_image=b"s") for c in seeds]
    assert "kind: over-edited" in [note.topic for note in plan_seeds(edits, Probed(tuple(verdicts))).notes]


def test_disagreement_is_four_p_q_over_all_votes():
    comparison = pair(1, None)
    agree = {"": A, "as-asked": A, "well-made": A}
    split = {"": A, "as-asked": A, "well-made": B}
    turned = {"": B, "as-asked": B, "well-made": B}
    tied = {"": A, "as-asked": TIE, "well-made": TIE}
    for forward, reverse, score in (
        (agree, agree, 0),
        (agree, turned, 1),
        (split, split, 4 * 4 * 2 / 36),
        (tied,) * 2 + (0,),
    ):
        assert disagreement(comparison, answers(comparison, forward, reverse)).score == pytest.approx(score)
    assert disagreement(comparison, answers(comparison, split, split)).why == "'as-asked' for a, 'well-made' for b"
    assert "turns with the order" in disagreement(comparison, answers(comparison, agree, turned)).why


def test_failed_answers_are_no_disagreement_and_are_counted():
    seeds, pool = [pair(1)], [pair(2, None), pair(3, None)]
    good = {"": A, "as-asked": A, "well-made": A}
    verdicts = [*answers(pool[0], good, "error"), *answers(pool[1], good, good), *answers(seeds[0], "invalid", good)]
    plan = plan_seeds(seeds, Probed(tuple(verdicts)), pool)
    assert [next.pair_id for next in plan.next] == ["p3"]
    assert plan.kinds == {}
    assert (note(plan, "probe").count, note(plan, "probe").pair_ids) == (1, ("p1", "p2"))


def test_what_to_label_next_is_spread_over_prompts_and_leaves_out_what_is_known():
    split, turned = {"": A, "as-asked": A, "well-made": B}, {"": B, "as-asked": B, "well-made": A}
    mild = {"": A, "as-asked": A, "well-made": B}
    pool = [pair(1, None, "cat"), pair(2, None, "cat"), pair(3, None, "dog"), pair(4, None, "owl", (b"x", b"y"))]
    pool += [pair(5, None, "fox")]
    seeds = [pair(6, A, "owl", (b"y", b"x")), pair(7, A, "fox")]
    said = [(split, turned), (split, turned), (mild, mild), (split, turned), (split, turned)]
    verdicts = [v for c, (f, r) in zip(pool, said, strict=True) for v in answers(c, f, r)]
    plan = plan_seeds(seeds, Probed(tuple(verdicts)), pool)
    # p4 shows what p6 has a label for; cats and foxes come again at half value, below the milder dog.
    assert [(next.pair_id, round(next.value, 2)) for next in plan.next] == [
        ("p1", 1.0), ("p3", 0.89), ("p2", 0.5), ("p5", 0.5),
    ]  # fmt: skip
    assert len(plan_seeds(seeds, Probed(tuple(verdicts)), pool, count=1).next) == 1


@dataclass
class ScriptedJudge:
    """Says what `opinion` says of the images in the order shown; nothing after `calls` answers."""

    opinion: dict = field(default_factory=dict)
    calls: int = 1000
    failing: frozenset = frozenset()
    requests: list[ChatRequest] = field(default_factory=list)
    model: str = "scripted"

    def __post_init__(self):
        self.limits, self.usage = Limits(concurrency=1), RunUsage()
        self.endpoint = Endpoint("http://127.0.0.1:9/v1", self.model)

    def identity(self):
        return {"model": self.model}

    async def ask(self, request):
        if len(self.requests) == self.calls:
            raise BudgetSpent("max_calls (7) is reached")
        self.requests.append(request)
        shown = [part.source for part in request.content if isinstance(part, Picture) and part.source != b"source"]
        if self.failing & set(shown):
            raise NoAnswer("the server went away")
        ids = re.findall(r"\[([\w-]+)\]", request.system)
        order = sorted(range(len(shown)), key=shown.__getitem__)
        ranks = [order.index(i) + 1 for i in range(len(shown))]
        data = {"reason": "", "criteria": [{"id": id, "rank": ranks} for id in ids], "rank": ranks}
        return Reply(request.answer.parse(data), data, "", key=f"k{len(self.requests)}")


@pytest.mark.parametrize(
    ("task", "ids"), [("t2i", ("as-asked", "well-made")), ("edit", ("as-asked", "untouched", "well-made"))]
)
async def test_the_probe_takes_two_calls_a_pair_and_asks_under_each_criterion(task, ids):
    judge = ScriptedJudge()
    plan = await probe_and_plan([pair(1, task=task), pair(2, B, task=task)], judge, [pair(3, None, task=task)])
    assert len(judge.requests) == 6
    assert all(f"[{id}]" in judge.requests[0].system for id in ids)
    assert plan.kinds == {"p1": {"plain"}, "p2": {"against the judge"}}
    assert [next.why for next in plan.next] == ["orders and criteria agree"]
    assert "Synthetic" not in plan.to_text()


async def test_a_judge_of_the_embedded_world_is_named_synthetic():
    plan = await probe_and_plan(balanced(2), ScriptedJudge(model="shapes-t2i-w7-00000000-v1"))
    assert plan.to_text().endswith("Synthetic.")


async def test_a_server_that_fails_on_some_pairs_leaves_the_others_planned():
    plan = await probe_and_plan([pair(1), pair(2)], ScriptedJudge(failing=frozenset({b"1-a"})), [])
    assert list(plan.kinds) == ["p2"]
    assert note(plan, "probe").pair_ids == ("p1",)


async def test_a_budget_that_ends_half_way_gives_a_plan_that_says_so():
    plan = await probe_and_plan(balanced(10), ScriptedJudge(calls=7))
    probe = note(plan, "probe")
    assert (probe.ok, probe.count, probe.n) == (False, 3, 10)
    assert "Partial: max_calls (7) is reached" in probe.message
    assert len(plan.kinds) == 3


async def test_the_judge_never_sees_a_label():
    seen = []
    for ranks in (A, B):
        judge = ScriptedJudge()
        await probe_and_plan([pair(1, ranks)], judge)
        seen.append({(r.system, tuple(map(str, r.content))) for r in judge.requests})
    assert seen[0] == seen[1]
    assert shown_order(pair(1, A), "forward") != shown_order(pair(1, B), "forward")


@pytest.mark.parametrize("task", ["t2i", "edit"])
def test_the_probes_have_no_fault_of_wording(task):
    assert lint(probe_rubric(task)) == ()


async def test_the_text_obeys_no_escape_sequence_of_a_dataset_and_rows_hold_every_note():
    plan = await probe_and_plan([pair(1)], ScriptedJudge(), [replace(pair(2, None), prompt="\x1b[2Jfox\nnext line")])
    assert "\x1b" not in plan.to_text()
    assert "[2Jfox next line" in plan.to_text()
    rows = plan.note_rows()
    assert {row["check"] for row in rows} == {note.topic for note in plan.notes}
    assert {row["do"] for row in rows} == {"", "yes"}
