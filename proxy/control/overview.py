"""The routes at a glance: how much of each one's capacity is left, and each step of its chain."""

from __future__ import annotations

from proxy.config.settings import RouteSettings, StepSettings
from proxy.control.context import Control
from proxy.core.names import DeploymentId
from proxy.pool.snapshot import as_document, capacity, picture

Document = dict[str, object]

_MOST_OF_A_GLOB = 20
"""Deployments shown of one step whose model is a glob: those that were asked last."""


def route_documents(control: Control, now: float) -> list[Document]:
    """Every route, in the order of the file."""
    return [_route(control, route, now) for route in control.settings.routes.values()]


def _route(control: Control, route: RouteSettings, now: float) -> Document:
    usable = total = 0.0
    for step in route.steps:
        if step.unusable is None:
            total += step.weight
            id_ = DeploymentId(step.upstream, step.model)
            usable += step.weight * capacity(control.pool, id_, step.rules, now)
    share = usable / total if total else 0.0
    status = "ok" if share >= route.degraded_below and share > 0 else "degraded" if share > 0 else "unavailable"
    return {
        "route": route.name,
        "strategy": route.strategy,
        "status": status,
        "capacity": round(share, 4),
        "deadline_s": route.deadline,
        "steps": [document for step in route.steps for document in _step(control, step, now)],
    }


def _step(control: Control, step: StepSettings, now: float) -> list[Document]:
    """One step; of a glob, the deployments that traffic has made of it."""
    ids = [DeploymentId(step.upstream, step.model)]
    if "*" in step.model:
        made = [each.id for each in control.pool.deployments() if step.serves(each.id)]
        ids = made[: -_MOST_OF_A_GLOB - 1 : -1] or ids
    if step.unusable is not None:
        return [{"deployment": str(id_), "status": "skipped", "reason": step.unusable} for id_ in ids]
    shown = [as_document(picture(control.pool, id_, now, step.rules)) for id_ in ids]
    return [{**document, "step_weight": step.weight} for document in shown]
