"""One answer of an upstream in progress, and those who wait for it.

Whoever reads an answer waits for whatever comes next (`read`), or has the body poured out (`pour`): then each piece
goes to a function, within the callback that brought it, or what comes is taken by somebody else (`give_to`). Nobody
need wait for a body that is poured: an attendant is called when there is something to be done.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from enum import Enum
from typing import Final, Protocol

from proxy.upstreams.answer import Answer
from proxy.upstreams.coding import Unpacker, unpacker
from proxy.upstreams.errors import TransportError
from proxy.upstreams.strand import pause

_RUN_OUT_S: Final = 0.25
"""Seconds that the end of a body may come after the terminal marker of its events."""

Sink = Callable[[bytes, bytes | None], float | None]
"""Takes a piece of a body, and the chunk in which it came if that was exactly one; returns until when the next piece
has time (the loop's clock), or None for no more."""


class Poured(Enum):
    """How far a body was poured."""

    WHOLE = "whole"
    """To its end."""
    ENOUGH = "enough"
    """To where the sink wanted no more."""
    UNDER_WAY = "under way"
    """As far as it is there; what comes is poured as it comes."""


class Waiter(Protocol):
    """Whoever waits for what an exchange brings next."""

    def done(self) -> bool:
        """Whether it waits no more."""

    def set_result(self, nothing: None, /) -> None:
        """Something came: bytes, the end, a failure."""

    def set_exception(self, error: BaseException, /) -> None:
        """Its time is over, or what it gave the body to has failed."""


class StandIn(asyncio.Protocol, ABC):
    """Takes what comes over a connection in its place."""

    __slots__ = ()

    @abstractmethod
    def until(self) -> float:
        """Until when the next piece has time (the loop's clock)."""

    @abstractmethod
    def settle(self) -> None:
        """It takes no more: what it has laid aside is due."""


class Carrier(Protocol):
    """The connection of an exchange, as that sees it."""

    loop: asyncio.AbstractEventLoop
    watched_until: float
    """When its timer fires (the loop's clock); infinity if there is none."""

    def abort(self) -> None:
        """Close at once; nothing more is sent, and an exchange that is under way is cut."""

    def resume(self) -> None:
        """Take bytes from the socket again."""

    def watch(self, until: float) -> None:
        """Have the exchange's patience looked after at this moment (the loop's clock), if not before."""

    def data_received(self, data: bytes) -> None:
        """Bytes came."""

    def eof_received(self) -> bool | None:
        """The other side sends no more."""

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""

    def give_to(self, stand_in: StandIn | None) -> None:
        """Have what comes taken by somebody else; None for by itself again."""


class Exchange:
    """One answer in progress: its head, and its body as it arrives."""

    __slots__ = (
        "_connection", "_packed", "_poured", "_stand_in", "_unattended", "_until", "_waiter", "answer", "asked_at",
        "large", "sink",
    )  # fmt: skip

    def __init__(self, connection: Carrier) -> None:
        self.answer = Answer()
        self.large = False
        """The request was too large to leave at once."""
        self._connection = connection
        self.asked_at = connection.loop.time()
        """When the request was sent (the loop's clock)."""
        self._packed: Unpacker | None = None
        self._waiter: Waiter | None = None
        self._until = 0.0
        self.sink: Sink | None = None
        """Where the body is poured."""
        self._stand_in: StandIn | None = None
        self._poured = False
        """The sink wants no more."""
        self._unattended = False

    def notify(self, waiter: Waiter, until: float) -> None:
        """Tell `waiter` what comes next, or at `until` (the loop's clock) that its time is over."""
        self._waiter, self._until = waiter, until
        connection = self._connection
        if until < connection.watched_until:
            connection.watch(until)

    async def begin(self, until: float) -> None:
        """Wait for the head. Raises TimeoutError at `until` (the loop's clock), and TransportError."""
        answer = self.answer
        while not answer.status:
            await self._wait(until)
        if answer.packed:
            self._packed = unpacker(answer.field("content-encoding"))

    @property
    def status(self) -> int:
        """That of the answer; 0 until its head is in."""
        return self.answer.status

    def whole(self) -> bytes | None:
        """The whole body, if all of it is there already and nothing has been read of it."""
        return self.answer.take() if self.answer.complete and self._packed is None else None

    async def read(self, until: float) -> bytes:
        """The next bytes of the body, whatever has arrived; empty at its end.

        Raises TimeoutError at `until` (the loop's clock), and TransportError when the connection breaks.
        """
        answer = self.answer
        if self._connection.loop.time() >= until:
            # A timer does not get its turn while there is always something to read.
            raise TimeoutError
        if self._packed is not None:
            return await self._unpack(self._packed, until)
        while not answer.unread:
            if answer.complete:
                return b""
            await self._wait(until)
        return self._take()

    async def pour(self, sink: Sink, until: float, attendant: Waiter | None = None) -> Poured:
        """Give the body away piece by piece, each within the callback that brings it. Plain chunks go by the parser.

        Raises what `read` raises, and what `sink` does. With an attendant it does not wait for what comes, unless the
        body is packed: the attendant is told when there is something to be done, and then `pour` goes on.
        """
        answer = self.answer
        while True:
            if answer.unread or answer.over or self._packed is not None:
                piece = await self.read(until)
                if not piece:
                    return Poured.WHOLE
                following = sink(piece, None)
                if following is None:
                    return Poured.ENOUGH
                until = following
                continue
            if attendant is not None:
                self._pour_to(sink, attendant, until)
                return Poured.UNDER_WAY
            waiter = pause(self._connection.loop)
            self._pour_to(sink, waiter, until)
            try:
                await waiter
            finally:
                self.stop_pouring()
                # A future keeps its error, and that knows this frame: together they would be the collector's to find.
                del waiter
            if self._poured:
                return Poured.ENOUGH
            until = self._until

    def pour_on(self, sink: Sink, until: float, attendant: Waiter) -> bool:
        """`pour`, as far as that goes without waiting: whether what comes is poured as it comes.

        If not, the sink wants no more, or it is for `pour` to go on.
        """
        answer = self.answer
        if answer.unread and not answer.over and self._packed is None and self._connection.loop.time() < until:
            following = sink(self._take(), None)
            if following is None:
                return False
            until = following
        if answer.unread or answer.over or self._packed is not None:
            return False
        self._pour_to(sink, attendant, until)
        return True

    def _pour_to(self, sink: Sink, waiter: Waiter, until: float) -> None:
        self.sink, self._poured = sink, False
        self.answer.hold_little()
        self.notify(waiter, until)

    @property
    def connection(self) -> Carrier:
        """On which it comes."""
        return self._connection

    @property
    def may_be_given(self) -> bool:
        """The body is poured and waited for, nobody else takes what comes, and that will begin a plain chunk."""
        return self.sink is not None and self._stand_in is None and self.answer.between_chunks

    def give_to(self, stand_in: StandIn) -> None:
        """Have what comes taken by somebody else, for as long as the body is poured."""
        self._stand_in = stand_in
        self._connection.give_to(stand_in)

    def stop_pouring(self) -> None:
        """Let what comes wait to be read."""
        self.sink = self._waiter = None
        stand_in, self._stand_in = self._stand_in, None
        if stand_in is not None:
            self._connection.give_to(None)
            stand_in.settle()

    def close(self) -> None:
        """Let go. The connection serves again if the answer is complete, else it is closed at once."""
        if not self.answer.over:
            self._connection.abort()

    def finish(self) -> None:
        """Let go of a stream that is whole, but whose body may not be at its end yet.

        The terminal marker of the events comes before that of the body, often in a packet of its own. Waiting for it,
        in the background and not for long, saves the next request a new connection.
        """
        if self.answer.over:
            return
        self._unattended = True
        self.answer.discard()
        self._connection.resume()
        self._until = self._connection.loop.time() + _RUN_OUT_S
        self._connection.watch(self._until)

    def wake(self) -> None:
        """Something came: bytes, the end, a failure. What waits for it goes on, perhaps before this returns."""
        if self._unattended:
            self.answer.discard()
            return
        waiter = self._waiter
        if waiter is None or waiter.done():
            return
        if self.sink is None or not self.answer.unread:
            # A task has its turn later: what comes until then waits for it.
            self.stop_pouring()
            waiter.set_result(None)
        else:
            self.pour_out(self.sink, self._take(), None)

    def pour_out(self, sink: Sink, piece: bytes, chunk: bytes | None) -> None:
        """Give a piece of the body to the sink, on behalf of whoever waits for that."""
        waiter, answer = self._waiter, self.answer
        if waiter is None or waiter.done():
            return
        try:
            until = sink(piece, chunk)
        except Exception as error:  # noqa: BLE001 - it belongs to whoever pours
            self.stop_pouring()
            waiter.set_exception(error)
            return
        if until is None or answer.complete or answer.failure is not None:
            self._poured = until is None
            self.stop_pouring()
            waiter.set_result(None)
            return
        if until < self._until:
            self._connection.watch(until)
        self._until = until

    def look_at_clock(self, now: float) -> None:
        """The connection's timer has fired."""
        waiter = self._waiter
        if self._stand_in is not None:
            self._until = self._stand_in.until()
        waits = self._unattended or (waiter is not None and not waiter.done())
        if waits and now < self._until:
            self._connection.watch(self._until)
        elif self._unattended:
            self.close()
        elif waits and waiter is not None:
            self.stop_pouring()
            waiter.set_exception(TimeoutError())

    def _take(self) -> bytes:
        answer = self.answer
        data = answer.take()
        if not answer.over:
            # Else the connection is not ours any more.
            self._connection.resume()
        return data

    async def _unpack(self, packed: Unpacker, until: float) -> bytes:
        """`read`, of a body that is packed."""
        answer = self.answer
        try:
            while not (data := packed.take()):
                if answer.unread:
                    packed.feed(self._take())
                elif answer.complete:
                    packed.end()
                    return b""
                else:
                    await self._wait(until)
        except TransportError:
            self.close()
            raise
        return data

    async def _wait(self, until: float) -> None:
        """Until the next `wake`. Raises TransportError when there is nothing to wait for."""
        if self.answer.failure is not None:
            raise TransportError(self.answer.failure)
        waiter = pause(self._connection.loop)
        self.notify(waiter, until)
        try:
            await waiter
        finally:
            self._waiter = None
            # As above.
            del waiter
