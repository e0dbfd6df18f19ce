r"""The usual chunk's way through the proxy: from the upstream's socket to the client's in one short function.

Theory of operation. The general way of a chunk leads through a dozen objects. None does much; but between two chunks of
one stream come those of a thousand others, so whatever a chunk touches has to be fetched from far away. That is most of
what a chunk costs.

    upstream --> Connection --> Answer --> Exchange --> Relay --> Splice --> Turn --> FrontLane --> client
        \                                                                                         /
         `-----------------------------------> Shortcut ------------------------------------------'

Nearly all chunks of a stream are alike: one plain chunk, in it one event by the stream's pattern. While the stream is
where such a chunk goes to the client as it is, and the client takes what it is given, the shortcut is *open*: it stands
in for the connection, holds all that is needed to know such a chunk, and passes it on. What is to be kept of it, its
text and when it came, is laid aside, and booked where it belongs now and then, before anything else happens.

    open --(anything but such a chunk)--> goes the general way --(the stream is usual again)--> open
                                                     |
                                                     +--(it is not)--> closed: all goes the general way

The general way is the specification: the shortcut takes nothing that would not have come to the same there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from proxy.streams.pattern import Pattern
from proxy.upstreams.chunks import OPENINGS
from proxy.upstreams.exchange import Carrier, StandIn

_MOST_ASIDE: Final = 64
"""Texts that are laid aside before they are booked."""
_LINE_END: Final = b"\r\n"
_join: Final = b"".join


class Line(Protocol):
    """The connection to a client that takes chunks as they come."""

    full: bool
    """The client has not taken what it was sent."""

    @property
    def transport(self) -> asyncio.WriteTransport | None:
        """What carries it; None when nobody is there."""


class Books(Protocol):
    """Where a stream stands, and what is kept of it: its relay."""

    def usual(self) -> Pattern | None:
        """The pattern whose events go to the client as they come, one in each chunk; None while they do not."""

    def book(self, pattern: Pattern, texts: Sequence[bytes], last: float) -> None:
        """Events of the pattern have gone to the client: what stood in them, and when the last one came."""

    def patience(self) -> float:
        """Until when the next piece has time (the loop's clock)."""


class Shortcut(StandIn):
    """Stands in for the connection of a stream that pours."""

    __slots__ = (
        "_before", "_behind", "_books", "_clock", "_connection", "_end", "_last", "_line", "_open", "_pattern", "_says",
        "_start", "_texts", "_transport",
    )  # fmt: skip

    def __init__(
        self,
        connection: Carrier,
        books: Books,
        pattern: Pattern,
        line: Line,
        transport: asyncio.WriteTransport,
        clock: Callable[[], float],
    ) -> None:
        """`transport` is the line's; `clock` the loop's."""
        self._connection = connection
        self._books = books
        self._line = line
        self._transport = transport
        self._clock = clock
        self._texts: list[bytes] = []
        """Laid aside."""
        self._last = 0.0
        """When the last of them came."""
        self._follow(pattern)

    def data_received(self, data: bytes) -> None:
        """Bytes came: pass them on if they are what they always are."""
        if self._open:
            try:
                opening = OPENINGS[len(data)]
                text = data[len(opening) + self._start : self._end]
                usual = _join((opening, self._before, text, self._behind, _LINE_END)) == data and self._says(text)
            except (IndexError, ValueError, RecursionError):
                usual = False
            # A client that has left is not asked for: what is written then is dropped, and its end ends the request.
            if usual and not self._line.full:
                texts = self._texts
                texts.append(text)
                self._last = self._clock()
                if len(texts) == _MOST_ASIDE:
                    self.settle()
                self._transport.write(data)
                return
        self._go_the_general_way(data)

    def until(self) -> float:
        """As of a `StandIn`."""
        self.settle()
        return self._books.patience()

    def settle(self) -> None:
        """Book what is laid aside."""
        if self._texts:
            texts, self._texts = self._texts, []
            self._books.book(self._pattern, texts, self._last)

    def _go_the_general_way(self, data: bytes) -> None:
        self.settle()
        self._connection.data_received(data)
        pattern = self._books.usual()
        if pattern is None:
            self._open = False
        else:
            self._follow(pattern)

    def _follow(self, pattern: Pattern) -> None:
        self._open = True
        self._pattern = pattern
        self._before, self._behind = pattern.before, pattern.behind
        self._start, self._end = len(self._before), -len(self._behind) - len(_LINE_END)
        self._says = pattern.checker()

    # What else the loop tells a connection

    def eof_received(self) -> None:
        """The other side sends no more."""
        self.settle()
        self._connection.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self.settle()
        self._connection.connection_lost(exc)
