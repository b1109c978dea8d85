"""The judge queue: results in order, a bound on what is judged at once, and errors that surface and never hang."""

import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError

import pytest
from PIL import Image
from said_judges import FAILED, SaidJudge, group, win

from workbench.background import LoopThread
from workbench.judges.vlm_judge import RankingJudge
from workbench.rpo.judge_queue import JudgeQueue
from workbench.rpo.reward import RewardPanel, WeightedJudge, comparison_of
from workbench.vlm.client import VlmClient
from workbench.vlm.errors import StopRun, Unreachable
from workbench.vlm.settings import Endpoint, Limits

WAIT_S = 30.0


@pytest.fixture
def loop() -> Iterator[LoopThread]:
    loop = LoopThread("judging")
    yield loop
    loop.close()


def queue_of(judge: object, loop: LoopThread, concurrency: int = 4) -> JudgeQueue:
    return JudgeQueue(RewardPanel((WeightedJudge(judge),)), loop, concurrency)  # type: ignore[arg-type]


def test_results_come_in_the_order_of_the_groups(loop: LoopThread) -> None:
    judge = SaidJudge(lambda comparison, _: win(int(comparison.id) % 2))
    groups = [group(name=str(i)) for i in range(10)]
    judged = queue_of(judge, loop).submit(groups).result(WAIT_S)
    assert [each.values for each in judged] == [(1.0, 0.0), (0.0, 1.0)] * 5


def test_no_groups_are_no_results(loop: LoopThread) -> None:
    assert queue_of(SaidJudge(lambda *_: FAILED), loop).submit([]).result(WAIT_S) == []


def test_no_more_groups_are_judged_at_once_than_allowed_over_all_batches(loop: LoopThread) -> None:
    judge = SaidJudge(lambda *_: win(0), delay_s=0.002)
    queue = queue_of(judge, loop, concurrency=3)
    batches = [queue.submit([group(name=f"{b}-{i}") for i in range(6)]) for b in range(3)]
    assert [len(batch.result(WAIT_S)) for batch in batches] == [6, 6, 6]
    assert judge.most_at_once == 6, "three groups, each in two orders"


def test_a_failed_verdict_is_a_result_and_no_error(loop: LoopThread) -> None:
    (judged,) = queue_of(SaidJudge(lambda *_: FAILED), loop).submit([group()]).result(WAIT_S)
    assert (judged.status, judged.n_failed) == ("failed", 2)


@pytest.mark.parametrize("error", [StopRun("the disk is full"), RuntimeError("a bug in the judge")])
def test_what_a_judge_raises_surfaces_as_itself_and_the_queue_lives_on(loop: LoopThread, error: Exception) -> None:
    judge = SaidJudge(lambda comparison, _: error if comparison.id == "bad" else win(0))
    queue = queue_of(judge, loop, concurrency=1)
    future = queue.submit([group(name="bad"), *(group(name=str(i)) for i in range(20))])
    with pytest.raises(type(error)) as raised:
        future.result(WAIT_S)
    assert raised.value is error
    assert len(judge.asked) < 42, "the rest was given up"
    assert queue.submit([group(name="good")]).result(WAIT_S)[0].status == "decided"


def test_a_dead_endpoint_stops_and_does_not_hang(loop: LoopThread) -> None:
    limits = Limits(backoff_s=0.001, deadline_s=20)
    client = VlmClient(Endpoint("http://127.0.0.1:9/v1", "judge"), limits=limits, cache=None)
    queue = JudgeQueue(RewardPanel((WeightedJudge(RankingJudge(client)),), (client,)), loop)
    pictures = [Image.new("RGB", (16, 16), color) for color in ("red", "blue")]
    future = queue.submit([comparison_of(0, i, "t2i", "a red circle", pictures) for i in range(8)])
    with pytest.raises(Unreachable):
        future.result(WAIT_S)
    queue.close()


def test_closing_the_loop_ends_the_wait(loop: LoopThread) -> None:
    started = threading.Event()

    def script(*_: object) -> None:
        raise AssertionError("the judge is never done")

    judge = SaidJudge(script, delay_s=3600)  # type: ignore[arg-type]
    future = queue_of(judge, loop).submit([group()])
    loop.call(started.set)
    assert started.wait(WAIT_S)
    loop.close()
    with pytest.raises(CancelledError):
        future.result(WAIT_S)


def test_a_queue_of_no_places_is_refused(loop: LoopThread) -> None:
    with pytest.raises(ValueError, match="concurrency is 0"):
        queue_of(SaidJudge(lambda *_: FAILED), loop, concurrency=0)
