"""An event loop on a thread of its own: a notebook's own loop stands still while a cell runs."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class LoopThread:
    """Runs coroutines on one event loop of its own until it is closed; any thread may hand it some.

    >>> loop = LoopThread("example")
    >>> loop.submit(asyncio.sleep(0, "done")).result()
    'done'
    >>> loop.close()
    """

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._open = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def is_closed(self) -> bool:
        return self._closed

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Start a coroutine on the loop. Raises `RuntimeError` once the loop is closed."""
        with self._open:
            if not self._closed:
                return asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        coroutine.close()
        raise RuntimeError(f"{self._thread.name} is closed")

    def call(self, function: Callable[..., object], *arguments: Any) -> None:
        """Call a function on the loop, soon; once the loop is closed, not at all."""
        with self._open:
            if not self._closed:
                self._loop.call_soon_threadsafe(function, *arguments)

    def close(self) -> None:
        """Cancel what runs, end the thread and wait for its end, unless called on the thread itself."""
        with self._open:
            if self._closed:
                return
            self._closed = True
            self._loop.call_soon_threadsafe(self._loop.stop)
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
            tasks = asyncio.all_tasks(self._loop)
            for task in tasks:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        finally:
            self._loop.close()
