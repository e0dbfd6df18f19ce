"""One attempt: permit, call, gate, report. The order is fixed and written once, here.

Deadline above everything; then the pool's permit, so that a resting deployment is not called; then the call with its
timers; then, for a stream, holding until content; then the report, exactly once, whatever happened: success,
failure, or ignored when the attempt was cancelled because the client left.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from proxy.core.chat import ChatRequest
from proxy.core.event import AttemptEnded, Happening
from proxy.core.failure import DEADLINE_EXCEEDED, Failure, FailureClass
from proxy.execution.relay import Clock, Relay
from proxy.pool.pool import IGNORED, SUCCEEDED, Outcome, Permit, Pool
from proxy.routing.plan import PlannedStep
from proxy.upstreams.client import JsonReply, Timers, UpstreamClient


@dataclass(frozen=True, slots=True)
class JsonAnswer:
    """A whole answer; its attempt is over."""

    body: bytes
    headers: Mapping[str, str]
    dropped: tuple[str, ...]
    usage: bytes | None


@dataclass(frozen=True, slots=True)
class StreamAnswer:
    """A stream with content in hand; its attempt goes on until `Attempts.finish`."""

    first: bytes
    relay: Relay
    permit: Permit
    started: float
    headers: Mapping[str, str]
    dropped: tuple[str, ...]


_SILENT = Failure(FailureClass.TIMEOUT, "first_token_timeout")
"""What a deployment is charged with that was silent for as long as it may be, when the deadline ended the attempt."""


def _is_deadline(outcome: Outcome) -> bool:
    return isinstance(outcome, Failure) and outcome.code == DEADLINE_EXCEEDED


class Attempts:
    """Makes attempts, and keeps the books about them."""

    def __init__(self, client: UpstreamClient, pool: Pool, emit: Callable[[Happening], None], clock: Clock) -> None:
        self._client = client
        self._pool = pool
        self._emit = emit
        self._clock = clock

    async def make(
        self,
        permit: Permit,
        step: PlannedStep,
        request: ChatRequest,
        without: Collection[str],
        *,
        last: bool,
        deadline: float,
        ended: list[AttemptEnded],
    ) -> JsonAnswer | StreamAnswer | Failure:
        """One attempt on a step's deployment, for a permit. Its record is appended to `ended` when it is over.

        `without` names fields that the deployment has rejected in this request. `last` gives the first content until
        the deadline, since nobody else is left to ask.
        """
        started = self._clock()
        patience = step.timeouts.first_token if request.stream else step.timeouts.answer
        first_until = deadline if last else min(deadline, started + patience)
        timers = Timers(step.timeouts.connect, first_until, step.timeouts.idle, deadline)
        outcome: Outcome = IGNORED
        result: JsonAnswer | StreamAnswer | Failure | None = None
        try:
            result = await self._reach(permit, request, without, timers, started)
            outcome = result if isinstance(result, Failure) else SUCCEEDED
        finally:
            if not isinstance(result, StreamAnswer):
                silent = _is_deadline(outcome) and self._clock() - started >= patience
                self._report(permit, outcome, started, ended, charged=_SILENT if silent else None)
        return result

    async def _reach(
        self, permit: Permit, request: ChatRequest, without: Collection[str], timers: Timers, started: float
    ) -> JsonAnswer | StreamAnswer | Failure:
        """Call, and for a stream hold until content."""
        refused = {*permit.deployment.refused_parameters, *without}
        reply = await self._client.call(permit.deployment.id, permit.key, request, without=refused, timers=timers)
        if isinstance(reply, Failure):
            return reply
        if isinstance(reply, JsonReply):
            completion = reply.completion
            usage = None if completion.usage is None else b'{"usage":%s}' % completion.usage
            return JsonAnswer(completion.body, reply.headers, reply.dropped, usage)
        relay = Relay(reply.exchange, reply.splice, idle=timers.idle, deadline=timers.deadline, clock=self._clock)
        first: bytes | Failure | None = None
        try:
            first = await relay.gate(timers.first_until)
        finally:
            if not isinstance(first, bytes):
                relay.close()
        if isinstance(first, Failure):
            return first
        return StreamAnswer(first, relay, permit, started, reply.headers, reply.dropped)

    def finish(self, answer: StreamAnswer, outcome: Outcome, ended: list[AttemptEnded]) -> None:
        """The stream is over: close it and report."""
        answer.relay.close()
        self._report(answer.permit, outcome, answer.started, ended)

    def _report(
        self,
        permit: Permit,
        outcome: Outcome,
        started: float,
        ended: list[AttemptEnded],
        charged: Failure | None = None,
    ) -> None:
        """Tell the pool and the listeners; `charged` is what the pool is told instead of the outcome."""
        now = self._clock()
        for event in self._pool.report(permit, charged or outcome, now):
            self._emit(event)
        if isinstance(outcome, Failure):
            record = AttemptEnded(permit.deployment.id, outcome.code, now - started, outcome.status)
        elif outcome == SUCCEEDED:
            record = AttemptEnded(permit.deployment.id, "ok", now - started, 200)
        else:
            record = AttemptEnded(permit.deployment.id, "cancelled", now - started)
        ended.append(record)
        self._emit(record)
