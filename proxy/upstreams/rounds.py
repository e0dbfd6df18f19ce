"""Rounds: one timer for all connections whose time is long, in place of one for each.

A timer of the event loop takes half a kilobyte, and thousands of streams wait for minutes each. So whoever has long to
wait joins the rounds, which look once a second whose time has nearly come; that one gets a timer of its own, and is as
exact as if it had had it from the beginning.
"""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

LONG_S: Final = 3.0
"""Seconds from which on a wait is long."""
_BETWEEN_S: Final = 1.0


class Watched(Protocol):
    """Whoever waits."""

    watched_until: float
    """For how long (the loop's clock)."""

    def soon(self) -> None:
        """Its time has nearly come; it is not on the rounds any more."""


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
