"""One answer on its way to one client: begun at most once, ended at most once, and never beyond the deadline.

Once an answer's head is out, no other answer may follow on the request, whatever happens: `BEGUN` on the request says
so to everybody who might want to send an error instead.
"""

from __future__ import annotations

import asyncio

from aiohttp import web

_AT_ONCE = 16 * 1024
"""Bytes that a connection takes in any case once it is empty; asyncio's buffers hold 64 KB."""
BEGUN: web.RequestKey[bool] = web.RequestKey("begun", bool)


class Sender:
    """Sends one response in pieces. That the client takes them is watched by its connection (`listener.py`)."""

    def __init__(self, request: web.Request, response: web.StreamResponse, *, deadline: float, closing: bool) -> None:
        """`deadline` is on the loop's clock; `closing` says that the connection ends with this answer."""
        self._request = request
        self._response = response
        self._deadline = deadline
        self._closing = closing
        self.ended = False
        """The end of the answer is on its way, or out: nothing may follow."""

    async def write(self, data: bytes) -> None:
        """Send a piece, the head before the first. Raises ConnectionError when the client is gone, or far too slow."""
        transport = self._request.transport
        empty = transport is not None and not transport.get_write_buffer_size()
        if empty and len(data) < _AT_ONCE and self._response.prepared:
            # All before it has been taken, so this goes out without waiting for anybody.
            await self._response.write(data)
            return
        try:
            async with asyncio.timeout_at(self._deadline):
                await self._begin()
                await self._response.write(data)
        except TimeoutError:
            raise self._given_up() from None

    async def write_whole(self, body: bytes) -> None:
        """Send a whole body."""
        self._response.content_length = len(body)
        await self.write(body)
        await self.end()

    async def end(self) -> None:
        """The answer is whole. Raises ConnectionError like `write`."""
        self.ended = True
        try:
            async with asyncio.timeout_at(self._deadline):
                await self._response.write_eof()
        except TimeoutError:
            raise self._given_up() from None

    async def _begin(self) -> None:
        if not self._response.prepared:
            self._request[BEGUN] = True
            if self._closing:
                self._response.force_close()
            await self._response.prepare(self._request)

    def _given_up(self) -> ConnectionResetError:
        abort(self._request)
        return ConnectionResetError("the client did not take the answer before the deadline")


def abort(request: web.Request) -> None:
    """End the connection in a way that no client takes for the end of an answer."""
    if request.transport is not None:
        request.transport.abort()
