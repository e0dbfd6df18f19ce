"""Listens to the proxy's own events, as an operator would: GET /admin/v1/events."""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from typing import Any, Self

import aiohttp
import msgspec

TYPES = (
    "AttemptEnded",
    "BreakerChanged",
    "BudgetRefused",
    "Ejected",
    "Hedged",
    "ProbeEnded",
    "RampStarted",
    "Recovered",
    "TrendChanged",
)
Event = dict[str, Any]


class Follower:
    """Follows between entering and leaving the context; comes back when the connection breaks."""

    def __init__(self, url: str, types: tuple[str, ...] = TYPES) -> None:
        self.events: list[Event] = []
        self._url = f"{url}/admin/v1/events?types={','.join(types)}"
        self._task: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._follow(), name="follower")
        async with asyncio.timeout(10):
            await self._ready.wait()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # What has just happened is still on its way.
        await asyncio.sleep(0.3)
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def named(self, name: str, deployment: str | None = None) -> list[Event]:
        """Events of one kind, of one deployment or of all."""
        of_kind = (event for event in self.events if event["event"] == name)
        return [event for event in of_kind if deployment is None or event["deployment"] == deployment]

    async def _follow(self) -> None:
        seen = ""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None, connect=2)) as session:
            while True:
                headers = {"Last-Event-ID": seen} if seen else {}
                with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
                    async with session.get(self._url, headers=headers) as reply:
                        reply.raise_for_status()
                        async for line in reply.content:
                            self._ready.set()
                            if line.startswith(b"data: "):
                                self.events.append(msgspec.json.decode(line[6:]))
                            elif line.startswith(b"id: "):
                                seen = line[4:].strip().decode()
                await asyncio.sleep(0.1)
