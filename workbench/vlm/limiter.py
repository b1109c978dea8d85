"""How many requests may be in flight: fewer after a 429, more again while all goes well."""

import asyncio
from collections import deque


class Limiter:
    """Additive increase, multiplicative decrease of the number of requests in flight.

    `limit <- limit / 2` once per burst of 429 replies; `limit <- limit + 1 / limit` per success, up to `maximum`.
    """

    def __init__(self, maximum: int) -> None:
        self.maximum = maximum
        self.limit = float(maximum)
        self.in_flight = 0
        self._last_cut = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._acquired = 0

    async def acquire(self, *, again: bool = False) -> int:
        """Wait for a slot and return its number; a question asked `again` goes before those not asked yet."""
        if self.in_flight < int(self.limit) and (again or not self._waiting):
            self.in_flight += 1
        else:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.appendleft(turn) if again else self._waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self.release()  # the slot was handed over at the moment of cancelling
                raise
        self._acquired += 1
        return self._acquired

    def release(self) -> None:
        """Give the slot back."""
        self.in_flight -= 1
        self._wake()

    def succeeded(self) -> None:
        """A reply came: room for one more request after `limit` of these."""
        self.limit = min(self.maximum, self.limit + 1 / self.limit)

    def overloaded(self, slot: int) -> None:
        """The server said 429 to the request sent in `slot`: halve, unless it was sent before the last cut."""
        if slot > self._last_cut:
            self.limit = max(1.0, self.limit / 2)
            self._last_cut = self._acquired

    def _wake(self) -> None:
        while self._waiting and self.in_flight < int(self.limit):
            turn = self._waiting.popleft()
            if not turn.done():
                self.in_flight += 1
                turn.set_result(None)
