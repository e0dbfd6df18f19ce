"""What changes in the pool by time alone: recoveries settle, trends pass, orders revert, outliers are left out."""

from __future__ import annotations

from collections.abc import Iterable

from proxy.config.settings import RouteSettings, StepSettings
from proxy.core.event import Controlled, Ejected, Happening
from proxy.core.names import DeploymentId
from proxy.policies.outlier import Sample, outliers
from proxy.policies.recent import RecentAnswers
from proxy.pool.deployment import Deployment, Ejection
from proxy.pool.pool import Pool


def tick(pool: Pool, routes: Iterable[RouteSettings], now: float, hour: int) -> list[Happening]:
    """Bring the pool up to date. Called every second or so; `hour` is of the day, 0 to 23."""
    pool.hour = hour
    events: list[Happening] = []
    for deployment in pool.deployments():
        for guard in deployment.guards:
            events += guard.tick(now, hour)
        events += _revert(deployment, now)
        if deployment.ejection is not None and deployment.ejection.until <= now:
            # It gets a new chance, and is judged by what it does from now on.
            deployment.ejection, deployment.recent = None, RecentAnswers()
    for route in routes:
        events += _eject(pool, route, now)
    return events


def _revert(deployment: Deployment, now: float) -> list[Happening]:
    events: list[Happening] = []
    if deployment.order is not None and deployment.order.until <= now:
        events.append(Controlled(deployment.id, "revert", f"the time of {deployment.order.kind} is over"))
        deployment.order = None
    if deployment.weight is not None and deployment.weight.until <= now:
        events.append(Controlled(deployment.id, "revert", "the time of the weight is over"))
        deployment.weight = None
    return events


def _eject(pool: Pool, route: RouteSettings, now: float) -> list[Happening]:
    settings = route.outlier
    if settings.max_ejected == 0 or len(route.steps) < 2:
        return []
    ids = {str(id_): id_ for step in route.steps if (id_ := _named(step)) is not None}
    found = outliers([_sample(pool, id_, route.strategy, now) for id_ in ids.values()], settings)
    events: list[Happening] = []
    for name, reason in found:
        deployment = pool.deployment(ids[name])
        deployment.ejection = Ejection(now + settings.eject_for, reason)
        events.append(Ejected(deployment.id, route.name, reason, settings.eject_for))
    return events


def _named(step: StepSettings) -> DeploymentId | None:
    return None if step.unusable is not None or "*" in step.model else DeploymentId(step.upstream, step.model)


def _sample(pool: Pool, id_: DeploymentId, strategy: str, now: float) -> Sample:
    deployment = pool.find(id_) or Deployment(id_)
    recent = deployment.recent
    latency = recent.percentile(0.5, stream=deployment.streams)
    ejected = deployment.ejection is not None and deployment.ejection.until > now
    failed = recent.count - recent.successes
    equal = strategy != "sequential"
    return Sample(str(id_), recent.count, failed, latency, equal=equal, ejected=ejected)
