"""The loop over a chain: ask `routing/next_move.py` what to do, do it, write down what happened, ask again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import msgspec

from proxy.core.event import Degraded, Shed
from proxy.core.names import DeploymentId
from proxy.core.request import ModelRequest
from proxy.core.wire import Wire
from proxy.execution.contest import delay_of_hedge, run_hedged, run_parallel
from proxy.execution.delivery import Delivery
from proxy.execution.kept import Copy, Kept, name_of
from proxy.execution.outlet import Outlet
from proxy.execution.relay import Attendant
from proxy.execution.run import Answer, Begun, JsonAnswer, ResortAnswer, Run, StreamAnswer
from proxy.execution.walk import Walk, World
from proxy.pool.permit import Permit
from proxy.pool.snapshot import pull
from proxy.pool.standing import FREE, Standing
from proxy.routing.eligibility import is_telling, plain_tokens, refusal
from proxy.routing.explain import give_up_error, returned_error
from proxy.routing.next_move import Attempt, GiveUp, LastResort, Queue, Return, next_move
from proxy.routing.strategy import draw_order
from proxy.telemetry.usage import read_usage

_WITHOUT_WORDS = frozenset({Wire.EMBEDDINGS, Wire.COUNT_TOKENS})
"""Languages in which a text is no answer."""


class Executor:
    """Runs plans."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def answer(self, run: Run, attendant: Attendant | None = None) -> Answer:
        """An answer for the client: whole, or a stream with its first content in hand. Raises ClientError.

        With an attendant the stream may be `gated`: then this is to be called again when that is called.
        """
        if not run.plan.steps:
            _check_suits_any(run)
        walk, clock = Walk(self.world, run), self.world.clock
        begun, answer = self._take_up(run, clock()), None
        if begun is not None:
            answer = await self._try(walk, begun.step, begun.permit, attendant, last=begun.last)
        while answer is None:
            now = clock()
            standings = walk.standings(now)
            move = next_move(run.plan, run.history, standings, walk, now)
            if not isinstance(move, Attempt | Queue):
                return self._in_the_end(walk, move, standings, now)
            admitted = await (walk.admitted(move) if isinstance(move, Attempt) else walk.place(move))
            answer = None if admitted is None else await self._try(walk, *admitted, attendant, last=move.last)
        return self._answered(run, answer)

    def _take_up(self, run: Run, now: float) -> Begun | None:
        """The attempt with which to go on where a run is; None if `next_move` has to be asked."""
        if run.walked:
            return run.begun
        run.walked, run.history.luck = True, self.world.roll()
        return run.begun or self._begin(run, now)

    def _in_the_end(
        self, walk: Walk, move: LastResort | Return | GiveUp, standings: Sequence[Standing], now: float
    ) -> ResortAnswer:
        """What there is when nobody is left to be asked. Raises ClientError if that is nothing."""
        run = walk.run
        if isinstance(move, LastResort):
            return self._resort(run, walk.kept())
        if isinstance(move, Return):
            raise returned_error(move.failure)
        if move.code == "overloaded":
            self.world.emit(Shed(run.plan.route))
        raise give_up_error(move, run.plan, run.ended, standings, now)

    def _at_once(self, run: Run, now: float) -> Begun | None:
        """What `next_move` would lead to if nothing speaks against the first of the chain: nearly always.

        None where somebody has to look at it more closely.
        """
        plan, pool = run.plan, self.world.pool
        if plan.strategy == "parallel" or not plan.steps or now >= plan.deadline:
            return None
        step, *others = plan.steps
        last = plan.last_resort is None
        if last and others:
            second = others[0]
            if second.deployment == step.deployment or pool.standing(second.deployment, second.rules, now) is not FREE:
                return None
            last = False
        permit = pool.admit_free(step.deployment, step.rules, now)
        if permit is None:
            return None
        self.world.budgets.first_attempt(step.deployment.upstream, now)
        return Begun(permit, None, last)

    def _answered(self, run: Run, answer: JsonAnswer | StreamAnswer) -> JsonAnswer | StreamAnswer:
        if isinstance(answer, StreamAnswer) and answer.gated:
            return answer
        run.answered, run.begun = self.world.clock(), None
        if isinstance(answer, JsonAnswer) and run.current is not None:
            self.note_size(run.request, run.current.deployment, answer.usage)
        if run.keep_as is not None and isinstance(answer, JsonAnswer):
            self._keep(run, answer.body)
        return answer

    @staticmethod
    async def _try(
        walk: Walk, step: int, permit: Permit, attendant: Attendant | None, *, last: bool
    ) -> JsonAnswer | StreamAnswer | None:
        """Make an attempt, with rivals where the route wants them; None when that brought no answer."""
        run = walk.run
        walk.go_to(step)
        if run.begun is None or run.begun.gated is None or run.begun.permit is not permit:
            if run.plan.strategy == "parallel" and not run.history.tried:
                return await run_parallel(walk, step, permit, last=last)
            delay = delay_of_hedge(walk, permit)
            if delay is not None:
                return await run_hedged(walk, step, permit, delay, last=last)
        answer = walk.judge(step, await walk.make(step, permit, last=last, attendant=attendant))
        if isinstance(answer, StreamAnswer) and answer.gated:
            run.begun = Begun(permit, None, last, step, answer)
        return answer

    def delivery(self, run: Run, answer: StreamAnswer, outlet: Outlet) -> Delivery:
        """What brings a stream to its end, wherever that is found."""
        return Delivery(Walk(self.world, run), outlet if run.keep_as is None else Copy(outlet), answer)

    def delivered(self, run: Run, delivery: Delivery) -> None:
        """A client has all of its stream: learn from that, and keep it for later where that is wanted."""
        if isinstance(delivery.outlet, Copy) and delivery.outlet.whole is not None:
            self._keep(run, delivery.outlet.whole)
        if not run.resumes and run.current is not None:
            self.note_size(run.request, run.current.deployment, run.usage)

    def note_size(self, request: ModelRequest, deployment: DeploymentId, usage: bytes | None) -> None:
        """Learn from an answer how many tokens its deployment counts in a prompt."""
        if usage is None or not is_telling(request):
            return
        sizes = self.world.sizes
        if not sizes.is_due(deployment):
            return
        estimate, tokens = plain_tokens(request), read_usage(usage).prompt
        if estimate is not None and tokens is not None:
            sizes.counted(deployment, estimate, tokens)

    def _begin(self, run: Run, now: float) -> Begun | None:
        """Count the request, and begin its first attempt if that can be done at once."""
        plan, world = run.plan, self.world
        world.budgets.request(plan.route, now)
        if plan.last_resort is not None and run.request.wire in _WITHOUT_WORDS:
            resort = replace(plan.last_resort, text=None)
            run.plan = plan = msgspec.structs.replace(plan, last_resort=resort if resort.cached is not None else None)
        if plan.last_resort is not None and plan.last_resort.cached is not None:
            run.keep_as = name_of(plan.route, run.client, run.request)
        if plan.strategy == "weighted":
            weights = [pull(world.pool, step.deployment, step.rules, step.weight, now) for step in plan.steps]
            drawn = draw_order(plan.steps, weights, [world.roll() for _ in plan.steps])
            run.plan = msgspec.structs.replace(plan, steps=tuple(drawn))
        return self._at_once(run, now)

    def _keep(self, run: Run, body: bytes) -> None:
        """Keep a good answer for times when all fail, where the route asks for it."""
        if run.keep_as is not None and run.current is not None:
            self.world.kept.keep(run.keep_as, Kept(body, run.current.deployment, self.world.clock()))

    def _resort(self, run: Run, kept: Kept | None) -> ResortAnswer:
        self.world.emit(Degraded(run.plan.route, None, "last_resort" if kept is None else "cached", None))
        text = run.plan.last_resort.text if run.plan.last_resort is not None else None
        return ResortAnswer(text or "", kept, 0.0 if kept is None else self.world.clock() - kept.at)


def _check_suits_any(run: Run) -> None:
    """Raises ClientError for a request that none of its route's deployments could serve, however well they were."""
    barred = [(each.deployment, each.objection) for each in run.plan.skipped if each.objection is not None]
    if barred:
        raise refusal(run.plan.route, barred)
