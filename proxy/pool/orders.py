"""An operator's order as a value, and how it is carried out: so that several processes of a host carry out the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from proxy.config.settings import Rules
from proxy.core.event import Happening
from proxy.core.names import DeploymentId
from proxy.pool.operator import Operator
from proxy.pool.pool import Pool


class Order(NamedTuple):
    """One change. `deployment` None is for all of them; `at` is monotonic, in seconds, `duration` in seconds."""

    action: str
    deployment: DeploymentId | None
    reason: str | None
    at: float
    duration: float | None = None
    value: float | None = None
    """Of `weight`."""


def carry_out(pool: Pool, order: Order, rules_of: Callable[[DeploymentId], Sequence[Rules]]) -> list[Happening]:
    """Change what is ordered; returns what that changed. `rules_of` tells by which rules a deployment is reached."""
    action, id_, reason, at, duration, value = order
    by_hand = Operator(pool)
    if id_ is None:
        return by_hand.reset(None, reason, at)
    for rules in rules_of(id_):
        # A breaker that no request has met yet is made now, so that it is opened or closed with the others.
        pool.deployment(id_).guard(rules, at)
    match action:
        case "open":
            return by_hand.open(id_, reason, duration, at)
        case "close":
            return by_hand.close(id_, reason, duration, at)
        case "reset":
            return by_hand.reset([id_], reason, at)
        case "drain" | "disable":
            return by_hand.order(id_, action, reason, duration, at)
        case "enable":
            return by_hand.enable(id_, reason)
        case "weight":
            return by_hand.weigh(id_, value, reason, duration, at)
        case _:
            raise AssertionError(action)
