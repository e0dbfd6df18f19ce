"""A port that can be closed and opened again without being lost in between."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

_REBIND_TRIES = 100
_REBIND_PAUSE = 0.01


class Listener:
    """One listening port.

    While it is closed, the port stays bound by a socket that does not listen: connections are refused by the system,
    and no other program can take the port.
    """

    def __init__(self, host: str) -> None:
        self.host = host
        self.port = 0
        self._server: asyncio.Server | None = None
        self._reserved: socket.socket | None = None

    @property
    def is_open(self) -> bool:
        """Whether connections are accepted."""
        return self._server is not None

    async def reserve(self, port: int) -> None:
        """Bind the port (0: any free one) without accepting connections."""
        self._reserved = self._bound(port)
        self.port = int(self._reserved.getsockname()[1])

    async def open(self, protocol: Callable[[], asyncio.BaseProtocol]) -> None:
        """Accept connections on the reserved port."""
        if self._server is None:
            reserved, self._reserved = self._reserved or self._bound(self.port), None
            self._server = await asyncio.get_running_loop().create_server(protocol, sock=reserved, backlog=1024)

    async def close(self) -> None:
        """Refuse connections from now on; those that are open stay so."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        for _ in range(_REBIND_TRIES):
            try:
                self._reserved = self._bound(self.port)
            except OSError:
                # uvloop gives the port back one turn of the loop later.
                await asyncio.sleep(_REBIND_PAUSE)
            else:
                return
        raise OSError(f"port {self.port} was taken while it was closed")

    def release(self) -> None:
        """Give the port back."""
        if self._server is not None:
            self._server.close()
        if self._reserved is not None:
            self._reserved.close()
        self._server = self._reserved = None

    def _bound(self, port: int) -> socket.socket:
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        bound = socket.socket(family, socket.SOCK_STREAM)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.setblocking(False)
            bound.bind((self.host, port))
        except OSError:
            bound.close()
            raise
        return bound
