"""What a route can take at one moment: all its steps together."""

from __future__ import annotations

from typing import Literal, NamedTuple

from proxy.config.settings import RouteSettings, StepSettings
from proxy.core.names import DeploymentId
from proxy.pool.pool import Pool
from proxy.pool.snapshot import capacity
from proxy.pool.standing import Hold


class RouteCapacity(NamedTuple):
    """How much of its normal traffic a route can take."""

    share: float
    """From 0 to 1; steps of weight 0, which only stand in for others, have no part in it."""
    status: Literal["ok", "degraded", "unavailable"]
    """`degraded` below the route's own limit, `unavailable` when no step can take anything."""


def route_capacity(pool: Pool, route: RouteSettings, now: float) -> RouteCapacity:
    """The capacity of a route, its steps by their weights; steps that are never taken do not count."""
    usable = total = best = 0.0
    for step in route.steps:
        if step.unusable is not None:
            continue
        weight = _weight(pool, route, step, now)
        able = capacity(pool, _deployment(step), step.rules, now)
        total += weight
        usable += weight * able
        best = max(best, able)
    share = usable / total if total else 0.0
    if best == 0:
        return RouteCapacity(share, "unavailable")
    return RouteCapacity(share, "ok" if share > 0 and share >= route.degraded_below else "degraded")


def can_answer(pool: Pool, route: RouteSettings, now: float) -> bool:
    """Whether a request could be answered, be it after a while: open breakers and full deployments come back."""
    if route.last_resort is not None:
        return True
    steps = (step for step in route.steps if step.unusable is None)
    holds = (pool.standing(_deployment(step), step.rules, now).hold for step in steps)
    return any(hold not in {Hold.OFF, Hold.RESTS} for hold in holds)


def _weight(pool: Pool, route: RouteSettings, step: StepSettings, now: float) -> float:
    """A step's weight: an operator's in place of the configured one, on routes that draw by weight."""
    state = pool.find(_deployment(step)) if route.strategy == "weighted" else None
    by_hand = state.weight if state is not None else None
    return by_hand.value if by_hand is not None and by_hand.until > now else step.weight


def _deployment(step: StepSettings) -> DeploymentId:
    return DeploymentId(step.upstream, step.model)
