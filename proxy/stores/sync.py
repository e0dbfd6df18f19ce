"""Keeps the pool's state in a store: reads it once at the start, and writes what has changed since.

What must not be lost (a breaker that opened, a rest, an operator's order) is written as soon as it has happened, a
burst of it as one; counts and the like follow every few seconds.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable, Iterable, Sequence

import msgspec

from proxy.config.settings import Rules, Settings
from proxy.core.event import (
    BreakerChanged,
    Controlled,
    Ejected,
    Happening,
    RampStarted,
    Recovered,
    RestCleared,
    Rested,
    StoreRecovered,
    StoreTrouble,
)
from proxy.core.names import DeploymentId
from proxy.pool.pool import Pool
from proxy.pool.saved import Marks, as_state, gist, name_of, restore
from proxy.stores.store import Store

_LASTING = (BreakerChanged, Controlled, Ejected, RampStarted, Recovered, RestCleared, Rested)
_AT_ONCE_S = 0.02
"""Seconds that a change waits for others of the same burst."""
_INTERVAL_S = 10.0
_NO_KEY = "none"
_PORTION = 100
"""Deployments that are written in one go: about two milliseconds."""

_logger = logging.getLogger("holdfast.stores")


class Sync:
    """Between one pool and one store. It listens to events, to know what must be written at once."""

    hears = frozenset({StoreTrouble, StoreRecovered, *_LASTING})

    def __init__(
        self,
        store: Store,
        pool: Pool,
        marks: Marks,
        rules_of: Callable[[DeploymentId], Iterable[Rules]],
        clock: Callable[[], float],
    ) -> None:
        self.trouble: str | None = None
        """Why nothing is kept at present."""
        self._store = store
        self._pool = pool
        self._marks = marks
        self._rules_of = rules_of
        self._clock = clock
        self._written: dict[DeploymentId, tuple[object, ...]] = {}
        """What each deployment was about when it was last handed to the store."""
        self._pressing: set[DeploymentId] = set()
        self._due = asyncio.Event()

    def follow(self, pool: Pool, marks: Marks, rules_of: Callable[[DeploymentId], Iterable[Rules]]) -> None:
        """Keep another configuration's pool from now on, and write all of it anew."""
        self._pool, self._marks, self._rules_of = pool, marks, rules_of
        self._press_all()

    def keep_in(self, store: Store) -> None:
        """Keep it in another store from now on, and write all of it there."""
        self._store, self.trouble = store, None
        self._press_all()

    def leave_it(self) -> None:
        """Another process of the host keeps what has happened so far."""
        self._pressing.clear()
        self._due.clear()

    def __call__(self, event: Happening) -> None:
        """Listen to one event."""
        if isinstance(event, StoreTrouble):
            self.trouble = event.problem
        elif isinstance(event, StoreRecovered):
            self.trouble = None
        elif isinstance(event, _LASTING):
            if event.deployment is None:
                self._press_all()
            else:
                self._pressing.add(event.deployment)
                self._due.set()

    def _press_all(self) -> None:
        self._pressing.update(each.id for each in self._pool.deployments())
        self._due.set()

    async def restore(self) -> None:
        """Take up what was known before. What cannot be read is left out, and said so."""
        for name, saved in (await self._store.load()).items():
            try:
                part = msgspec.json.decode(saved.value, type=dict[str, object])
                restore(self._pool, {name: (part, saved.age or 0.0)}, self._marks, self._rules_of, self._clock())
            except Exception as error:  # noqa: BLE001 - nothing in a file may keep the proxy from starting
                _logger.warning("what was saved of %.100r makes no sense and is left out: %s", name, error)

    async def run(self) -> None:
        """Write what changes, until cancelled."""
        clock = asyncio.get_running_loop().time
        round_at = clock() + _INTERVAL_S
        while True:
            try:
                if await self._is_pressing(round_at):
                    pressing, self._pressing = list(self._pressing), set()
                    await self._write_all(pressing)
                if clock() >= round_at:
                    round_at = clock() + _INTERVAL_S
                    await self._write_all(self._changed())
                    self._delete_forgotten()
            except Exception:
                # What should have been written now is lost, but not what is written next.
                _logger.exception("a bug of the proxy, in keeping its state")

    async def _is_pressing(self, until: float) -> bool:
        """Wait until something must be written at once, and for the rest of its burst; False when nothing came."""
        try:
            async with asyncio.timeout_at(until):
                await self._due.wait()
        except TimeoutError:
            return False
        self._due.clear()
        await asyncio.sleep(_AT_ONCE_S)
        return True

    def _changed(self) -> list[DeploymentId]:
        """What has changed without being pressing."""
        return [each.id for each in self._pool.deployments() if self._written.get(each.id) != gist(each)]

    async def _write_all(self, ids: Sequence[DeploymentId]) -> None:
        """Write in portions that hold up nobody."""
        for start in range(0, len(ids), _PORTION):
            self._write(ids[start : start + _PORTION])
            await asyncio.sleep(0)

    def _delete_forgotten(self) -> None:
        gone = [id_ for id_ in self._written if self._pool.find(id_) is None]
        for id_ in gone:
            del self._written[id_]
        if gone:
            self._store.save(dict.fromkeys(map(name_of, gone)))

    def _write(self, ids: Iterable[DeploymentId]) -> None:
        known = [deployment for id_ in ids if (deployment := self._pool.find(id_)) is not None]
        if known:
            self._written.update((each.id, gist(each)) for each in known)
            state = as_state(self._pool, self._marks, self._clock(), known)
            self._store.save({name: msgspec.json.encode(part) for name, part in state.items()})

    async def close(self, *, write: bool = True) -> None:
        """Write the last of it, unless told not to, and let go of the store."""
        if write:
            self._write(self._changed())
            self._delete_forgotten()
        await self._store.close()


def marks_of(settings: Settings) -> dict[str, list[str]]:
    """A rest belongs to a key, not to its place in the list; the key itself is never written."""
    return {
        name: [hashlib.sha256(key.encode()).hexdigest()[:16] for key in upstream.keys] or [_NO_KEY]
        for name, upstream in settings.upstreams.items()
    }
