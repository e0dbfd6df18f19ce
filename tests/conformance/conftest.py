"""A proxy on real sockets in real time, for clients that live in threads of their own."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from tests.support.fleet import Fleet, fleet

ROUTES = """\
version: 1
server: {port: 0}
upstreams:
  primary: {kind: simulated}
  backup: {kind: simulated}
defaults:
  deadline: 5s
  timeout: {connect: 500ms, first_token: 400ms, idle: 400ms}
  retry: {attempts: 2, backoff: {initial: 20ms}}
routes:
  chat: {chain: [primary/m, backup/m]}
  alone: {chain: [primary/m]}
"""


class RunningFleet:
    """A fleet on a loop in a thread; `inject` and the like may be called from the test's own thread."""

    def __init__(self, running: Fleet, loop: asyncio.AbstractEventLoop) -> None:
        self.fleet = running
        self.loop = loop
        self.base_url = f"{running.url}/v1"

    def inject(self, upstream: str, fault: str | None) -> None:
        asyncio.run_coroutine_threadsafe(self.fleet.simulator.inject(upstream, fault), self.loop).result(5)

    def voice(self, **settings: object) -> None:
        """Set members of every upstream's voice."""
        for upstream in self.fleet.simulator.upstreams.values():
            for name, value in settings.items():
                setattr(upstream.voice, name, value)


@pytest.fixture
def running() -> Iterator[RunningFleet]:
    started: list[RunningFleet] = []
    ready, stop = threading.Event(), asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def main() -> None:
        async with fleet(ROUTES) as made:
            loops.append(asyncio.get_running_loop())
            started.append(RunningFleet(made, loops[0]))
            made.simulator.upstream("primary").voice.pace = 0.001
            made.simulator.upstream("backup").voice.pace = 0.001
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(main()), daemon=True)
    thread.start()
    assert ready.wait(10)
    yield started[0]
    loops[0].call_soon_threadsafe(stop.set)
    thread.join(10)
