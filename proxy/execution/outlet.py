"""Where a stream goes: to a client, or to nobody."""

from __future__ import annotations

from typing import Protocol

from proxy.execution.shortcut import Line


class Outlet(Protocol):
    """Takes whole events. Both methods raise ConnectionError when nobody is there to take them."""

    def push(self, data: bytes, chunk: bytes | None = None) -> bool:
        """Send at once. False, and nothing is sent, where that would have to wait: then it is for `write`.

        `chunk` is the same as exactly one chunk of HTTP's chunked coding, where it came as one.
        """

    def line(self) -> Line | None:
        """Where the chunks of `push` go as they are, whatever they hold; None where something is done with them."""

    async def write(self, data: bytes) -> None:
        """Send, and wait until there is room for more."""
