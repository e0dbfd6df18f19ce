"""Several attempts of one request at once: at all steps of a parallel route, or a hedge when the first one is silent.

A hedge is started after a delay that the first deployment's own history sets, once per request, and only if it can do
no harm: its budgets pay, no breaker of the chain is open, and neither the server nor its target is under high load.
"""

from __future__ import annotations

from proxy.core.event import Hedged
from proxy.core.failure import Failure, NextDeployment
from proxy.execution.race import Race
from proxy.execution.run import JsonAnswer, StreamAnswer
from proxy.execution.walk import Walk
from proxy.policies.hedge import hedge_delay
from proxy.pool.permit import IGNORED, Permit
from proxy.pool.snapshot import crowded
from proxy.routing.strategy import hedge_target, rivals

_HIGH_LOAD = 0.8
"""The share of the server's places above which nothing is hedged: hedges would make a shortage worse."""


def delay_of_hedge(walk: Walk, permit: Permit) -> float | None:
    """Seconds of silence after which an attempt may be hedged; None for never."""
    run = walk.run
    if run.plan.hedge is None or run.hedge_delay is not None or len(run.plan.steps) < 2:
        return None
    delay = hedge_delay(run.plan.hedge, permit.deployment.recent, stream=run.request.stream)
    return delay if delay is not None and walk.world.clock() + delay < run.plan.deadline else None


async def run_parallel(walk: Walk, first: int, permit: Permit, *, last: bool) -> JsonAnswer | StreamAnswer | None:
    """Let everybody run at once who can; the first good answer wins."""
    async with _race(walk) as race:
        race.start(first, permit, walk.make(first, permit, last=last))
        for step in rivals(walk.run.plan, walk.run.history, first, walk.standings(walk.world.clock())):
            if _start(walk, race, step):
                upstream = walk.run.plan.steps[step].deployment.upstream
                walk.world.budgets.first_attempt(upstream, walk.world.clock())
        return await _first_good(walk, race)


async def run_hedged(
    walk: Walk, first: int, permit: Permit, delay: float, *, last: bool
) -> JsonAnswer | StreamAnswer | None:
    """Let one run, and a second when there is silence for `delay` seconds; the first good answer wins."""
    async with _race(walk) as race:
        race.start(first, permit, walk.make(first, permit, last=last))
        arrived = await race.next(walk.world.clock() + delay)
        if arrived is not None:
            return walk.judge(*arrived)
        if permit.good_at is None:
            # Who has content that is held back is not silent.
            _hedge(walk, race, delay)
        return await _first_good(walk, race)


async def _first_good(walk: Walk, race: Race) -> JsonAnswer | StreamAnswer | None:
    while race.steps and (arrived := await race.next()) is not None:
        step, result = arrived
        answer = walk.judge(step, result)
        # What is the caller's own fault the others would refuse, too.
        if answer is not None or (isinstance(result, Failure) and result.verdict.next is NextDeployment.NO):
            return answer
    return None


def _race(walk: Walk) -> Race:
    def let_go(answer: StreamAnswer) -> None:
        walk.world.attempts.finish(answer, IGNORED, walk.run.ended)

    return Race(let_go, walk.world.clock)


def _start(walk: Walk, race: Race, step: int) -> bool:
    """Let one more run, if it is admitted."""
    world, planned = walk.world, walk.run.plan.steps[step]
    permit = world.pool.admit(planned.deployment, planned.rules, world.clock())
    if not isinstance(permit, Permit):
        return False
    for event in permit.events:
        world.emit(event)
    race.start(step, permit, walk.make(step, permit))
    return True


def _hedge(walk: Walk, race: Race, delay: float) -> None:
    """Start the second attempt, unless something speaks against it."""
    run, world, plan = walk.run, walk.world, walk.run.plan
    now = world.clock()
    target = hedge_target(plan, run.history, walk.standings(now), race.steps)
    if target is None or world.load() >= _HIGH_LOAD:
        return
    planned = plan.steps[target]
    if crowded(world.pool, planned.deployment, planned.rules, now):
        return
    if not world.budgets.withdraw_hedge(plan.route, now):
        walk.tell_refusal(planned, "hedge")
        return
    source = plan.steps[race.steps[0]].deployment
    if _start(walk, race, target):
        run.hedge_delay = delay
        world.emit(Hedged(plan.route, source, planned.deployment, delay))
