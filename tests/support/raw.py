"""Bytes straight onto a socket, for what no HTTP client would send."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from tests.support.fleet import Fleet

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
BODY = b'{"model":"chat","messages":[{"role":"user","content":"hi"}]}'


def head(length: int = len(BODY), *extra: str, path: str = "/v1/chat/completions", method: str = "POST") -> bytes:
    """A well-formed head, with further header lines."""
    lines = [f"{method} {path} HTTP/1.1", "Host: x", f"Content-Length: {length}", *extra]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def hang_up(writer: asyncio.StreamWriter) -> None:
    """Close a connection and wait until it is closed, so that nothing of it is left when the loop ends."""
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


@contextlib.asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[str]:
    """A server that answers each connection with a function; its address. Leaves nothing of a connection behind."""
    tasks: list[asyncio.Task[None]] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.append(task)
        try:
            await answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            await hang_up(writer)

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    await asyncio.gather(*tasks, return_exceptions=True)


async def send(running: Fleet, *pieces: bytes | float, patience: float = 30.0, half_close: bool = False) -> bytes:
    """Send pieces, numbers being seconds to pause; everything that came back until the connection ended."""
    reader, writer = await asyncio.open_connection("127.0.0.1", running.proxy.port)
    received = b""
    try:
        for piece in pieces:
            if isinstance(piece, bytes):
                writer.write(piece)
                await writer.drain()
            else:
                await asyncio.sleep(piece)
        if half_close:
            writer.write_eof()
        async with asyncio.timeout(patience):
            while data := await reader.read(65536):
                received += data
    except (ConnectionError, TimeoutError):
        pass
    finally:
        await hang_up(writer)
    return received


def statuses(received: bytes) -> list[int]:
    """The status codes of all answers in what was received."""
    return [int(part[:3]) for part in received.split(b"HTTP/1.1 ")[1:]]
