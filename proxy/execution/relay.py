"""Drives one stream: bytes from the exchange through the splice to the client, under the stream's timers.

Two timers are fed by content only: the first-token timer until the stream commits, the idle timer from content to
content after that. Keep-alives, roles and empty deltas feed neither. Once every choice is finished, what may still
come (the usage, the terminal marker) gets a short grace, since some upstreams keep a finished stream open.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from proxy.core.failure import DEADLINE_EXCEEDED, Failure, FailureClass
from proxy.execution.outlet import Outlet
from proxy.execution.shortcut import Line, Shortcut
from proxy.streams.pattern import Pattern
from proxy.streams.splice import Splice, StreamState
from proxy.streams.transcript import Transcript
from proxy.upstreams.transport import Exchange, TransportError

_GRACE_S = 1.0
"""Seconds for usage and `[DONE]` after the last finish reason."""

Clock = Callable[[], float]


class Relay:
    """One upstream's stream on its way to the client."""

    __slots__ = (
        "_clock", "_deadline", "_exchange", "_finished_at", "_heard", "_idle", "_last_content", "_line", "_outlet",
        "_splice", "_transcript", "_unsent", "_waits_until",
    )  # fmt: skip

    def __init__(
        self,
        exchange: Exchange,
        splice: Splice,
        *,
        idle: float,
        deadline: float,
        clock: Clock,
        heard: Callable[[], None],
    ) -> None:
        """`heard` is called once, at the first content: it may be held back for long before the client sees it."""
        self._exchange = exchange
        self._splice = splice
        self._idle = idle
        self._deadline = deadline
        self._clock = clock
        self._heard: Callable[[], None] | None = heard
        self._last_content = 0.0
        self._finished_at: float | None = None
        self._waits_until = 0.0
        self._outlet: Outlet | None = None
        self._line: Line | None = None
        self._transcript: Transcript | None = None
        self._unsent = b""
        """What the client could not take at once, or the end of the stream."""

    @property
    def usage(self) -> bytes | None:
        """The data of the last event that told the usage."""
        return self._splice.usage

    @property
    def holding(self) -> bool:
        """Something was begun that the client has not seen."""
        return self._splice.holding

    async def gate(self, first_until: float) -> bytes | Failure:
        """Read until there is something to show; returns what the client gets first, or the failure that it never sees.

        The first content has until `first_until`. If it is held back, or its place is still looked for, the idle timer
        runs from then on.
        """
        out, contents = b"", 0
        until, code = first_until, "first_token_timeout"
        while self._splice.state in {StreamState.GATED, StreamState.RESUMING}:
            out = await self._step(until, code)
            if self._splice.contents != contents:
                self._last_content = self._clock()
                if not contents and self._heard is not None:
                    self._heard()
                    self._heard = None
                contents = self._splice.contents
                until, code = self._last_content + self._idle, "idle_timeout"
        if self._splice.failure is not None:
            # Content that came in the same read as the break was shown to nobody, so the break can still be hidden.
            return self._splice.failure
        return out

    async def run(self, outlet: Outlet, transcript: Transcript | None = None) -> Failure | None:
        """Forward the rest; returns None for a whole answer, or the failure that broke it.

        The transcript is given what is about to be sent. While the client takes what it is given, each piece goes out
        within the callback that brought it.
        """
        self._outlet, self._line, self._transcript = outlet, outlet.line(), transcript
        self._last_content = self._clock()
        while self._splice.state is StreamState.COMMITTED:
            try:
                if await self._exchange.pour(self._forward, self._limit(self._last_content + self._idle)):
                    self._unsent = self._splice.end()
            except TimeoutError:
                self._unsent = self._give_up(Failure(FailureClass.TIMEOUT, self._timeout_code(), "the stream stalled"))
            except TransportError as error:
                self._unsent = self._give_up(error.failure)
            if self._unsent:
                unsent, self._unsent = self._unsent, b""
                await self._write(outlet, unsent)
        return self._splice.failure

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
        until = self._last_content + self._idle
        if splice.finishing:
            return self._limit(until)
        self._waits_until = until = min(self._deadline, until)
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
        return self._limit(self._last_content + self._idle)

    async def _write(self, outlet: Outlet, data: bytes) -> None:
        """Write to the client. The time that it takes is the client's: the upstream's timers stand still meanwhile."""
        started = self._clock()
        await outlet.write(data)
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

    async def _step(self, until: float, timeout_code: str) -> bytes:
        """One read through the splice. An end or an error of the connection is the splice's to judge, too."""
        until = self._limit(until)
        try:
            data = await self._exchange.read(until)
        except TimeoutError:
            code = DEADLINE_EXCEEDED if until >= self._deadline else timeout_code
            return self._give_up(Failure(FailureClass.TIMEOUT, code, "the stream stalled"))
        except TransportError as error:
            return self._give_up(error.failure)
        return self._splice.feed(data) if data else self._splice.end()

    def _limit(self, until: float) -> float:
        """How long the next bytes may take: a finished stream has its grace, and nothing outlives the deadline."""
        if not self._splice.finished:
            self._finished_at = None
        else:
            self._finished_at = self._finished_at or self._clock()
            until = self._finished_at + _GRACE_S
        self._waits_until = min(until, self._deadline)
        return self._waits_until

    def _timeout_code(self) -> str:
        return DEADLINE_EXCEEDED if self._waits_until >= self._deadline else "idle_timeout"

    def _give_up(self, failure: Failure) -> bytes:
        """The stream goes no further. That is its end if nothing but the terminal marker was missing."""
        if self._splice.finished:
            return self._splice.end()
        self._splice.fail(failure)
        return b""
