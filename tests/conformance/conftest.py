"""A proxy on real sockets in real time, for clients that live in threads of their own."""

import asyncio
import threading
from collections.abc import Callable, Iterator

import pytest

from proxy.simulator.server import Simulator
from proxy.simulator.upstream import SimulatedUpstream
from tests.support.fleet import Fleet, fleet

ROUTES = """\
version: 1
server: {port: 0}
upstreams:
  primary: {kind: simulated}
  backup: {kind: simulated}
defaults:
  deadline: 5s
  timeout: {connect: 3s, first_token: 3s, idle: 1s}
  retry: {attempts: 2, backoff: {initial: 20ms}}
routes:
  chat: {chain: [primary/m, backup/m]}
  alone: {chain: [primary/m]}
"""


class RunningFleet:
    """A fleet on a loop in a thread; `inject` and the like may be called from the test's own thread."""

    def __init__(self, running: Fleet, outside: Simulator, loop: asyncio.AbstractEventLoop) -> None:
        self.fleet = running
        self.loop = loop
        self.base_url = f"{running.url}/v1"
        self.upstreams: dict[str, SimulatedUpstream] = {**running.simulator.upstreams, **outside.upstreams}

    def inject(self, upstream: str, fault: str | None) -> None:
        asyncio.run_coroutine_threadsafe(self.upstreams[upstream].inject(fault), self.loop).result(5)

    def voice(self, **settings: object) -> None:
        """Set members of every upstream's voice."""
        for upstream in self.upstreams.values():
            for name, value in settings.items():
                setattr(upstream.voice, name, value)


OUTSIDE = "http://outside/v1"
"""Stands in a routes.yaml for the address of an upstream that is simulated, too, but unknown to the proxy as such."""


def run_fleet(routes: str = ROUTES) -> tuple[RunningFleet, Callable[[], None]]:
    """A fleet on a loop in a thread, and what stops it."""
    started: list[RunningFleet] = []
    ready, stop = threading.Event(), asyncio.Event()

    async def main() -> None:
        async with (
            Simulator(["outside"]) as outside,
            fleet(routes.replace(OUTSIDE, outside.base_url("outside"))) as made,
        ):
            running = RunningFleet(made, outside, asyncio.get_running_loop())
            running.voice(pace=0.001, first_token_delay=0.01)
            started.append(running)
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


@pytest.fixture
def hasty() -> Iterator[RunningFleet]:
    """The same with little patience, for upstreams that are silent. Others are held up as long as the proxy is."""
    made, stop = run_fleet(ROUTES.replace("first_token: 3s", "first_token: 400ms"))
    yield made
    stop()
