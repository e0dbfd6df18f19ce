"""One request's walk along its chain: it gets permits and places, makes attempts, and writes down what came of them.

A walk is also the *means* of its request: what it may spend on retries, whether it may wait for a place, whether an
earlier answer is kept for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field

from proxy.core.event import BudgetRefused, FailedOver, Happening
from proxy.core.failure import Failure, FailureClass
from proxy.core.wire import Wire
from proxy.dialects.embeddings import EMBEDDINGS
from proxy.dialects.openai.graft import Resumption
from proxy.execution.attempt import Attempts
from proxy.execution.kept import Kept, KeptAnswers
from proxy.execution.relay import Attendant, Clock
from proxy.execution.run import JsonAnswer, Result, Run, StreamAnswer
from proxy.execution.waiting_room import Place, WaitingRoom
from proxy.pool.budgets import Budgets
from proxy.pool.permit import IGNORED, Permit
from proxy.pool.pool import Pool
from proxy.pool.standing import Hold, Standing
from proxy.routing.dimensions import Dimensions
from proxy.routing.eligibility import plain_tokens
from proxy.routing.next_move import Attempt, Queue
from proxy.routing.plan import Plan, PlannedStep
from proxy.routing.sizes import Sizes
from proxy.streams.resume import HoldBack
from proxy.streams.transcript import Room
from proxy.upstreams.ways import Ask

_JITTER = 0.1
_MOST_JITTER_S = 1.0
_SILENCE_SHARE = 0.9
"""Whoever is silent for nearly all the time that its route gives to a request has had its chance: without this, one
that hangs would never be blamed on a route whose deadline is shorter than its timers."""


@dataclass(frozen=True, slots=True)
class World:
    """What all walks share."""

    attempts: Attempts
    pool: Pool
    budgets: Budgets
    room: WaitingRoom
    emit: Callable[[Happening], None]
    clock: Clock
    """Monotonic, in seconds, and the event loop's."""
    roll: Callable[[], float]
    """Draws luck from 0 to 1."""
    load: Callable[[], float]
    """The share of the server's places that are taken."""
    kept: KeptAnswers = field(default_factory=KeptAnswers)
    sizes: Sizes = field(default_factory=Sizes)
    transcripts: Room = field(default_factory=Room)
    dimensions: Dimensions = field(default_factory=Dimensions)


def hold_of(plan: Plan) -> HoldBack:
    """What of a stream is kept back until it is complete."""
    # What is held can be hidden only where somebody else can say it.
    return HoldBack.NONE if plan.resume is None or len(plan.steps) < 2 else plan.resume.hold


