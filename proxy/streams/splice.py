"""The life of one streamed answer, from the first upstream byte to the last byte for the client.

Theory of operation
-------------------
A stream is *gated* at first: whole events are held back until one carries content (text, reasoning, a tool call, a
refusal), so that the client has seen nothing yet and every failure can still be hidden by another deployment. The first
content commits: what was held and everything after it belongs to the client. The stream is *done* when the wire's
terminal marker was seen: a finish reason on every choice, then `[DONE]`, which is added where an upstream leaves it
out. Anything else that ends it (a cut, an error event, an event that is not valid) makes it *broken*, with a `failure`
that says how.

A stream that goes on with a broken one's answer is *resuming* instead of gated: a `Graft` turns its events into ones
that continue what the client has seen, and gives none away before it has found the place.

    GATED ----content----> COMMITTED --terminal marker--> DONE
    RESUMING --new text--> COMMITTED
      |                       |
      +--------failure--------+-------------------------> BROKEN

Tool calls are *held* until they are complete, before the commit and after it: a call is complete when the next one
begins or its choice is finished. A break before that leaves no half call behind. Of structured output all is held, if
that is wanted.

The machine is sans-IO: `feed` takes bytes as received and returns the bytes to forward, whole events only; `end` says
that the upstream has ended. It knows no dialect: `read_event` reads an event's data into an `EventView`, `read_error`
turns the data of an error event into a failure. What speaks another language goes through a `Translator` first.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Final, Protocol

from proxy.core.failure import Failure, FailureClass
from proxy.streams.event_view import SAYS, EventKind, EventView
from proxy.streams.pattern import LESSONS, Pattern
from proxy.streams.resume import HoldBack
from proxy.streams.sse import Event, EventFramer, EventTooLargeError

DONE_EVENT = b"data: [DONE]\n\n"

_MAX_HELD = 1024 * 1024
"""Bytes held back. Real upstreams send one role event before content; an endless row of empty deltas is no answer. A
tool call that is longer goes to the client as it comes."""

_MUCH = 4096
_FEW = 3
"""Events that it takes to learn a pattern: mostly a role, the first content, and one more. Of more than `_MUCH` bytes
at once so many are read first."""
_ROLE = b'"role"'
_MAX_USAGE = 16 * 1024
"""Bytes of an event whose usage is kept for the log."""


class StreamState(Enum):
    """Where a stream is in its life; see the theory of operation above."""

    GATED = "gated"
    RESUMING = "resuming"
    COMMITTED = "committed"
    DONE = "done"
    BROKEN = "broken"


ReadEvent = Callable[[bytes], EventView]
_NO_CHOICE: Final[frozenset[int]] = frozenset()
_FIRST_CHOICE: Final[frozenset[int]] = frozenset({0})
_BEFORE = (StreamState.GATED, StreamState.RESUMING)
_OVER = (StreamState.DONE, StreamState.BROKEN)


class Graft(Protocol):
    """Turns the events of a stream into ones that continue what a client has seen of another."""

    refusal: Failure | None
    """Why the stream cannot continue it, an empty one included; set by `take`."""

    def take(self, data: bytes) -> bytes | None:
        """The data of one event; returns that of the event for the client, None where there is nothing for it."""


class Translator(Protocol):
    """Turns what an upstream sends into events that the machine's reader understands."""

    def feed(self, data: bytes) -> bytes:
        """The events that bytes as received complete."""

    def end(self) -> bytes:
        """The events that the end of the body completes."""


