"""Performing a script on a connection: the only file that writes answers to sockets."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from typing import assert_never

from aiohttp import HttpVersion11, web

from proxy.simulator.steps import BreakOff, Hang, Head, Script, Send, Sleep

_ABORT_LINGER = struct.pack("ii", 1, 0)
_DRAIN_POLL = 0.001


async def perform(script: Script, request: web.BaseRequest, headers: dict[str, str]) -> web.StreamResponse:
    """Run a script as the answer to a request; `headers` are added to those of the script.

    Raises ConnectionError when the client has left, and is cancelled when it leaves during a pause.
    """
    response = web.StreamResponse()
    for step in script:
        if isinstance(step, Head):
            response = _prepared(step, request, headers)
            await response.prepare(request)
        else:
            await _perform(step, request, response)
    return response


def _prepared(head: Head, request: web.BaseRequest, headers: dict[str, str]) -> web.StreamResponse:
    response = web.StreamResponse(status=head.status, headers={**head.headers, **headers})
    if head.length is not None:
        response.content_length = head.length
    elif request.version >= HttpVersion11:
        response.enable_chunked_encoding()
    else:
        response.force_close()
    return response


async def _perform(
    step: Send | Sleep | Hang | BreakOff, request: web.BaseRequest, response: web.StreamResponse
) -> None:
    if isinstance(step, Send):
        if step.data and request.method != "HEAD":
            await response.write(step.data)
        # A script without pauses must not keep the loop from everybody else.
        await asyncio.sleep(0)
    elif isinstance(step, Sleep):
        if step.seconds:
            await asyncio.sleep(step.seconds)
    elif isinstance(step, Hang):
        await asyncio.Event().wait()
    elif isinstance(step, BreakOff):
        await _break_off(step, request)
    else:
        assert_never(step)


async def _break_off(step: BreakOff, request: web.BaseRequest) -> None:
    """End the connection; what was written before still reaches the client."""
    transport = request.transport
    if transport is None:
        return
    # asyncio offers no event for "everything is written"; drain() already returns below the high-water mark.
    while transport.get_write_buffer_size() and not transport.is_closing():  # noqa: ASYNC110
        await asyncio.sleep(_DRAIN_POLL)
    if step.reset:
        reset(transport)
    else:
        transport.close()


def reset(transport: asyncio.Transport) -> None:
    """Drop a connection with a TCP reset."""
    raw = transport.get_extra_info("socket")
    if raw is not None:
        with contextlib.suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT_LINGER)
    transport.abort()
