"""What the handlers share: one object for each configuration, built by `app.py`, reached by a typed key.

A request takes the one that is in force when it arrives, and keeps to it: a change of the configuration in the meantime
is for the requests that come after it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from aiohttp import web

from proxy.config.settings import Settings
from proxy.core.event import Happening
from proxy.core.in_force import InForce
from proxy.execution.executor import Executor
from proxy.pool.pool import Pool
from proxy.routing.plan import Planner
from proxy.server.fast_path import FastPath
from proxy.server.lifecycle import Lifecycle
from proxy.server.ties import Ties


@dataclass(frozen=True, slots=True)
class Context:
    """The handlers' world."""

    settings: Settings
    planner: Planner
    executor: Executor
    pool: Pool
    emit: Callable[[Happening], None]
    lifecycle: Lifecycle
    clock: Callable[[], float]
    """The loop's, in seconds."""
    fast_path: FastPath
    render_metrics: Callable[[], Awaitable[tuple[bytes, str]]]
    """The metrics page and its content type."""
    last_reload: Callable[[], Mapping[str, object] | None] = lambda: None
    """What came of the last change of the configuration; None when there was none."""
    ties: Ties = field(default_factory=Ties)
    """Who made which response."""
    workers: Callable[[], int] = lambda: 0
    """How many processes serve on this host; 0 where one serves alone."""


CONTEXT: web.AppKey[InForce[Context]] = web.AppKey("context", InForce)
REQUEST_ID: web.RequestKey[str] = web.RequestKey("request_id", str)
