"""What an operator may change by hand: breakers, orders, weights. Each change can have a duration, then it reverts.

*Drain* lets no new request in while those under way finish, and still probes; *disable* does not even probe. Both end
by *enable*. A breaker opened by hand is left alone by probes and panics until its time is over, if it has one; then it
is half-open, as after any opening.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

from proxy.core.event import Controlled, Happening
from proxy.core.names import DeploymentId
from proxy.pool.deployment import Deployment, Order, Weight
from proxy.pool.pool import Pool
from proxy.pool.resting import clear_rests


class Operator:
    """Commands to a pool. Each returns what it changed; `duration` is in seconds, None for lasting."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def open(self, id_: DeploymentId, reason: str | None, duration: float | None, now: float) -> list[Happening]:
        """Open the breaker by hand."""
        events: list[Happening] = [Controlled(id_, "open", reason, duration)]
        for guard in self._pool.deployment(id_).guards:
            events += guard.follow(guard.breaker.force_open(now, duration), now)
        return events

    def close(self, id_: DeploymentId, reason: str | None, duration: float | None, now: float) -> list[Happening]:
        """Close the breaker, and give it all its traffic at once; for `duration`, no failure opens it again."""
        events: list[Happening] = [Controlled(id_, "close", reason, duration)]
        for guard in self._pool.deployment(id_).guards:
            events += guard.close(now, duration)
        return events

    def reset(self, ids: Iterable[DeploymentId] | None, reason: str | None, now: float) -> list[Happening]:
        """Forget all trouble of deployments (None: of all): breakers, rests, ejections, what operators ordered."""
        events: list[Happening] = []
        if ids is None:
            events.append(Controlled(None, "reset", reason))
        for deployment in self._chosen(ids):
            if ids is not None:
                events.append(Controlled(deployment.id, "reset", reason))
            events += clear_rests(self._pool.upstream(deployment.id.upstream), deployment)
            deployment.order = deployment.weight = deployment.ejection = None
            deployment.consecutive_failures = 0
            deployment.refusals.clear()
            deployment.refused_parameters.clear()
            for guard in deployment.guards:
                events += guard.reset(now)
        return events

    def order(
        self,
        id_: DeploymentId,
        kind: Literal["drain", "disable"],
        reason: str | None,
        duration: float | None,
        now: float,
    ) -> list[Happening]:
        """Let no new request in."""
        self._pool.deployment(id_).order = Order(kind, _until(duration, now), reason)
        return [Controlled(id_, kind, reason, duration)]

    def enable(self, id_: DeploymentId, reason: str | None) -> list[Happening]:
        """Take back a drain or a disable."""
        self._pool.deployment(id_).order = None
        return [Controlled(id_, "enable", reason)]

    def weigh(
        self, id_: DeploymentId, value: float | None, reason: str | None, duration: float | None, now: float
    ) -> list[Happening]:
        """Set the weight for weighted routes; None takes it back."""
        self._pool.deployment(id_).weight = None if value is None else Weight(value, _until(duration, now), reason)
        return [Controlled(id_, "weight", reason, duration)]

    def _chosen(self, ids: Iterable[DeploymentId] | None) -> list[Deployment]:
        return self._pool.deployments() if ids is None else [self._pool.deployment(id_) for id_ in ids]


def _until(duration: float | None, now: float) -> float:
    return math.inf if duration is None else now + duration
