"""One connection to an upstream, and the exchange that is under way on it.

Theory of operation. A connection is idle, busy with one exchange, or gone:

    idle --ask()--> busy --(answer complete and reusable)--> idle
                      |
                      +--(anything else: failed, closed early, not reusable)--> gone

Bytes that come while it is idle, or its end, make it gone. An exchange lets go of its connection the moment that its
answer is over, not when its reader has caught up: what is unread lives in the answer. So a connection is back in the
pool as early as can be, and an exchange that is closed before is the only one that costs a connection.

The reader waits on one future, set by whatever comes next. Its timer is lazy: one handle per exchange, moved only when
it fires or when it is later than the moment asked for. A stream of a thousand reads sets a few timers, not a thousand.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from proxy.upstreams.answer import Answer
from proxy.upstreams.coding import Unpacker, unpacker
from proxy.upstreams.errors import TransportError

HIGH_WATER: Final = 256 * 1024
"""Bytes of a body that may wait for their reader; beyond it, no more are taken from the socket."""
_JOIN: Final = 64 * 1024
"""A body up to this size is copied behind its head, for one packet and one call; a larger one is not worth copying."""
_RUN_OUT_S: Final = 0.25
"""Seconds that the end of a body may come after the terminal marker of its events."""


class Connection(asyncio.Protocol):
    """One connection. `left` and `lost` are told when it is idle again, and when it is gone."""

    __slots__ = (
        "_exchange", "_left", "_lost", "_paused", "_transport", "idle_since", "loop", "opened_at", "served",
    )  # fmt: skip

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        left: Callable[[Connection], None],
        lost: Callable[[Connection], None],
    ) -> None:
        self.loop = loop
        self.opened_at = self.idle_since = loop.time()
        self.served = 0
        """Answers that came whole."""
        self._left = left
        self._lost = lost
        self._exchange: Exchange | None = None
        self._transport: asyncio.Transport | None = None
        self._paused = False

    @property
    def usable(self) -> bool:
        """Idle, and as far as anybody knows open."""
        transport = self._transport
        return self._exchange is None and transport is not None and not transport.is_closing()

    def tls(self) -> object:
        """The TLS state (`ssl.SSLObject`), or None."""
        return None if self._transport is None else self._transport.get_extra_info("ssl_object")

    def ask(self, head: bytes, body: bytes) -> Exchange:
        """Send a request on an idle connection."""
        exchange, transport = Exchange(self), self._transport
        if transport is None:
            # It ended between being opened and being used.
            exchange.answer.end()
            return exchange
        self._exchange = exchange
        if len(body) <= _JOIN:
            transport.write(head + body)
        else:
            exchange.large = True
            transport.write(head)
            transport.write(body)
        return exchange

    def abort(self) -> None:
        """Close at once; nothing more is sent, and an exchange that is under way is cut."""
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.rest()
            exchange.answer.end(clean=False)
            exchange.wake()
        if self._transport is not None:
            self._transport.abort()

    def resume(self) -> None:
        """Take bytes from the socket again."""
        if self._paused:
            self._paused = False
            if self._transport is not None and not self._transport.is_closing():
                self._transport.resume_reading()

    # The loop's calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is open."""
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        exchange, transport = self._exchange, self._transport
        if exchange is None or transport is None:
            # Nobody asked for anything: whatever it is, the next answer could be mistaken for it.
            self.abort()
            return
        answer = exchange.answer
        answer.feed(data)
        exchange.wake()
        if answer.complete or answer.failure is not None:
            self._over(exchange, transport)
        elif answer.unread > HIGH_WATER and not self._paused:
            self._paused = True
            transport.pause_reading()

    def eof_received(self) -> None:
        """The other side sends no more."""
        self._ended(clean=True)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._ended(clean=exc is None)
        self._transport = None
        self._lost(self)

    def _ended(self, *, clean: bool) -> None:
        exchange, transport = self._exchange, self._transport
        if exchange is not None and transport is not None:
            exchange.answer.end(clean=clean)
            self._over(exchange, transport)
            exchange.wake()

    def _over(self, exchange: Exchange, transport: asyncio.Transport) -> None:
        exchange.rest()
        # An answer that came before its request was sent leaves the rest of that on the connection. Below TLS it waits
        # where nobody can see it, so a large request that was refused is taken for one.
        unsent = transport.get_write_buffer_size() > 0 or (exchange.large and exchange.answer.status >= 300)
        if exchange.answer.reusable and not transport.is_closing() and not unsent:
            self._exchange = None
            self.resume()
            self.served += 1
            self._left(self)
        else:
            self.abort()


class Exchange:
    """One answer in progress: its head, and its body as it arrives."""

    __slots__ = (
        "_connection", "_loop", "_packed", "_timer", "_timer_at", "_unattended", "_until", "_waiter", "answer",
        "headers", "large", "status",
    )  # fmt: skip

    def __init__(self, connection: Connection) -> None:
        self.answer = Answer()
        self.large = False
        """The request was too large to leave at once."""
        self.status = 0
        self.headers: Mapping[str, str] = self.answer.headers
        self._connection = connection
        self._loop = connection.loop
        self._packed: Unpacker | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._until = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._unattended = False

    async def begin(self, until: float) -> None:
        """Wait for the head. Raises TimeoutError at `until` (the loop's clock), and TransportError."""
        answer = self.answer
        while not answer.status:
            await self._wait(until)
        self.status, self.headers = answer.status, answer.headers
        self._packed = unpacker(answer.headers.get("content-encoding"))

    async def read(self, until: float) -> bytes:
        """The next bytes of the body, whatever has arrived; empty at its end.

        Raises TimeoutError at `until` (the loop's clock), and TransportError when the connection breaks.
        """
        answer, loop = self.answer, self._loop
        if loop.time() >= until:
            # A timer does not get its turn while there is always something to read.
            raise TimeoutError
        if self._packed is not None:
            return await self._unpack(self._packed, until)
        while not answer.unread:
            if answer.complete:
                return b""
            await self._wait(until)
        return self._take()

    def close(self) -> None:
        """Let go. The connection serves again if the answer is complete, else it is closed at once."""
        self.rest()
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
        self._set_timer(self._loop.time() + _RUN_OUT_S)

    def wake(self) -> None:
        """Something came: bytes, the end, a failure."""
        if self._unattended:
            self.answer.discard()
            return
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def rest(self) -> None:
        """Nothing more will be waited for from the connection."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

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
        waiter = self._waiter = self._loop.create_future()
        self._until = until
        if self._timer is None or until < self._timer_at:
            self._set_timer(until)
        try:
            await waiter
        finally:
            self._waiter = None

    def _set_timer(self, when: float) -> None:
        self.rest()
        self._timer_at = when
        self._timer = self._loop.call_at(when, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        waiter = self._waiter
        if self._unattended:
            self.close()
        elif waiter is not None and not waiter.done():
            if self._loop.time() >= self._until:
                waiter.set_exception(TimeoutError())
            else:
                self._set_timer(self._until)
