"""Rounds: one timer for all connections, of clients and of upstreams, whose time is long, in place of one for each.

A timer of the event loop takes half a kilobyte, and thousands of streams wait for minutes each. So whoever has long to
wait joins the rounds, which look once a second whose time has nearly come; that one gets a timer of its own, and is as
exact as if it had had it from the beginning.
"""

from __future__ import annotations

import asyncio
import math
from typing import Final

LONG_S: Final = 3.0
"""Seconds from which on a wait is long."""
_BETWEEN_S: Final = 1.0


class Rounds:
    """The rounds of one event loop, or of a part of it. They end when nobody is left, and begin anew."""

    __slots__ = ("_loop", "_timer", "_watched")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._watched: set[Watched] = set()
        self._timer: asyncio.TimerHandle | None = None

    def join(self, watched: Watched) -> None:
        """Look after one that has long to wait."""
        self._watched.add(watched)
        if self._timer is None:
            self._timer = self._loop.call_later(_BETWEEN_S, self._go)

    def leave(self, watched: Watched) -> None:
        """Look after it no more, if that is done at all."""
        self._watched.discard(watched)

    def _go(self) -> None:
        soon = self._loop.time() + LONG_S
        due = [each for each in self._watched if each.watched_until < soon]
        self._watched.difference_update(due)
        self._timer = self._loop.call_later(_BETWEEN_S, self._go) if self._watched else None
        for each in due:
            each.soon()


class Watched:
    """Whoever waits: `on_time` is called at the moment asked for. Has one timer, or none while it is on the rounds."""

    __slots__ = ("_rounds", "_timer", "loop", "watched_until")

    def __init__(self, loop: asyncio.AbstractEventLoop, rounds: Rounds | None) -> None:
        """Without rounds it has a timer whenever it waits."""
        self.loop = loop
        self._rounds = rounds
        self._timer: asyncio.TimerHandle | None = None
        self.watched_until = math.inf
        """For which moment `on_time` is asked for (the loop's clock); infinity for none."""

    def on_time(self) -> None:
        """The moment has come."""
        raise NotImplementedError

    def watch(self, until: float) -> None:
        """Have `on_time` called at this moment (the loop's clock), if not before."""
        if until < self.watched_until:
            self.stop_watching()
            self.watched_until = until
            if self._rounds is not None and until - self.loop.time() > LONG_S:
                self._rounds.join(self)
            else:
                self.soon()

    def soon(self) -> None:
        """Its time has nearly come, and it is not on the rounds any more."""
        self._timer = self.loop.call_at(self.watched_until, self._fire)

    def stop_watching(self) -> None:
        """Wait no more."""
        self.watched_until = math.inf
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        elif self._rounds is not None:
            self._rounds.leave(self)

    def _fire(self) -> None:
        self._timer, self.watched_until = None, math.inf
        self.on_time()
