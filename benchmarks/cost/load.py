"""Clients that cost next to nothing: a number of connections, each asking again as soon as it has its answer.

    python -m benchmarks.cost.load '{"port": 8400, "connections": 64, "seconds": 2, ...}'

Prints one line of JSON: what was answered, and in what time.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from dataclasses import dataclass, field
from typing import Any, cast

from benchmarks.cost.wire import length_of, loop_factory

_STAMP = re.compile(rb'"content":" ([0-9]{19})"')
_END = b"0\r\n\r\n"


@dataclass
class Job:
    """What is to be asked, and what came of it. Times are in seconds."""

    port: int
    connections: int = 1
    seconds: float = 2.0
    model: str = "chat"
    prompt: int = 0
    """Bytes that are added to the request."""
    chunks: int = 0
    """Of a stream; 0 asks for JSON."""
    pace: float = 0.0
    """Between two chunks."""
    hold: bool = False
    """Say when all streams have begun, and hold them until the end of standard input."""
    answers: int = 0
    events: int = 0
    errors: int = 0
    took: list[float] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)

    def request(self) -> bytes:
        """The bytes of each request."""
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [{"role": "user", "content": "Tell me something. " * 10 + "x" * self.prompt}],
        }
        if self.chunks:
            body |= {"stream": True, "max_tokens": self.chunks, "seed": round(self.pace * 1e6)}
        data = json.dumps(body, separators=(",", ":")).encode()
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nAccept: application/json\r\n"
            "Content-Type: application/json\r\nUser-Agent: OpenAI/Python 2.0.0\r\nX-Stainless-Lang: python\r\n"
            "X-Stainless-Async: false\r\nX-Stainless-Retry-Count: 0\r\nX-Stainless-Read-Timeout: 600\r\n"
            f"Authorization: Bearer unused\r\nContent-Length: {len(data)}\r\n\r\n"
        )
        return head.encode() + data

    def result(self) -> dict[str, Any]:
        """What is printed; times in microseconds."""
        told: dict[str, Any] = {"answers": self.answers, "events": self.events, "errors": self.errors}
        for name, values in (("took", self.took), ("delay", self.delays)):
            ranked = sorted(values)
            for share in (50, 99):
                told[f"{name}_p{share}"] = ranked[len(ranked) * share // 100] * 1e6 if ranked else 0.0
        return told


class Client(asyncio.Protocol):
    """One connection."""

    def __init__(self, job: Job, request: bytes, until: float) -> None:
        self._job = job
        self._request = request
        self._until = until
        self._data = b""
        self._began = 0.0
        self._transport: asyncio.Transport | None = None
        self.done = asyncio.get_running_loop().create_future()
        self.begun = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        self._ask()

    def connection_lost(self, _exc: Exception | None) -> None:
        if not self.done.done():
            self._job.errors += 1
            self.done.set_result(None)

    def data_received(self, data: bytes) -> None:
        self.begun = True
        if self._job.chunks:
            self._hear(data)
            return
        self._data = self._data + data if self._data else data
        size = length_of(self._data)
        if size is not None and len(self._data) >= size:
            self._answered(self._data.startswith(b"HTTP/1.1 200"))

    def _hear(self, data: bytes) -> None:
        now = time.monotonic_ns()
        stamps = _STAMP.findall(data)
        self._job.events += len(stamps)
        if stamps and len(self._job.delays) < 200_000:
            self._job.delays.append((now - int(stamps[-1])) / 1e9)
        # The last bytes decide where an answer ends, and they may come in two reads.
        self._data = (self._data + data)[-64:]
        if self._data.endswith(_END) or b"HTTP/1.1 5" in data[:12]:
            self._answered(b"[DONE]" in self._data)

    def _answered(self, good: bool) -> None:
        now = time.monotonic()
        self._job.took.append(now - self._began)
        self._job.answers += good
        self._job.errors += not good
        self._data = b""
        if now < self._until:
            self._ask()
        else:
            self.done.set_result(None)

    def _ask(self) -> None:
        assert self._transport is not None
        self._began = time.monotonic()
        self._transport.write(self._request)


async def _run(job: Job) -> None:
    loop = asyncio.get_running_loop()
    request, until = job.request(), time.monotonic() + job.seconds
    clients: list[Client] = []
    for _ in range(job.connections):
        _, client = await loop.create_connection(lambda: Client(job, request, until), "127.0.0.1", job.port)
        clients.append(client)
    if job.hold:
        while not all(client.begun for client in clients):  # noqa: ASYNC110 - thousands of events would cost more
            await asyncio.sleep(0.05)
        print("begun", flush=True)
        await loop.run_in_executor(None, sys.stdin.read)
    else:
        await asyncio.wait_for(asyncio.gather(*(client.done for client in clients)), job.seconds + 30)
    print(json.dumps(job.result()), flush=True)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(_run(Job(**json.loads(sys.argv[1]))))
