"""The published loop, with a scripted writer and verifier in place of the model."""

import json
from dataclasses import dataclass, field

import pytest

from workbench.induction.arr import ArrSettings, induce_arr
from workbench.induction.events import Event, EventLog, read_events
from workbench.induction.seeds import EmptyRubric
from workbench.judges.exemplars import Exemplar, load_exemplars
from workbench.pairs.comparison import Comparison
from workbench.vlm.errors import NoAnswer, StopRun
from workbench.vlm.request import ChatRequest, Reply
from workbench.vlm.settings import Sampling


@dataclass
class ScriptedClient:
    """Answers by the kind of request; `verdicts` are taken in turn for each verification."""

    verdicts: list[list[int]]
    categories: dict | None = None
    failing: frozenset[str] = frozenset()
    sampling: Sampling = field(default_factory=Sampling)
    requests: list[tuple[str, ChatRequest]] = field(default_factory=list)

    def identity(self):
        return {"model": "scripted"}

    async def ask(self, request: ChatRequest) -> Reply:
        kind = next(key for key in ("rubrics", "categories", "rank") if key in request.answer.schema["properties"])
        self.requests.append((kind, request))
        if kind in self.failing:
            raise NoAnswer("the server went away")
        written = sum(asked == "rubrics" for asked, _ in self.requests)
        data = {
            "rubrics": {"rubrics": [f"criterion {written}.{i}" for i in range(2)], "reason": "because"},
            "rank": {"reason": "seen", "rank": self.verdicts.pop(0) if kind == "rank" else None},
            "categories": self.categories
            or {"categories": [{"theme": "All", "tips": ["criterion 1.0"]}], "reason": ""},
        }[kind]
        return Reply(request.answer.parse(data), data, json.dumps(data), key=f"k{len(self.requests)}")

    def asked(self, kind: str) -> list[ChatRequest]:
        return [request for asked, request in self.requests if asked == kind]


def text_of(request: ChatRequest) -> str:
    return "\n".join([request.system, *(part for part in request.content if isinstance(part, str))])


def seed(number=1, ranks=(1, 2), task="t2i"):
    return Comparison(f"s{number}", task, "a red circle", (b"a", b"b"), ranks=ranks)


async def induce(client, seeds, settings=None):
    events: list[Event] = []
    rubric = await induce_arr(seeds, client, settings or ArrSettings(), name="test", record=events.append)
    return rubric, events


async def test_criteria_that_pass_at_once_cost_two_calls_and_one_to_structure():
    client = ScriptedClient([[1, 2]])
    rubric, events = await induce(client, [seed()])
    assert [kind for kind, _ in client.requests] == ["rubrics", "rank", "categories"]
    assert [event.step for event in events] == ["generated", "verified", "kept", "structured"]
    assert [c.text for c in rubric.enabled_criteria()] == ["criterion 1.0"]
    assert rubric.themes[0].criteria[0].source == "s1"
    assert rubric.provenance["counts"]["passed_first_time"] == 1


async def test_a_wrong_verdict_is_fed_back_with_both_rankings():
    client = ScriptedClient([[1, 2], [2, 1]])
    _, events = await induce(client, [seed(ranks=(2, 1))])
    assert [event.step for event in events][:4] == ["generated", "verified", "revised", "verified"]
    revision = text_of(client.asked("rubrics")[1])
    assert "Expected ranking: [2, 1]" in revision
    assert "Actual ranking: [1, 2]" in revision
    assert "criterion 1.0" in revision


async def test_the_published_verifier_sees_the_label_and_all_criteria_in_one_order():
    client = ScriptedClient([[2, 1]])
    await induce(client, [seed(ranks=(2, 1))])
    (verification,) = client.asked("rank")
    assert "Human ranking, in the order shown (1 is the best): [2, 1]" in text_of(verification)
    assert "criterion 1.0" in verification.system
    assert "criterion 1.1" in verification.system


async def test_the_last_revision_is_never_verified_so_a_pair_takes_at_most_two_calls_an_epoch():
    settings = ArrSettings(max_epochs=3)
    client = ScriptedClient([[2, 1]] * 3 + [[1, 2]])
    rubric, events = await induce(client, [seed(1), seed(2)], settings)
    dropped = [event.pair_id for event in events if event.step == "dropped"]
    assert len(dropped) == 1
    assert rubric.provenance["counts"]["kept"] == 1
    assert len(client.requests) <= settings.most_calls(pairs=2)


