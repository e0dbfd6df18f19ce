"""The routes at a glance: how much of each one's capacity is left, and each step of its chain."""

from __future__ import annotations

from proxy.config.settings import RouteSettings, StepSettings
from proxy.control.context import Control
from proxy.core.names import DeploymentId
from proxy.pool.capacity import route_capacity

Document = dict[str, object]

_MOST_OF_A_GLOB = 20
"""Deployments shown of one step whose model is a glob: those that were asked last."""


def route_documents(control: Control, now: float) -> list[Document]:
    """Every route, in the order of the file."""
    return [_route(control, route, now) for route in control.settings.routes.values()]


def _route(control: Control, route: RouteSettings, now: float) -> Document:
    share, status = route_capacity(control.pool, route, now)
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
    return [{**control.pictured(id_, now, step.rules), "step_weight": step.weight} for id_ in ids]
