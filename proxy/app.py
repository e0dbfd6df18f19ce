"""The composition root: builds every object once, in the order in which a request meets them, and starts them."""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from aiohttp import web

from proxy.config.settings import Settings
from proxy.control import urls as control_urls
from proxy.control.audit import Audit
from proxy.control.context import CONTROL, Control
from proxy.core.names import DeploymentId
from proxy.execution.attempt import Attempts
from proxy.execution.executor import Executor
from proxy.execution.waiting_room import WaitingRoom
from proxy.execution.walk import World
from proxy.health.prober import Prober
from proxy.health.rounds import Rounds
from proxy.pool.budgets import Budgets
from proxy.pool.pool import Pool
from proxy.server import urls
from proxy.server.context import CONTEXT, Context, Lifecycle
from proxy.server.listener import Listener
from proxy.server.middlewares import envelope
from proxy.simulator.server import Simulator
from proxy.stores.memory import MemoryStore
from proxy.stores.sqlite import SqliteStore
from proxy.stores.sync import Sync
from proxy.telemetry.bus import Bus
from proxy.telemetry.bus import Listener as EventListener
from proxy.telemetry.feed import Feed
from proxy.telemetry.metrics import CONTENT_TYPE, Metrics
from proxy.upstreams.client import UpstreamClient
from proxy.upstreams.transport import Transport

_NO_KEY = "none"
_LAST_WORDS_S = 1.0
"""Seconds for telling the clients of unfinished answers."""


