"""The life of one streamed answer, from the first upstream byte to the last byte for the client.

Theory of operation
-------------------
A stream is *gated* at first: whole events are held back until one carries content (text, reasoning, a tool call, a
refusal), so that the client has seen nothing yet and every failure can still be hidden by another deployment. The first
content commits: what was held and everything after it belongs to the client. The stream is *done* when the wire's
terminal marker was seen: a finish reason on every choice, then `[DONE]`, which is added where an upstream leaves it
out. Anything else that ends it (a cut, an error event, an event that is not valid) makes it *broken*, with a `failure`
that says how.

    GATED --content--> COMMITTED --terminal marker--> DONE
      |                    |
      +------failure-------+-----------------------> BROKEN

The machine is sans-IO: `feed` takes bytes as received and returns the bytes to forward, whole events only; `end` says
that the upstream has ended. It knows no dialect: `read_event` reads an event's data into an `EventView`, `read_error`
turns the data of an error event into a failure. A broken stream keeps its state, so that whoever drives it may go on
elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from proxy.core.failure import Failure, FailureClass
from proxy.streams.event_view import EventKind, EventView
from proxy.streams.sse import Event, EventFramer, EventTooLargeError

DONE_EVENT = b"data: [DONE]\n\n"

_MAX_HELD = 1024 * 1024
"""Bytes held back before content. Real upstreams send one role event; an endless row of empty deltas is no answer."""


_MAX_USAGE = 16 * 1024
"""Bytes of an event whose usage is kept for the log."""


class StreamState(Enum):
    """Where a stream is in its life; see the theory of operation above."""

    GATED = "gated"
    COMMITTED = "committed"
    DONE = "done"
    BROKEN = "broken"


class Splice:
    """The state machine of one upstream's stream."""

    __slots__ = (
        "_choices",
        "_finished",
        "_framer",
        "_held",
        "_held_size",
        "_may_be_empty",
        "_read_error",
        "_read_event",
        "_show_usage",
        "_started",
        "contents",
        "failure",
        "state",
        "usage",
    )

    def __init__(
        self,
        read_event: Callable[[bytes], EventView],
        read_error: Callable[[bytes], Failure],
        *,
        show_usage: bool,
        choices: int = 1,
    ) -> None:
        """`choices`: how many answers at once were asked for. `show_usage`: whether the client wants the usage."""
        self._choices = choices
        self._read_event = read_event
        self._read_error = read_error
        self._show_usage = show_usage
        self._framer = EventFramer()
        self._held: list[bytes] = []
        self._held_size = 0
        self._started: set[int] = set()
        self._finished: set[int] = set()
        self._may_be_empty = False
        self.state = StreamState.GATED
        self.failure: Failure | None = None
        self.contents = 0
        """How many events with content have passed: what timers are fed with."""
        self.usage: bytes | None = None
        """The data of the last event that told the usage."""

    @property
    def finished(self) -> bool:
        """Every choice has its finish reason: only the usage and the terminal marker may still come."""
        return len(self._finished) >= self._choices and self._finished >= self._started

    def feed(self, data: bytes) -> bytes:
        """Take bytes from the upstream; return what goes to the client now."""
        out: list[bytes] = []
        try:
            events = self._framer.feed(data)
        except EventTooLargeError:
            self._break("event_too_large", "an event of the stream is too large")
            return b""
        for event in events:
            self._take(event, out)
            if self.state in {StreamState.DONE, StreamState.BROKEN}:
                break
        return b"".join(out)

    def end(self) -> bytes:
        """The upstream has ended its stream; return what still goes to the client."""
        out: list[bytes] = []
        if self.state in {StreamState.GATED, StreamState.COMMITTED}:
            self._finish(DONE_EVENT, out, whole=self.finished, missing="truncated")
        return b"".join(out)

    def fail(self, failure: Failure) -> None:
        """The stream broke in a way that its bytes do not show: a reset, a timer, a deadline."""
        if self.state is not StreamState.DONE:
            self.state = StreamState.BROKEN
            self.failure = failure

    def _take(self, event: Event, out: list[bytes]) -> None:
        if event.error is not None:
            self.fail(self._read_error(event.error))
        elif event.data is None:
            # Comments keep the client's connection alive once it has its head; before that there is nobody to tell.
            if self.state is StreamState.COMMITTED:
                out.append(event.raw)
        elif event.data == b"[DONE]":
            # The upstream's own word that this is all counts for those that give one choice where several were wanted.
            whole = bool(self._finished) and self._finished >= self._started
            self._finish(event.raw, out, whole=whole, missing="done_without_finish")
        else:
            self._take_data(event, event.data, out)

    def _take_data(self, event: Event, data: bytes, out: list[bytes]) -> None:
        view = self._read_event(data)
        kind = view.kind
        if kind is EventKind.ERROR:
            self.fail(self._read_error(data))
            return
        if kind is EventKind.MALFORMED:
            self._break("malformed_event", "an event of the stream is not valid")
            return
        if kind is EventKind.USAGE:
            self.usage = data if len(data) <= _MAX_USAGE else None
            if not self._show_usage:
                return
        raw = event.raw if view.edited is None else b"data: " + view.edited + b"\n\n"
        if view.started:
            self._started.update(view.started)
        if view.finished:
            self._finished.update(view.finished)
            self._may_be_empty |= view.may_be_empty
            if b'"usage"' in data and len(data) <= _MAX_USAGE:
                # Some upstreams tell the usage with the finish reason rather than in an event of its own.
                self.usage = data
        if kind is EventKind.CONTENT:
            self.contents += 1
            self._commit(out)
        self._forward(raw, out)

    def _forward(self, raw: bytes, out: list[bytes]) -> None:
        if self.state is not StreamState.GATED:
            out.append(raw)
            return
        self._held.append(raw)
        self._held_size += len(raw)
        if self._held_size > _MAX_HELD:
            self._break("empty_answer", "the stream holds no content")

    def _commit(self, out: list[bytes]) -> None:
        if self.state is StreamState.GATED:
            self.state = StreamState.COMMITTED
            out.extend(self._held)
            self._held.clear()

    def _finish(self, marker: bytes, out: list[bytes], *, whole: bool, missing: str) -> None:
        """The end, by marker or by the connection: a whole answer only if every choice was finished."""
        if not whole:
            if self._started or self.contents:
                self._break(missing, "the stream ended before the answer was finished")
            else:
                self._break("empty_answer", "the stream ended without an answer")
        elif self.state is StreamState.GATED and not self._may_be_empty:
            self._break("empty_answer", "the answer holds no content")
        else:
            self._commit(out)
            out.append(marker)
            self.state = StreamState.DONE

    def _break(self, code: str, message: str) -> None:
        self.fail(Failure(FailureClass.BAD_ANSWER, code, message))
