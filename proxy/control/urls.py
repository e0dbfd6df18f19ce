"""Which URL is whose. Reads are GET; changes are POST and nothing else."""

from __future__ import annotations

from aiohttp import web

from proxy.control.changes import change, reload, reset_all
from proxy.control.events import events
from proxy.control.reads import audit, config, deployment, deployments, status


def routes() -> list[web.RouteDef]:
    """The control plane's URLs. A model's name may hold slashes; an action is always the last part of the path."""
    return [
        web.get("/admin/v1/status", status),
        web.get("/admin/v1/deployments", deployments),
        web.get(r"/admin/v1/deployments/{upstream}/{model:.+}", deployment),
        web.get("/admin/v1/config", config),
        web.get("/admin/v1/audit", audit),
        web.get("/admin/v1/events", events, allow_head=False),
        web.post(r"/admin/v1/deployments/{upstream}/{model:.+}/{action}", change),
        web.post("/admin/v1/breakers/reset", reset_all),
        web.post("/admin/v1/reload", reload),
    ]
