"""The front lane: plain requests are taken off the socket here, without a task, a future or a request object each.

Theory of operation. A connection begins in the lane. What arrives between two requests is looked at once its head is
complete: if that is plain (`plain_head.py`) the lane serves the request; anything else goes to aiohttp with every byte
that was not served, and the connection stays there. So nothing is decided here about what is unusual, and whatever is
decided about a request is decided behind the door (`model_request.py`), the same for both.

                        +-------------------- next head ------------------+
                        v                                                 |
    connected --> between requests --plain head--> in a request --answered, body read--> ...
                        |
                        +--anything else--> aiohttp's, for good

A request is begun by the callback that brings its head or its body, as a strand unless the fast path (`fast_path.py`)
takes it; its answer leaves in one write. What a client sends ahead of its next turn waits, and little of it. There is
one timer for each connection: it is moved only when it fires, and asks then what is due at that moment: a head, a body,
the next request, a client that takes its answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, cast

from proxy.config.settings import PatienceSettings
from proxy.core.in_force import InForce
from proxy.server.body_reader import BodyReader
from proxy.server.context import Context
from proxy.server.door import Head
from proxy.server.lane_turn import NEVER, Turn
from proxy.server.plain_head import Form, PlainHeads, may_be_plain
from proxy.server.slow_reader import SlowReader
from proxy.upstreams.rounds import Rounds, Watched

_MOST_AHEAD: Final = 64 * 1024
"""Bytes that a client may send ahead of its turn; beyond it, no more are taken from the socket."""
_LARGE: Final = 64 * 1024
"""Bytes of a body from which on it is received in place."""
_HUGE: Final = 256 * 1024
"""Bytes of a body that the loop cannot read at once: its beginning would be read to another place, and copied."""
_LINGER_S: Final = 2.0
"""Seconds for the unread rest of a body whose request is answered, so that the client gets to read the answer."""


def _nothing() -> None:
    """What is late once nobody waits."""


class FrontLane(Watched, asyncio.Protocol):
    """One connection."""

    __slots__ = (
        "_ahead",
        "_closing",
        "_contexts",
        "_due",
        "_form",
        "_heads",
        "_late",
        "_left",
        "_missing",
        "_patience",
        "_paused",
        "_reader",
        "_slow",
        "_transport",
        "_turn",
        "_waits",
        "_wide",
        "full",
    )  # fmt: skip

    def __init__(
        self,
        contexts: InForce[Context],
        heads: PlainHeads,
        patience: PatienceSettings,
        *,
        wide: Callable[[], asyncio.Protocol],
        left: Callable[[FrontLane], None],
        rounds: Rounds | None = None,
    ) -> None:
        """`wide` makes aiohttp's protocol for what is not plain. `left` is told when the lane has nothing more to do
        with the connection."""
        super().__init__(asyncio.get_running_loop(), rounds)
        self.full = False
        """The client has not taken what it was sent."""
        self._contexts = contexts
        self._heads = heads
        self._patience = patience
        self._wide = wide
        self._left = left
        self._transport: asyncio.Transport | None = None
        self._turn: Turn | None = None
        self._form: Form | None = None
        """Of the head of the last request: the next one's is mostly the same."""
        self._ahead = b""
        """What came before its turn: the beginning of a head, or what follows the request under way."""
        self._missing = 0
        """Bytes of a body that is not wanted any more and still to come."""
        self._closing = False
        """The connection ends with the request that is under way."""
        self._waits = False
        """What is ahead has its turn, but for the client, which has not taken what it was sent."""
        self._reader: BodyReader | None = None
        self._slow: SlowReader | None = None
        self._paused = False
        self._due = NEVER
        self._late: Callable[[], None] = self.close

    # The loop's calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the first head."""
        self._transport = cast(asyncio.Transport, transport)
        self.expect(self.loop.time() + self._patience.header, self.close)

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        turn = self._turn
        if turn is not None and turn.missing:
            data = turn.take(data)
            if not self.open:
                return
        elif self._missing:
            data = self._discard(data)
            if not self.open:
                return
        if not data:
            return
        if self._ahead:
            data = self._ahead + data
        if self._turn is None and not self._missing and not self.full:
            self._next(data)
        else:
            self._ahead = data
            if len(data) > _MOST_AHEAD and self._transport is not None and not self._paused:
                self._paused = True
                self._transport.pause_reading()
            self._next_ahead()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone: nobody waits for an answer any more."""
        del exc
        self._transport = None
        turn, self._turn = self._turn, None
        if turn is not None:
            turn.cancel()
        # Last, since the engine may have begun to wait for something only to be told that.
        self._leave()

    def pause_writing(self) -> None:
        """The buffers on the way to the client are full: from now on it must take something now and then."""
        self.full = True
        if self._transport is not None:
            self._slow = SlowReader(self._transport, self._patience.write)

    def resume_writing(self) -> None:
        """The client has caught up."""
        self.full = False
        if self._slow is not None:
            self._slow.stop()
            self._slow = None
        if self._turn is not None:
            self._turn.drained()
        elif self._waits:
            self._waits = False
            self._between()

    # For a turn

    @property
    def open(self) -> bool:
        """Whether somebody is there to be answered."""
        return self._transport is not None and not self._transport.is_closing()

    @property
    def transport(self) -> asyncio.Transport | None:
        """What carries the connection; None when nobody is there."""
        return self._transport

    @property
    def is_kept(self) -> bool:
        """Whether there is no request at present, and may be another one."""
        return self._turn is None and self.open

    def send(self, data: bytes) -> None:
        """Send. Raises ConnectionError when nobody is there."""
        transport = self._transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client is gone")
        transport.write(data)

    def abort(self) -> None:
        """End the connection in a way that no client takes for the end of an answer."""
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """Close the connection once everything is sent."""
        if self._transport is not None:
            self._transport.close()

    def expect(self, due: float, late: Callable[[], None]) -> None:
        """Have `late` called at a moment (the loop's clock), unless something else is expected by then."""
        self._due, self._late = due, late
        self.watch(due)

    def unhurried(self) -> None:
        """Nothing is due for long: hold no timer."""
        self._due = NEVER
        self.stop_watching()

    def receive_in_place(self, turn: Turn, size: int) -> None:
        """Let the socket write the missing rest of a large body where it belongs."""
        if self._transport is None or size < _LARGE:
            return
        if self._reader is None:
            self._reader = BodyReader(self)
            self._transport.set_protocol(self._reader)
        self._reader.receive(turn)

    def received(self, size: int) -> None:
        """A body of so many bytes is complete. After a huge one its reader stays, for the next is likely to be huge."""
        if self._reader is not None and size >= _HUGE:
            self._reader.receive(None)
        else:
            self._read_plainly()

    def answered(self, turn: Turn, *, close: bool) -> None:
        """A request is over; what it has not read of its body is still to come."""
        self._turn = None
        self._closing = close
        self._missing = turn.missing
        if self._missing and self._transport is not None:
            self._read_plainly()
            self.expect(self.loop.time() + _LINGER_S, self.close)
        else:
            self._between()

    def _read_plainly(self) -> None:
        if self._reader is not None and self._transport is not None:
            self._transport.set_protocol(self)
        self._reader = None

    # Between requests

    def _between(self) -> None:
        if self._closing or self._transport is None:
            self.close()
            return
        self.expect(self.loop.time() + self._patience.keepalive, self.close)
        if self._ahead:
            # Not at once: a client that sends a thousand requests ahead must not go a thousand calls deep.
            self.loop.call_soon(self._next_ahead)

    def _next_ahead(self) -> None:
        if self._turn is not None or self._missing or not self._ahead or not self.open:
            return
        if self.full:
            # Else a client that asks and never reads would have its answers heaped up.
            self._waits, self._due = True, NEVER
            return
        data, self._ahead = self._ahead, b""
        self._next(data)
        if len(self._ahead) <= _MOST_AHEAD:
            self._read_on()

    def _next(self, data: bytes) -> None:
        """Begin the request that these bytes begin, or hand them over."""
        form = self._form
        found = None if form is None else form.read(data)
        context = self._contexts.now
        if form is None or found is None or found[0] > context.settings.server.max_body:
            self._look(data, context)
        else:
            self._begin(context, form.head, *found, data)

    def _look(self, data: bytes, context: Context) -> None:
        """As `_next`, for what is not the head of this connection's last request once more."""
        end = data.find(b"\r\n\r\n")
        if end < 0:
            if not may_be_plain(data):
                self._hand_over(data)
                return
            if not self._ahead:
                self.expect(self.loop.time() + self._patience.header, self.close)
            self._ahead = data
            return
        found = self._heads.read(data[:end])
        if found is None or found.length > context.settings.server.max_body:
            self._hand_over(data)
            return
        self._form = found.form
        self._begin(context, found.head, found.length, end + 4, data)

    def _begin(self, context: Context, head: Head, length: int, start: int, data: bytes) -> None:
        """Begin a request. Its body begins at `start`."""
        self._ahead = b""
        self._due, self._late = NEVER, _nothing
        turn = self._turn = Turn(self, context, head, length)
        rest = turn.take(data, start)
        if rest:
            self._ahead = rest
        turn.start()

    def _hand_over(self, data: bytes) -> None:
        """Give the connection to aiohttp."""
        transport = self._transport
        self._transport = None
        self._leave()
        if transport is None or transport.is_closing():
            return
        protocol = self._wide()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        if self._paused:
            transport.resume_reading()
        protocol.data_received(data)

    def _read_on(self) -> None:
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()

    def _discard(self, data: bytes) -> bytes:
        """Pass over the rest of a body; returns what follows it."""
        rest = data[self._missing :]
        self._missing = max(0, self._missing - len(data))
        if not self._missing:
            self._between()
        return rest

    def _leave(self) -> None:
        self.stop_watching()
        # They refer to the lane: without this only the collector would find that.
        self._late, self._reader = _nothing, None
        if self._slow is not None:
            self._slow.stop()
            self._slow = None
        self._left(self)

    def on_time(self) -> None:
        """Look at what is due, as of a `Watched`."""
        if self._due <= self.loop.time():
            self._due = NEVER
            self._late()
        elif self._due < NEVER:
            self.expect(self._due, self._late)
