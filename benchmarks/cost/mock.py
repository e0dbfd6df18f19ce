"""A provider that costs next to nothing: prepared answers over raw sockets, so that what is measured is the proxy.

    python -m benchmarks.cost.mock GOOD_PORT BROKEN_PORT CUT_PORT

On the good port a request is answered with 1 KB of JSON, or, if it wants a stream, with `max_tokens` chunks, one every
`seed` microseconds; each chunk carries the moment when it was written. The broken port answers 503 to everything. The
cut port breaks off within the head of a JSON answer, and after the first event of a stream, which has no content yet.
`GET /asked` on the good port tells how often each was asked.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import cast

from benchmarks.cost.machine import allow_many_files
from benchmarks.cost.wire import LAST_CHUNK, length_of, loop_factory

_TEXT = "All work and no play makes a dull proxy. " * 17
_JSON = (
    b'{"id":"chatcmpl-1","object":"chat.completion","created":1800000000,"model":"m","choices":[{"index":0,"message":'
    b'{"role":"assistant","content":"%s"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":170,'
    b'"total_tokens":179}}' % _TEXT.encode()
)
_ERROR = b'{"error":{"message":"The server is overloaded","type":"server_error","param":null,"code":null}}'
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
_EVENT = (
    b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1800000000,"model":"m","choices":[{"index":0,'
    b'"delta":%s,"logprobs":null,"finish_reason":%s}]}\n\n'
)
_CHUNK = _EVENT % (b'{"content":" %019d"}', b"null")
_ROLE = _EVENT % (b'{"role":"assistant","content":""}', b"null")
_LAST = _EVENT % (b"{}", b'"stop"') + b"data: [DONE]\n\n"
_STREAM = re.compile(rb'"stream": ?true')
_NUMBER = {name: re.compile(rb'"%s": ?([0-9]+)' % name) for name in (b"max_tokens", b"seed")}
_asked: Counter[str] = Counter()


def _reply(status: bytes, body: bytes) -> bytes:
    head = b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return head % (status, len(body)) + body


_GOOD = _reply(b"200 OK", _JSON)
_BROKEN = _reply(b"503 Service Unavailable", _ERROR)


class Provider(asyncio.Protocol):
    """One connection."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._parts: list[bytes] = []
        self._missing = 0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance

    def connection_lost(self, _exc: Exception | None) -> None:
        self._transport = None

    def data_received(self, data: bytes) -> None:
        # Pieces of a long prompt are counted, and put together once.
        self._parts.append(data)
        self._missing -= len(data)
        if self._missing > 0:
            return
        request = data if len(self._parts) == 1 else b"".join(self._parts)
        size = length_of(request)
        self._missing = 0 if size is None else size - len(request)
        if size is None or self._missing > 0:
            self._parts = [request]
            return
        self._parts = []
        self._missing = 0
        self._answer(request)

    def _answer(self, request: bytes) -> None:
        assert self._transport is not None
        # What says how to answer is at either end of the body, not in the prompt.
        ends = request if len(request) < 4000 else request[:2000] + request[-1000:]
        streams = _STREAM.search(ends) is not None
        if request.startswith(b"GET /asked "):
            self._transport.write(_reply(b"200 OK", json.dumps(_asked).encode()))
            return
        _asked[self._kind] += 1
        if self._kind == "broken":
            self._transport.write(_BROKEN)
        elif self._kind == "cut":
            self._transport.write(_HEAD + _framed(_ROLE) if streams else _GOOD[:30])
            self._transport.close()
        elif streams:
            self._stream(_number(ends, b"max_tokens", 20), _number(ends, b"seed", 0) / 1e6)
        else:
            self._transport.write(_GOOD)

    def _stream(self, chunks: int, pace: float) -> None:
        assert self._transport is not None
        self._transport.write(_HEAD)
        if pace:
            self._next(chunks, pace, asyncio.get_running_loop().time() + pace)
            return
        # Two that differ, in turn: LiteLLM ends a stream that says the same thing a hundred times.
        now = time.monotonic_ns()
        pair = _framed(_CHUNK % now) + _framed(_CHUNK % (now + 1))
        odd = _framed(_CHUNK % now) * (chunks % 2)
        self._transport.write(pair * (chunks // 2) + odd + _framed(_LAST) + LAST_CHUNK)

    def _next(self, left: int, pace: float, at: float) -> None:
        asyncio.get_running_loop().call_at(at, self._tick, left, pace, at)

    def _tick(self, left: int, pace: float, at: float) -> None:
        if self._transport is None:
            return
        if left:
            self._transport.write(_framed(_CHUNK % time.monotonic_ns()))
            self._next(left - 1, pace, at + pace)
        else:
            self._transport.write(_framed(_LAST) + LAST_CHUNK)


def _framed(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def _number(request: bytes, name: bytes, default: int) -> int:
    found = _NUMBER[name].search(request)
    return int(found[1]) if found else default


async def _serve(ports: dict[str, int]) -> None:
    loop = asyncio.get_running_loop()

    def factory(kind: str) -> Callable[[], Provider]:
        return lambda: Provider(kind)

    for kind, port in ports.items():
        await loop.create_server(factory(kind), "127.0.0.1", port, backlog=4096)
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    allow_many_files()
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(_serve(dict(zip(("good", "broken", "cut"), map(int, sys.argv[1:]), strict=True))))
