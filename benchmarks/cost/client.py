"""One client of the load: what it asks, and what it makes of the answer."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

from benchmarks.cost.wire import LAST_CHUNK, length_of

_STAMP = re.compile(rb'"content": ?" ([0-9]{19})"')
_FRAMING = re.compile(rb"\r\n[1-9a-f][0-9a-f]*\r\n")
"""Between two chunks; a proxy may put it anywhere, also into a stamp. The last chunk's stays: it tells the end."""


@dataclass
class Job:
    """What is to be asked, and what came of it. Times are in seconds."""

    port: int
    key: str = "unused"
    connections: int = 1
    seconds: float = 2.0
    model: str = "chat"
    headers: dict[str, str] = field(default_factory=dict)
    prompt: int = 0
    """Bytes that are added to the request."""
    chunks: int = 0
    """Of a stream; 0 asks for JSON."""
    pace: float = 0.0
    """Between two chunks."""
    ramp: float = 0.0
    """Over which the connections are opened; delays count when it is over, and a while has passed for what piled up."""
    rate: float = 0.0
    """Requests per second; 0 asks as soon as there is an answer."""
    hold: bool = False
    answers: int = 0
    events: int = 0
    errors: int = 0
    took: list[float] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)
    wall: float = 0.0
    cpu: float = 0.0
    settled_ns: int = 0
    """By the monotonic clock: from when on delays count."""

    def request(self) -> bytes:
        """The bytes of each request."""
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [{"role": "user", "content": "Tell me something. " * 10 + "x" * self.prompt}],
        }
        if self.chunks:
            body |= {"stream": True, "max_tokens": self.chunks, "seed": round(self.pace * 1e6)}
        data = json.dumps(body, separators=(",", ":")).encode()
        more = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nAccept: application/json\r\n"
            "Content-Type: application/json\r\nUser-Agent: OpenAI/Python 2.0.0\r\nX-Stainless-Lang: python\r\n"
            "X-Stainless-Async: false\r\nX-Stainless-Retry-Count: 0\r\nX-Stainless-Read-Timeout: 600\r\n"
            f"Authorization: Bearer {self.key}\r\n{more}Content-Length: {len(data)}\r\n\r\n"
        )
        return head.encode() + data

    def result(self) -> dict[str, Any]:
        """What is printed; latencies in microseconds."""
        told: dict[str, Any] = {"answers": self.answers, "events": self.events, "errors": self.errors}
        told |= {"wall": self.wall, "cpu": self.cpu}
        # What a client waits for: the whole of an answer, each chunk of a paced stream.
        ranked = sorted(self.delays if self.chunks and self.pace else self.took)
        for share in (50, 99):
            told[f"p{share}"] = ranked[len(ranked) * share // 100] * 1e6 if ranked else None
        return told


class Client(asyncio.Protocol):
    """One connection. `then` is called after each answer, and once when the connection is lost."""

    def __init__(self, job: Job, request: bytes, then: Callable[[Client], None]) -> None:
        self._job = job
        self._request = request
        self._then = then
        self._data = b""
        self._events = 0
        self._wanted = 0.0
        self._transport: asyncio.Transport | None = None
        self.begun = asyncio.get_running_loop().create_future()
        self.busy = False

    @property
    def lost(self) -> bool:
        """Whether it can ask no more."""
        return self._transport is None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance

    def connection_lost(self, _exc: Exception | None) -> None:
        self._transport = None
        self._job.errors += self.busy
        self._has_begun()
        self.busy = False
        self._then(self)

    def ask(self, wanted: float | None = None) -> None:
        """Send the request; its latency counts from when it was wanted."""
        assert self._transport is not None
        self.busy = True
        self._events = 0
        self._wanted = time.monotonic() if wanted is None else wanted
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if self._job.chunks:
            self._hear(data)
            return
        self._data = self._data + data if self._data else data
        size = length_of(self._data)
        if size is not None and len(self._data) >= size:
            self._answered(self._data.startswith(b"HTTP/1.1 200"))

    def _hear(self, data: bytes) -> None:
        now = time.monotonic_ns()
        # What a stamp or the end consists of may come in two reads.
        text = _FRAMING.sub(b"", self._data + data)
        stamps = list(_STAMP.finditer(text))
        last = stamps[-1] if stamps else None
        self._events += len(stamps)
        self._job.events += len(stamps)
        if last is not None:
            if now > self._job.settled_ns:
                self._job.delays.append((now - int(last[1])) / 1e9)
            self._has_begun()
        refused = len(text) >= 12 and text.startswith(b"HTTP/1.1 ") and text[9:12] != b"200"
        if refused or text.endswith(LAST_CHUNK):
            self._answered(b"[DONE]" in text and self._events == self._job.chunks)
        else:
            self._data = text[max(last.end() if last else 0, len(text) - 64) :]

    def _answered(self, good: bool) -> None:
        self._job.took.append(time.monotonic() - self._wanted)
        self._job.answers += good
        self._job.errors += not good
        self._data = b""
        self.busy = False
        self._has_begun()
        self._then(self)

    def _has_begun(self) -> None:
        if not self.begun.done():
            self.begun.set_result(None)
