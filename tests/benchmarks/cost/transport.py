"""A connection that only remembers."""

from __future__ import annotations

import asyncio


class Remembered(asyncio.Transport):
    """What was written to it, and whether it was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True
