"""What the handlers share: one object for each configuration, built by `app.py`, reached by a typed key.

A request takes the one that is in force when it arrives, and keeps to it: a change of the configuration in the meantime
is for the requests that come after it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from aiohttp import web

from proxy.config.settings import Settings
from proxy.core.event import Happening
from proxy.core.in_force import InForce
from proxy.execution.executor import Executor
from proxy.pool.pool import Pool


@dataclass(slots=True)
class Lifecycle:
    """Whether the process takes work, and what work it has."""

    draining: bool = False
    """New work is no longer invited: /readyz says no, answers close their connection."""
    leaving: bool = False
    """Others of the same host stay: it drains, but the host is as ready as ever."""
    ending: bool = False
    """The drain's time is over: what still runs is being ended."""
    running: set[asyncio.Task[None]] = field(default_factory=set)
    """The tasks of requests in flight."""

    def ends_this_task(self) -> bool:
        """Whether the current task was cancelled because the drain is over; if so, it may go on to say so.

        A task is cancelled by its client's leaving, too; then there is nobody left to be told.
        """
        task = asyncio.current_task()
        if not self.ending or task is None or task not in self.running:
            return False
        task.uncancel()
        return True


@dataclass(frozen=True, slots=True)
class Context:
    """The handlers' world."""

    settings: Settings
    executor: Executor
    pool: Pool
    emit: Callable[[Happening], None]
    lifecycle: Lifecycle
    render_metrics: Callable[[], Awaitable[tuple[bytes, str]]]
    """The metrics page and its content type."""
    last_reload: Callable[[], Mapping[str, object] | None] = lambda: None
    """What came of the last change of the configuration; None when there was none."""
    workers: Callable[[], int] = lambda: 0
    """How many processes serve on this host; 0 where one serves alone."""


CONTEXT: web.AppKey[InForce[Context]] = web.AppKey("context", InForce)
REQUEST_ID: web.RequestKey[str] = web.RequestKey("request_id", str)
