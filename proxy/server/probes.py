"""Whether the process lives, whether it is ready, and how its deployments are.

None of these ever asks an upstream: they tell what traffic has shown.
"""

from __future__ import annotations

import asyncio

import msgspec
from aiohttp import web

from proxy import __version__
from proxy.core.names import DeploymentId
from proxy.pool.snapshot import as_document, picture
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
    """A summary in JSON: `ok`, `degraded` when a route is below its first choice, `unavailable` when one has nobody."""
    context = request.app[CONTEXT]
    routes = _routes(context)
    if not all(route["usable"] for route in routes):
        status = "unavailable" if not any(route["usable"] for route in routes) else "degraded"
    else:
        status = "ok" if all(route["first_choice_usable"] for route in routes) else "degraded"
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
        for step in route.steps:
            id_ = DeploymentId(step.upstream, step.model)
            shown: dict[str, object] = {"deployment": str(id_), "status": "skipped", "reason": step.unusable}
            if step.unusable is None:
                shown = as_document(picture(context.pool, id_, now))
            deployments.append(shown)
        usable = [each["status"] in {"available", "failing"} for each in deployments]
        routes.append(
            {"route": route.name, "usable": any(usable), "first_choice_usable": usable[0], "deployments": deployments}
        )
    return routes
