"""The control API: see the simulated upstreams, inject and heal faults while they run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from proxy.simulator.faults import COMMON, FAULTS, Fault, Row, nearest
from proxy.simulator.question import parse_json
from proxy.simulator.upstream import SimulatedUpstream
from proxy.simulator.wires.openai_errors import error

_UPSTREAMS: web.AppKey[dict[str, SimulatedUpstream]] = web.AppKey("upstreams", dict)


def control_app(upstreams: dict[str, SimulatedUpstream]) -> web.Application:
    """The web application of the control port. `upstreams` are looked at anew for each request."""
    app = web.Application(middlewares=[_json_errors])
    app[_UPSTREAMS] = upstreams
    app.router.add_get("/", _list_upstreams)
    app.router.add_get("/faults", _list_faults)
    app.router.add_get("/upstreams/{name}", _show_upstream)
    app.router.add_put("/upstreams/{name}/fault", _set_fault)
    app.router.add_post("/upstreams/{name}/reset", _reset_counters)
    return app


async def _list_upstreams(request: web.Request) -> web.Response:
    return web.json_response({"upstreams": [one.status() for one in request.app[_UPSTREAMS].values()]})


async def _list_faults(_: web.Request) -> web.Response:
    return web.json_response({"faults": [_described(name, row) for name, row in FAULTS.items()]})


async def _show_upstream(request: web.Request) -> web.Response:
    return web.json_response(_upstream(request).status())


async def _set_fault(request: web.Request) -> web.Response:
    """Inject `{"fault": "stall", "after": 9}`, or heal with `{"fault": null}`."""
    upstream = _upstream(request)
    body = parse_json(await request.read())
    if not isinstance(body, dict) or "fault" not in body:
        raise _Problem(400, 'send a JSON object such as {"fault": "stall", "after": 9}, or {"fault": null} to heal')
    try:
        await upstream.inject(None if body["fault"] is None else body)
    except ValueError as problem:
        raise _Problem(400, str(problem)) from None
    return web.json_response(upstream.status())


async def _reset_counters(request: web.Request) -> web.Response:
    upstream = _upstream(request)
    upstream.reset_counters()
    return web.json_response(upstream.status())


def _upstream(request: web.Request) -> SimulatedUpstream:
    upstreams = request.app[_UPSTREAMS]
    name = request.match_info["name"]
    if name not in upstreams:
        raise _Problem(404, f"no upstream {name!r}{nearest(name, upstreams)}")
    return upstreams[name]


def _described(name: str, row: Row) -> dict[str, object]:
    plain = Fault(name)
    defaults = {key: row.defaults.get(key, getattr(plain, key)) for key in row.parameters}
    return {"fault": name, "summary": row.summary, "scope": row.scope, "parameters": defaults, "common": list(COMMON)}


class _Problem(Exception):  # noqa: N818  # it is an answer, not an error of ours
    """An answer with an error status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@web.middleware
async def _json_errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except _Problem as problem:
        status, message, headers = problem.status, str(problem), {}
    except web.HTTPMethodNotAllowed as problem:
        status, headers = problem.status, {"Allow": problem.headers.get("Allow", "")}
        message = f"{request.method} is not possible on {request.path}; use {headers['Allow']}"
    except web.HTTPNotFound:
        status, headers = 404, {}
        message = f"no such path: {request.path}; there are GET /, GET /faults and PUT /upstreams/NAME/fault"
    return web.json_response(error(message, "invalid_request_error"), status=status, headers=headers)
