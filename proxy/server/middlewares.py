"""What holds for every URL: a request id, one error shape, and no bug that reaches a client as a traceback."""

from __future__ import annotations

import logging

from aiohttp import HttpVersion10, HttpVersion11, web
from aiohttp.typedefs import Handler

from proxy.core.errors import ClientError, internal, method_not_allowed, path_not_found, request_too_large
from proxy.server.context import CONTEXT, REQUEST_ID
from proxy.server.listener import GuardedHandler
from proxy.server.sending import BEGUN, abort
from proxy.server.wire import SERVER, error_headers, request_id

_VERSIONS = (HttpVersion10, HttpVersion11)
_logger = logging.getLogger("holdfast.server")


@web.middleware
async def envelope(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The outermost layer."""
    context = request.app[CONTEXT].now
    id_ = request[REQUEST_ID] = request_id(request.headers)
    protocol = request.protocol
    if isinstance(protocol, GuardedHandler):
        protocol.head_arrived()
    try:
        response = await _in_shape(request, handler, id_)
    finally:
        if isinstance(protocol, GuardedHandler):
            protocol.request_done()
    if not response.prepared:
        response.headers.setdefault("x-request-id", id_)
        response.headers.setdefault("server", SERVER)
        if context.lifecycle.draining:
            response.force_close()
    return response


async def _in_shape(request: web.Request, handler: Handler, id_: str) -> web.StreamResponse:
    try:
        _check_version(request)
        return await handler(request)
    except ConnectionError:
        raise
    except Exception as error:
        if BEGUN in request:
            # A second answer would be read as a part of the first, so the connection is all that can be ended.
            _logger.exception("an answer that had begun could not be finished, request %s", id_)
            abort(request)
            raise ConnectionResetError from None
        return _error_in_shape(request, error, id_)


def _error_in_shape(request: web.Request, problem: Exception, id_: str) -> web.Response:
    if isinstance(problem, ClientError):
        return error_response(problem, id_)
    if isinstance(problem, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(problem.allowed_methods))
        response = error_response(method_not_allowed(problem.method, allowed), id_)
        response.headers["allow"] = allowed
        return response
    if isinstance(problem, web.HTTPNotFound):
        return error_response(path_not_found(request.method, request.path), id_)
    if isinstance(problem, web.HTTPRequestEntityTooLarge):
        return error_response(request_too_large(request.app[CONTEXT].now.settings.server.max_body), id_)
    if isinstance(problem, web.HTTPException):
        return error_response(ClientError(problem.status, f"http_{problem.status}", problem.reason), id_)
    _logger.error("a bug of the proxy, request %s", id_, exc_info=problem)
    return error_response(internal(id_), id_)


def _check_version(request: web.Request) -> None:
    if request.version not in _VERSIONS:
        raise ClientError(505, "http_version_not_supported", "Use HTTP/1.1.", close=True)


def error_response(error: ClientError, id_: str) -> web.Response:
    """An error as a response."""
    response = web.Response(status=error.status, body=error.body(), headers=error_headers(error, id_))
    if error.close:
        response.force_close()
    return response


async def expectation(request: web.Request) -> None:
    """Let a client go on that waits for `100 Continue`; refuse every other expectation. Runs before the envelope."""
    if request.headers["Expect"].strip().lower() != "100-continue":
        error = ClientError(417, "expectation_failed", "The only expectation that can be met is 100-continue.")
        headers = error_headers(error, request_id(request.headers))
        raise web.HTTPExpectationFailed(body=error.body(), headers=headers)
    if request.version == HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
