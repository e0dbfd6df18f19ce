"""Drives one stream: bytes from the exchange through the splice to the client, under the stream's timers.

Two timers are fed by content only: the first-token timer until the stream commits, the idle timer from content to
content after that. Keep-alives, roles and empty deltas feed neither. Once every choice is finished, what may still
come (the usage, the terminal marker) gets a short grace, since some upstreams keep a finished stream open.

A stream spends its life waiting, and there are thousands at once. So nobody need wait for it, before its first content
(`gate`) and after it (`run`):

    run --(nothing to do but to wait)--> pours --(something is to be done)--> attendant --> run ... over
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Final, Protocol, overload

from proxy.core.failure import DEADLINE_EXCEEDED, Failure, FailureClass
from proxy.execution.outlet import Outlet
from proxy.execution.shortcut import Line, Shortcut
from proxy.pool.permit import Permit
from proxy.streams.pattern import Pattern
from proxy.streams.splice import Splice, StreamState
from proxy.streams.transcript import Transcript
from proxy.upstreams.exchange import Poured, Sink
from proxy.upstreams.transport import Exchange, TransportError

_GRACE_S = 1.0
"""Seconds for usage and `[DONE]` after the last finish reason."""
_BEFORE = frozenset({StreamState.GATED, StreamState.RESUMING})

Clock = Callable[[], float]


class Pours(Enum):
    """A stream goes on by itself; its attendant is called when there is something to be done."""

    ON = "on"


POURS: Final = Pours.ON


class Attendant(Protocol):
    """Whoever looks after a stream that goes on by itself."""

    def needed(self) -> None:
        """It does not, for now: see to it that it is run."""


class Relay:
    """One upstream's stream on its way to the client."""

    __slots__ = (
        "_attendant", "_clock", "_deadline", "_error", "_exchange", "_finished_at", "_first_until", "_heard", "_idle",
        "_last_content", "_line", "_outlet", "_permit", "_splice", "_transcript", "_unsent", "_waits_until",
    )  # fmt: skip

    def __init__(
        self,
        exchange: Exchange,
        splice: Splice,
        *,
        idle: float,
        deadline: float,
        clock: Clock,
        first_until: float,
        permit: Permit,
        heard: Callable[[Permit], None],
    ) -> None:
        """The first content has until `first_until`. `heard` is called with the permit when it comes: it may be held
        back for long before the client sees it."""
        self._exchange = exchange
        self._splice = splice
        self._idle = idle
        self._deadline = deadline
        self._first_until = first_until
        self._clock = clock
        self._permit = permit
        self._heard: Callable[[Permit], None] | None = heard
        self._last_content = 0.0
        self._finished_at: float | None = None
        self._waits_until = 0.0
        self._outlet: Outlet | None = None
        self._line: Line | None = None
        self._transcript: Transcript | None = None
        self._unsent = b""
        """What the client could not take at once, or the end of the stream."""
        self._attendant: Attendant | None = None
        """Of the stream that pours; None while somebody waits for it."""
        self._error: BaseException | None = None
        """What ended the pouring, for whoever goes on."""

    @property
    def usage(self) -> bytes | None:
        """The data of the last event that told the usage."""
        return self._splice.usage

    @property
    def holding(self) -> bool:
        """Something was begun that the client has not seen."""
        return self._splice.holding

    @property
    def pours(self) -> bool:
        """It goes on by itself, and will call its attendant."""
        return self._attendant is not None

    async def gate(self, attendant: Attendant | None = None) -> bytes | Failure | None:
        """Read until there is something to show; returns what the client gets first, or the failure that it never sees.

        If the first content is held back, or its place is still looked for, the idle timer runs from then on. With an
        attendant this may return None, as `run` does `POURS`.
        """
        self._take_back()
        while self._splice.state in _BEFORE:
            if await self._pour(self._look, attendant):
                return None
        if self._splice.failure is not None:
            # Content that came in the same read as the break was shown to nobody, so the break can still be hidden.
            return self._splice.failure
        first, self._unsent = self._unsent, b""
        return first

    def goes_on(self, attendant: Attendant) -> bool:
        """Go on with nobody waiting, before the first content or after it: whether it does.

        If not, there is something to be done: to show the first content (`opened`), to end (`whole`), or it is for
        `gate` or `run` to find out what.
        """
        state = self._splice.state
        before = state in _BEFORE
        if self._unsent or self._error is not None or not (before or state is StreamState.COMMITTED):
            return False
        if not self._exchange.pour_on(self._look if before else self._forward, self._limit(), self):
            return False
        self._attendant = attendant
        if self._line is not None and self._exchange.may_be_given:
            self._shorten(self._line)
        return True

    def opened(self, most: int) -> bytes | None:
        """What the client gets first, as `gate` returns it; None where that has another answer, or it is more than so
        many bytes."""
        if self._splice.state in _BEFORE or self._splice.failure is not None or len(self._unsent) > most:
            return None
        first, self._unsent = self._unsent, b""
        return first

    @property
    def whole(self) -> bool:
        """The client has been sent all of it: `run` would return None at once."""
        return self._splice.state is StreamState.DONE and not self._unsent and self._error is None

    def _look(self, data: bytes, chunk: bytes | None) -> float | None:
        """Take what came before there is something to show; returns as `_forward`."""
        del chunk
        splice, contents = self._splice, self._splice.contents
        self._unsent = splice.feed(data)
        if splice.contents != contents:
            self._last_content = self._clock()
            if self._heard is not None:
                self._heard(self._permit)
                self._heard = None
        return self._limit() if splice.state in _BEFORE else None

    def connect(self, outlet: Outlet, transcript: Transcript | None = None) -> None:
        """Say where the rest goes, from now on. The transcript is given what is about to be sent."""
        self._outlet, self._line, self._transcript = outlet, outlet.line(), transcript
        self._last_content = self._clock()

    @overload
    async def run(self) -> Failure | None: ...

    @overload
    async def run(self, attendant: Attendant | None) -> Failure | Pours | None: ...

    async def run(self, attendant: Attendant | None = None) -> Failure | Pours | None:
        """Forward the rest; returns None for a whole answer, or the failure that broke it.

        While the client takes what it is given, each piece goes out within the callback that brought it. With an
        attendant this does not wait for such pieces: it returns `POURS`, and is to be called again when that is needed.
        """
        self._take_back()
        while True:
            if self._unsent:
                unsent, self._unsent = self._unsent, b""
                await self._write(unsent)
            if self._splice.state is not StreamState.COMMITTED:
                # The client may have been gone when the last piece was to be sent.
                self._raise_error()
                return self._splice.failure
            if await self._pour(self._forward, attendant):
                return POURS

    async def _pour(self, sink: Sink, attendant: Attendant | None) -> bool:
        """Have what comes poured until there is something to do; whether that is left to the attendant.

        An end or an error of the connection is the splice's to judge, too.
        """
        try:
            self._raise_error()
            poured = await self._exchange.pour(sink, self._limit(), None if attendant is None else self)
        except TimeoutError:
            self._unsent = self._give_up(Failure(FailureClass.TIMEOUT, self._timeout_code(), "the stream stalled"))
        except TransportError as error:
            self._unsent = self._give_up(error.failure)
        else:
            if poured is Poured.UNDER_WAY:
                self._attendant = attendant
                return True
            if poured is Poured.WHOLE:
                self._unsent = self._splice.end()
        return False

    # What an exchange tells that pours with nobody waiting

    def done(self) -> bool:
        """As of a `Waiter`."""
        return self._attendant is None

    def set_result(self, _nothing: None, /) -> None:
        """As of a `Waiter`."""
        attendant = self._take_back()
        if attendant is not None:
            attendant.needed()

    def set_exception(self, error: BaseException, /) -> None:
        """As of a `Waiter`."""
        self._error = error
        self.set_result(None)

    def _take_back(self) -> Attendant | None:
        """Let it pour no more, if it does; returns who was to be called."""
        attendant, self._attendant = self._attendant, None
        if attendant is not None:
            self._exchange.stop_pouring()
        return attendant

    def _raise_error(self) -> None:
        """Raise what ended the pouring, if that was an error."""
        if self._error is not None:
            error, self._error = self._error, None
            try:
                raise error
            finally:
                # It knows this frame from now on: whatever keeps both would be the collector's to find.
                del error

    def _forward(self, data: bytes, chunk: bytes | None) -> float | None:
        """Send on what came; returns until when the next has time, or None where somebody has to look after it."""
        splice, contents = self._splice, self._splice.contents
        out = splice.feed(data)
        if splice.contents != contents:
            self._last_content = self._clock()
        if out:
            if self._transcript is not None:
                self._transcript.add(out)
            if self._outlet is None or not self._outlet.push(out, chunk if out is data else None):
                self._unsent = out
                return None
        if splice.state is not StreamState.COMMITTED:
            return None
        if splice.finishing:
            return self._limit()
        self._waits_until = until = min(self._deadline, self._last_content + self._idle)
        if self._line is not None and self._exchange.may_be_given:
            self._shorten(self._line)
        return until

    def _shorten(self, line: Line) -> None:
        """Take the shortcut from the next chunk on, if that seems to be a usual one."""
        pattern, transport = self._splice.usual(), line.transport
        if pattern is not None and transport is not None:
            self._exchange.give_to(Shortcut(self._exchange.connection, self, pattern, line, transport, self._clock))

    # What a shortcut asks and tells

    def usual(self) -> Pattern | None:
        """As of `Books`."""
        return self._splice.usual() if self._exchange.answer.between_chunks else None

    def book(self, pattern: Pattern, texts: Sequence[bytes], last: float) -> None:
        """As of `Books`."""
        self._splice.contents += len(texts)
        self._last_content = last
        if self._transcript is not None:
            self._transcript.add_texts(pattern, texts)

    def patience(self) -> float:
        """As of `Books`."""
        return self._limit()

    async def _write(self, data: bytes) -> None:
        """Write to the client. The time that it takes is the client's: the upstream's timers stand still meanwhile."""
        assert self._outlet is not None  # noqa: S101 - a relay that runs is connected
        started = self._clock()
        await self._outlet.write(data)
        taken = self._clock() - started
        self._last_content += taken
        if self._finished_at is not None:
            self._finished_at += taken

    def close(self) -> None:
        """Let the upstream go: at once, unless its answer is whole and its connection may serve again."""
        if self._splice.state is StreamState.DONE:
            self._exchange.finish()
        else:
            self._exchange.close()

    @property
    def _silent(self) -> bool:
        return self._outlet is None and not self._splice.contents

    def _limit(self) -> float:
        """How long the next bytes may take: a finished stream has its grace, and nothing outlives the deadline."""
        until = self._first_until if self._silent else self._last_content + self._idle
        if not self._splice.finished:
            self._finished_at = None
        else:
            self._finished_at = self._finished_at or self._clock()
            until = self._finished_at + _GRACE_S
        self._waits_until = min(until, self._deadline)
        return self._waits_until

    def _timeout_code(self) -> str:
        if self._waits_until >= self._deadline:
            return DEADLINE_EXCEEDED
        return "first_token_timeout" if self._silent else "idle_timeout"

    def _give_up(self, failure: Failure) -> bytes:
        """The stream goes no further. That is its end if nothing but the terminal marker was missing."""
        if self._splice.finished:
            return self._splice.end()
        self._splice.fail(failure)
        return b""
