"""One evaluation with every kind of fault: votes are what the server said, all else is a counted failure."""

import base64
import hashlib
import json
from collections import Counter
from pathlib import Path

import pytest
from command_line import counted, done, records, results, take, workbench
from faulty_server import VALID, FaultyServer, Received, Step, answer, drop, hang, status

Question = tuple[str, str]

# For each kind of fault: what the server does at the first, second, ... request for a question (the last one stays),
# and what the verdict must be; `vote` is for the image shown first, which `VALID` prefers.
FAULTS: dict[str, tuple[list[Step], str]] = {
    "429 with Retry-After": ([status(429, retry_after="0.2"), answer()], "vote"),
    "429 twice": ([status(429), status(429), answer()], "vote"),
    "500": ([status(500), answer()], "vote"),
    "503": ([status(503), answer()], "vote"),
    "dropped": ([drop(0.0), answer()], "vote"),
    "dropped inside the body": ([drop(0.9), answer()], "vote"),
    "hang": ([hang(), answer()], "vote"),
    "empty": ([answer(""), answer()], "vote"),
    "prose around JSON": ([answer(f"Here it is:\n```json\n{VALID}\n```\nGlad to help!")], "vote"),
    "repaired": ([answer('{"reason": "x", "rank": [1, 1]}'), answer()], "vote"),
    "equal ranks": ([answer('{"reason": "x", "rank": [1, 1]}')], "invalid"),
    "ranks from 0": ([answer('{"reason": "x", "rank": [0, 1]}')], "invalid"),
    "three ranks": ([answer('{"reason": "x", "rank": [1, 2, 3]}')], "invalid"),
    "one rank": ([answer('{"reason": "x", "rank": [1]}')], "invalid"),
    "wrong schema": ([answer('{"winner": "A"}')], "invalid"),
    "prose": ([answer("The first image is better.")], "invalid"),
    "500 for good": ([status(500, "worker crashed")], "error"),
    "dropped for good": ([drop(0.5)], "error"),
    "hang for good": ([hang()], "error"),
    "empty for good": ([answer(None)], "error"),
    "refusal": ([answer(None, refusal="I will not judge this.")], "error"),
    "cut off": ([answer('{"reason": "very lo', reason="length")], "error"),
    "filtered": ([status(400, "flagged by our content policy")], "error"),
}


class Faults:
    """Each question gets the kind of fault of its turn, and keeps it until the server is `healthy`."""

    def __init__(self, world: Path) -> None:
        self.world = world
        self.pairs = {}
        for pair in map(json.loads, (world / "pairs.jsonl").read_text().splitlines()):
            for index, image in enumerate(pair["images"]):
                self.pairs[hashlib.sha256((world / image).read_bytes()).hexdigest()] = (
                    pair["id"],
                    index,
                    pair["ranks"],
                )
        self.kinds: dict[Question, str] = {}
        self.sent: Counter[Question] = Counter()
        self.healthy = False

    def question(self, received: Received) -> Question:
        """Which pair in which order, told by the bytes of the image shown first."""
        data = base64.b64decode(received.urls[0].partition(",")[2])
        pair_id, index, ranks = self.pairs[hashlib.sha256(data).hexdigest()]
        return pair_id, "forward" if ranks[index] == 1 else "reverse"

    def __call__(self, number: int, received: Received) -> Step:
        if "messages" not in received.body:
            return Step(404, b"{}")
        question = self.question(received)
        kinds = list(FAULTS)
        kind = self.kinds.setdefault(question, kinds[len(self.kinds) % len(kinds)])
        steps = FAULTS[kind][0]
        self.sent[question] += 1
        return answer() if self.healthy else steps[min(self.sent[question], len(steps)) - 1]

    def expected(self, kind: str) -> set[Question]:
        """The questions that must end like this."""
        return {question for question, fault in self.kinds.items() if FAULTS[fault][1] == kind}


