"""The little of HTTP that both ends of the measurement need."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

LAST_CHUNK = b"0\r\n\r\n"


def length_of(data: bytes) -> int | None:
    """The size of the message that begins these bytes, head included; None while that is not known.

    A chunked body is known to be whole when its last chunk is there, and has ended with what was read.
    """
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = data[:end].lower()
    place = head.find(b"\r\ncontent-length:")
    if place >= 0:
        return end + 4 + int(head[place + 17 :].partition(b"\r\n")[0])
    if b"\r\ntransfer-encoding: chunked" in head:
        return len(data) if data.endswith(LAST_CHUNK) else None
    return end + 4


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where it is installed: the ends are to be as cheap as they can."""
    try:
        import uvloop  # noqa: PLC0415 - optional
    except ImportError:
        return None
    return uvloop.new_event_loop
