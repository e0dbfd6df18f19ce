"""What the outcome of an attempt writes into the records: its deployment's, its upstream's, and those of its guards.

Each function returns what that changed, for others to tell. The permit says whose attempt it was, and in which period
of each guard it counts. `hour` is that of the day, 0 to 23.
"""

from __future__ import annotations

from collections.abc import Sequence

from proxy.core.event import Happening, RampStarted
from proxy.core.failure import Failure, FailureClass
from proxy.policies.breaker import NO_PERIOD, BreakerState
from proxy.policies.recent import RecentAnswers
from proxy.pool.deployment import Deployment
from proxy.pool.permit import Permit
from proxy.pool.resting import begin_rest, end_rests

_NOTHING: tuple[Happening, ...] = ()


def book_success(permit: Permit, now: float, hour: int) -> Sequence[Happening]:
    """The attempt was answered."""
    deployment, upstream = permit.deployment, permit.upstream
    deployment.record_success(permit.slot, now)
    good_at = now if permit.good_at is None else permit.good_at
    seconds: float | None = None
    if not permit.probe:
        seconds = good_at - permit.admitted_at
        deployment.streams, deployment.embeds, deployment.last_served_at = permit.stream, permit.embeds, now
        deployment.recent.record(True, permit.stream, seconds, now - permit.admitted_at)
    if upstream.limit is not None:
        upstream.limit.succeeded(upstream.in_flight + 1)
    events: list[Happening] | None = None
    for guard, period in permit.tickets:
        if permit.proven and guard.breaker.state is BreakerState.HALF_OPEN:
            period = NO_PERIOD  # noqa: PLW2901 - its success has been counted
        told = guard.succeeded(period, seconds, now, hour, stream=permit.stream, in_flight=deployment.in_flight + 1)
        if told:
            events = [*(events or ()), *told]
            begin_anew(deployment, told)
    if permit.resting:
        return [*(events or ()), *end_rests(permit)]
    return events or _NOTHING


def book_failure(permit: Permit, failure: Failure, now: float, hour: int, roll: float) -> Sequence[Happening]:
    """The attempt failed; `roll` is luck, from 0 to 1."""
    deployment, upstream = permit.deployment, permit.upstream
    deployment.record_failure(failure, now)
    if failure.verdict.counts and not permit.probe:
        deployment.recent.record(False, permit.stream, None, now - permit.admitted_at)
    if upstream.limit is not None and failure.kind in {FailureClass.OVERLOADED, FailureClass.RATE_LIMITED}:
        upstream.limit.overloaded(now)
    events: list[Happening] = []
    for guard, period in permit.tickets:
        events += guard.failed(period, failure, now, hour, roll, stream=permit.stream, counted=permit.proven)
    return [*events, *begin_rest(permit, failure, now)]


def book_given_up(permit: Permit, now: float) -> Sequence[Happening]:
    """The attempt was given up: it says nothing about the deployment."""
    events: Sequence[Happening] = _NOTHING
    for guard, period in permit.tickets:
        if not permit.proven:
            events = [*events, *guard.ignored(period, now)]
    return events


def begin_anew(deployment: Deployment, events: Sequence[Happening]) -> None:
    """When it is back, what it did before its outage says nothing about it any more."""
    if any(isinstance(event, RampStarted) for event in events):
        deployment.recent = RecentAnswers()
