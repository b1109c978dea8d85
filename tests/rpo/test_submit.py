"""Judging beside training: results in order, and errors that surface and never hang."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError

import pytest
from PIL import Image
from said_judges import FAILED, SaidJudge, group, win

from workbench.background import LoopThread
from workbench.judges.verdict import Verdict
from workbench.judges.vlm_judge import RankingJudge
from workbench.pairs.comparison import Comparison
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


def panel_of(judge: SaidJudge) -> RewardPanel:
    return RewardPanel((WeightedJudge(judge),))


def test_results_come_in_the_order_of_the_groups(loop: LoopThread) -> None:
    judge = SaidJudge(lambda comparison, _: win(int(comparison.id) % 2))
    groups = [group(name=str(i)) for i in range(10)]
    judged = panel_of(judge).submit(groups, loop).result(WAIT_S)
    assert [each.values for each in judged] == [(1.0, 0.0), (0.0, 1.0)] * 5


def test_no_groups_are_no_results(loop: LoopThread) -> None:
    assert panel_of(SaidJudge(lambda *_: FAILED)).submit([], loop).result(WAIT_S) == []


def test_batches_are_judged_at_the_same_time(loop: LoopThread) -> None:
    judge = SaidJudge(lambda *_: win(0), delay_s=0.5)
    batches = [panel_of(judge).submit([group(name=f"{b}-{i}") for i in range(6)], loop) for b in range(3)]
    assert [len(batch.result(WAIT_S)) for batch in batches] == [6, 6, 6]
    assert judge.most_at_once > 6 * 2, "a batch has six groups, each in two orders"


def test_a_failed_verdict_is_a_result_and_no_error(loop: LoopThread) -> None:
    (judged,) = panel_of(SaidJudge(lambda *_: FAILED)).submit([group()], loop).result(WAIT_S)
    assert (judged.status, judged.n_failed) == ("failed", 2)


class NeverDone(SaidJudge):
    """Is never done with groups called `slow`, and counts how often it need not go on with them."""

    given_up = 0

    async def compare(self, comparison: Comparison, order: Sequence[int], sample: int = 0) -> Verdict:
        try:
            await asyncio.sleep(3600 if comparison.id.startswith("slow") else 0.05)
        except asyncio.CancelledError:
            self.given_up += 1
            raise
        return await super().compare(comparison, order, sample)


@pytest.mark.parametrize("error", [StopRun("the disk is full"), RuntimeError("a bug in the judge")])
def test_what_a_judge_raises_surfaces_as_itself_and_another_batch_may_follow(
    loop: LoopThread, error: Exception
) -> None:
    judge = NeverDone(lambda comparison, _: error if comparison.id == "bad" else win(0))
    panel = panel_of(judge)
    future = panel.submit([group(name="bad"), *(group(name=f"slow {i}") for i in range(20))], loop)
    with pytest.raises(type(error)) as raised:
        future.result(WAIT_S)
    assert raised.value is error
    assert judge.given_up == 40, "the rest was given up"
    assert panel.submit([group(name="good")], loop).result(WAIT_S)[0].status == "decided"


def test_a_dead_endpoint_stops_and_does_not_hang(loop: LoopThread) -> None:
    limits = Limits(backoff_s=0.001, deadline_s=20)
    client = VlmClient(Endpoint("http://127.0.0.1:9/v1", "judge"), limits=limits, cache=None)
    panel = RewardPanel((WeightedJudge(RankingJudge(client)),), (client,))
    pictures = [Image.new("RGB", (16, 16), color) for color in ("red", "blue")]
    future = panel.submit([comparison_of(0, i, "t2i", "a red circle", pictures) for i in range(8)], loop)
    with pytest.raises(Unreachable):
        future.result(WAIT_S)
    loop.submit(panel.close()).result(WAIT_S)


def test_closing_the_loop_ends_the_wait(loop: LoopThread) -> None:
    started = threading.Event()

    def script(*_: object) -> None:
        raise AssertionError("the judge is never done")

    judge = SaidJudge(script, delay_s=3600)  # type: ignore[arg-type]
    future = panel_of(judge).submit([group()], loop)
    loop.call(started.set)
    assert started.wait(WAIT_S)
    loop.close()
    with pytest.raises(CancelledError):
        future.result(WAIT_S)
