"""Where several processes serve: the control plane is with the one that leads; connections that ask for it move there.

The others check who asks, read the request, and hand the connection over with it; from then on it is the leader's, and
whoever asked notices nothing. So there is one list of changes, one numbering of events, and one who reads the
configuration.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from proxy.control.changes import read_body
from proxy.control.context import operator
from proxy.core.errors import ClientError

_LEFT_OUT = {b"content-length", b"transfer-encoding", b"expect"}
"""What told how the body came; it goes on whole."""
_PATIENCE_S = 5.0


def moving(leads: Callable[[], bool], move: Callable[[int, bytes], Awaitable[bool]]) -> Middleware:
    """A layer that hands requests to the control plane over, while this process does not lead.

    `move` hands a connection over, with what was read of it, and says whether the leader has it;
    it raises OSError where nobody can have it.
    """

    @web.middleware
    async def layer(request: web.Request, handler: Handler) -> web.StreamResponse:
        if leads() or not request.path.startswith("/admin/") or request.match_info.http_exception is not None:
            return await handler(request)
        control = operator(request)
        body = await read_body(control, request) if request.body_exists else b""
        transport = request.transport
        connection = None if transport is None else transport.get_extra_info("socket")
        if transport is None or connection is None:
            raise ConnectionResetError
        try:
            # A leader may die before it has taken a connection; then it is offered to the next one.
            while not await move(connection.fileno(), _as_read(request, body)):
                pass
        except OSError:
            message = "The control plane cannot be reached at present; try again."
            raise ClientError(503, "overloaded", message) from None
        # It is the leader's now. Closing our hold of it ends this handler, and nothing else.
        transport.abort()
        await asyncio.sleep(_PATIENCE_S)
        raise ConnectionResetError

    return layer


def _as_read(request: web.Request, body: bytes) -> bytes:
    """The request as it could have been read from the connection."""
    version = request.version
    lines = [f"{request.method} {request.raw_path} HTTP/{version.major}.{version.minor}".encode("latin-1", "replace")]
    lines += [name + b": " + value for name, value in request.raw_headers if name.lower() not in _LEFT_OUT]
    if body:
        lines.append(b"content-length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body