async def test_epochs_above_temperature_0_draw_anew_so_that_a_repeated_question_is_not_answered_from_the_cache():
    for temperature, samples in ((0.7, [0, 1, 2]), (0.0, [0, 0, 0])):
        client = ScriptedClient([[2, 1]] * 3, sampling=Sampling(temperature=temperature))
        with pytest.raises(EmptyRubric):
            await induce(client, [seed()], ArrSettings(max_epochs=3))
        assert [request.sample for request in client.asked("rank")] == samples
        assert [request.sample for request in client.asked("rubrics")] == [0, *samples[:2]]


async def test_nothing_kept_is_an_error_that_says_what_to_do():
    with pytest.raises(EmptyRubric, match=r"none of 1 seed pairs.*raise max_epochs"):
        await induce(ScriptedClient([[2, 1]] * 5), [seed()])


async def test_a_writer_that_never_answers_is_an_error_with_the_count_of_failures():
    with pytest.raises(EmptyRubric, match="1 failed without an answer"):
        await induce(ScriptedClient([], failing=frozenset({"rubrics"})), [seed()])


async def test_a_failed_structuring_keeps_the_criteria_as_one_list():
    rubric, events = await induce(ScriptedClient([[1, 2]], failing=frozenset({"categories"})), [seed()])
    assert [theme.name for theme in rubric.themes] == ["Criteria"]
    assert len(rubric.enabled_criteria()) == 2
    assert events[-1].step == "failed"


async def test_guide_mode_shows_exemplars_to_the_writer_and_not_to_the_verifier():
    exemplar = Exemplar(prompt="a cat", preferred="one cat", dispreferred="two cats", rationale="numbers matter")
    client = ScriptedClient([[1, 2]])
    await induce(client, [seed()], ArrSettings(exemplars=(exemplar,)))
    assert "numbers matter" in client.asked("rubrics")[0].system
    assert "numbers matter" not in text_of(client.asked("rank")[0])


async def test_stopping_errors_come_through_as_themselves():
    class Broke(ScriptedClient):
        async def ask(self, request):
            raise StopRun("max_calls=3 is used up")

    with pytest.raises(StopRun, match="max_calls=3"):
        await induce(Broke([]), [seed(1), seed(2)])


@pytest.mark.parametrize(
    ("seeds", "message"),
    [
        ([], "no seed pairs"),
        ([seed(ranks=None)], "without ranks: s1"),
        ([seed(ranks=(1, 1))], "with ties: s1"),
        ([seed(1), seed(2, task="edit")], "several tasks"),
    ],
)
async def test_seeds_that_cannot_be_explained_are_refused_by_id(seeds, message):
    with pytest.raises(ValueError, match=message):
        await induce(ScriptedClient([]), seeds)


def test_settings_out_of_range_name_the_parameter():
    with pytest.raises(ValueError, match="max_epochs=0 must be at least 1"):
        ArrSettings(max_epochs=0)


def test_events_survive_a_torn_line_and_are_not_written_twice(tmp_path):
    path = tmp_path / "events.jsonl"
    first = Event("s1", "generated", rubrics=("a", "b"), keys=("k",))
    EventLog(path).record(first)
    with path.open("a") as file:
        file.write('{"schema": "workbench.event/1", "pair_id": "s1", "st')
    log = EventLog(path)
    log.record(first)
    log.record(Event("s1", "verified", ranks=(1, 2), passed=True))
    assert [event.step for event in read_events(path)] == ["generated", "verified"]
    assert next(read_events(path)) == first


def test_what_went_differently_when_asked_again_is_another_event_and_the_last_counts(tmp_path):
    path = tmp_path / "events.jsonl"
    for detail in ("timeout", "timeout", "refused"):
        EventLog(path).record(Event("s1", "failed", detail=detail))
    EventLog(path).record(Event("", "selected", 1, ("old",)))
    EventLog(path).record(Event("", "selected", 1, ("new",), cached=True))
    EventLog(path).record(Event("", "selected", 1, ("new",)))
    assert [event.detail or event.rubrics[0] for event in read_events(path)] == ["timeout", "refused", "old", "new"]


@pytest.mark.parametrize(
    "text", ["[]", "- prompt: x", "- {prompt: a, preferred: b, dispreferred: c, why: d}", "{", "3"]
)
def test_exemplar_files_that_are_not_right_name_the_file(tmp_path, text):
    path = tmp_path / "exemplars.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"exemplars\.yaml"):
        load_exemplars(path)
