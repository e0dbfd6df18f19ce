"""Keeps the pool's state in a store: reads it once at the start, and writes what has changed since.

What must not be lost (a breaker that opened, a rest, an operator's order) is written as soon as it has happened, a
burst of it as one; counts and the like follow every few seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

import msgspec

from proxy.config.settings import Rules
from proxy.core.event import (
    BreakerChanged,
    Controlled,
    Ejected,
    Happening,
    RampStarted,
    Recovered,
    RestCleared,
    Rested,
)
from proxy.core.names import DeploymentId
from proxy.pool.pool import Pool
from proxy.pool.saved import Marks, as_state, restore
from proxy.stores.base import Store

_LASTING = (BreakerChanged, Controlled, Ejected, RampStarted, Recovered, RestCleared, Rested)
_AT_ONCE_S = 0.02
"""Seconds that a change waits for others of the same burst."""
_INTERVAL_S = 10.0


class Sync:
    """Between one pool and one store. It listens to events, to know when something must be written at once."""

    def __init__(
        self,
        store: Store,
        pool: Pool,
        marks: Marks,
        rules_of: Callable[[DeploymentId], Iterable[Rules]],
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._pool = pool
        self._marks = marks
        self._rules_of = rules_of
        self._clock = clock
        self._written: dict[str, bytes] = {}
        self._pressing = asyncio.Event()

    def __call__(self, event: Happening) -> None:
        """Listen to one event."""
        if isinstance(event, _LASTING):
            self._pressing.set()

    async def restore(self) -> None:
        """Take up what was known before. What cannot be read is left out."""
        state = {}
        for name, saved in (await self._store.load()).items():
            try:
                part = msgspec.json.decode(saved.value)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                continue
            if isinstance(part, dict):
                state[name] = (part, saved.age or 0.0)
                self._written[name] = saved.value
        restore(self._pool, state, self._marks, self._rules_of, self._clock())

    async def run(self) -> None:
        """Write what changes, until cancelled."""
        while True:
            try:
                async with asyncio.timeout(_INTERVAL_S):
                    await self._pressing.wait()
                await asyncio.sleep(_AT_ONCE_S)
            except TimeoutError:
                pass
            self._pressing.clear()
            self.write()

    def write(self) -> None:
        """Hand the store what has changed since it was last handed anything."""
        state = as_state(self._pool, self._marks, self._clock())
        now = {name: msgspec.json.encode(part) for name, part in state.items()}
        changed: dict[str, bytes | None] = {
            name: value for name, value in now.items() if self._written.get(name) != value
        }
        changed.update((name, None) for name in self._written if name not in now)
        if changed:
            self._store.save(changed)
            self._written = now

    async def close(self) -> None:
        """Write the last of it, and let go of the store."""
        self.write()
        await self._store.close()
