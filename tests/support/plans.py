"""Builders for plans, so that tests say only what matters to them."""

from proxy.config.resolve import RetrySettings, Timeouts
from proxy.core.names import DeploymentId
from proxy.policies.backoff import BackoffSettings
from proxy.routing.plan import Plan, PlannedStep, Skipped


def step(
    name: str,
    place: int = 0,
    *,
    attempts: int = 3,
    patience: float = 3.0,
    context: int | None = None,
    quality: float | None = None,
) -> PlannedStep:
    """A step on the deployment `name/m`."""
    return PlannedStep(
        DeploymentId(name, "m"),
        Timeouts(connect=3.0, first_token=30.0, answer=60.0, idle=15.0),
        RetrySettings(attempts, patience, BackoffSettings(initial=1.0, multiplier=2.0, max=60.0)),
        context,
        quality,
        place,
    )


def plan(
    *steps: PlannedStep | str,
    deadline: float = 120.0,
    last_resort: str | None = None,
    skipped: tuple[Skipped, ...] = (),
) -> Plan:
    """A plan over steps, or over names of steps with default settings."""
    made = tuple(step(each, place) if isinstance(each, str) else each for place, each in enumerate(steps))
    return Plan("chat", made, skipped, deadline, last_resort)
