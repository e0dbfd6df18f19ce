"""A read-only picture of the pool, for those who show it: /health, the control plane, the metrics."""

from __future__ import annotations

from typing import NamedTuple

from proxy.core.names import DeploymentId
from proxy.pool.deployment import Deployment
from proxy.pool.pool import Pool


class DeploymentPicture(NamedTuple):
    """One deployment at one moment. Times are seconds before or after that moment, never clock readings."""

    deployment: DeploymentId
    status: str
    """`available`, `resting`, or `failing` after failures in a row."""
    rest_reason: str | None
    rest_remaining_s: float | None
    in_flight: int
    succeeded: int
    failed: int
    consecutive_failures: int
    last_failure: str | None
    since_failure_s: float | None
    since_success_s: float | None


def picture(pool: Pool, id: DeploymentId, now: float) -> DeploymentPicture:  # noqa: A002 - as in the pool
    """The picture of one deployment. `now` is monotonic, in seconds."""
    standing = pool.standing(id, now)
    state = pool.find(id) or Deployment(id)
    awake = "failing" if state.consecutive_failures else "available"
    return DeploymentPicture(
        id,
        awake if standing.rest is None else "resting",
        standing.rest.reason if standing.rest else None,
        round(standing.usable_at - now, 3) if standing.rest else None,
        state.in_flight,
        state.succeeded,
        state.failed,
        state.consecutive_failures,
        state.last_failure,
        _ago(state.last_failure_at, now),
        _ago(state.last_success_at, now),
    )


def as_document(seen: DeploymentPicture) -> dict[str, object]:
    """A picture as plain data, for JSON."""
    return {**seen._asdict(), "deployment": str(seen.deployment)}


def _ago(at: float | None, now: float) -> float | None:
    return None if at is None else round(now - at, 3)
