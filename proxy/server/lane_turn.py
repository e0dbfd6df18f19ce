"""One request in the front lane: its door, its strand, and its answer on the way out."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from proxy.core.errors import ClientError, body_timeout, internal, request_too_large
from proxy.core.request import Body, ModelRequest
from proxy.execution.delivery import Delivery
from proxy.execution.run import Run
from proxy.server.context import Context
from proxy.server.door import Head, Sender
from proxy.server.flight import Flight
from proxy.server.lifecycle import Work
from proxy.server.model_request import Service
from proxy.server.streamed import OnItsWay
from proxy.server.wire import error_body, header_lines, http_head, new_request_id
from proxy.upstreams.strand import Pause, Strand, pause

NEVER: Final = math.inf
_LAST_CHUNK: Final = b"0\r\n\r\n"
_logger = logging.getLogger("holdfast.server")


class Lane(Protocol):
    """The connection of a request, as its turn sees it."""

    full: bool
    """The client has not taken what it was sent."""

    @property
    def open(self) -> bool:
        """Whether somebody is there to be answered."""

    @property
    def transport(self) -> asyncio.Transport | None:
        """What carries it; None when nobody is there."""

    def send(self, data: bytes) -> None:
        """Send. Raises ConnectionError when nobody is there."""

    def abort(self) -> None:
        """End the connection in a way that no client takes for the end of an answer."""

    def close(self) -> None:
        """Close the connection once everything is sent."""

    def expect(self, due: float, late: Callable[[], None]) -> None:
        """Have `late` called at a moment (the loop's clock), unless something else is expected by then."""

    def unhurried(self) -> None:
        """Nothing is due for long: hold no timer."""

    def receive_in_place(self, turn: Turn, size: int) -> None:
        """Let the socket write the missing rest of a large body where it belongs."""

    def received(self, size: int) -> None:
        """A body of so many bytes is complete."""

    def answered(self, turn: Turn, *, close: bool) -> None:
        """A request is over; what it has not read of its body is still to come."""


class Turn:
    """One request in the lane: its `Door`, and the `Sender` of its answer."""

    __slots__ = (
        "_begun",
        "_body",
        "_chunked",
        "_closes",
        "_context",
        "_deadline",
        "_filled",
        "_head",
        "_lane",
        "_leaves",
        "_service",
        "_strand",
        "_waiter",
        "_waits",
        "ended",
        "flight",
        "head",
        "id",
        "missing",
        "request",
        "since",
    )  # fmt: skip

    def __init__(self, lane: Lane, context: Context, head: Head, length: int) -> None:
        self.id = head.request_id or new_request_id()
        self.head = head
        self.since = context.clock()
        self.missing = length
        """Bytes of the body that have not come yet."""
        self.ended = False
        self.request: ModelRequest | None = None
        """As of a `Door`."""
        self.flight: Flight | None = None
        """What serves it, as long as that is the fast path."""
        self._strand: Strand | None = None
        """What serves it otherwise; None while it goes on by itself, too."""
        self._service: Service | None = None
        self._leaves = False
        """It was cancelled: nothing goes on by itself any more."""
        self._lane = lane
        self._context = context
        self._body: Body = b""
        self._filled = 0
        self._begun = False
        self._closes = False
        """The client has been told that the connection ends with this answer."""
        self._head = b""
        """Of the answer, as long as it has not left."""
        self._chunked = False
        self._deadline = 0.0
        self._waiter: Pause | asyncio.Future[None] | None = None
        self._waits = False
        """Nothing serves it before all of its body is there."""

    @property
    def work(self) -> Work:
        """As of a `Door`."""
        return self

    def start(self) -> None:
        """Serve the request."""
        if not self.missing:
            self._begin()
        elif (patience := self._context.fast_path.let_in(self)) is not None:
            # Many clients send the head in a packet of its own.
            self._waits = True
            self._lane.receive_in_place(self, self.missing)
            self._lane.expect(self.since + patience, self.serve)
        else:
            self.serve()

    def _begin(self) -> None:
        if not self._context.fast_path.take(self, self._body):
            self.serve()

    def serve(self, run: Run | None = None, delivery: Delivery | None = None) -> None:
        """As of a `FastTurn`."""
        self._waits = False
        on_its_way = None if delivery is None else OnItsWay(self, delivery)
        service = self._service = self._service or Service(self, self._context, run, on_its_way)
        self._strand = Strand(self._serve(service))
        self._strand.start()

    @property
    def takes(self) -> bool:
        """As of a `FastTurn`."""
        return self._lane.open and not self._lane.full

    def needed(self) -> None:
        """As of an `Attendant`."""
        self.serve()

    def cancel(self) -> None:
        """As of `Work`."""
        self._leaves = True
        if self.flight is not None:
            self.flight.bail_out()
        elif self._waits or (self._strand is None and self._service is not None):
            self.serve()
        if self._strand is not None:
            self._strand.cancel()

    async def _serve(self, service: Service) -> None:
        try:
            if not await service.go_on(None if self._leaves else self):
                self._strand = None
                if self._leaves:
                    # Since it was cancelled it has not waited, so it has not heard of that.
                    self.cancel()
                return
        except ClientError as error:
            self._refuse(error)
        except (ConnectionError, asyncio.CancelledError):
            # Whoever left has nothing more to be told; whoever is there must not take this for an end.
            self._lane.abort()
        except Exception as error:  # noqa: BLE001 - whatever it is, the request has to come to an end
            self.break_down(error)
        self._service = None
        self.over()

    def break_down(self, error: Exception) -> None:
        """As of a `FastTurn`."""
        if self._begun:
            _logger.error("an answer that had begun could not be finished, request %s", self.id, exc_info=error)
            self._lane.abort()
        else:
            _logger.error("a bug of the proxy, request %s", self.id, exc_info=error)
            self._refuse(internal(self.id))

    def over(self) -> None:
        """As of a `FastTurn`."""
        self._lane.answered(self, close=self._closes)

    def _refuse(self, error: ClientError) -> None:
        """Answer with an error."""
        self._closes = error.close or self._context.lifecycle.draining
        body = error_body(error, self.head.wire, self.id)
        headers = {"content-type": "application/json", **error.headers()}
        head = http_head(error.status, header_lines(headers), len(body), close=self._closes, request_id=self.id)
        if self._begun:
            self._lane.abort()
        elif self._lane.open:
            self._lane.send(head + body)

    # Its body

    def take(self, data: bytes, start: int = 0) -> bytes:
        """Bytes of the body, from a place in the data on; returns what follows it."""
        end = start + self.missing
        if not self._filled and len(data) >= end:
            # Nearly always: all of it at once.
            self._body, self.missing = data[start:end], 0
            if self._waits or self._waiter is not None:
                self._complete()
        elif start < len(data):
            if not self._filled:
                self._body = bytearray(self.missing)
            part = memoryview(data)[start:end]
            memoryview(self._body)[self._filled : self._filled + len(part)] = part
            self.took(len(part))
        return data[end:]

    def place(self) -> memoryview:
        """Where the rest of the body belongs."""
        if not self._filled:
            self._body = bytearray(self.missing)
        return memoryview(self._body)[self._filled :]

    def took(self, size: int) -> None:
        """So many more bytes of the body are there."""
        self._filled += size
        self.missing -= size
        if not self.missing:
            self._lane.received(self._filled)
            self._complete()

    def _complete(self) -> None:
        """All of the body is there."""
        if self._waits:
            self._waits = False
            self._lane.expect(NEVER, self._lane.close)
            self._begin()
        else:
            self._wake()

    async def body(self, limit: int, patience: float) -> Body:
        """As of a `Door`."""
        if self.missing > limit:
            raise request_too_large(limit)
        if self.missing:
            self._lane.receive_in_place(self, self.missing)
            await self._wait(self.since + patience, lambda: body_timeout(patience))
        return self._body

    # Its answer

    @property
    def begun(self) -> bool:
        """As of a `Door` and a `Sender`."""
        return self._begun

    def answer(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """As of a `Door`."""
        self.answer_with(status, header_lines(headers), body)

    def answer_with(self, status: int, lines: str, body: bytes) -> None:
        """As of a `FastTurn`."""
        self._begun = True
        self._closes = self._context.lifecycle.draining
        head = http_head(status, lines, len(body), close=self._closes, request_id=self.id)
        self._lane.send(head + body)

    def begin(self, headers: Mapping[str, str], *, deadline: float, size: int | None = None) -> Sender:
        """As of a `Door`."""
        self._begin_answer(header_lines(headers), deadline, size)
        return self

    def stream_with(self, lines: str, deadline: float, first: bytes) -> None:
        """As of a `FastTurn`."""
        self._begin_answer(lines, deadline, None)
        self._lane.send(self._with_head(first))

    def _begin_answer(self, lines: str, deadline: float, size: int | None) -> None:
        self._deadline, self._chunked = deadline, size is None
        if size is None:
            self._lane.unhurried()
        self._closes = self._context.lifecycle.draining
        self._head = http_head(200, lines, size, close=self._closes, request_id=self.id)

    def _with_head(self, data: bytes) -> bytes:
        """The head, and the first piece."""
        self._begun = True
        head, self._head = self._head, b""
        return b"%b%x\r\n%b\r\n" % (head, len(data), data) if self._chunked else head + data

    def push(self, data: bytes, chunk: bytes | None = None) -> bool:
        """As of an `Outlet`."""
        lane = self._lane
        if lane.full or not self._begun:
            return False
        if self._chunked:
            data = chunk or b"%x\r\n%b\r\n" % (len(data), data)
        lane.send(data)
        return True

    def line(self) -> Lane | None:
        """As of an `Outlet`."""
        return self._lane if self._chunked else None

    async def write(self, data: bytes) -> None:
        """As of a `Sender`."""
        if not self._begun:
            data = self._with_head(data)
        elif self._chunked:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        self._lane.send(data)
        await self._room()

    async def end(self) -> None:
        """As of a `Sender`."""
        self.ended = True
        if self._chunked:
            self.end_stream()
            await self._room()

    def end_stream(self) -> None:
        """As of a `FastTurn`."""
        self.ended = True
        self._lane.send(_LAST_CHUNK if self._begun else self._head + _LAST_CHUNK)
        self._begun = True

    def drained(self) -> None:
        """The client has taken what it was sent."""
        if not self.missing:
            self._wake()

    async def _room(self) -> None:
        """Wait until the client has taken enough."""
        while self._lane.full:
            await self._wait(self._deadline, _not_taken)

    async def _wait(self, until: float, late: Callable[[], Exception]) -> None:
        """Wait until something has come or gone; raises what `late` makes at a moment of the loop's clock."""
        waiter = self._waiter = pause(asyncio.get_running_loop())
        # An error made beforehand would know the frames that hold it: that would be the collector's to find.
        self._lane.expect(until, lambda: self._fail(late()))
        try:
            await waiter
        finally:
            self._waiter = None
            self._lane.expect(NEVER, self._lane.close)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, error: Exception) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)


def _not_taken() -> Exception:
    return ConnectionResetError("the client did not take the answer before the deadline")
