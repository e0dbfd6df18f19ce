"""What operators can see: status, deployments, the configuration in force, and what operators have changed."""

from __future__ import annotations

import time

import msgspec
from aiohttp import web

from proxy import __version__
from proxy.control.command import ACTIONS
from proxy.control.context import as_json, named_in, not_found, now, operator
from proxy.control.overview import route_documents


async def status(request: web.Request) -> web.Response:
    """The process at a glance."""
    control = operator(request)
    at = now()
    settings, budgets = control.settings, control.budgets
    return as_json(
        {
            "version": __version__,
            "started_at": control.started_at,
            "uptime_s": round(time.time() - control.started_at, 1),
            "draining": control.draining(),
            "in_flight": control.in_flight(),
            "limit": settings.server.max_concurrent,
            "workers": list(control.workers()),
            "retry_budget_remaining": round(budgets.remaining(at), 3),
            "upstream_budgets_remaining": {
                name: round(remaining, 3) for name, remaining in budgets.remaining_of(at).items()
            },
            "state": {
                "path": None if settings.state_path is None else str(settings.state_path),
                "trouble": control.state_trouble(),
            },
            "last_event": control.feed.last,
            "last_reload": control.last_reload(),
            "simulator": control.simulator_url,
            "upstreams": {
                name: {"kind": upstream.kind.name, "base_url": upstream.base_url, "keys": len(upstream.keys)}
                for name, upstream in settings.upstreams.items()
            },
            "routes": route_documents(control, at),
        }
    )


async def deployments(request: web.Request) -> web.Response:
    """Every deployment that a route names or that traffic has made."""
    control = operator(request)
    return as_json({"deployments": [control.document(id_) for id_ in control.known()]})


async def deployment(request: web.Request) -> web.Response:
    """One deployment."""
    control = operator(request)
    id_ = named_in(request)
    if id_ in control.known():
        return as_json(control.document(id_))
    before, slash, action = id_.model.rpartition("/")
    if before and slash and action in ACTIONS:
        # The URL of a change, which is never made by reading.
        raise web.HTTPMethodNotAllowed(request.method, {"POST"})
    raise not_found(control, id_)


async def config(request: web.Request) -> web.Response:
    """The configuration in force, secrets masked."""
    return as_json(operator(request).config)


async def audit(request: web.Request) -> web.Response:
    """What operators changed, and what reverted of it, the newest first."""
    control = operator(request)
    return as_json({"audit": [msgspec.Raw(told.as_json()) for told in control.audit.newest_first()]})
