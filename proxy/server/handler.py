"""The wide door: requests as aiohttp brings them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from aiohttp import web

from proxy.core.errors import ClientError, body_timeout, request_too_large
from proxy.core.request import ModelRequest
from proxy.core.wire import Wire
from proxy.server.context import CONTEXT, REQUEST_ID, Context
from proxy.server.door import PATHS, Head, Sender
from proxy.server.lifecycle import Work
from proxy.server.model_request import Service
from proxy.server.sending import BEGUN, ResponseSender
from proxy.server.wire import SERVER


async def ask_model(request: web.Request) -> web.StreamResponse:
    """One request to a model, in the language of its path."""
    context = request.app[CONTEXT].now
    door = _WideDoor(request, context)
    await Service(door, context).go_on()
    assert door.response is not None  # noqa: S101 - it is answered, or has raised
    return door.response


def wire_at(path: str) -> Wire:
    """The language that is spoken at a path; that of chat completions where it is no path of a model's."""
    return PATHS.get(path) or PATHS.get(f"/v1{path}", Wire.CHAT)


class _WideDoor:
    """One request of aiohttp's."""

    def __init__(self, request: web.Request, context: Context) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a handler runs in a task
        self.id = request[REQUEST_ID]
        self.head = Head(request.headers, wire_at(request.path))
        self.since = context.clock()
        self.request: ModelRequest | None = None
        self.work: Work = task
        self.response: web.StreamResponse | None = None
        self._request = request
        self._context = context

    @property
    def begun(self) -> bool:
        return BEGUN in self._request

    async def body(self, limit: int, patience: float) -> bytes:
        request = self._request
        if (request.content_length or 0) > limit:
            raise request_too_large(limit)
        try:
            async with asyncio.timeout(patience):
                # Not `request.read`: its limit is the application's, and that of the server may change.
                body = bytearray()
                while piece := await request.content.readany():
                    body += piece
                    if len(body) > limit:
                        raise request_too_large(limit)
                return bytes(body)
        except TimeoutError:
            raise body_timeout(patience) from None
        except web.RequestPayloadError:
            raise ClientError(400, "malformed_request", "The request body is not valid HTTP.", close=True) from None

    def answer(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.response = web.Response(status=status, body=body, headers=headers)

    def begin(self, headers: Mapping[str, str], *, deadline: float, size: int | None = None) -> Sender:
        response = web.StreamResponse(headers={**headers, "x-request-id": self.id, "server": SERVER})
        response.content_length = size
        if self._context.lifecycle.draining:
            response.force_close()
        self.response = response
        return ResponseSender(self._request, response, deadline=deadline)
