"""One answer on its way to one client through aiohttp: begun and ended at most once, and never late.

Once an answer's head is out, no other answer may follow on the request, whatever happens: `BEGUN` on the request says
so to everybody who might want to send an error instead.
"""

from __future__ import annotations

import asyncio

from aiohttp import web

_AT_ONCE = 16 * 1024
"""Bytes that a connection takes in any case once it is empty; asyncio's buffers hold 64 KB."""
BEGUN: web.RequestKey[bool] = web.RequestKey("begun", bool)


class ResponseSender:
    """Sends one response in pieces. That the client takes them is watched by its connection (`listener.py`)."""

    def __init__(self, request: web.Request, response: web.StreamResponse, *, deadline: float) -> None:
        """`deadline` is on the loop's clock."""
        self._request = request
        self._response = response
        self._deadline = deadline
        self.ended = False

    @property
    def begun(self) -> bool:
        """The head is on its way, or out."""
        return self._response.prepared

    def push(self, data: bytes, chunk: bytes | None = None) -> bool:
        """Never: what aiohttp sends has to be awaited."""
        del data, chunk
        return False

    def line(self) -> None:
        """None: what aiohttp sends has to be awaited."""

    async def write(self, data: bytes) -> None:
        """Send a piece, the head before the first."""
        transport = self._request.transport
        empty = transport is not None and not transport.get_write_buffer_size()
        if empty and len(data) < _AT_ONCE and self._response.prepared:
            # All before it has been taken, so this goes out without waiting for anybody.
            await self._response.write(data)
            return
        try:
            async with asyncio.timeout_at(self._deadline):
                if not self._response.prepared:
                    self._request[BEGUN] = True
                    await self._response.prepare(self._request)
                await self._response.write(data)
        except TimeoutError:
            raise self._given_up() from None

    async def end(self) -> None:
        """The answer is whole."""
        self.ended = True
        try:
            async with asyncio.timeout_at(self._deadline):
                await self._response.write_eof()
        except TimeoutError:
            raise self._given_up() from None

    def _given_up(self) -> ConnectionResetError:
        abort(self._request)
        return ConnectionResetError("the client did not take the answer before the deadline")


def abort(request: web.Request) -> None:
    """End the connection in a way that no client takes for the end of an answer."""
    if request.transport is not None:
        request.transport.abort()
