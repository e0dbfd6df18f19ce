"""The listening sockets of several workers.

Where the system spreads connections over several sockets of one port (Linux, SO_REUSEPORT), each worker has its own: a
shared one would be emptied by whoever wakes up first, a whole burst at a time. The supervisor keeps all of them open,
so what waits on the socket of a worker that died is not lost. Elsewhere, and for sockets that somebody else has opened,
all workers share the same ones.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Sequence

_BACKLOG = 1024

Listening = tuple[socket.socket, ...]
"""The sockets of one worker: one for each address that a host's name stands for."""


def spreads() -> bool:
    """Whether the system spreads connections over the sockets of one port."""
    return sys.platform == "linux"


def bound(host: str, port: int, workers: int) -> tuple[list[Listening], int]:
    """Sockets that listen, a set for each worker, and the port. Raises OSError when the address cannot be had."""
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    addresses = list(dict.fromkeys((family, address) for family, _, _, _, address in found))
    sets: list[Listening] = []
    made: list[socket.socket] = []
    try:
        for family, address in addresses:
            # Sockets that share a port would share it with another proxy, too. One that does not share finds that out.
            with _bound(family, (address[0], port, *address[2:]), shared=False) as alone:
                port = int(alone.getsockname()[1])
        for number in range(workers):
            if number and not spreads():
                sets.append(sets[0])
                continue
            own: list[socket.socket] = []
            for family, address in addresses:
                listening = _bound(family, (address[0], port, *address[2:]), shared=spreads())
                made.append(listening)
                listening.listen(_BACKLOG)
                own.append(listening)
            sets.append(tuple(own))
    except OSError:
        for each in made:
            each.close()
        raise
    return sets, port


def shared(sockets: Sequence[socket.socket], workers: int) -> list[Listening]:
    """Sockets that somebody else has opened, the same for each worker."""
    return [tuple(sockets)] * workers


def close(listening: Sequence[Listening]) -> None:
    """Listen no more, as far as this process goes."""
    for each in listening:
        for one in each:
            one.close()


def _bound(family: int, address: tuple[object, ...], *, shared: bool) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setblocking(False)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(address)
    except OSError:
        made.close()
        raise
    return made
