"""A raw HTTP client, so that the tests see the bytes and the end of each connection, and a fast simulator."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from proxy.simulator.server import Simulator

# Seconds without the end of an answer that count as silence; whatever is to come, comes within a few milliseconds.
QUIET = 0.1
QUESTION = {"model": "gpt-4o", "messages": [{"role": "user", "content": "How are you?"}]}


@dataclass
class Wire:
    """What came over one connection. `end`: complete, eof (closed too early), reset, or silent (nothing more came)."""

    end: str
    raw: bytes = b""
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def events(self) -> list:
        """Data of the events of a plainly spelled stream; those that are no JSON stay text."""
        return [_loaded(block.removeprefix("data: ")) for block in self.body.decode().split("\n\n") if block]

    @property
    def text(self) -> str:
        """The content of a stream's first choice."""
        chunks = [event for event in self.events if isinstance(event, dict) and event.get("choices")]
        return "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks)


def _loaded(text: str):
    try:
        return json.loads(text)
    except ValueError:
        return text


class Client:
    """One connection to one upstream."""

    def __init__(self, base_url: str) -> None:
        self.host, _, port = base_url.removeprefix("http://").removesuffix("/v1").partition(":")
        self.port = int(port)
        self.reader: asyncio.StreamReader | None = None

    async def chat(self, *, patience: float = 3, **extra) -> Wire:
        return await self.send("POST", "/v1/chat/completions", json.dumps({**QUESTION, **extra}).encode(), patience)

    async def send(self, method: str, path: str, body: bytes = b"", patience: float = 3) -> Wire:
        if self.reader is None:
            self.reader, self.writer = await asyncio.open_connection(self.host, self.port, limit=1 << 24)
        lines = [
            f"{method} {path} HTTP/1.1",
            "Host: test",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
        ]
        self.writer.write("\r\n".join([*lines, "\r\n"]).encode() + body)
        wire = Wire("silent")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                wire.end = await self._read(wire)
        _decode(wire)
        return wire

    async def _read(self, wire: Wire) -> str:
        while not _may_be_complete(wire.raw) or not _decode(wire):
            try:
                data = await self.reader.read(1 << 20)
            except ConnectionError:
                return "reset"
            if not data:
                return "eof"
            wire.raw += data
        return "complete"

    async def close(self) -> None:
        if self.reader is not None:
            self.writer.close()
            with contextlib.suppress(ConnectionError):
                await self.writer.wait_closed()
            self.reader = None


def _may_be_complete(raw: bytes) -> bool:
    """A cheap look, as thousands of small pieces may come."""
    return b"\r\n\r\n" in raw and (raw.endswith(b"0\r\n\r\n") or b"chunked\r\n" not in raw[:1000])


def _decode(wire: Wire) -> bool:
    """Fill status, headers and body from the raw bytes; True when the answer is complete."""
    head, found, rest = wire.raw.partition(b"\r\n\r\n")
    if not found:
        return False
    first, *lines = head.decode("latin-1").split("\r\n")
    wire.status = int(first.split()[1])
    wire.headers = {key.lower(): value for key, _, value in (line.partition(": ") for line in lines)}
    if wire.headers.get("transfer-encoding") == "chunked":
        wire.body, complete = _unchunked(rest)
        return complete
    wire.body = rest
    return len(rest) >= int(wire.headers["content-length"])


def _unchunked(data: bytes) -> tuple[bytes, bool]:
    parts, at = [], 0
    while (line_end := data.find(b"\r\n", at)) >= 0:
        size = int(data[at:line_end], 16)
        start = line_end + 2
        if size == 0:
            return b"".join(parts), data[start : start + 2] == b"\r\n"
        parts.append(data[start : start + size])
        at = start + size + 2
    return b"".join(parts), False


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    simulator = Simulator(("primary", "backup"), tokens_per_second=0, first_token_delay=0)
    await simulator.start()
    yield simulator
    async with asyncio.timeout(1):
        await simulator.close()


@pytest.fixture
async def client(simulator: Simulator) -> AsyncIterator[Client]:
    client = Client(simulator.base_url("primary"))
    yield client
    await client.close()
