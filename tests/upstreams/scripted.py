"""An upstream that follows a script, connection by connection, and notes what it received."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from proxy.core.failure import Failure
from proxy.upstreams.transport import Exchange, Transport, TransportError

OK = b"HTTP/1.1 200 OK\r\n"
THREE = OK + b"Content-Length: 3\r\n\r\nabc"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"

Step = bytes | float | Literal["read", "close", "abort", "wait"]
"""To send, to pause for seconds, to read a request, to end the connection in one of two ways, to wait for its end."""
Script = Sequence[Step]
SERVE: Script = ["read", THREE] * 20 + ["wait"]
"""Answers whatever comes."""


@dataclass
class Upstream:
    """What it is to do, and what it saw. The last script serves all further connections."""

    scripts: list[Script]
    port: int = 0
    connections: int = 0
    requests: list[tuple[int, bytes]] = field(default_factory=list)
    """The number of the connection, from 1, and the whole request."""
    writers: list[asyncio.StreamWriter] = field(default_factory=list)
    tls_reused: list[bool] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.append(writer)
        number = self.connections
        state = writer.get_extra_info("ssl_object")
        if state is not None:
            self.tls_reused.append(bool(state.session_reused))
        try:
            for step in self.scripts[min(number, len(self.scripts)) - 1]:
                await self._step(step, number, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()

    async def _step(self, step: Step, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if isinstance(step, bytes):
            writer.write(step)
        elif step == "read":
            head = await reader.readuntil(b"\r\n\r\n")
            length = next((line[15:] for line in head.split(b"\r\n") if line.startswith(b"Content-Length")), b"0")
            self.requests.append((number, head + await reader.readexactly(int(length))))
        elif step == "close":
            raise ConnectionAbortedError
        elif step == "abort":
            writer.transport.abort()
        elif step == "wait":
            await reader.read()
        else:
            await asyncio.sleep(float(step))


@contextlib.asynccontextmanager
async def upstream(*scripts: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[Upstream]:
    """Start it, and leave nothing of it behind."""
    running = Upstream(list(scripts) or [SERVE])
    tasks: list[asyncio.Task[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.append(task)
        # A cancelled handler is a complaint of asyncio's in 3.11.
        with contextlib.suppress(asyncio.CancelledError):
            await running.serve(reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls, backlog=1000)
    running.port = server.sockets[0].getsockname()[1]
    try:
        yield running
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def transport(tls: ssl.SSLContext | None = None) -> AsyncIterator[Transport]:
    """A transport that is closed in the end."""
    opened = Transport(tls)
    try:
        yield opened
    finally:
        await opened.close()


async def post(over: Transport, url: str, body: bytes = b"{}", *, patience: float = 5.0, name: str = "u") -> Exchange:
    """Send a request; its exchange."""
    until = asyncio.get_running_loop().time() + patience
    target = over.target(name, url, {"Authorization": "Bearer k"})
    return await over.post(target, [body], connect=2.0, until=until)


async def whole(exchange: Exchange, *, patience: float = 5.0) -> bytes:
    """The body to its end; the exchange is closed."""
    until, body = asyncio.get_running_loop().time() + patience, b""
    try:
        while data := await exchange.read(until):
            body += data
    finally:
        exchange.close()
    return body


async def ask(over: Transport, url: str, body: bytes = b"{}", *, name: str = "u") -> tuple[int, bytes] | Failure:
    """Status and body, or the failure."""
    try:
        exchange = await post(over, url, body, name=name)
        return exchange.status, await whole(exchange)
    except TransportError as error:
        return error.failure
