"""Whether the process lives, whether it is ready, and how its deployments are.

None of these ever asks an upstream: they tell what traffic has shown.
"""

from __future__ import annotations

import asyncio

import msgspec
from aiohttp import web

from proxy import __version__
from proxy.core.names import DeploymentId
from proxy.pool.snapshot import as_document, capacity, picture
from proxy.server.context import CONTEXT, Context


async def livez(_request: web.Request) -> web.Response:
    """The process answers, also while it drains."""
    return web.Response(text="ok\n")


async def readyz(request: web.Request) -> web.Response:
    """Ready for traffic: not draining, and some route has a deployment that can be used."""
    context = request.app[CONTEXT]
    if context.lifecycle.draining:
        return web.Response(status=503, text="draining\n")
    if not any(route["usable"] for route in _routes(context)):
        return web.Response(status=503, text="no route has a usable deployment\n")
    return web.Response(text="ok\n")


async def health(request: web.Request) -> web.Response:
    """A summary in JSON: `ok`, `degraded` when a route has lost much of its capacity, `unavailable` without any."""
    context = request.app[CONTEXT]
    routes = _routes(context)
    statuses = {route["status"] for route in routes}
    status = "ok" if statuses == {"ok"} else "unavailable" if statuses == {"unavailable"} else "degraded"
    body = {
        "status": "draining" if context.lifecycle.draining else status,
        "version": __version__,
        "in_flight": len(context.lifecycle.running),
        "routes": routes,
    }
    return web.Response(body=msgspec.json.encode(body), headers={"content-type": "application/json"})


async def metrics(request: web.Request) -> web.Response:
    """Prometheus' text."""
    body, content_type = request.app[CONTEXT].render_metrics()
    return web.Response(body=body, headers={"content-type": content_type})


def _routes(context: Context) -> list[dict[str, object]]:
    now = asyncio.get_running_loop().time()
    routes: list[dict[str, object]] = []
    for route in context.settings.routes.values():
        deployments: list[dict[str, object]] = []
        usable = total = 0.0
        for step in route.steps:
            id_ = DeploymentId(step.upstream, step.model)
            shown: dict[str, object] = {"deployment": str(id_), "status": "skipped", "reason": step.unusable}
            if step.unusable is None:
                shown = as_document(picture(context.pool, id_, now, step.rules))
                total += step.weight
                usable += step.weight * capacity(context.pool, id_, step.rules, now)
            deployments.append(shown)
        share = usable / total if total else 0.0
        status = "ok" if share >= route.degraded_below and share > 0 else "degraded" if share > 0 else "unavailable"
        shown_route = {"route": route.name, "status": status, "usable": share > 0, "capacity": round(share, 4)}
        first_usable = deployments[0]["status"] in {"available", "degraded"}
        routes.append({**shown_route, "first_choice_usable": first_usable, "deployments": deployments})
    return routes
