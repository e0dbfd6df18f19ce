"""What is written down of one request: opened when it is served, closed and emitted once, whatever becomes of it."""

from __future__ import annotations

import asyncio
from types import TracebackType

from proxy.core.errors import ClientError, stopping
from proxy.core.event import RequestEnded
from proxy.execution.run import Run
from proxy.server.answer import own_id
from proxy.server.context import Context
from proxy.server.door import Door
from proxy.server.telling import close, note_run, sum_up, tell_error

_UNKNOWN = "_unknown"


class Account:
    """One request's. A context: leaving it closes the account, unless the request goes on without anybody waiting.

    What is raised out of it is what the client is still to be told, as a ClientError, or says that nobody is there.
    """

    __slots__ = ("context", "door", "goes_on", "record", "run")

    def __init__(self, door: Door, context: Context, run: Run | None = None) -> None:
        """A `run` is that of a request which has come so far already."""
        self.door = door
        self.context = context
        self.record = RequestEnded(door.id, _UNKNOWN, "", stream=False)
        self.record.client_retry, self.record.tags = door.head.client_retry, door.head.tags
        self.run = run
        """What is done for it; None while it is not known what is asked."""
        self.goes_on = False
        """There will be another context."""
        if run is not None:
            note_run(self.record, run)

    def __enter__(self) -> None:
        self.goes_on = False

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None and self.goes_on:
            return
        try:
            self._sum_up(error)
            if error is not None:
                self._judge(error)
        finally:
            self.context.lifecycle.over(self.door.work)
            close(self.context, self.record, self.door.since)

    def _sum_up(self, error: BaseException | None) -> None:
        """What is known of a request that was run."""
        run = self.run
        if run is None:
            return
        if isinstance(error, ClientError):
            tell_error(error, run, self.context.clock())
        sum_up(self.record, run)

    def _judge(self, error: BaseException) -> None:
        """Note what a request ended with; raises what is to be raised instead."""
        record, door, lifecycle = self.record, self.door, self.context.lifecycle
        if isinstance(error, ClientError):
            record.status, record.outcome = error.status, error.outcome
            error.told |= own_id(door)
        elif isinstance(error, asyncio.CancelledError):
            if not door.begun and lifecycle.ends(door.work):
                # Nothing has been sent yet, so the client can still be told, and asked to come back.
                told = stopping()
                record.status, record.outcome = told.status, told.outcome
                try:
                    raise told from None
                finally:
                    # It knows this frame from now on: together they would be the collector's to find.
                    del told
            if record.outcome == "ok":
                record.status, record.outcome = 499, "client_left"
        elif isinstance(error, ConnectionError):
            # It left in the moment in which it was answered.
            record.status, record.outcome = 499, "client_left"
        elif isinstance(error, Exception):
            record.status, record.outcome = 500, "internal_error"