class Holdfast:
    """One proxy: `start`, then `stop`. `port` is known once it has started."""

    def __init__(
        self, settings: Settings, *, config: Mapping[str, Any] | None = None, listeners: tuple[EventListener, ...] = ()
    ) -> None:
        """`config` is routes.yaml with secrets masked, to be shown; `listeners` hear every event."""
        self.settings = settings
        self.simulator: Simulator | None = None
        """Plays the upstreams of kind `simulated` that have no base_url; set by `start`."""
        self.pool: Pool
        self.port = 0
        self._config = config or {}
        self._listeners = listeners
        self.lifecycle = Lifecycle()
        """Whether the proxy takes work, and what work it has."""
        self._transport = Transport()
        self._listener: Listener
        self._sync: Sync
        self._beside: list[asyncio.Task[None]] = []
        """What runs beside the requests."""

    async def start(self) -> None:
        """Start the simulated upstreams, then listen. Raises OSError when the port is taken."""
        settings = self.settings = await self._with_simulator(self.settings)
        clock = asyncio.get_running_loop().time
        bus, metrics, feed = Bus(), Metrics(), Feed()
        everybody: tuple[EventListener, ...] = (metrics, feed, *self._listeners)
        for listener in everybody:
            bus.listen(listener)
        self.pool = _pool(settings, clock())
        budgets = _budgets(settings)
        attempts, executor = self._way_of_a_request(budgets, bus, clock)
        # What goes on beside the requests: rounds of the deployments, and what is to survive a restart.
        prober = Prober(attempts, self.pool, bus.emit, clock)
        rounds = Rounds(settings, self.pool, prober, bus.emit, clock, random.random)
        self._sync = self._open_state(bus, clock)
        audit = Audit()
        bus.listen(self._sync)
        bus.listen(audit)
        app = web.Application(middlewares=[envelope], client_max_size=settings.server.max_body)
        app[CONTEXT] = Context(
            settings, executor, self.pool, bus.emit, self.lifecycle, lambda: (metrics.render(), CONTENT_TYPE)
        )
        app[CONTROL] = Control(
            settings,
            self.pool,
            budgets,
            feed,
            audit,
            emit=bus.emit,
            probe=rounds.probe,
            in_flight=lambda: len(self.lifecycle.running),
            draining=lambda: self.lifecycle.draining,
            config=self._config,
            started_at=time.time(),
            simulator_url=self.simulator.control_url if self.simulator else None,
            state_trouble=lambda: self._sync.trouble,
        )
        app.add_routes(urls.routes())
        app.add_routes(control_urls.routes())
        self._add_gauges(metrics, budgets)
        patience = settings.server.timeout
        self._listener = Listener(
            app, head_patience=patience.header, write_patience=patience.write, keepalive=patience.keepalive
        )
        try:
            await self._sync.restore()
            self.port = await self._listener.start(settings.server.host, settings.server.port)
        except BaseException:
            # The state may be that of the process that has the port.
            await self._close_outside(keep=False)
            raise
        self._beside = [
            asyncio.create_task(rounds.run(), name="rounds"),
            asyncio.create_task(self._sync.run(), name="state"),
        ]

    def _way_of_a_request(self, budgets: Budgets, bus: Bus, clock: Callable[[], float]) -> tuple[Attempts, Executor]:
        """What a request meets behind the server, in travel order: the executor runs its plan over attempts, which ask
        the pool for permits and the client for calls, which go through the transport."""
        settings = self.settings
        client = UpstreamClient(settings.upstreams, self._transport)
        room = WaitingRoom(self.pool, settings.server.max_waiting, bus.emit, clock)
        attempts = Attempts(client, self.pool, room, bus.emit, clock, random.random)
        world = World(attempts, self.pool, budgets, room, bus.emit, clock, random.random, self._load)
        return attempts, Executor(world)

    async def drain(self) -> None:
        """Stop without breaking answers: unready at once, deaf after the delay, patient until the timeout."""
        limits = self.settings.server.drain
        self.lifecycle.draining = True
        await asyncio.sleep(limits.delay)
        self._listener.stop_listening()
        clock = asyncio.get_running_loop().time
        deadline = clock() + limits.timeout
        # Connections that are kept alive may still bring new requests while the first ones finish.
        while (running := set(self.lifecycle.running)) and (left := deadline - clock()) > 0:
            await asyncio.wait(running, timeout=left)
        self.lifecycle.ending = True
        running = set(self.lifecycle.running)
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running, timeout=_LAST_WORDS_S)

    async def stop(self) -> None:
        """Close everything, at once."""
        await self._listener.close()
        for task in self._beside:
            task.cancel()
        await asyncio.gather(*self._beside, return_exceptions=True)
        await self._close_outside()

    async def _close_outside(self, *, keep: bool = True) -> None:
        await self._sync.close(write=keep)
        await self._transport.close()
        if self.simulator is not None:
            await self.simulator.close()

    async def _with_simulator(self, settings: Settings) -> Settings:
        """Play the upstreams that are simulated and live nowhere else, and tell the settings where."""
        names = [
            name
            for name, upstream in settings.upstreams.items()
            if upstream.kind.name == "simulated" and not upstream.base_url
        ]
        if not names:
            return settings
        self.simulator = Simulator(names)
        await self.simulator.start()
        places = {name: replace(settings.upstreams[name], base_url=self.simulator.base_url(name)) for name in names}
        return replace(settings, upstreams={**settings.upstreams, **places})

    def _add_gauges(self, metrics: Metrics, budgets: Budgets) -> None:
        clock = asyncio.get_running_loop().time
        metrics.gauge("in_flight_requests", "Requests in flight", lambda: len(self.lifecycle.running))
        metrics.gauge(
            "retry_budget_remaining_ratio", "What is left of the retry budget", lambda: budgets.remaining(clock())
        )
        in_flight = metrics.labelled_gauge("upstream_in_flight_attempts", "Attempts in flight", "upstream")
        for name in self.settings.upstreams:
            in_flight.labels(name).set_function(partial(_in_flight, self.pool, name))
        steps = [step for route in self.settings.routes.values() for step in route.steps if step.unusable is None]
        named = [DeploymentId(step.upstream, step.model) for step in steps if "*" not in step.model]
        metrics.watch_pool(self.pool, budgets, named, clock)

    def _open_state(self, bus: Bus, clock: Callable[[], float]) -> Sync:
        settings = self.settings
        store = MemoryStore() if settings.state_path is None else SqliteStore(settings.state_path, bus.emit)
        steps = [step for route in settings.routes.values() for step in route.steps]
        # A rest belongs to a key, not to its place in the list; the key itself is never written.
        marks = {
            name: [hashlib.sha256(key.encode()).hexdigest()[:16] for key in upstream.keys] or [_NO_KEY]
            for name, upstream in settings.upstreams.items()
        }
        return Sync(store, self.pool, marks, lambda id_: [step.rules for step in steps if step.serves(id_)], clock)

    def _load(self) -> float:
        return len(self.lifecycle.running) / self.settings.server.max_concurrent


def _budgets(settings: Settings) -> Budgets:
    return Budgets(
        settings.budget,
        {name: upstream.budget for name, upstream in settings.upstreams.items()},
        {name: route.hedge.ratio for name, route in settings.routes.items() if route.hedge is not None},
    )


def _pool(settings: Settings, now: float) -> Pool:
    steps = [step for route in settings.routes.values() for step in route.steps if step.unusable is None]
    return Pool(
        {name: len(upstream.keys) for name, upstream in settings.upstreams.items()},
        [(DeploymentId(step.upstream, step.model), step.rules) for step in steps if "*" not in step.model],
        {name: upstream.limit for name, upstream in settings.upstreams.items() if upstream.limit is not None},
        now,
    )


def _in_flight(pool: Pool, upstream: str) -> int:
    return pool.upstream(upstream).in_flight
