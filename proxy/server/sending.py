"""One answer on its way to one client: begun at most once, and never waited for longer than was promised.

Once an answer's head is out, no other answer may follow on the request, whatever happens: `BEGUN` on the request says
so to everybody who might want to send an error instead.
"""

from __future__ import annotations

import asyncio

from aiohttp import web

BEGUN: web.RequestKey[bool] = web.RequestKey("begun", bool)
_PIECE = 256 * 1024


class Sender:
    """Sends one response in pieces."""

    def __init__(self, request: web.Request, response: web.StreamResponse, *, patience: float, deadline: float) -> None:
        """`patience` is how long the client may take none of it, in seconds; `deadline` is on the loop's clock."""
        self._request = request
        self._response = response
        self._patience = patience
        self._deadline = deadline
        self._clock = asyncio.get_running_loop().time

    async def write(self, data: bytes) -> None:
        """Send a piece, the head before the first. Raises ConnectionError when the client is gone, or does not read."""
        try:
            async with asyncio.timeout_at(min(self._clock() + self._patience, self._deadline)):
                await self._begin()
                await self._response.write(data)
        except TimeoutError:
            abort(self._request)
            raise ConnectionResetError("the client does not read") from None

    async def write_whole(self, body: bytes) -> None:
        """Send a whole body. A slow client has `patience` for each piece of it."""
        self._response.content_length = len(body)
        view = memoryview(body)
        for start in range(0, len(body), _PIECE):
            await self.write(bytes(view[start : start + _PIECE]))
        await self.end()

    async def end(self) -> None:
        """The answer is whole."""
        await self._response.write_eof()

    async def _begin(self) -> None:
        if not self._response.prepared:
            self._request[BEGUN] = True
            await self._response.prepare(self._request)


def abort(request: web.Request) -> None:
    """End the connection in a way that no client takes for the end of an answer."""
    if request.transport is not None:
        request.transport.abort()
