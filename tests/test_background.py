import asyncio
import threading

import pytest

from workbench.background import LoopThread


def test_work_runs_on_one_thread_of_its_own_until_closed():
    loop = LoopThread("spare")
    names = [loop.submit(_thread_name()).result(5) for _ in range(3)]
    called = threading.Event()
    loop.call(called.set)
    assert names == ["spare"] * 3
    assert called.wait(5)
    loop.close()
    loop.close()
    assert "spare" not in {thread.name for thread in threading.enumerate()}
    loop.call(pytest.fail, "called after closing")
    with pytest.raises(RuntimeError, match="spare is closed"):
        loop.submit(_thread_name())


def test_closing_cancels_what_runs():
    loop, cancelled = LoopThread("spare"), threading.Event()

    async def wait() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            cancelled.set()

    future = loop.submit(wait())
    loop.submit(_thread_name()).result(5)
    loop.close()
    assert cancelled.is_set()
    assert future.cancelled()


def test_a_loop_may_close_itself():
    loop = LoopThread("spare")
    loop.call(loop.close)
    for thread in [each for each in threading.enumerate() if each.name == "spare"]:
        thread.join(5)
    assert loop.is_closed
    assert "spare" not in {thread.name for thread in threading.enumerate()}


async def _thread_name() -> str:
    return threading.current_thread().name
