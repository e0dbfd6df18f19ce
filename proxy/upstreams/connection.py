"""One connection to an upstream, and the exchange that is under way on it.

Theory of operation. A connection is idle, busy with one exchange, or gone:

    idle --ask()--> busy --(answer complete and reusable)--> idle
                      |
                      +--(anything else: failed, closed early, not reusable)--> gone

Bytes that come while it is idle, or its end, make it gone. An exchange lets go of its connection the moment that its
answer is over, not when its reader has caught up: what is unread lives in the answer. So a connection is back in the
pool as early as can be, and an exchange that is closed before is the only one that costs a connection.

The timer is lazy: one per connection, which outlives the exchanges on it and moves only when it fires or is later than
the moment asked for. Neither a stream of a thousand reads nor a thousand short answers set as many timers. As long as
its moment is far away it is but a place on the rounds (`rounds.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from proxy.upstreams.exchange import Exchange, StandIn
from proxy.upstreams.rounds import Rounds, Watched

HIGH_WATER: Final = 256 * 1024
"""Bytes of a body that may wait for their reader; beyond it, no more are taken from the socket."""
_JOIN: Final = 64 * 1024
"""A body up to this size is copied behind its head, for one packet and one call; a larger one is not worth copying."""
Body = Sequence[bytes | memoryview]
"""A request's body, in pieces."""


class Connection(Watched, asyncio.Protocol):
    """One connection. `left` and `lost` are told when it is idle again, and when it is gone."""

    __slots__ = (
        "_exchange", "_left", "_lost", "_paused", "_transport", "idle_since", "opened_at", "served",
    )  # fmt: skip

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        left: Callable[[Connection], None],
        lost: Callable[[Connection], None],
        rounds: Rounds | None = None,
    ) -> None:
        super().__init__(loop, rounds)
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

    def ask(self, head: bytes, body: Body) -> Exchange:
        """Send a request on an idle connection."""
        exchange, transport = Exchange(self), self._transport
        if transport is None:
            # It ended between being opened and being used.
            exchange.answer.end()
            return exchange
        self._exchange = exchange
        if len(body) == 1 and len(body[0]) <= _JOIN:
            transport.write(head + body[0])
        else:
            exchange.large = True
            transport.writelines((head, *body))
        return exchange

    def abort(self) -> None:
        """Close at once; nothing more is sent, and an exchange that is under way is cut."""
        exchange, self._exchange = self._exchange, None
        if self._transport is not None:
            self._transport.abort()
        if exchange is not None:
            exchange.answer.end(clean=False)
            exchange.wake()

    def resume(self) -> None:
        """Take bytes from the socket again."""
        if self._paused:
            self._paused = False
            if self._transport is not None and not self._transport.is_closing():
                self._transport.resume_reading()

    def give_to(self, stand_in: StandIn | None) -> None:
        """Have what comes taken by somebody else; None for by itself again."""
        if self._transport is not None:
            self._transport.set_protocol(stand_in or self)

    def on_time(self) -> None:
        """Look after the exchange's patience, as of a `Watched`."""
        if self._exchange is not None:
            self._exchange.look_at_clock(self.loop.time())

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
        if exchange.sink is not None and (content := answer.one_chunk(data)) is not None:
            exchange.pour_out(exchange.sink, content, data)
            return
        answer.feed(data)
        if answer.complete or answer.failure is not None:
            self._over(exchange, transport)
            exchange.wake()
            return
        exchange.wake()
        if answer.unread > HIGH_WATER and not self._paused:
            self._paused = True
            transport.pause_reading()

    def eof_received(self) -> None:
        """The other side sends no more."""
        self._ended(clean=True)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._ended(clean=exc is None)
        self._transport = None
        self.stop_watching()
        self._lost(self)

    def _ended(self, *, clean: bool) -> None:
        exchange, transport = self._exchange, self._transport
        if exchange is not None and transport is not None:
            exchange.answer.end(clean=clean)
            self._over(exchange, transport)
            exchange.wake()

    def _over(self, exchange: Exchange, transport: asyncio.Transport) -> None:
        # An answer that came before its request was sent leaves the rest of that on the connection. Below TLS it waits
        # where nobody can see it, so a large request that was refused is taken for one.
        unsent = transport.get_write_buffer_size() > 0 or (exchange.large and exchange.answer.status >= 300)
        if exchange.answer.reusable and not transport.is_closing() and not unsent:
            self._exchange = None
            if self._paused:
                self.resume()
            self.served += 1
            self._left(self)
        else:
            self.abort()