@pytest.fixture(scope="module")
def story(made_world: Path, tmp_path_factory: pytest.TempPathFactory) -> "Story":
    """An evaluation full of faults, and a second one with the server well again."""
    folder = tmp_path_factory.mktemp("faults")
    faults = Faults(made_world)
    pairs = take(made_world, len(FAULTS), "faulty.jsonl")
    with FaultyServer(faults) as server:
        command = [
            "evaluate",
            pairs,
            "--base-url",
            server.url,
            "--model",
            "judge",
            "--timeout",
            2.5,
            "--concurrency",
            64,
        ]
        command += ["--cache", folder / "cache.sqlite", "--out", folder / "run"]
        first = done(workbench(*command, cwd=folder))
        before = counted(folder / "run"), results(folder / "run"), records(folder / "run")
        faults.sent.clear()
        faults.healthy = True
        second = done(workbench(*command, cwd=folder))
        third_sent = dict(faults.sent)
        faults.sent.clear()
        done(workbench(*command, cwd=folder))
    return Story(faults, folder / "run", first, second, before, third_sent)


class Story:
    """What happened: before the server got well, and after."""

    def __init__(self, faults: Faults, run: Path, first: str, second: str, before: tuple, asked_again: dict) -> None:
        self.faults = faults
        self.run = run
        self.first, self.second = first, second
        self.counted, self.results, self.records = before
        self.asked_again = asked_again


def test_every_fault_ends_as_a_vote_the_server_gave_or_as_a_failure(story: Story) -> None:
    assert len(story.counted) == len(story.records) == 2 * len(FAULTS)
    assert Counter(story.faults.kinds.values()) == dict.fromkeys(FAULTS, 2)
    wrong = {}
    for question, kind in story.faults.kinds.items():
        record, expected = story.counted[question], FAULTS[kind][1]
        if expected == "vote":
            expected = "ab"[record["shown"][0]]
        if record["outcome"] != expected or (record["ranks"] is None) != (expected in ("invalid", "error")):
            wrong[kind] = record["outcome"], record["detail"]
    assert not wrong


def test_failures_are_counted_and_said(story: Story) -> None:
    invalid, error = len(story.faults.expected("invalid")), len(story.faults.expected("error"))
    assert (invalid, error) == (12, 14)
    assert story.results["outcomes"]["invalid"] == invalid
    assert story.results["outcomes"]["error"] == error
    assert sum(story.results["outcomes"].values()) == 2 * len(FAULTS)
    assert story.results["accuracy"]["mean"]["n"] == story.results["n_pairs"] == len(FAULTS)
    assert f"invalid {invalid}, error {error}" in story.first
    assert f"{error} verdicts ended in error: run the same command again to ask only these again" in story.first
    low, high = story.results["accuracy_bounds"]["mean"]
    assert high - low == pytest.approx((invalid + error) / (2 * len(FAULTS)))


def test_every_failure_says_why(story: Story) -> None:
    details = {story.faults.kinds[question]: record["detail"] for question, record in story.counted.items()}
    for kind, words in {
        "equal ranks": "[1, 1]",
        "ranks from 0": "[0, 1]",
        "three ranks": "[1, 2, 3]",
        "wrong schema": "rank",
        "prose": "no JSON object",
        "500 for good": "worker crashed",
        "dropped for good": "connection broke",
        "hang for good": "no reply within",
        "empty for good": "empty answer",
        "refusal": "I will not judge this",
        "cut off": "raise max_tokens",
        "filtered": "content policy",
    }.items():
        assert words in details[kind], kind


def test_a_re_run_asks_only_for_errors(story: Story) -> None:
    assert set(story.asked_again) == story.faults.expected("error")
    assert set(story.asked_again.values()) == {1}
    assert not story.faults.sent  # and a third run asks nothing
    numbers = results(story.run)
    assert numbers["outcomes"]["error"] == 0
    assert numbers["outcomes"]["invalid"] == 12
    assert "ended in error" not in story.second
    kept = {key: record for key, record in counted(story.run).items() if key not in story.asked_again}
    assert kept == {key: record for key, record in story.counted.items() if key not in story.asked_again}
    assert records(story.run)[: len(story.records)] == story.records
