"""Which deployments a request meets first: the order of a weighted route, the rivals of a parallel or hedged one."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

from proxy.pool.standing import Hold, Standing
from proxy.routing.next_move import History
from proxy.routing.plan import Plan, PlannedStep


def draw_order(steps: Sequence[PlannedStep], weights: Sequence[float], rolls: Sequence[float]) -> list[PlannedStep]:
    """The steps in an order drawn by weight: each comes first as often as its part of all weights.

    One roll from 0 to 1 for each step. Weights of 0 come last, in the chain's order. (Efraimidis and Spirakis, weighted
    random sampling: sort by an exponential variable whose rate is the weight.)
    """

    def arrival(place: int) -> tuple[float, int]:
        weight = weights[place]
        return (-math.log(1.0 - rolls[place]) / weight if weight > 0 else math.inf), place

    return [steps[place] for place in sorted(range(len(steps)), key=arrival)]


def rivals(plan: Plan, history: History, first: int, standings: Sequence[Standing]) -> list[int]:
    """The steps that a parallel route sends the request to besides the first, all at once."""
    known = {plan.steps[first].deployment}
    found: list[int] = []
    for step, standing in enumerate(standings):
        deployment = plan.steps[step].deployment
        if standing.hold is None and history.luck < standing.share and deployment not in known:
            known.add(deployment)
            found.append(step)
    return found


def hedge_target(plan: Plan, history: History, standings: Sequence[Standing], running: Collection[int]) -> int | None:
    """The step for a second attempt while others are silent; None where there should be none.

    Not while a breaker of the chain is open: then the others have more to do than usual, and silence has a reason.
    """
    if any(standing.hold in {Hold.OPEN, Hold.PROBING} for standing in standings):
        return None
    busy = {plan.steps[step].deployment for step in running}
    for step, standing in enumerate(standings):
        fresh = plan.steps[step].deployment not in busy and not history.of(plan, step)
        if fresh and standing.hold is None and history.luck < standing.share:
            return step
    return None
