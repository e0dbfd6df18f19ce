"""The end of a server that takes no new connections: when everybody has been served, and told that it is the end.

A client that keeps its connection may ask again at any moment, and whoever closes a connection in that moment loses a
request. So nobody closes one that is merely idle: the client is told with its next answer (`connection: close`) and
goes elsewhere. Only who asks nothing for a while is cut off.
"""

from __future__ import annotations

import asyncio

from proxy.server.lifecycle import Lifecycle
from proxy.server.listener import Listener

GOODBYE_S = 1.0
"""Seconds after the last answer that a connection has to bring a request which may be on its way."""
_LOOK_S = 0.02


async def let_finish(listener: Listener, lifecycle: Lifecycle, patience: float) -> None:
    """Wait for running requests and for those that kept connections still bring, for `patience` seconds at most."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + patience
    quiet_since = clock()
    while (left := deadline - clock()) > 0:
        if running := set(lifecycle.running):
            await lifecycle.wait_for(running, left)
            quiet_since = clock()
        elif listener.is_kept and clock() - quiet_since < GOODBYE_S:
            await asyncio.sleep(min(left, _LOOK_S))
        else:
            return
