"""GET /v1/models: the routes, as models, in the words of OpenAI or, to who asks for its version, of Anthropic."""

from __future__ import annotations

import msgspec
from aiohttp import web

from proxy.config.resolve import find_route, nearest_route
from proxy.core.errors import model_not_found
from proxy.server.clients import check_may_use, identify, may_use
from proxy.server.context import CONTEXT

_CREATED = 1_767_225_600
"""The wire wants a creation time, and a route has none: the start of 2026, always the same."""
_CREATED_AT = "2026-01-01T00:00:00Z"


async def list_models(request: web.Request) -> web.Response:
    """The routes that this client may use. Globs are left out: they are patterns, not names."""
    settings = request.app[CONTEXT].now.settings
    client = identify(settings.clients, request.headers)
    names = [name for name in settings.routes if "*" not in name and may_use(client, name, name)]
    if _is_anthropics(request):
        data = [_anthropics_model(name) for name in names]
        first, last = (names[0], names[-1]) if names else (None, None)
        return _json({"data": data, "has_more": False, "first_id": first, "last_id": last})
    return _json({"object": "list", "data": [_model(name) for name in names]})


async def show_model(request: web.Request) -> web.Response:
    """One route, by a name that it serves."""
    settings = request.app[CONTEXT].now.settings
    client = identify(settings.clients, request.headers)
    name = request.match_info["id"]
    route = find_route(settings, name)
    if route is None:
        raise model_not_found(name, nearest_route(settings, name))
    check_may_use(client, route.name, name)
    return _json(_anthropics_model(name) if _is_anthropics(request) else _model(name))


def _is_anthropics(request: web.Request) -> bool:
    return "anthropic-version" in request.headers


def _model(name: str) -> dict[str, object]:
    return {"id": name, "object": "model", "created": _CREATED, "owned_by": "holdfast"}


def _anthropics_model(name: str) -> dict[str, object]:
    return {"type": "model", "id": name, "display_name": name, "created_at": _CREATED_AT}


def _json(value: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), headers={"content-type": "application/json"})
