"""Connections that are kept between requests.

One `Pool` for each upstream and origin, last in, first out: those that a burst left behind grow old together and are
closed together. How many there may be at once is not decided here, and nothing ever waits for one.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from typing import Final

from proxy.upstreams.connection import Connection
from proxy.upstreams.rounds import Rounds

IDLE_S: Final = 30.0
"""Seconds that an idle connection is kept: below what common servers and balancers allow (60 s and more)."""
_BETWEEN_SWEEPS_S: Final = 0.5
"""Seconds from one sweep to the next, at least: a timer that is due by its own sum and not by ours turns no loop."""
_FAREWELL_S: Final = 1.0
"""Seconds that connections have to be gone once they are told; they take none as a rule."""
MAX_AGE_S: Final = 600.0
"""Seconds after which a connection serves no more, so that a change of the upstream's addresses is followed."""


class Pool:
    """The idle connections to one origin, the longest idle first."""

    def __init__(self, loop: asyncio.AbstractEventLoop, served: Callable[[Connection], None] | None = None) -> None:
        """`served` hears of each connection once, after its first whole answer."""
        self._loop = loop
        self._served = served
        self._idle: deque[Connection] = deque()
        self._sweep: asyncio.TimerHandle | None = None
        self._open: set[Connection] = set()
        # Made once: each of a thousand connections would hold its own.
        self._on_left, self._on_lost = self._keep, self._lost
        self._rounds = Rounds(loop)
        self._closed: asyncio.Future[None] | None = None

    def __len__(self) -> int:
        return len(self._idle)

    def new(self) -> Connection:
        """A connection, not yet connected, that will be kept here."""
        return Connection(self._loop, left=self._on_left, lost=self._on_lost, rounds=self._rounds)

    def opened(self, connection: Connection) -> None:
        """Count a new connection that its dialer has in hand. One that was given up before is nobody's: uvloop closes
        it without another word."""
        if connection.usable:
            self._open.add(connection)

    def take(self) -> Connection | None:
        """The connection that was used last, or None."""
        idle, now = self._idle, self._loop.time()
        while idle:
            connection = idle.pop()
            if now - connection.idle_since >= IDLE_S or now - connection.opened_at >= MAX_AGE_S:
                connection.abort()
            elif connection.usable:
                return connection
        return None

    async def close(self) -> None:
        """Close every connection, busy ones too, and wait until they are gone."""
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        self._idle.clear()
        if not self._open:
            return
        self._closed = self._loop.create_future()
        for connection in tuple(self._open):
            connection.abort()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._closed, _FAREWELL_S)

    def _keep(self, connection: Connection) -> None:
        now = self._loop.time()
        if self._closed is not None or now - connection.opened_at >= MAX_AGE_S:
            connection.abort()
            return
        if connection.served == 1 and self._served is not None:
            self._served(connection)
        connection.idle_since = now
        self._idle.append(connection)
        if self._sweep is None:
            self._sweep = self._loop.call_at(now + IDLE_S, self._retire)

    def _lost(self, connection: Connection) -> None:
        self._open.discard(connection)
        if self._closed is not None and not self._open and not self._closed.done():
            self._closed.set_result(None)

    def _retire(self) -> None:
        """Close what has been idle for too long, and forget what has been closed by the other side."""
        idle, now = self._idle, self._loop.time()
        while idle and (not idle[0].usable or now - idle[0].idle_since >= IDLE_S):
            idle.popleft().abort()
        self._sweep = None
        if idle:
            due = max(idle[0].idle_since + IDLE_S, now + _BETWEEN_SWEEPS_S)
            self._sweep = self._loop.call_at(due, self._retire)
