"""Which URL is whose."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from proxy.server.door import PATHS
from proxy.server.handler import ask_model
from proxy.server.middlewares import expectation
from proxy.server.models import list_models, show_model
from proxy.server.probes import health, livez, metrics, readyz


def routes() -> list[web.RouteDef]:
    """The data plane and the probes. "Route" is a model name here; these are URLs."""
    expect: dict[str, Any] = {"expect_handler": expectation}
    return [
        *(web.post(path, ask_model, **expect) for path in PATHS),
        # Some clients are configured with a base URL that lacks /v1.
        *(web.post(path.removeprefix("/v1"), ask_model, **expect) for path in PATHS),
        web.get("/v1/models", list_models),
        web.get(r"/v1/models/{id:.+}", show_model),
        web.get("/livez", livez),
        web.get("/readyz", readyz),
        web.get("/health", health),
        web.get("/metrics", metrics),
    ]
