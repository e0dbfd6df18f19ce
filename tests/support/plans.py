"""Builders for plans and rules, so that tests say only what matters to them."""

from typing import Any

from proxy.config.settings import LastResortSettings, RetrySettings, Rules, Timeouts
from proxy.core.names import DeploymentId
from proxy.policies.backoff import BackoffSettings
from proxy.policies.breaker import BreakerSettings
from proxy.policies.concurrency import LimitSettings
from proxy.policies.slow_start import RecoverySettings
from proxy.policies.trend import ForesightSettings
from proxy.routing.plan import Plan, PlannedStep, Skipped

UNGUARDED = Rules(
    breaker=BreakerSettings(consecutive=10**6, minimum_requests=10**6), foresight=ForesightSettings(trend=False)
)
"""Rules under which nothing is kept away, for tests of what comes without."""


def guarded(*, ramp: float = 0.0, stable: float = 60.0, limit: int = 100, **breaker: Any) -> Rules:
    """Rules with a breaker, at once at full traffic after closing, and without a look at trends."""
    return Rules(
        BreakerSettings(**breaker),
        LimitSettings(limit, limit, limit),
        RecoverySettings(ramp, stable),
        ForesightSettings(trend=False),
    )


def step(
    name: str,
    place: int = 0,
    *,
    attempts: int = 3,
    patience: float = 3.0,
    context: int | None = None,
    quality: float | None = None,
    rules: Rules = UNGUARDED,
    weight: float = 1.0,
) -> PlannedStep:
    """A step on the deployment `name/m`."""
    return PlannedStep(
        DeploymentId(name, "m"),
        Timeouts(connect=3.0, first_token=30.0, answer=60.0, idle=15.0),
        RetrySettings(attempts, patience, BackoffSettings(initial=1.0, multiplier=2.0, max=60.0)),
        context,
        quality,
        place,
        rules,
        weight,
    )


def plan(
    *steps: PlannedStep | str,
    deadline: float = 120.0,
    last_resort: str | None = None,
    skipped: tuple[Skipped, ...] = (),
    rules: Rules = UNGUARDED,
    attempts: int = 3,
    **others: Any,
) -> Plan:
    """A plan over steps, or over names of steps with default settings, under the same rules."""
    made = tuple(
        step(each, place, rules=rules, attempts=attempts) if isinstance(each, str) else each
        for place, each in enumerate(steps)
    )
    resort = None if last_resort is None else LastResortSettings(last_resort, None)
    return Plan("chat", made, skipped, deadline, resort, **others)
