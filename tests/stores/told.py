"""What a store told, and waiting for it."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

from proxy.core.event import StoreRecovered, StoreTrouble
from proxy.stores.sqlite import SqliteStore
from proxy.stores.uptime import BootClock, boot_clock


class Told:
    """Listens to a store, in the event loop's thread only."""

    def __init__(self) -> None:
        self.events: list[StoreTrouble | StoreRecovered] = []
        self._thread = threading.get_ident()
        self._news = asyncio.Event()

    def __call__(self, event: StoreTrouble | StoreRecovered) -> None:
        assert self._thread == threading.get_ident()
        self.events.append(event)
        self._news.set()

    @property
    def problems(self) -> list[str]:
        return [event.problem for event in self.events if isinstance(event, StoreTrouble)]

    async def until(self, event: type[StoreTrouble | StoreRecovered]) -> None:
        async with asyncio.timeout(10):
            while not any(isinstance(each, event) for each in self.events):
                self._news.clear()
                await self._news.wait()


async def kept_in(path: Path, clock: BootClock = boot_clock) -> dict[str, bytes]:
    """What a store finds in a file in which nothing is wrong."""
    told = Told()
    store = SqliteStore(path, told, clock)
    loaded = await store.load()
    await store.close()
    assert [] == told.events
    return {key: saved.value for key, saved in loaded.items()}


async def fill(path: Path, values: dict[str, bytes]) -> None:
    """Leave a file with these values behind."""
    told = Told()
    store = SqliteStore(path, told)
    store.save(values)
    await store.close()
    assert [] == told.events
