"""Who can reach the proxy: everybody, or only this machine."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from proxy.core.hosts import is_loopback


def open_place(sockets: Sequence[socket.socket], host: str) -> str | None:
    """What lets others than this machine in, in words; None where nothing does.

    A proxy listens on the sockets that it was given, and only without any on a host.
    """
    if not sockets:
        return None if is_loopback(host) else host
    return None if all(map(_is_local, sockets)) else "the socket"


def _is_local(listening: socket.socket) -> bool:
    name = listening.getsockname()
    return not isinstance(name, tuple) or is_loopback(str(name[0]))
