"""Asks a deployment a small real question, in the mode that its traffic uses, and judges the answer.

A server can be alive and say nothing that makes sense, so what counts is what it says: the answer must contain what was
expected. The probe goes the way of every attempt, with a permit of the pool, so the breaker that lets it in half-open
hears how it went.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from proxy.config.settings import HealthSettings
from proxy.core.chat import parse_chat
from proxy.core.event import Happening, ProbeEnded
from proxy.core.failure import Failure, FailureClass
from proxy.core.names import DeploymentId
from proxy.core.request import ModelRequest
from proxy.dialects.answer_text import answer_text, stream_text
from proxy.dialects.embeddings import EMBEDDINGS
from proxy.execution.attempt import Attempts
from proxy.execution.relay import Clock
from proxy.execution.run import StreamAnswer
from proxy.health.schedule import Cause
from proxy.pool.permit import IGNORED, SUCCEEDED, Outcome, Permit
from proxy.pool.pool import Pool
from proxy.upstreams.client import Timers
from proxy.upstreams.ways import Ask

_MOST_HEARD = 1024 * 1024


class Probed(NamedTuple):
    """What came of a probe: `outcome` is `ok`, or a failure's code; `message` says more, for people."""

    outcome: str
    duration: float
    message: str = ""


class Prober:
    """Asks, one deployment at a time."""

    def __init__(self, attempts: Attempts, pool: Pool, emit: Callable[[Happening], None], clock: Clock) -> None:
        self._attempts = attempts
        self._pool = pool
        self._emit = emit
        self._clock = clock

    async def probe(self, id_: DeploymentId, settings: HealthSettings, connect: float, cause: Cause) -> Probed | None:
        """Ask; None when the deployment may not be asked now. `connect` is in seconds.

        An operator's probe is let in by an open breaker before its time.
        """
        permit = self._pool.admit_probe(id_, self._clock(), early=cause == "operator")
        if permit is None:
            return None
        for event in permit.events:
            self._emit(event)
        started = self._clock()
        # The first content has to come within the timeout, and all of it within twice that: of a silence the deployment
        # has to answer for, not a deadline, which would blame nobody.
        timers = Timers(connect, started + settings.timeout, settings.timeout, started + 2 * settings.timeout)
        outcome: Outcome = IGNORED
        try:
            outcome = await self._ask(permit, settings, timers)
        finally:
            self._attempts.report(permit, outcome)
            duration = self._clock() - started
            code = outcome.code if isinstance(outcome, Failure) else "ok" if outcome == SUCCEEDED else "cancelled"
            self._emit(ProbeEnded(id_, code, duration, cause))
        return Probed(code, duration, outcome.message if isinstance(outcome, Failure) else "")

    async def _ask(self, permit: Permit, settings: HealthSettings, timers: Timers) -> Outcome:
        if permit.deployment.embeds:
            # Vectors say nothing that could be judged but that there are any, which is checked of every answer.
            vectors = await self._attempts.reach(permit, Ask(_input(settings.prompt)), timers)
            return vectors if isinstance(vectors, Failure) else SUCCEEDED
        question = _question(settings.prompt, stream=permit.deployment.streams)
        answer = await self._attempts.reach(permit, Ask(question), timers)
        if isinstance(answer, Failure):
            return answer
        if not isinstance(answer, StreamAnswer):
            return _judge(answer_text(answer.body), settings.expect)
        ear = _Ear(answer.first)
        try:
            answer.relay.connect(ear)
            failure = await answer.relay.run()
        finally:
            answer.relay.close()
        return failure or _judge(stream_text(bytes(ear.heard)), settings.expect)


class _Ear:
    """Where the answer to a probe goes."""

    def __init__(self, first: bytes) -> None:
        self.heard = bytearray(first)

    def push(self, data: bytes, chunk: bytes | None = None) -> bool:
        del chunk
        self.heard += data[: max(0, _MOST_HEARD - len(self.heard))]
        return True

    def line(self) -> None:
        """None: all of it is looked at here."""

    async def write(self, data: bytes) -> None:
        self.push(data)


def _question(prompt: str, *, stream: bool) -> ModelRequest:
    messages = [{"role": "user", "content": prompt}]
    return parse_chat(msgspec.json.encode({"model": "probe", "messages": messages, "stream": stream}))


def _input(prompt: str) -> ModelRequest:
    return EMBEDDINGS.parse(msgspec.json.encode({"model": "probe", "input": prompt}))


def _judge(said: str, expected: str) -> Outcome:
    if expected.casefold() in said.casefold():
        return SUCCEEDED
    return Failure(FailureClass.BAD_ANSWER, "unexpected_answer", f"the answer does not contain {expected!r}")