class Splice:
    """The state machine of one upstream's stream."""

    __slots__ = (
        "_call",
        "_choices",
        "_finished",
        "_framer",
        "_graft",
        "_held",
        "_held_size",
        "_hold",
        "_learn",
        "_lessons",
        "_marker",
        "_may_be_empty",
        "_pattern",
        "_plain",
        "_read_error",
        "_read_event",
        "_show_usage",
        "_started",
        "_told_usage",
        "_translator",
        "_usage",
        "contents",
        "failure",
        "finishing",
        "holding",
        "state",
    )

    def __init__(  # noqa: PLR0913 - what is the wire's, and what the request wants
        self,
        read_event: ReadEvent,
        read_error: Callable[[bytes], Failure],
        *,
        show_usage: bool,
        choices: int = 1,
        hold: HoldBack = HoldBack.NONE,
        graft: Graft | None = None,
        learn: Callable[[bytes, ReadEvent], Pattern | None] = lambda _data, _read: None,
        translator: Translator | None = None,
        marker: bytes = DONE_EVENT,
        told_usage: Callable[[], bytes | None] | None = None,
    ) -> None:
        """`choices`: how many answers at once were asked for. `show_usage`: whether the client wants the usage.

        `hold`: what is kept back until it is complete; of several choices at once nothing is. `graft`: for a stream
        that goes on with a broken one's answer. `learn` finds the pattern of an event's data, which then is content and
        nothing else; it is told how the stream's events are read. `translator` is for an upstream that speaks another
        language; `marker` is the terminal marker, added where it is missing; empty for a wire whose own cannot be made
        up. `told_usage` tells the usage where it is not that of an event.
        """
        self._translator = translator
        self._marker = marker
        self._told_usage = told_usage
        self._learn = learn
        self._lessons = LESSONS
        self._pattern: Pattern | None = None
        self._choices = choices
        self._read_event = read_event
        self._read_error = read_error
        self._show_usage = show_usage
        self._hold = hold if choices == 1 else HoldBack.NONE
        self._graft = graft
        self._framer = EventFramer()
        self._held: list[bytes] = []
        self._held_size = 0
        self._call = -1
        """The newest tool call of which something has come."""
        self._started = _NO_CHOICE
        self._finished = _NO_CHOICE
        self._may_be_empty = False
        self._plain = False
        """The stream is where most of it is spent: committed, nothing held, no event to be changed."""
        self.state = StreamState.GATED if graft is None else StreamState.RESUMING
        self.failure: Failure | None = None
        self.contents = 0
        """How many events with content have come, held ones included: what timers are fed with."""
        self.holding = False
        """Something was begun that the client has not seen."""
        self.finishing = False
        """Some choice has its finish reason."""
        self._usage: bytes | None = None

    @property
    def usage(self) -> bytes | None:
        """JSON with a `usage` on the chat wire: mostly the data of the last event that told one."""
        return self._usage if self._told_usage is None else self._told_usage()

    @property
    def finished(self) -> bool:
        """Every choice has its finish reason: only the usage and the terminal marker may still come."""
        return len(self._finished) >= self._choices and self._finished >= self._started

    def usual(self) -> Pattern | None:
        """The pattern whose events `feed` returns as they come and does no more; None while there is none."""
        ready = self._plain and self._framer.between and self.state is StreamState.COMMITTED and not self.finishing
        return self._pattern if ready and self._translator is None else None

    def feed(self, data: bytes) -> bytes:
        """Take bytes from the upstream; return what goes to the client now."""
        if self._translator is not None:
            data = self._translator.feed(data)
            if not data:
                return data
        out: list[bytes] = []
        if self._pattern is None and self._lessons and len(data) > _MUCH and (some := _some_events(data)):
            # Most of so much need not be read once some of it has shown a pattern.
            self._read(data[:some], out)
            if self.state in _OVER:
                return b"".join(out)
            data = data[some:]
        pattern = self._pattern
        if pattern is not None and not self._framer.between and (end := data.find(b"\n\n") + 2) > 1:
            # It begins within an event; those behind that one may be of the pattern again.
            self._read(data[:end], out)
            data = data[end:]
            if self.state in _OVER or not data:
                return b"".join(out)
        if pattern is not None and self._plain and self._framer.between:
            count, end = pattern.lead(data)
            self.contents += count
            if not out and end == len(data):
                return data
            out.append(data[:end])
            data = data[end:]
        if data and self.state not in _OVER:
            self._read(data, out)
        return b"".join(out)

    def _read(self, data: bytes, out: list[bytes]) -> None:
        """`feed`, event by event."""
        try:
            events = self._framer.feed(data)
        except EventTooLargeError:
            self._give_up(
                Failure(FailureClass.BAD_ANSWER, "event_too_large", "an event of the stream is too large"), out
            )
            return
        for event in events:
            if self._plain and event.data is not None and event.error is None:
                view = self._read_event(event.data)
                if view is SAYS:
                    self.contents += 1
                    out.append(event.raw)
                    if self._lessons:
                        self._take_lesson(event.data)
                    continue
                self._take(event, out, view)
            else:
                self._take(event, out)
            if self.state in _OVER:
                break

    def end(self) -> bytes:
        """The upstream has ended its stream; return what still goes to the client."""
        out: list[bytes] = []
        if self._translator is not None and self.state not in _OVER:
            self._read(self._translator.end(), out)
        if self.state not in _OVER:
            whole = self.finished and bool(self._marker)
            self._finish(self._marker, out, whole=whole, missing="truncated")
        return b"".join(out)

    def fail(self, failure: Failure) -> None:
        """The stream broke in a way that its bytes do not show: a reset, a timer, a deadline."""
        if self.state is not StreamState.DONE:
            self.state = StreamState.BROKEN
            self.failure = failure

    def _take(self, event: Event, out: list[bytes], view: EventView | None = None) -> None:
        """One event; `view` is what was read of it, if it was read."""
        if event.error is not None:
            self._give_up(self._read_error(event.error), out)
        elif event.data is None:
            # Comments keep the client's connection alive once it has its head; before that there is nobody to tell.
            if self.state is StreamState.COMMITTED:
                out.append(event.raw)
        elif event.data == b"[DONE]":
            # The upstream's own word that this is all counts for those that give one choice where several were wanted.
            whole = bool(self._finished) and self._finished >= self._started
            self._finish(event.raw, out, whole=whole, missing="done_without_finish")
        else:
            self._take_data(event, event.data, view or self._read_event(event.data), out)

    def _take_data(self, event: Event, data: bytes, view: EventView, out: list[bytes]) -> None:
        kind = view.kind
        if kind is EventKind.ERROR:
            self._give_up(self._read_error(data), out)
            return
        if kind is EventKind.MALFORMED:
            self._give_up(_malformed(), out)
            return
        if not self._started.issuperset(view.started):
            self._started = _FIRST_CHOICE if view.started == (0,) else self._started.union(view.started)
        if view.finished:
            self._finished = self._finished.union(view.finished)
            self.finishing = True
        self._may_be_empty |= view.may_be_empty
        content = kind is EventKind.CONTENT
        self.contents += content
        shown = self._shown(event, data, view)
        if self.state is StreamState.BROKEN:
            return
        if kind is EventKind.USAGE and not self._show_usage:
            return
        if kind is EventKind.DONE:
            whole = bool(self._finished) and self._finished >= self._started
            self._finish(event.raw, out, whole=whole, missing="done_without_finish")
            return
        self._hold_back(view, content=content, out=out)
        if shown is not None:
            self._forward(shown, out, content=content or (self._graft is not None and kind is not EventKind.USAGE))
        self._plain = view is SAYS and self._may_be_plain()
        if self._plain and self._lessons and _ROLE not in data:
            # With a role in it the first content is not like those that follow.
            self._take_lesson(data)

    def _take_lesson(self, data: bytes) -> None:
        self._lessons -= 1
        self._pattern = self._learn(data, self._read_event)

    def _shown(self, event: Event, data: bytes, view: EventView) -> bytes | None:
        """The event as the client gets it, if it gets it; its usage is noted."""
        told = data if view.edited is None else view.edited
        raw = event.raw
        if self._graft is not None:
            try:
                grafted = self._graft.take(told)
            except (ValueError, TypeError, AttributeError, LookupError, RecursionError):
                self.fail(_malformed())
                return None
            if self._graft.refusal is not None:
                self.fail(self._graft.refusal)
            if grafted is None:
                return None
            told, raw = grafted, b"data: " + grafted + b"\n\n"
        elif view.edited is not None:
            raw = b"data: " + told + b"\n\n"
        # Some upstreams tell the usage with the finish reason rather than in an event of its own.
        if view.kind is EventKind.USAGE or (view.finished and b'"usage"' in data):
            self._usage = told if len(told) <= _MAX_USAGE else None
        return raw

    def _hold_back(self, view: EventView, *, content: bool, out: list[bytes]) -> None:
        """Begin or end holding, as this event says."""
        if view.calls and self._hold is not HoldBack.NONE and max(view.calls) > self._call:
            if self.holding and self._hold is HoldBack.TOOLS:
                self._release(out)
            self._call = max(view.calls)
            self.holding = True
        elif content and self._hold is HoldBack.ALL:
            self.holding = True
        if view.finished and self.holding:
            self._release(out)

    def _forward(self, raw: bytes, out: list[bytes], *, content: bool) -> None:
        if not self.holding:
            if content and self.state in _BEFORE:
                self._release(out)
            if self.state is StreamState.COMMITTED:
                out.append(raw)
                return
        self._held.append(raw)
        self._held_size += len(raw)
        if self._held_size <= _MAX_HELD:
            return
        if self.holding:
            self._hold = HoldBack.NONE
            self._release(out)
        else:
            self._break("empty_answer", "the stream holds no content")

    def _release(self, out: list[bytes]) -> None:
        """What was held is the client's, and with it what comes."""
        self.state = StreamState.COMMITTED
        self.holding = False
        out.extend(self._held)
        self._held.clear()
        self._held_size = 0

    def _may_be_plain(self) -> bool:
        committed = self.state is StreamState.COMMITTED and not self.holding
        return committed and self._graft is None and self._hold is not HoldBack.ALL

    def _finish(self, marker: bytes, out: list[bytes], *, whole: bool, missing: str) -> None:
        """The end, by marker or by the connection: a whole answer only if every choice was finished."""
        if not whole:
            if self._started or self.contents:
                self._break(missing, "the stream ended before the answer was finished")
            else:
                self._break("empty_answer", "the stream ended without an answer")
        elif self.state in _BEFORE and not self._may_be_empty and not self.holding:
            self._break("empty_answer", "the answer holds no content")
        else:
            self._release(out)
            out.append(marker)
            self.state = StreamState.DONE

    def _give_up(self, failure: Failure, out: list[bytes]) -> None:
        """The stream goes no further. That is its end if nothing but the usage and the terminal marker was missing."""
        if self.finished and self.state is StreamState.COMMITTED:
            self._finish(self._marker, out, whole=bool(self._marker), missing=failure.code)
        else:
            self.fail(failure)

    def _break(self, code: str, message: str) -> None:
        self.fail(Failure(FailureClass.BAD_ANSWER, code, message))


def _some_events(data: bytes) -> int:
    """Where a few events end; 0 if there are not as many."""
    end = 0
    for _ in range(_FEW):
        end = data.find(b"\n\n", end) + 2
        if end < 2:
            return 0
    return end


def _malformed() -> Failure:
    return Failure(FailureClass.BAD_ANSWER, "malformed_event", "an event of the stream is not valid")
