"""One request for a stream on the fast path: from its first attempt to the end of its stream.

After its head a stream goes on by itself (`relay.py`), and its flight is who looks after it:

    waiting --its head--> before its content --content--> on its way --the end of a good answer--> answered
       |                         |                            |
       +-------------------------+------(anything else)-------+--> the engine's

The engine takes up a stream where it is: asked for, begun, or half told. A failure in place of the head is followed by
the next attempt, as in every flight (`flight.py`).
"""

from __future__ import annotations

from typing import Final

from proxy.core.event import AttemptEnded
from proxy.core.failure import Failure
from proxy.core.request import ModelRequest
from proxy.dialects.openai.said import condense
from proxy.execution.delivery import Delivery
from proxy.execution.run import NO_HEADERS, Begun, StreamAnswer
from proxy.pool.permit import IGNORED, SUCCEEDED, Permit
from proxy.server.door import MOST_AT_ONCE
from proxy.server.flight import Base, FastTurn, Flight, Prepared
from proxy.server.wire import SSE_HEADERS, header_lines
from proxy.streams.transcript import Transcript
from proxy.upstreams.client import Timers
from proxy.upstreams.prepared_call import PreparedCall
from proxy.upstreams.transport import Exchange, UnderWay
from proxy.upstreams.ways import Ask

_STREAM_LINES: Final = header_lines(SSE_HEADERS)


class StreamFlight(Flight):
    """One request for a stream on the fast path. First its exchange wakes it, then its relay."""

    __slots__ = ("_answer", "_answered", "_transcript")

    def __init__(
        self, base: Base, turn: FastTurn, prepared: Prepared, request: ModelRequest, body_took: float, *, long: bool
    ) -> None:
        """As of a `Flight`."""
        super().__init__(base, turn, prepared, request, body_took, long=long)
        self._answer: StreamAnswer | None = None
        """Its stream, once the head of that is in."""
        self._answered: float | None = None
        """When the first content was in hand."""
        self._transcript: Transcript | None = None

    def set_result(self, nothing: None) -> None:
        """As of a `Waiter`: something came in place of the head, or the head itself."""
        exchange = self._exchange
        if exchange is None or exchange.answer.status != 200:
            super().set_result(nothing)
            return
        try:
            answer = self._stream(exchange)
            if answer is None:
                self.bail_out()
                return
            self._answer, self._exchange = answer, None
            if not answer.relay.goes_on(self):
                self._open(answer)
        except Exception as error:  # noqa: BLE001 - whatever it is, the request has to come to an end
            self._break_down(error)

    def needed(self) -> None:
        """As of an `Attendant`."""
        answer = self._answer
        if answer is None:
            return
        try:
            if self._answered is None:
                self._open(answer)
            else:
                self._end(answer, self._answered)
        except Exception as error:  # noqa: BLE001 - as above
            self._break_down(error)

    def bail_out(self, begun: UnderWay | None = None) -> None:
        """As of a `Flight`."""
        answer, turn, permit = self._answer, self._turn, self._permit
        if answer is None or permit is None:
            super().bail_out(begun)
        elif self._answered is None:
            run = self._run()
            run.begun = Begun(permit, None, self._last, self._step, answer)
            self._leave()
            turn.serve(run)
        else:
            walk = self._begin_to_walk()
            run = walk.run
            run.current, run.answered = run.plan.steps[self._step], self._answered
            self._leave()
            turn.serve(run, Delivery(walk, turn, answer, self._transcript, begun=True))

    def _send(self, call: PreparedCall | None, permit: Permit) -> UnderWay | Failure | None:
        permit.stream = True
        return super()._send(call, permit)

    def _stream(self, exchange: Exchange) -> StreamAnswer | None:
        """The stream that has begun with this head; None where that is for the engine to look at."""
        prepared, permit = self._prepared, self._permit
        call = prepared.calls[self._step]
        if permit is None or call is None or self._walk is not None:
            return None
        timeouts, deadline = prepared.usual.steps[self._step].timeouts, self._turn.since + prepared.patience
        until = deadline if self._last else min(deadline, exchange.asked_at + timeouts.first_token)
        timers = Timers(timeouts.connect, until, timeouts.idle, deadline)
        return self._base.attempts.stream_prepared(
            permit, call, exchange, Ask(self._request, hold=prepared.hold), timers
        )

    def _open(self, answer: StreamAnswer) -> None:
        """Show the client the first content, and let the rest go on."""
        base, turn, relay = self._base, self._turn, answer.relay
        first = relay.opened(MOST_AT_ONCE) if turn.takes else None
        if first is None:
            self.bail_out()
            return
        base.attempts.opened(answer)
        self._answered = answered = base.clock()
        if self._prepared.route.resume is not None:
            self._transcript = Transcript(condense, base.executor.world.transcripts)
            self._transcript.add(first)
        turn.stream_with(self._lines(answer, answered), turn.since + self._prepared.patience, first)
        # It has been told; it would live as long as the stream.
        answer.headers = answer.limits = NO_HEADERS
        relay.connect(turn, self._transcript)
        if not relay.goes_on(self):
            self._end(answer, answered)

    def _lines(self, answer: StreamAnswer, answered: float) -> str:
        """The lines of headers above a stream whose first content was in hand at this moment."""
        lasted = self._base.clock() - answer.started
        lines = self._lines_above(lasted, answered - self._turn.since) + _STREAM_LINES
        return header_lines(answer.headers) + lines if answer.headers else lines

    def _end(self, answer: StreamAnswer, answered: float) -> None:
        """Tell the client that it has all of the stream, and write down what happened; as of `_lines`."""
        base, turn, relay = self._base, self._turn, answer.relay
        if not relay.whole or not turn.takes:
            self.bail_out()
            return
        self._leave()
        ended: list[AttemptEnded] = []
        base.attempts.finish(answer, SUCCEEDED, ended)
        self._let_transcript_go()
        if self._long:
            base.executor.note_size(self._request, answer.permit.deployment.id, relay.usage)
        turn.end_stream()
        record = self._record()
        self._note_first(record, ended[0], relay.usage, answered - turn.since)
        self._note(record)
        base.lifecycle.over(turn)
        turn.over()

    def _break_down(self, error: Exception) -> None:
        answer = self._answer
        if answer is not None and not answer.permit.spent:
            self._base.attempts.finish(answer, IGNORED, [])
        self._let_transcript_go()
        super()._break_down(error)

    def _let_transcript_go(self) -> None:
        if self._transcript is not None:
            self._transcript.close()
            self._transcript = None
