"""What operators can see: status, deployments, the configuration in force, and what happens as it happens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import HttpVersion11, web

from proxy import __version__
from proxy.config.resolve import Settings
from proxy.control.guard import check_operator
from proxy.core.errors import ClientError
from proxy.core.names import DeploymentId
from proxy.policies.retry_budget import RetryBudget
from proxy.pool.pool import Pool
from proxy.pool.snapshot import as_document, picture
from proxy.telemetry.feed import Feed

_PING_S = 15.0


@dataclass(frozen=True, slots=True)
class Control:
    """The control plane's world."""

    settings: Settings
    pool: Pool
    budget: RetryBudget
    feed: Feed
    config: Mapping[str, Any]
    """routes.yaml as loaded, secrets masked."""
    started_at: float
    """The wall clock, in seconds."""
    simulator_url: str | None
    """Where faults can be injected into the simulated upstreams that run within this process."""


CONTROL: web.AppKey[Control] = web.AppKey("control", Control)


def routes() -> list[web.RouteDef]:
    """The control plane's URLs. Reads are GET; nothing here changes anything."""
    return [
        web.get("/admin/v1/status", status),
        web.get("/admin/v1/deployments", deployments),
        web.get(r"/admin/v1/deployments/{upstream}/{model:.+}", deployment),
        web.get("/admin/v1/config", config),
        web.get("/admin/v1/events", events, allow_head=False),
    ]


async def status(request: web.Request) -> web.Response:
    """The process at a glance."""
    control = _operator(request)
    now = asyncio.get_running_loop().time()
    return _json(
        {
            "version": __version__,
            "uptime_s": round(time.time() - control.started_at, 1),
            "retry_budget_remaining": round(control.budget.remaining(now), 3),
            "last_event": control.feed.last,
            "simulator": control.simulator_url,
            "upstreams": {
                name: {"kind": upstream.kind.name, "base_url": upstream.base_url, "keys": len(upstream.keys)}
                for name, upstream in control.settings.upstreams.items()
            },
            "routes": {name: [str(id_) for id_ in _chain(control, name)] for name in control.settings.routes},
        }
    )


async def deployments(request: web.Request) -> web.Response:
    """Every deployment that a route names or that traffic has made."""
    control = _operator(request)
    unusable = _unusable(control)
    known = {id_: None for name in control.settings.routes for id_ in _chain(control, name) if "*" not in id_.model}
    known.update((each.id, None) for each in control.pool.deployments())
    return _json({"deployments": [_picture(control, id_, unusable) for id_ in known]})


async def deployment(request: web.Request) -> web.Response:
    """One deployment."""
    control = _operator(request)
    id_ = DeploymentId(request.match_info["upstream"], request.match_info["model"])
    named = any(id_ in _chain(control, name) for name in control.settings.routes)
    if not named and all(each.id != id_ for each in control.pool.deployments()):
        raise ClientError(404, "deployment_not_found", f"No route names a deployment {str(id_)[:200]!r}.")
    return _json(_picture(control, id_, _unusable(control)))


async def config(request: web.Request) -> web.Response:
    """The configuration in force, secrets masked."""
    return _json(_operator(request).config)


async def events(request: web.Request) -> web.StreamResponse:
    """What happens, as server-sent events; `Last-Event-ID` resumes after an event that was seen."""
    control = _operator(request)
    response = web.StreamResponse(headers={"content-type": "text/event-stream", "cache-control": "no-cache"})
    await response.prepare(request)
    await response.write(b"retry: 1000\n\n")
    last = request.headers.get("Last-Event-ID", "")
    seen = int(last) if last.isdecimal() and len(last) < 19 else control.feed.last
    if seen > control.feed.last:
        # A number of the process before this one: everything that is remembered is news.
        seen = 0
    while True:
        for told in control.feed.after(seen):
            seen = told.number
            await response.write(b"id: %d\nevent: %s\ndata: %s\n\n" % (seen, told.name.encode(), told.as_json()))
        if not await control.feed.wait(seen, _PING_S):
            await response.write(b": ping\n\n")


def _operator(request: web.Request) -> Control:
    control = request.app[CONTROL]
    version_1_1 = request.version == HttpVersion11
    check_operator(control.settings.admin_key, request.headers, request.remote, http_1_1=version_1_1)
    return control


def _chain(control: Control, route: str) -> list[DeploymentId]:
    return [DeploymentId(step.upstream, step.model) for step in control.settings.routes[route].steps]


def _unusable(control: Control) -> dict[str, str]:
    """Upstreams that are left out of every plan, and why."""
    steps = (step for route in control.settings.routes.values() for step in route.steps)
    return {step.upstream: step.unusable for step in steps if step.unusable is not None}


def _picture(control: Control, id_: DeploymentId, unusable: Mapping[str, str]) -> dict[str, object]:
    if id_.upstream in unusable:
        return {"deployment": str(id_), "status": "skipped", "reason": unusable[id_.upstream]}
    return as_document(picture(control.pool, id_, asyncio.get_running_loop().time()))


def _json(value: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), headers={"content-type": "application/json"})
