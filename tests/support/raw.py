"""Bytes straight onto a socket, for what no HTTP client would send."""

import asyncio

from tests.support.fleet import Fleet

BODY = b'{"model":"chat","messages":[{"role":"user","content":"hi"}]}'


def head(length: int = len(BODY), *extra: str, path: str = "/v1/chat/completions", method: str = "POST") -> bytes:
    """A well-formed head, with further header lines."""
    lines = [f"{method} {path} HTTP/1.1", "Host: x", f"Content-Length: {length}", *extra]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


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
        writer.close()
    return received


def statuses(received: bytes) -> list[int]:
    """The status codes of all answers in what was received."""
    return [int(part[:3]) for part in received.split(b"HTTP/1.1 ")[1:]]
