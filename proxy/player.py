"""The process that plays the simulated upstreams where several workers serve: once for all of them.

What the configuration no longer names is played on: requests that began before may still use it, in any worker.
"""

from __future__ import annotations

import asyncio
import signal
from urllib.parse import urlsplit

from proxy.simulator.server import Simulator
from proxy.workers.link import Link, Message
from proxy.workers.seat import Seat

Ports = tuple[dict[str, int], int]
"""Of each upstream, and of the control API."""


async def play(seat: Seat, known: Ports | None) -> int:
    """Play what is asked for until the supervisor ends it, on the ports of the process before, if there was one."""
    for listening in seat.listening:
        for each in listening:
            # Those of the proxy; what is left open here would seem to be served.
            each.close()
    over = asyncio.Event()
    # Whoever tells all processes of the proxy to end has the workers finish what they have, which may need this one:
    # it ends with the supervisor.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    player = _Player(seat, known, over)
    await player.link.open()
    await over.wait()
    player.link.close()
    await player.close()
    return 0


class _Player:
    def __init__(self, seat: Seat, known: Ports | None, over: asyncio.Event) -> None:
        self.link = Link(seat, self._hear, over.set)
        self._known = known
        self._simulator: Simulator | None = None
        self._asked: asyncio.Queue[tuple[list[str], int]] = asyncio.Queue()
        self._answering = asyncio.create_task(self._answer_all(), name="player")

    async def close(self) -> None:
        """Stop playing."""
        self._answering.cancel()
        await asyncio.gather(self._answering, return_exceptions=True)
        if self._simulator is not None:
            await self._simulator.close()

    def _hear(self, _source: int, messages: list[Message]) -> None:
        for message in messages:
            if message[0] == "play":
                self._asked.put_nowait((message[1], message[2]))

    async def _answer_all(self) -> None:
        while True:
            names, asker = await self._asked.get()
            try:
                simulator = await self._playing(names)
            except OSError as error:
                self.link.tell_supervisor("played", asker, self._known, None, error.strerror or str(error))
                continue
            urls = {name: simulator.base_url(name) for name in simulator.upstreams}
            self._known = ({name: _port(url) for name, url in urls.items()}, _port(simulator.control_url))
            self.link.tell_supervisor("played", asker, self._known, urls, simulator.control_url)

    async def _playing(self, names: list[str]) -> Simulator:
        if self._simulator is None:
            ports, control = self._known or ({}, 0)
            simulator = Simulator(list(dict.fromkeys([*ports, *names])))
            await simulator.start(ports, control)
            self._simulator = simulator
        for name in names:
            if name not in self._simulator.upstreams:
                await self._simulator.add(name)
        return self._simulator


def _port(url: str) -> int:
    return urlsplit(url).port or 0
