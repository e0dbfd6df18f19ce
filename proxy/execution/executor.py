"""The loop over a chain: ask `routing/next_move.py` what to do, do it, write down what happened, ask again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from proxy.core.chat import ChatRequest
from proxy.core.event import AttemptEnded, FailedOver, Happening, RetryRefused, StreamInterrupted
from proxy.core.failure import Failure
from proxy.execution.attempt import Attempts, JsonAnswer, StreamAnswer
from proxy.execution.relay import Clock
from proxy.policies.retry_budget import RetryBudget
from proxy.pool.deployment import Rest
from proxy.pool.pool import IGNORED, SUCCEEDED, Outcome, Pool
from proxy.routing.explain import give_up_error, returned_error
from proxy.routing.next_move import Attempt, GiveUp, History, LastResort, Return, next_move
from proxy.routing.plan import Plan, PlannedStep

_JITTER = 0.1
_MOST_JITTER_S = 1.0


@dataclass(slots=True)
class Run:
    """One request on its way through a plan: what is known so far, for headers, log and error messages."""

    plan: Plan
    request: ChatRequest
    started: float
    history: History = field(default_factory=History)
    ended: list[AttemptEnded] = field(default_factory=list)
    """The attempts that are over, in order."""
    current: PlannedStep | None = None
    """Where the request was sent last."""
    resting: dict[int, str] = field(default_factory=dict)
    """Places of the chain that were found resting, and what for."""
    waited: float = 0.0
    """Seconds spent waiting between attempts."""
    retry_refused: bool = False
    answered: float | None = None
    """When the first content, or the whole JSON answer, was in hand (monotonic seconds)."""


class Executor:
    """Runs plans."""

    def __init__(
        self,
        attempts: Attempts,
        pool: Pool,
        budget: RetryBudget,
        emit: Callable[[Happening], None],
        clock: Clock,
        roll: Callable[[], float],
    ) -> None:
        """`roll` draws luck from 0 to 1; `clock` is monotonic, in seconds, and the event loop's."""
        self._attempts = attempts
        self._pool = pool
        self._budget = budget
        self._emit = emit
        self._clock = clock
        self._roll = roll

    async def answer(self, run: Run) -> JsonAnswer | StreamAnswer | LastResort:
        """An answer for the client: whole, or a stream with its first content in hand. Raises ClientError."""
        plan = run.plan
        self._budget.deposit(self._clock())
        while True:
            now = self._clock()
            standings = [self._pool.standing(step.deployment, now) for step in plan.steps]
            for step, standing in zip(plan.steps, standings, strict=True):
                if standing.rest is not None:
                    run.resting[step.place] = standing.rest.reason
            move = next_move(plan, run.history, standings, lambda: self._may_retry(run), now)
            if isinstance(move, LastResort):
                return move
            if isinstance(move, Return):
                raise returned_error(move.failure)
            if isinstance(move, GiveUp):
                raise give_up_error(move, plan, run.ended, standings, now)
            answer = await self._attempt(run, move)
            if answer is not None:
                run.answered = self._clock()
                return answer

    async def relay(self, run: Run, answer: StreamAnswer, write: Callable[[bytes], Awaitable[None]]) -> Failure | None:
        """Forward a stream to its end; returns None for a whole answer, or the failure that broke it.

        A failure here comes after the commit point: the client has seen a part. What was sent and why it broke are in
        hand at this place, so this is where a broken answer would be continued on another deployment.
        """
        outcome: Outcome = IGNORED
        try:
            await write(answer.first)
            failure = await answer.relay.run(write)
            outcome = SUCCEEDED if failure is None else failure
        finally:
            self._attempts.finish(answer, outcome, run.ended)
        if failure is not None:
            self._emit(StreamInterrupted(answer.permit.deployment.id, failure.code))
        return failure

    async def _attempt(self, run: Run, move: Attempt) -> JsonAnswer | StreamAnswer | None:
        step = run.plan.steps[move.step]
        await self._wait(run, move)
        permit = self._pool.admit(step.deployment, self._clock())
        if isinstance(permit, Rest):
            # It began to rest since the move was chosen, so there is another one to choose.
            return None
        if move.retry and not self._budget.withdraw(self._clock()):
            self._pool.report(permit, IGNORED, self._clock())
            return None
        self._tell_failover(run, step)
        run.current = step
        without = run.history.refused_fields(run.plan, move.step)
        result = await self._attempts.make(
            permit, step, run.request, without, last=move.last, deadline=run.plan.deadline, ended=run.ended
        )
        if isinstance(result, Failure):
            run.history.record(run.plan, move.step, result, self._clock(), self._roll())
            return None
        return result

    async def _wait(self, run: Run, move: Attempt) -> None:
        """Wait for the move, and up to a tenth longer, so that all who wait for one rest do not come back as one."""
        wait = move.at - self._clock()
        if wait <= 0:
            return
        late = wait + self._roll() * min(_MOST_JITTER_S, wait * _JITTER)
        until = self._clock() + (late if self._clock() + late < run.plan.deadline else wait)
        started = self._clock()
        # Timers may fire early by the clock's resolution, and coming back too early would be refused.
        while (left := until - self._clock()) > 0:  # noqa: ASYNC110 - it is time that is waited for, not an event
            await asyncio.sleep(left)
        run.waited += self._clock() - started
        run.history.waited(move.step, wait)

    def _tell_failover(self, run: Run, step: PlannedStep) -> None:
        if run.current is not None and run.current.deployment != step.deployment:
            reason = run.history.tried[-1].failure.code if run.history.tried else "resting"
            self._emit(FailedOver(run.plan.route, run.current.deployment, step.deployment, reason))

    def _may_retry(self, run: Run) -> bool:
        allowed = self._budget.allows(self._clock())
        if not allowed and not run.retry_refused and run.current is not None:
            run.retry_refused = True
            self._emit(RetryRefused(run.current.deployment))
        return allowed
