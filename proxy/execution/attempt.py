"""One attempt: permit, call, gate, report. The order is fixed and written once, here.

Deadline above everything; then the pool's permit, so that a deployment that is out is not called; then the call with
its timers; then, for a stream, holding until content; then the report, exactly once, whatever happened: success,
failure, or ignored when the attempt was cancelled because the client left or another attempt was faster.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import msgspec

from proxy.core.cost import cost_of
from proxy.core.event import AttemptEnded, BreakerChanged, Happening
from proxy.core.failure import DEADLINE_EXCEEDED, Failure, FailureClass
from proxy.core.names import DeploymentId
from proxy.core.wire import Wire
from proxy.dialects.headroom import headroom
from proxy.dialects.openai.chat import Completion
from proxy.dialects.prefill import Prefill
from proxy.execution.relay import Attendant, Clock, Relay
from proxy.execution.run import JsonAnswer, StreamAnswer
from proxy.execution.waiting_room import WaitingRoom
from proxy.pool.permit import IGNORED, SUCCEEDED, Outcome, Permit
from proxy.pool.pool import Pool
from proxy.routing.plan import PlannedStep
from proxy.upstreams.client import Timers, UpstreamClient
from proxy.upstreams.headers import notable
from proxy.upstreams.prepared_call import PreparedCall
from proxy.upstreams.replies import JsonReply, StreamReply
from proxy.upstreams.transport import Exchange
from proxy.upstreams.ways import Ask

_SILENT: Final = Failure(FailureClass.TIMEOUT, "first_token_timeout")
"""What a deployment is charged with that was silent for as long as it may be, when the deadline ended the attempt."""

_USUAL_PRICE: Final = frozenset({b'"auto"', b'"default"', b"null"})
"""Values of `service_tier` under which the usual prices hold."""


def _is_deadline(outcome: Outcome) -> bool:
    return isinstance(outcome, Failure) and outcome.code == DEADLINE_EXCEEDED


def _is_aside(outcome: Outcome) -> bool:
    """Whether what came of a count of tokens says nothing of how a deployment answers: it asks no model."""
    return outcome.verdict.counts if isinstance(outcome, Failure) else outcome == SUCCEEDED


def _usage_of(completion: Completion) -> bytes | None:
    """The usage as it stands in an answer."""
    return None if completion.usage is None else b'{"usage":%s}' % completion.usage


class Attempts:
    """Makes attempts, and keeps the books about them."""

    def __init__(
        self,
        client: UpstreamClient,
        pool: Pool,
        room: WaitingRoom,
        emit: Callable[[Happening], None],
        clock: Clock,
        roll: Callable[[], float],
    ) -> None:
        """`roll` draws luck from 0 to 1; `room` is told of each place that comes free."""
        self._client = client
        self._pool = pool
        self._room = room
        self._emit = emit
        self._clock = clock
        self._roll = roll
        # Made once: each of a thousand streams would hold its own.
        self._on_heard = self._heard

    async def make(  # noqa: PLR0913 - what is asked, by when, and how far it has come
        self,
        permit: Permit,
        step: PlannedStep,
        ask: Ask,
        *,
        last: bool,
        deadline: float,
        silence: float,
        ended: list[AttemptEnded],
        gated: StreamAnswer | None = None,
        attendant: Attendant | None = None,
    ) -> JsonAnswer | StreamAnswer | Failure:
        """One attempt on a step's deployment, for a permit. Its record is appended to `ended` when it is over.

        With an attendant nobody waits for the first content of a stream: the answer is `gated` as long as it is to
        come, and when the attendant is called this goes on with it.

        `silence` is for how long it may be silent before that is its fault, although a deadline ended it, in seconds.
        `last` gives the first content until the deadline, since nobody else is left to ask.
        """
        started = self._clock() if ask.begun is None else ask.begun.asked_at
        if gated is not None:
            started = gated.started
        patience = step.timeouts.first_token if ask.request.stream else step.timeouts.answer
        first_until = deadline if last else min(deadline, started + patience)
        timers = Timers(step.timeouts.connect, first_until, step.timeouts.idle, deadline)
        outcome: Outcome = IGNORED
        result: JsonAnswer | StreamAnswer | Failure | None = None
        try:
            result = await self.reach(permit, ask, timers, gated, attendant)
            outcome = result if isinstance(result, Failure) else SUCCEEDED
        finally:
            if not isinstance(result, StreamAnswer):
                silent = _is_deadline(outcome) and self._clock() - started >= min(patience, silence)
                usage = result.usage if isinstance(result, JsonAnswer) else None
                charged: Outcome | None = _SILENT if silent else None
                if ask.request.wire is Wire.COUNT_TOKENS and _is_aside(outcome):
                    charged = IGNORED
                ended.append(self._end(permit, outcome, started, usage, charged=charged))
        return result

    def prepared(self, deployment: DeploymentId) -> PreparedCall | None:
        """As `UpstreamClient.prepared`."""
        return self._client.prepared(deployment)

    def end_prepared(
        self, permit: Permit, call: PreparedCall, exchange: Exchange
    ) -> tuple[JsonAnswer | Failure, AttemptEnded] | None:
        """End an attempt that a prepared call has begun; None if it is still to be brought to its end by `make`."""
        completion = call.read(exchange)
        if completion is None:
            return None
        if isinstance(completion, Failure):
            return completion, self._end(permit, completion, exchange.asked_at, None)
        passed, limits = notable(exchange.answer)
        if limits:
            self._heed_headroom(permit, limits)
        usage = _usage_of(completion)
        duration = self._clock() - exchange.asked_at
        cost = None if usage is None or call.price is None else cost_of(usage, call.price)
        self.report(permit, SUCCEEDED)
        ended = AttemptEnded(permit.deployment.id, "ok", duration, 200, cost)
        self._emit(ended)
        return JsonAnswer(completion.body, passed, (), usage), ended

    def stream_prepared(
        self, permit: Permit, call: PreparedCall, exchange: Exchange, ask: Ask, timers: Timers
    ) -> StreamAnswer | None:
        """The stream that a prepared call has begun, of which nothing is read yet; None where `make` is to look at it.

        `timers` are as of `make`; that a connection was opened is past.
        """
        reply = call.stream(exchange, ask)
        return None if reply is None else self._stream(permit, reply, timers, exchange.asked_at)

    def end_refused(self, permit: Permit, failure: Failure, started: float) -> AttemptEnded:
        """End an attempt that a prepared call could not begin."""
        return self._end(permit, failure, started, None)

    async def reach(
        self,
        permit: Permit,
        ask: Ask,
        timers: Timers,
        gated: StreamAnswer | None = None,
        attendant: Attendant | None = None,
    ) -> JsonAnswer | StreamAnswer | Failure:
        """Call, and for a stream hold until content. The permit is still to be reported."""
        known = permit.deployment.refused_parameters
        if known:
            ask = msgspec.structs.replace(ask, without={*known, *ask.without})
        result = gated or await self._call(permit, ask, timers)
        if not isinstance(result, StreamAnswer):
            return result
        relay, first, opened = result.relay, None, False
        try:
            first = await relay.gate(attendant)
            opened = not isinstance(first, Failure)
        finally:
            if not opened:
                relay.close()
        if isinstance(first, Failure):
            return self._client.judged(first, permit.deployment.id, ask)
        if first is not None:
            result.first = first
            self.opened(result)
        return result

    def opened(self, answer: StreamAnswer) -> None:
        """A stream has content in hand: from now on its answer is a good one."""
        if answer.limits:
            self._heed_headroom(answer.permit, answer.limits)

    async def _call(self, permit: Permit, ask: Ask, timers: Timers) -> JsonAnswer | StreamAnswer | Failure:
        """Call; of a stream nothing is read yet."""
        started = self._clock() if ask.begun is None else ask.begun.asked_at
        permit.stream = ask.request.stream
        if ask.request.wire is Wire.EMBEDDINGS:
            permit.embeds = True
        if (tier := ask.request.fields.get("service_tier")) is not None:
            permit.priced = bytes(tier) in _USUAL_PRICE
        reply = await self._client.call(permit.deployment.id, permit.key, ask, timers)
        if isinstance(reply, Failure):
            return reply
        if isinstance(reply, JsonReply):
            if reply.limits:
                self._heed_headroom(permit, reply.limits)
            completion = reply.completion
            return JsonAnswer(completion.body, reply.headers, reply.dropped, _usage_of(completion), reply.wire)
        return self._stream(permit, reply, timers, started)

    def _stream(self, permit: Permit, reply: StreamReply, timers: Timers, started: float) -> StreamAnswer:
        relay = Relay(
            reply.exchange,
            reply.splice,
            idle=timers.idle,
            deadline=timers.deadline,
            first_until=timers.first_until,
            clock=self._clock,
            permit=permit,
            heard=self._on_heard,
        )
        return StreamAnswer(b"", relay, permit, started, reply.headers, reply.dropped, reply.wire, reply.limits)

    def prefill(self, deployment: DeploymentId) -> Prefill | None:
        """As `UpstreamClient.prefill`."""
        return self._client.prefill(deployment)

    def finish(self, answer: StreamAnswer, outcome: Outcome, ended: list[AttemptEnded]) -> None:
        """The stream is over: close it and report."""
        answer.relay.close()
        ended.append(self._end(answer.permit, outcome, answer.started, answer.relay.usage))

    def report(self, permit: Permit, outcome: Outcome) -> None:
        """Give a permit back, tell what that changed, and let somebody else have the place."""
        events = self._pool.report(permit, outcome, self._clock(), self._roll())
        if events:
            self._tell(events)
        self._room.freed(permit.deployment.id)

    def _heard(self, permit: Permit) -> None:
        """A stream's first content has come."""
        permit.good_at = self._clock()
        self._tell(self._pool.first_content(permit, permit.good_at))

    def _end(
        self,
        permit: Permit,
        outcome: Outcome,
        started: float,
        usage: bytes | None,
        charged: Outcome | None = None,
    ) -> AttemptEnded:
        """Report, and tell; `charged` is what the pool is told instead of the outcome."""
        duration = self._clock() - started
        cost = None
        if usage is not None and permit.priced and (price := self._client.price(permit.deployment.id)) is not None:
            cost = cost_of(usage, price)
        self.report(permit, outcome if charged is None else charged)
        if isinstance(outcome, Failure):
            record = AttemptEnded(permit.deployment.id, outcome.code, duration, outcome.status, cost)
        elif outcome == SUCCEEDED:
            record = AttemptEnded(permit.deployment.id, "ok", duration, 200, cost)
        else:
            record = AttemptEnded(permit.deployment.id, "lost" if permit.lost else "cancelled", duration, cost=cost)
        self._emit(record)
        return record

    def _heed_headroom(self, permit: Permit, limits: Mapping[str, str]) -> None:
        """A good answer may say that the next one would be refused."""
        told = headroom(limits, permit.deployment.in_flight - 1, time.time())
        if told is not None:
            self._tell(self._pool.note_headroom(permit, told.share, told.wait, self._clock()))

    def _tell(self, events: Iterable[Happening]) -> None:
        for event in events:
            self._emit(event)
            if isinstance(event, BreakerChanged) and event.target == "closed":
                # Those who wait for a place elsewhere may have one there.
                self._room.look_around()