class Walk:
    """The walk of one request."""

    __slots__ = ("run", "world")

    def __init__(self, world: World, run: Run) -> None:
        self.world = world
        self.run = run

    # Its means, as `next_move` asks for them.

    def pays(self, step: int) -> bool:
        """Whether the budgets pay for an extra attempt on a step."""
        run, planned = self.run, self.run.plan.steps[step]
        allowed = self.world.budgets.allows(planned.deployment.upstream, self.world.clock())
        if not allowed:
            self.tell_refusal(planned, "retry" if run.history.of(run.plan, step) else "panic")
        return allowed

    def may_queue(self) -> bool:
        """Whether there is room to wait for a place."""
        return self.world.room.has_room

    def has_kept(self) -> bool:
        """Whether an earlier good answer to the same request is at hand."""
        return self.kept() is not None

    def kept(self) -> Kept | None:
        """That answer."""
        run, resort = self.run, self.run.plan.last_resort
        if run.keep_as is None or resort is None or resort.cached is None:
            return None
        return self.world.kept.find(run.keep_as, resort.cached, self.world.clock())

    # Its moves.

    def standings(self, now: float) -> list[Standing]:
        """Where each step stands; steps that have to be passed over are written down."""
        run, pool = self.run, self.world.pool
        standings = [pool.standing(step.deployment, step.rules, now) for step in run.plan.steps]
        for step, standing in zip(run.plan.steps, standings, strict=True):
            if standing.hold is None and standing.share > run.history.luck:
                continue
            if step.place not in run.passed_over:
                run.passed_over = {**run.passed_over, step.place: standing.cause or "spared"}
                asked = any(attempt.deployment == step.deployment for attempt in run.ended)
                if standing.hold in {Hold.OPEN, Hold.PROBING} and not asked:
                    pool.count_rejected(step.deployment, step.rules, now)
        return standings

    async def admitted(self, move: Attempt) -> tuple[int, Permit] | None:
        """The step with a permit for it, when it is time; None when something has come between."""
        await self._wait(move)
        permit = self.admit(move)
        return None if permit is None else (move.step, permit)

    def admit(self, move: Attempt) -> Permit | None:
        """A permit for a move whose time has come; None when something has come between."""
        self.run.history.panicked |= move.panic
        step, now = self.run.plan.steps[move.step], self.world.clock()
        permit = self.world.pool.admit(step.deployment, step.rules, now, early=move.panic)
        if isinstance(permit, Standing):
            # It began to be held since the move was chosen, so there is another one to choose.
            return None
        for event in permit.events:
            self.world.emit(event)
        if not move.retry:
            self.world.budgets.first_attempt(step.deployment.upstream, now)
        elif not self.world.budgets.withdraw(step.deployment.upstream, now):
            self.world.attempts.report(permit, IGNORED)
            return None
        return permit

    async def place(self, move: Queue) -> tuple[int, Permit] | None:
        """One of some steps with a permit for it, when a place there comes free; None when none does."""
        steps, clock = self.run.plan.steps, self.world.clock
        started = clock()
        try:
            handed = await self.world.room.wait(
                self.world.pool,
                [Place(step, steps[step].deployment, steps[step].rules) for step in move.steps],
                move.until,
            )
        finally:
            self.run.waited += clock() - started
        if handed is None:
            return None
        step, permit = handed
        upstream = steps[step].deployment.upstream
        if not self.run.history.retries(self.run.plan, step):
            self.world.budgets.first_attempt(upstream, clock())
        elif not self.world.budgets.withdraw(upstream, clock()):
            self.world.attempts.report(permit, IGNORED)
            return None
        return handed

    def make(
        self,
        step: int,
        permit: Permit,
        *,
        last: bool = False,
        resumption: Resumption | None = None,
        attendant: Attendant | None = None,
    ) -> Coroutine[None, None, Result]:
        """One attempt on a step, for its permit; with a `resumption`, to go on with a broken answer."""
        run = self.run
        begun = run.begun if run.begun is not None and run.begun.permit is permit else None
        return self.world.attempts.make(
            permit,
            run.plan.steps[step],
            Ask(
                run.request,
                run.history.refused_fields(run.plan, step) if run.history.tried else (),
                hold_of(run.plan),
                resumption,
                None if begun is None else begun.under_way,
            ),
            last=last,
            deadline=run.plan.deadline,
            silence=_SILENCE_SHARE * run.plan.route_patience,
            ended=run.ended,
            gated=None if begun is None else begun.gated,
            attendant=attendant,
        )

    def judge(self, step: int, result: Result) -> JsonAnswer | StreamAnswer | None:
        """The answer, if it is one; a failure is written down."""
        run = self.run
        if isinstance(result, Failure):
            now = self.world.clock()
            if result.kind is FailureClass.CONTEXT_TOO_LONG:
                estimate = plain_tokens(run.request)
                deployment = run.plan.steps[step].deployment
                self.world.sizes.refused(deployment, estimate, result.prompt, result.window, now)
            run.history.record(run.plan, step, result, now, self.world.roll())
            return None
        if run.request.wire is Wire.EMBEDDINGS and (problem := self._other_vectors(result)) is not None:
            # Its permit is given back as a success: the deployment did what it was asked.
            run.history.record(run.plan, step, problem, self.world.clock(), self.world.roll())
            return None
        run.current = run.plan.steps[step]
        return result

    def _other_vectors(self, answer: JsonAnswer | StreamAnswer) -> Failure | None:
        """Why vectors cannot stand beside those that the route gave before; None if they can."""
        plan, asked = self.run.plan, bytes(self.run.request.fields.get("dimensions", b"null"))
        got = EMBEDDINGS.dimension_of(answer.body) if isinstance(answer, JsonAnswer) else None
        if got is None or plan.mixed_dimensions:
            return None
        # Behind a glob each name that is asked for is a model of its own.
        name = self.run.request.model
        problem = self.world.dimensions.problem(name, int(asked) if asked.isdigit() else None, got)
        return None if problem is None else Failure(FailureClass.BAD_ANSWER, "other_dimension", problem)

    def go_to(self, step: int) -> None:
        """Note where the request is sent now, and tell if that is a failover."""
        run, planned = self.run, self.run.plan.steps[step]
        if run.current is not None and run.current.deployment != planned.deployment:
            reason = run.history.tried[-1].failure.code if run.history.tried else "held"
            self.world.emit(FailedOver(run.plan.route, run.current.deployment, planned.deployment, reason))
        run.current = planned

    def tell_refusal(self, step: PlannedStep, purpose: str) -> None:
        """Tell, once for each request and purpose, that a budget did not pay."""
        if purpose not in self.run.refused:
            self.run.refused |= {purpose}
            self.world.emit(BudgetRefused(step.deployment, purpose))

    async def _wait(self, move: Attempt) -> None:
        """Wait for the move, and up to a tenth longer, so that all who wait for one rest do not come back as one."""
        run, clock = self.run, self.world.clock
        started = clock()
        wait = move.at - started
        if wait <= 0:
            return
        late = wait + self.world.roll() * min(_MOST_JITTER_S, wait * _JITTER)
        until = started + (late if started + late < run.plan.deadline else wait)
        # Timers may fire early by the clock's resolution, and coming back too early would be refused.
        while (left := until - clock()) > 0:  # noqa: ASYNC110 - it is time that is waited for, not an event
            await asyncio.sleep(left)
        run.waited += clock() - started
        run.history.waited(move.step, wait)
