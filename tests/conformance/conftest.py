"""A proxy on real sockets in real time, for clients that live in threads of their own."""

import asyncio
import threading
from collections.abc import Callable, Iterator

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
  timeout: {connect: 500ms, first_token: 400ms, idle: 1s}
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

    def forget(self) -> None:
        """Forget every rest, as if nothing had happened."""
        for deployment in self.fleet.proxy.pool.deployments():
            deployment.rest = None
            deployment.key_rests.clear()
            deployment.refusals.clear()
            deployment.refused_parameters.clear()
        for rests in self.fleet.proxy.pool._key_rests.values():
            rests.clear()

    def voice(self, **settings: object) -> None:
        """Set members of every upstream's voice."""
        for upstream in self.fleet.simulator.upstreams.values():
            for name, value in settings.items():
                setattr(upstream.voice, name, value)


def run_fleet() -> tuple[RunningFleet, Callable[[], None]]:
    """A fleet on a loop in a thread, and what stops it."""
    started: list[RunningFleet] = []
    ready, stop = threading.Event(), asyncio.Event()

    async def main() -> None:
        async with fleet(ROUTES) as made:
            for name in made.simulator.upstreams:
                made.simulator.upstream(name).voice.pace = 0.001
            started.append(RunningFleet(made, asyncio.get_running_loop()))
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(main()), daemon=True)
    thread.start()
    assert ready.wait(10)

    def end() -> None:
        started[0].loop.call_soon_threadsafe(stop.set)
        thread.join(10)

    return started[0], end


@pytest.fixture
def running() -> Iterator[RunningFleet]:
    made, stop = run_fleet()
    yield made
    stop()
