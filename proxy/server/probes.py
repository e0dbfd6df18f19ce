"""Whether the process lives, whether it is ready, and how its deployments are.

None of these ever asks an upstream: they tell what traffic has shown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import msgspec
from aiohttp import web

from proxy import __version__
from proxy.core.names import DeploymentId
from proxy.pool.capacity import can_answer, route_capacity
from proxy.pool.snapshot import as_document, picture
from proxy.server.context import CONTEXT, Context


async def livez(_request: web.Request) -> web.Response:
    """The process answers, also while it drains."""
    return web.Response(text="ok\n")


async def readyz(request: web.Request) -> web.Response:
    """Ready for traffic: not draining, and some route could answer, be it after a while."""
    context = request.app[CONTEXT].now
    if context.lifecycle.draining and not context.lifecycle.leaving:
        return web.Response(status=503, text="draining\n")
    now = _now()
    if not any(can_answer(context.pool, route, now) for route in context.settings.routes.values()):
        return web.Response(status=503, text="no route can answer: all deployments rest or are switched off\n")
    return web.Response(text="ok\n")


async def health(request: web.Request) -> web.Response:
    """A summary in JSON: `ok`, `degraded` when a route has lost much of its capacity, `unavailable` without any."""
    context = request.app[CONTEXT].now
    routes = _routes(context)
    statuses = {route["status"] for route in routes}
    status = "ok" if statuses == {"ok"} else "unavailable" if statuses == {"unavailable"} else "degraded"
    body = {
        "status": "draining" if context.lifecycle.draining and not context.lifecycle.leaving else status,
        "version": __version__,
        "in_flight": len(context.lifecycle.running),
        **({"workers": workers} if (workers := context.workers()) else {}),
        "last_reload": _public(context.last_reload()),
        "routes": routes,
    }
    return web.Response(body=msgspec.json.encode(body), headers={"content-type": "application/json"})


def _public(reload: Mapping[str, object] | None) -> dict[str, object] | None:
    """What anybody may know of a reload: where the file lies and what stands in it is for operators."""
    return None if reload is None else {name: value for name, value in reload.items() if name != "message"}


async def metrics(request: web.Request) -> web.Response:
    """Prometheus' text."""
    body, content_type = await request.app[CONTEXT].now.render_metrics()
    return web.Response(body=body, headers={"content-type": content_type})


def _routes(context: Context) -> list[dict[str, object]]:
    now = _now()
    routes: list[dict[str, object]] = []
    for route in context.settings.routes.values():
        deployments: list[dict[str, object]] = []
        for step in route.steps:
            id_ = DeploymentId(step.upstream, step.model)
            shown: dict[str, object] = {"deployment": str(id_), "status": "skipped", "reason": step.unusable}
            if step.unusable is None:
                shown = as_document(picture(context.pool, id_, now, step.rules))
            deployments.append(shown)
        share, status = route_capacity(context.pool, route, now)
        usable = status != "unavailable"
        shown_route = {"route": route.name, "status": status, "usable": usable, "capacity": round(share, 4)}
        first_usable = deployments[0]["status"] in {"available", "degraded"}
        routes.append({**shown_route, "first_choice_usable": first_usable, "deployments": deployments})
    return routes


def _now() -> float:
    return asyncio.get_running_loop().time()
