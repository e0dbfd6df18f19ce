"""A limit of time that is not kept against an upstream for what the event loop was late to see.

Timers and the network have their turn in one go. When the loop is held up (by a busy machine, by the garbage collector)
for longer than the limit, it learns at once that a connection is open and that its time is over, and a plain timeout
wins: whoever waits is cancelled before it has had its turn. So here the end of the time is only the beginning of a last
look: what has come by then is taken in first.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

_LOOKS: Final = 16
_BETWEEN_LOOKS_S: Final = 0.001
"""What an open connection needs to get to whoever waits for it is turns of the loop, not time: up to eight on asyncio,
on uvloop more, and none of them waits. Looks that come one after the other are as many turns, however late each is."""


@asynccontextmanager
async def last_look(until: float) -> AsyncIterator[None]:
    """As `asyncio.timeout_at`, with a last look. For tasks. Raises TimeoutError."""
    async with asyncio.timeout(None) as limit:
        timer = _Timer(limit, until)
        try:
            yield
        finally:
            timer.stop()


class _Timer:
    """Ends a timeout some looks after its time."""

    __slots__ = ("_handle", "_limit", "_loop")

    def __init__(self, limit: asyncio.Timeout, until: float) -> None:
        self._limit = limit
        self._loop = asyncio.get_running_loop()
        self._handle = self._loop.call_at(until, self._look, _LOOKS)

    def stop(self) -> None:
        self._handle.cancel()

    def _look(self, left: int) -> None:
        if left:
            self._handle = self._loop.call_later(_BETWEEN_LOOKS_S, self._look, left - 1)
        else:
            self._limit.reschedule(self._loop.time())
