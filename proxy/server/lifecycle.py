"""Whether the process takes work, and what work it has."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Protocol


class Work(Protocol):
    """What runs on behalf of one request: a task or a strand."""

    def cancel(self) -> object:
        """Raise CancelledError in it."""


@dataclass(slots=True)
class Lifecycle:
    """Whether the process takes work, and what work it has."""

    draining: bool = False
    """New work is no longer invited: /readyz says no, answers close their connection."""
    leaving: bool = False
    """Others of the same host stay: it drains, but the host is as ready as ever."""
    ending: bool = False
    """The drain's time is over: what still runs is being ended."""
    running: set[Work] = field(default_factory=set)
    """The requests in flight."""
    _waiting: list[tuple[set[Work], asyncio.Future[None]]] = field(default_factory=list)
    """Whoever waits until certain requests are over."""

    def admit(self, work: Work, limit: int) -> bool:
        """Count a request in, once, unless so many run already; whether it is in."""
        if len(self.running) >= limit and work not in self.running:
            return False
        self.running.add(work)
        return True

    def over(self, work: Work) -> None:
        """A request is over."""
        self.running.discard(work)
        for works, waiter in self._waiting:
            works.discard(work)
            if not works and not waiter.done():
                waiter.set_result(None)

    async def wait_for(self, works: Collection[Work], patience: float | None = None) -> None:
        """Wait until these are over, at most `patience` seconds."""
        left = set(works) & self.running
        if not left:
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (left, waiter)
        self._waiting.append(entry)
        try:
            await asyncio.wait([waiter], timeout=patience)
        finally:
            self._waiting.remove(entry)

    def ends(self, work: Work) -> bool:
        """Whether work was cancelled because the drain is over; if so, it may go on to say so.

        It is cancelled by its client's leaving, too; then there is nobody left to be told.
        """
        if not self.ending or work not in self.running:
            return False
        if isinstance(work, asyncio.Task):
            work.uncancel()
        return True
