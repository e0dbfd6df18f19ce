"""Serving the sockets of a worker that is gone, until another one is there."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence

from proxy.workers.sockets import Listening


class Covering:
    """What comes to the places of others. `also_on` begins to take what comes to some sockets."""

    def __init__(
        self,
        listening: Sequence[Listening],
        also_on: Callable[[Sequence[socket.socket]], Awaitable[list[asyncio.Server]]],
    ) -> None:
        """`listening` has the sockets of each place."""
        self._listening = listening
        self._also_on = also_on
        self._servers: dict[int, list[asyncio.Server]] = {}

    async def begin(self, place: int) -> None:
        """Take what comes to a place."""
        if place in self._servers:
            return
        own = self._servers[place] = []
        servers = await self._also_on(self._listening[place])
        if self._servers.get(place) is own:
            own += servers
        else:
            # It has ended before it had begun.
            for server in servers:
                server.close()

    def end(self, place: int) -> None:
        """Somebody else is there."""
        for server in self._servers.pop(place, []):
            server.close()

    def end_all(self) -> None:
        """Leave all of them to others."""
        for place in list(self._servers):
            self.end(place)
