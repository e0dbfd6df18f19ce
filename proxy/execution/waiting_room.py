"""Where requests wait for a place at a deployment that is full.

First come, first served, and by handing over: whoever frees a place admits the one who waits longest for it, in the
same step, so that no newcomer can take it in between. The room is bounded; whoever finds it full does not wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple

from proxy.config.settings import Rules
from proxy.core.event import Happening
from proxy.core.names import DeploymentId
from proxy.pool.permit import IGNORED, Permit
from proxy.pool.pool import Pool
from proxy.pool.standing import Hold


class Place(NamedTuple):
    """A place that is wanted: at which step of the plan, and so at which deployment, under which rules."""

    step: int
    deployment: DeploymentId
    rules: Rules


class _Waiter(NamedTuple):
    pool: Pool
    """Of the configuration with which its request began."""
    places: Sequence[Place]
    handed: asyncio.Future[tuple[int, Permit] | None]


class WaitingRoom:
    """The room of one process."""

    def __init__(self, size: int, emit: Callable[[Happening], None], clock: Callable[[], float]) -> None:
        self.size = size
        """How many may wait."""
        self._emit = emit
        self._clock = clock
        self._waiters: list[_Waiter] = []

    def __len__(self) -> int:
        return len(self._waiters)

    @property
    def has_room(self) -> bool:
        """Whether one more may wait."""
        return len(self._waiters) < self.size

    async def wait(self, pool: Pool, places: Sequence[Place], until: float) -> tuple[int, Permit] | None:
        """Wait for one of the places; returns its step with the permit for it.

        `pool` gives the permit. None when the time is over, or when none of the places will come free, for a reason
        other than being full.
        """
        handed: asyncio.Future[tuple[int, Permit] | None] = asyncio.get_running_loop().create_future()
        waiter = _Waiter(pool, places, handed)
        self._waiters.append(waiter)
        try:
            await asyncio.wait([handed], timeout=max(0.0, until - self._clock()))
        except asyncio.CancelledError:
            if handed.done() and (late := handed.result()) is not None:
                # It was handed over in the very moment in which the request was given up.
                self._give_back(pool, late[1])
            raise
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
        return handed.result() if handed.done() else None

    def freed(self, deployment: DeploymentId) -> None:
        """An attempt has ended: hand its place, and what else is free there, to those who wait longest."""
        if not self._waiters:
            return
        now = self._clock()
        full: set[tuple[int, DeploymentId, int]] = set()
        for waiter in list(self._waiters):
            for place in waiter.places:
                known = (id(waiter.pool), place.deployment, id(place.rules))
                if place.deployment.upstream != deployment.upstream or known in full:
                    continue
                admitted = waiter.pool.admit(place.deployment, place.rules, now)
                if isinstance(admitted, Permit):
                    for event in admitted.events:
                        self._emit(event)
                    self._hand(waiter, (place.step, admitted))
                    break
                if admitted.hold is not Hold.FULL:
                    # It waits for what will not come: let it look around again.
                    self._hand(waiter, None)
                    break
                full.add(known)

    def look_around(self) -> None:
        """Somebody is back: let all who wait look for what they can use now. They come back in their order."""
        for waiter in list(self._waiters):
            self._hand(waiter, None)

    def _hand(self, waiter: _Waiter, what: tuple[int, Permit] | None) -> None:
        self._waiters.remove(waiter)
        waiter.handed.set_result(what)

    def _give_back(self, pool: Pool, permit: Permit) -> None:
        for event in pool.report(permit, IGNORED, self._clock()):
            self._emit(event)
        self.freed(permit.deployment.id)
