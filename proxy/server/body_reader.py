"""Reads a connection of the front lane that brings large bodies: the socket writes them where they belong.

What lies between two bodies comes down on a landing and is copied from there: heads, and the first bytes of a body.
"""

from __future__ import annotations

import asyncio
from typing import Final

from proxy.server.lane_turn import Turn

_LANDING: Final = 16 * 1024
"""Bytes: of a head, and of little of the body behind it, since that has to be copied."""


class BodyReader(asyncio.BufferedProtocol):
    """In place of a lane, which gets from it all but the bodies."""

    __slots__ = ("_landing", "_lane", "_place", "_turn")

    def __init__(self, lane: asyncio.Protocol) -> None:
        self._lane = lane
        self._turn: Turn | None = None
        self._place = self._landing = memoryview(bytearray(_LANDING))

    def receive(self, turn: Turn | None) -> None:
        """Receive the rest of this request's body from now on; None for what comes between two bodies."""
        self._turn = turn
        self._place = self._landing if turn is None else turn.place()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next bytes belong."""
        del sizehint
        return self._place

    def buffer_updated(self, nbytes: int) -> None:
        """So many bytes came."""
        if self._turn is None:
            self._lane.data_received(bytes(self._landing[:nbytes]))
        else:
            self._place = self._place[nbytes:]
            self._turn.took(nbytes)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._lane.connection_lost(exc)

    def pause_writing(self) -> None:
        """The client takes nothing."""
        self._lane.pause_writing()

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._lane.resume_writing()
