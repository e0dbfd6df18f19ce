"""One proxy in front of one simulated upstream for each column, on real sockets, in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from typing import Any, TypeVar

from proxy.core.event import RequestEnded
from proxy.core.wire import Wire
from proxy.pool.operator import Operator
from proxy.simulator.answers import Voice
from proxy.simulator.received import ReceivedRequest
from proxy.simulator.server import Simulator
from tests.conformance.matrix.upstreams import UPSTREAMS, Upstream, all_before, next_to
from tests.support.fleet import Fleet, fleet

_T = TypeVar("_T")
ANSWER = "The river turns twice before it meets the sea."
THINKING = "First this has to be thought about."
REFUSAL = "That is nothing to talk about."
# No case is about time, and the upstreams are held up whenever the proxy is: no timer is shorter than the deadline.
_HEAD = """\
version: 1
server: {port: 0}
defaults:
  deadline: 5s
  timeout: {connect: 5s, first_token: 5s, idle: 5s}
  retry: {attempts: 2, backoff: {initial: 1ms, max: 1ms}, budget: {ratio: 1, min_per_second: 1000}}
  breaker: {consecutive: 1000, minimum_requests: 1000}
  foresight: {trend: false}
  outlier: {max_ejected: 0}
  health: {probe: never}
"""


def alone(upstream: Upstream) -> str:
    """The route that ends there."""
    return f"{upstream.name}-alone"


def backed(upstream: Upstream, wire: Wire) -> str:
    """The route that goes on to another upstream, where there are more, of another language."""
    return f"{upstream.name}-backed{'-vectors' if wire is Wire.EMBEDDINGS else ''}"


def held(upstream: Upstream) -> str:
    """The same, with everything held back until it is complete."""
    return f"{upstream.name}-held"


def last(upstream: Upstream) -> str:
    """The route that asks every other language first."""
    return f"{upstream.name}-last"


def routes_yaml(ports: dict[str, int]) -> str:
    """The whole configuration."""
    text = f"{_HEAD}upstreams:\n  played: {{kind: simulated}}\n"
    text += "".join(each.written(ports[each.name]) for each in UPSTREAMS) + "routes:\n"
    for each in UPSTREAMS:
        chains = {alone(each): [each], last(each): [*all_before(each), each]}
        chains |= {backed(each, wire): [each, next_to(each, wire)] for wire in (Wire.CHAT, Wire.EMBEDDINGS)}
        for route, chain in chains.items():
            text += f"  {route}: {{chain: {_chain(chain)}}}\n"
        text += f"  {held(each)}: {{chain: {_chain([each, next_to(each)])}, resume: {{hold: all}}}}\n"
    return text


def _chain(chain: list[Upstream]) -> str:
    return "[" + ", ".join(f'"{one.name}/{one.model}"' for one in chain) + "]"


class Arena:
    """What the tests have in their hands; every method may be called from the test's own thread."""

    def __init__(self, running: Fleet, simulator: Simulator, loop: asyncio.AbstractEventLoop) -> None:
        self.running = running
        self.url = running.url
        self._simulator = simulator
        self._loop = loop
        self._touched: set[str] = set()

    def inject(self, upstream: Upstream, fault: str) -> None:
        """From the next request on."""
        self._touched.add(upstream.name)
        self._there(lambda: self._simulator.inject(upstream.name, fault))

    def voice(self, **settings: Any) -> None:
        """How all upstreams answer until the end of the test."""
        self._touched.add("")
        for upstream in self._simulator.upstreams.values():
            for name, value in settings.items():
                setattr(upstream.voice, name, value)

    def received(self, upstream: Upstream) -> list[ReceivedRequest]:
        """What an upstream was asked in this test, but for what it was asked about its models."""
        asked = self._simulator.upstream(upstream.name).requests
        return [one for one in asked if one.wire is not None or one.path.endswith("/count_tokens")]

    @property
    def told(self) -> RequestEnded:
        """What the proxy wrote down of the last request."""

        async def wait() -> RequestEnded:
            # The last byte is with the client before the record is written.
            while not self.running.records:  # noqa: ASYNC110 - it comes within a turn or two
                await asyncio.sleep(0)
            return self.running.records[-1]

        return self._there(wait)

    def clean(self) -> None:
        """As if nothing had happened."""
        self._there(self._clean)

    async def _clean(self) -> None:
        for name in self._touched - {""}:
            await self._simulator.inject(name, None)
        for upstream in self._simulator.upstreams.values():
            upstream.reset_counters()
            if "" in self._touched:
                _set(upstream.voice)
        self._touched.clear()
        self.running.told.clear()
        Operator(self.running.proxy.pool).reset(None, None, self._loop.time())

    def _there(self, what: Callable[[], Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(what(), self._loop).result(10)


def _set(voice: Voice) -> None:
    """The voice that all have; the same words, so that one can go on with what another has begun."""
    plain = Voice(voice.upstream)
    for each in fields(Voice):
        setattr(voice, each.name, getattr(plain, each.name))
    voice.answer, voice.pace, voice.first_token_delay = ANSWER, 0.0, 0.0
    voice.needs_key = True


@contextmanager
def opened() -> Iterator[Arena]:
    """An arena, until it is closed."""
    started: list[Arena] = []
    failed: list[BaseException] = []
    ready, stop = threading.Event(), asyncio.Event()

    async def main() -> None:
        async with Simulator([each.name for each in UPSTREAMS]) as simulator:
            ports = {name: upstream.port for name, upstream in simulator.upstreams.items()}
            for upstream in simulator.upstreams.values():
                _set(upstream.voice)
            async with fleet(routes_yaml(ports)) as running:
                started.append(Arena(running, simulator, asyncio.get_running_loop()))
                ready.set()
                await stop.wait()

    def run() -> None:
        try:
            asyncio.run(main())
        except BaseException as error:  # noqa: BLE001 - told by whoever waits
            failed.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert ready.wait(10)
    if failed:
        raise failed[0]
    try:
        yield started[0]
    finally:
        started[0]._loop.call_soon_threadsafe(stop.set)
        thread.join(10)
