"""A read-only picture of the pool, for those who show it: /health, the control plane, the metrics."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

from proxy.config.settings import Rules
from proxy.core.names import DeploymentId
from proxy.policies.breaker import BreakerState
from proxy.policies.habits import Habits
from proxy.pool.deployment import Deployment
from proxy.pool.guard import Guard
from proxy.pool.pool import Pool
from proxy.pool.standing import Hold, Standing

Status = Literal["available", "degraded", "unavailable"]

_HEALTHY_SHARE = 0.9
_AMPLE = 0.2
"""The share of a rate limit from which on what is left of it does not matter."""
_LEAST = 0.05
_HEADROOM_HOLDS_S = 60.0
"""Seconds after which what an answer told of the limits is taken for outdated; most of them are per minute."""
_CROWDED = 0.8
"""The share of a deployment's places above which it is crowded."""
_ENOUGH = 10
"""Recent answers below which their share of success says nothing."""


class BreakerPicture(NamedTuple):
    """One breaker at one moment. Times are seconds before or after that moment."""

    state: str
    since_change_s: float
    consecutive_failures: int
    error_rate: float | None
    """Over its window."""
    opens_at_rate: float
    failures_left: int
    """In a row, until it opens."""
    distance: float
    """To opening: from 1, nothing wrong, to 0, open."""
    open_for_s: float | None
    """What is left of being open; None when it is not, or when only an operator can end it."""
    forced: bool
    rejected: int
    share: float
    """Of its normal traffic that its guard lets through: less than 1 on its way back, or when its trend is bad."""


class DeploymentPicture(NamedTuple):
    """One deployment at one moment. Times are seconds before or after that moment, never clock readings."""

    deployment: DeploymentId
    status: Status
    reason: str | None
    """Why it is not `available`, in words."""
    usable_in_s: float | None
    """Seconds, 0 where it is usable; None when nobody knows."""
    breakers: tuple[BreakerPicture, ...]
    """One for each distinct set of breaker settings, nearly always one."""
    rest_reason: str | None
    rest_remaining_s: float | None
    keys_resting: int
    order: str | None
    """What an operator has ordered: `drain` or `disable`."""
    order_remaining_s: float | None
    weight: float | None
    """Set by an operator in place of the configured ones."""
    ejected: str | None
    in_flight: int
    limit: int | None
    """Attempts at once."""
    headroom: float | None
    """The share of its rate limits that was left by its last good answer, where it told."""
    refused_parameters: tuple[str, ...]
    """What its requests go without since it was refused; `wire:...` is a language of clients that it lacks."""
    attempts: int
    succeeded: int
    failed: int
    consecutive_failures: int
    last_failure: str | None
    since_failure_s: float | None
    since_success_s: float | None
    success_share: float | None
    """Of its last 100 answers."""
    first_content_p50_s: float | None
    first_content_p95_s: float | None
    """Of streams."""
    total_p50_s: float | None
    total_p95_s: float | None


def picture(pool: Pool, id: DeploymentId, now: float, rules: Rules | None = None) -> DeploymentPicture:  # noqa: A002
    """The picture of one deployment, as a step with these rules sees it (None: as its strictest breaker does)."""
    state = pool.find(id) or Deployment(id)
    standing = _worst(pool, state, now) if rules is None else pool.standing(id, rules, now)
    status, reason = _status(state, standing, now)
    rest, recent, order = standing.rest, state.recent, state.order
    held = order is not None and order.until > now
    return DeploymentPicture(
        id,
        status,
        reason,
        usable_in_s=_in(standing.usable_at, now),
        breakers=tuple(_breaker(guard, now) for guard in state.guards),
        rest_reason=rest.reason if rest else None,
        rest_remaining_s=round(rest.until - now, 3) if rest else None,
        keys_resting=_keys_resting(pool, state, now),
        order=order.kind if order is not None and held else None,
        order_remaining_s=_in(order.until, now) if order is not None and held else None,
        weight=state.weight.value if state.weight is not None and state.weight.until > now else None,
        ejected=state.ejection.reason if state.ejection is not None and state.ejection.until > now else None,
        in_flight=state.in_flight,
        limit=min((guard.limit.limit for guard in state.guards), default=None),
        headroom=state.headroom,
        refused_parameters=tuple(sorted(state.refused_parameters)),
        attempts=state.succeeded + state.failed,
        succeeded=state.succeeded,
        failed=state.failed,
        consecutive_failures=state.consecutive_failures,
        last_failure=state.last_failure,
        since_failure_s=_ago(state.last_failure_at, now),
        since_success_s=_ago(state.last_success_at, now),
        success_share=_rounded(recent.success_share()),
        first_content_p50_s=_rounded(recent.percentile(0.5, stream=True)),
        first_content_p95_s=_rounded(recent.percentile(0.95, stream=True)),
        total_p50_s=_rounded(recent.total_percentile(0.5)),
        total_p95_s=_rounded(recent.total_percentile(0.95)),
    )


def as_document(seen: DeploymentPicture) -> dict[str, object]:
    """A picture as plain data, for JSON."""
    return {
        **seen._asdict(),
        "deployment": str(seen.deployment),
        "breakers": [breaker._asdict() for breaker in seen.breakers],
    }


