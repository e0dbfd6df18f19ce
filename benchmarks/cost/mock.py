"""A provider that costs next to nothing: prepared answers over raw sockets, so that what is measured is the proxy.

    python -m benchmarks.cost.mock GOOD_PORT BROKEN_PORT

On the good port a request is answered with 1 KB of JSON, or, if it wants a stream, with `max_tokens` chunks, one every
`seed` microseconds; each chunk carries the moment when it was written. The broken port answers 503 to everything.
"""

from __future__ import annotations

import asyncio
import re
import sys
import time
from typing import cast

from benchmarks.cost.wire import length_of, loop_factory

_TEXT = "All work and no play makes a dull proxy. " * 17
_JSON = (
    b'{"id":"chatcmpl-1","object":"chat.completion","created":1800000000,"model":"m","choices":[{"index":0,"message":'
    b'{"role":"assistant","content":"%s"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":170,'
    b'"total_tokens":179}}' % _TEXT.encode()
)
_GOOD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(_JSON), _JSON)
_ERROR = b'{"error":{"message":"The server is overloaded","type":"server_error","param":null,"code":null}}'
_BROKEN = b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
    len(_ERROR),
    _ERROR,
)
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
_CHUNK = (
    b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1800000000,"model":"m","choices":[{"index":0,'
    b'"delta":{"content":" %019d"},"logprobs":null,"finish_reason":null}]}\n\n'
)
_LAST = (
    b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1800000000,"model":"m","choices":[{"index":0,'
    b'"delta":{},"logprobs":null,"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
)
_NUMBER = {name: re.compile(rb'"%s": ?([0-9]+)' % name) for name in (b"max_tokens", b"seed")}


class Provider(asyncio.Protocol):
    """One connection."""

    def __init__(self, *, broken: bool) -> None:
        self._broken = broken
        self._data = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance

    def connection_lost(self, _exc: Exception | None) -> None:
        self._transport = None

    def data_received(self, data: bytes) -> None:
        self._data = self._data + data if self._data else data
        size = length_of(self._data)
        if size is None or len(self._data) < size:
            return
        request, self._data = self._data[:size], b""
        assert self._transport is not None
        if self._broken:
            self._transport.write(_BROKEN)
        elif b'"stream":true' in request or b'"stream": true' in request:
            self._stream(_number(request, b"max_tokens", 20), _number(request, b"seed", 0) / 1e6)
        else:
            self._transport.write(_GOOD)

    def _stream(self, chunks: int, pace: float) -> None:
        assert self._transport is not None
        self._transport.write(_HEAD)
        if pace:
            self._next(chunks, pace, asyncio.get_running_loop().time() + pace)
            return
        event = _framed(_CHUNK % time.monotonic_ns())
        self._transport.write(event * chunks + _framed(_LAST) + b"0\r\n\r\n")

    def _next(self, left: int, pace: float, at: float) -> None:
        asyncio.get_running_loop().call_at(at, self._tick, left, pace, at)

    def _tick(self, left: int, pace: float, at: float) -> None:
        if self._transport is None:
            return
        if left:
            self._transport.write(_framed(_CHUNK % time.monotonic_ns()))
            self._next(left - 1, pace, at + pace)
        else:
            self._transport.write(_framed(_LAST) + b"0\r\n\r\n")


def _framed(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def _number(request: bytes, name: bytes, default: int) -> int:
    found = _NUMBER[name].search(request)
    return int(found[1]) if found else default


async def _serve(good: int, broken: int) -> None:
    loop = asyncio.get_running_loop()
    await loop.create_server(lambda: Provider(broken=False), "127.0.0.1", good, backlog=4096)
    await loop.create_server(lambda: Provider(broken=True), "127.0.0.1", broken, backlog=4096)
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(_serve(int(sys.argv[1]), int(sys.argv[2])))
