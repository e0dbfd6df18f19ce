"""What holds for every URL: a request id, one error shape, and no bug that reaches a client as a traceback."""

from __future__ import annotations

import logging

from aiohttp import HttpVersion10, HttpVersion11, web
from aiohttp.typedefs import Handler

from proxy.core.errors import ClientError, internal, method_not_allowed, path_not_found, request_too_large
from proxy.core.wire import Wire
from proxy.server.context import CONTEXT, REQUEST_ID
from proxy.server.handler import wire_at
from proxy.server.listener import GuardedHandler
from proxy.server.sending import BEGUN, abort
from proxy.server.wire import SERVER, error_body, error_headers, request_id

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
    error = _as_client_error(request, problem, id_)
    response = error_response(error, id_, wire_at(request.path))
    if isinstance(problem, web.HTTPMethodNotAllowed):
        response.headers["allow"] = ", ".join(sorted(problem.allowed_methods))
    return response


def _as_client_error(request: web.Request, problem: Exception, id_: str) -> ClientError:
    if isinstance(problem, ClientError):
        return problem
    if isinstance(problem, web.HTTPMethodNotAllowed):
        return method_not_allowed(problem.method, ", ".join(sorted(problem.allowed_methods)))
    if isinstance(problem, web.HTTPNotFound):
        return path_not_found(request.method, request.path)
    if isinstance(problem, web.HTTPRequestEntityTooLarge):
        return request_too_large(request.app[CONTEXT].now.settings.server.max_body)
    if isinstance(problem, web.HTTPException):
        return ClientError(problem.status, f"http_{problem.status}", problem.reason)
    _logger.error("a bug of the proxy, request %s", id_, exc_info=problem)
    return internal(id_)


def _check_version(request: web.Request) -> None:
    if request.version not in _VERSIONS:
        raise ClientError(505, "http_version_not_supported", "Use HTTP/1.1.", close=True)


def error_response(error: ClientError, id_: str, wire: Wire = Wire.CHAT) -> web.Response:
    """An error as a response, in the language of a wire."""
    body = error_body(error, wire, id_)
    response = web.Response(status=error.status, body=body, headers=error_headers(error, id_))
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