def capacity(pool: Pool, id: DeploymentId, rules: Rules, now: float) -> float:  # noqa: A002 - as in the pool
    """The share of its normal traffic that a deployment can take now, from 0 to 1; a full one can take its own."""
    standing = pool.standing(id, rules, now)
    if standing.hold is Hold.FULL:
        return 1.0
    return standing.share if standing.hold is None else 0.0


def pull(pool: Pool, id: DeploymentId, rules: Rules, weight: float, now: float) -> float:  # noqa: A002 - as above
    """The weight with which a deployment is drawn now: an operator's or the configured one, times what it can take.

    A deployment near the end of its rate limits is drawn less often, in proportion to what is left of the last fifth.
    """
    state = pool.find(id)
    if state is None:
        return weight
    if state.weight is not None and state.weight.until > now:
        weight = state.weight.value
    near = 1.0
    if state.headroom is not None and now - state.headroom_at < _HEADROOM_HOLDS_S:
        # Never nothing: only its own answers tell when there is more again.
        near = min(1.0, max(_LEAST, state.headroom / _AMPLE))
    return weight * near * capacity(pool, id, rules, now)


def threshold(pool: Pool, id: DeploymentId, rules: Rules, now: float) -> str:  # noqa: A002 - as above
    """What opens a deployment's breaker, in words, with what it has learned where it adapts."""
    breaker = rules.breaker
    rate = f"error rate {breaker.error_rate:.0%}"
    if rules.foresight.adaptive:
        known = pool.find(id)
        habits = Habits() if known is None else known.guard(rules, now).habits
        rate = habits.explain(breaker.error_rate, pool.hour)
    return f"{breaker.consecutive} failures in a row, or, of at least {breaker.minimum_requests} requests, {rate}"


def crowded(pool: Pool, id: DeploymentId, rules: Rules, now: float) -> bool:  # noqa: A002 - as above
    """Whether a deployment has so much under way that it should not be given what is not necessary."""
    state = pool.deployment(id)
    return state.in_flight >= _CROWDED * state.guard(rules, now).limit.limit


def _worst(pool: Pool, state: Deployment, now: float) -> Standing:
    """The standing under the rules that keep the most away."""
    rules = [guard.rules for guard in state.guards] or [Rules()]
    standings = [pool.standing(state.id, each, now) for each in rules]
    return max(standings, key=lambda each: (each.hold is not None, each.usable_at, -each.share))


def _status(state: Deployment, standing: Standing, now: float) -> tuple[Status, str | None]:
    if standing.hold in {Hold.OFF, Hold.RESTS, Hold.OPEN}:
        return "unavailable", standing.words(now)
    if any(guard.breaker.state is BreakerState.HALF_OPEN for guard in state.guards) or standing.hold is Hold.PROBING:
        return "degraded", "breaker half-open"
    if standing.hold is Hold.FULL:
        return "degraded", f"full: {state.in_flight} attempts under way"
    if standing.share < 1:
        return "degraded", _why_less(state, standing, now)
    if state.consecutive_failures:
        return "degraded", f"{state.consecutive_failures} failures in a row"
    share = state.recent.success_share()
    if share is not None and state.recent.count >= _ENOUGH and share < _HEALTHY_SHARE:
        return "degraded", f"{1 - share:.0%} of its last {state.recent.count} answers failed"
    return "available", None


def _why_less(state: Deployment, standing: Standing, now: float) -> str:
    if state.ejection is not None and state.ejection.until > now:
        return f"left out for {state.ejection.until - now:.0f} s: its siblings do far better ({state.ejection.reason})"
    for guard in state.guards:
        if guard.returning and guard.recovery.share(now) < 1:
            return f"on its way back, at {standing.share:.0%} of its traffic"
    return f"its trend is bad, {1 - standing.share:.0%} of its traffic is moved away"


def _breaker(guard: Guard, now: float) -> BreakerPicture:
    breaker = guard.breaker
    distance = breaker.distance(now)
    left = breaker.usable_at(now) - now if breaker.state is BreakerState.OPEN else None
    return BreakerPicture(
        breaker.state.value,
        round(now - breaker.changed_at, 3),
        breaker.consecutive,
        _rounded(distance.error_rate),
        round(distance.threshold, 4),
        distance.failures_left,
        round(distance.share, 4),
        round(left, 3) if left is not None and math.isfinite(left) else None,
        breaker.forced,
        breaker.rejected,
        round(guard.share(now), 4),
    )


def _keys_resting(pool: Pool, state: Deployment, now: float) -> int:
    upstream = pool.upstream(state.id.upstream)
    rests = (state.key_rests, upstream.key_rests)
    return sum(any(slot in each and each[slot].until > now for each in rests) for slot in upstream.slots)


def _in(at: float, now: float) -> float | None:
    if at <= now:
        return 0.0
    return round(at - now, 3) if math.isfinite(at) else None


def _ago(at: float | None, now: float) -> float | None:
    return None if at is None else round(now - at, 3)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
