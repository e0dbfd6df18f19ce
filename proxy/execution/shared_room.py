"""The waiting room of one of several processes on one host: bounded over all of them, and woken by any.

Who waits longest is known within each process only: a place that comes free goes to those who wait where it was freed,
and to the others when nobody does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from proxy.core.event import Happening
from proxy.core.names import DeploymentId
from proxy.execution.waiting_room import Place, WaitingRoom
from proxy.pool.permit import Permit
from proxy.pool.pool import Pool
from proxy.pool.shared import Places

_WAITING = "waiting "
"""The name under which those who wait are counted; no upstream has a space in its name."""


class SharedRoom(WaitingRoom):
    """The room of one process. `tell` tells the others that a place came free."""

    def __init__(
        self,
        size: int,
        emit: Callable[[Happening], None],
        clock: Callable[[], float],
        places: Places,
        tell: Callable[..., None],
    ) -> None:
        super().__init__(size, emit, clock)
        self._places = places
        self._tell = tell

    @property
    def has_room(self) -> bool:
        """Whether one more may wait on this host."""
        return self._places.total(_WAITING) < self.size

    async def wait(self, pool: Pool, places: Sequence[Place], until: float) -> tuple[int, Permit] | None:
        """As in the room of one process. None, too, when another one has taken the last place in the room meanwhile."""
        place, waiting = self._places.take(_WAITING)
        if waiting > self.size:
            # It counted itself in first: of two that do so at the same moment, never do both wait.
            self._places.free(place)
            await asyncio.sleep(0)
            return None
        # What came free elsewhere before anybody could see that somebody waits here, nobody has told.
        looking = asyncio.get_running_loop().call_soon(self._look_at, places)
        try:
            return await super().wait(pool, places, until)
        finally:
            looking.cancel()
            self._places.free(place)

    def freed(self, deployment: DeploymentId) -> None:
        """An attempt has ended: its place is for those who wait here, or else elsewhere."""
        super().freed(deployment)
        if self._places.total(_WAITING) > len(self):
            self._tell("freed", *deployment, at_once=True)

    def _look_at(self, places: Sequence[Place]) -> None:
        for deployment in dict.fromkeys(place.deployment for place in places):
            super().freed(deployment)

    def freed_elsewhere(self, deployment: DeploymentId) -> None:
        """An attempt of another process has ended."""
        super().freed(deployment)
