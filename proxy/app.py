"""The composition root: builds every object once, in the order in which a request meets them, and starts them."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from aiohttp import web

from proxy.config.resolve import Settings
from proxy.control import reads as control_reads
from proxy.control.reads import CONTROL, Control
from proxy.core.names import DeploymentId
from proxy.execution.attempt import Attempts
from proxy.execution.executor import Executor
from proxy.policies.retry_budget import RetryBudget
from proxy.pool.pool import Pool
from proxy.server import urls
from proxy.server.context import CONTEXT, Context, Lifecycle
from proxy.server.listener import Listener
from proxy.server.middlewares import envelope
from proxy.simulator.server import Simulator
from proxy.telemetry.bus import Bus
from proxy.telemetry.bus import Listener as EventListener
from proxy.telemetry.feed import Feed
from proxy.telemetry.metrics import CONTENT_TYPE, Metrics
from proxy.upstreams.client import UpstreamClient
from proxy.upstreams.transport import Transport

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

    async def start(self) -> None:
        """Start the simulated upstreams, then listen. Raises OSError when the port is taken."""
        settings = self.settings = await self._with_simulator(self.settings)
        clock = asyncio.get_running_loop().time
        bus, metrics, feed = Bus(), Metrics(), Feed()
        everybody: tuple[EventListener, ...] = (metrics, feed, *self._listeners)
        for listener in everybody:
            bus.listen(listener)
        # From here in travel order: a request is admitted by the server, planned, run by the executor over attempts,
        # which ask the pool for permits and the client for calls, which go through the transport.
        budget = RetryBudget(settings.budget)
        named = {DeploymentId(step.upstream, step.model) for route in settings.routes.values() for step in route.steps}
        self.pool = Pool({name: len(upstream.keys) for name, upstream in settings.upstreams.items()}, named)
        client = UpstreamClient(settings.upstreams, self._transport)
        attempts = Attempts(client, self.pool, bus.emit, clock)
        executor = Executor(attempts, self.pool, budget, bus.emit, clock, random.random)
        app = web.Application(middlewares=[envelope], client_max_size=settings.server.max_body)
        app[CONTEXT] = Context(
            settings, executor, self.pool, bus.emit, self.lifecycle, lambda: (metrics.render(), CONTENT_TYPE)
        )
        app[CONTROL] = Control(
            settings,
            self.pool,
            budget,
            feed,
            self._config,
            time.time(),
            self.simulator.control_url if self.simulator else None,
        )
        app.add_routes(urls.routes())
        app.add_routes(control_reads.routes())
        self._add_gauges(metrics, budget)
        patience = settings.server.timeout
        self._listener = Listener(
            app, head_patience=patience.header, write_patience=patience.write, keepalive=patience.keepalive
        )
        try:
            self.port = await self._listener.start(settings.server.host, settings.server.port)
        except OSError:
            await self._close_outside()
            raise

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
        await self._close_outside()

    async def _close_outside(self) -> None:
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

    def _add_gauges(self, metrics: Metrics, budget: RetryBudget) -> None:
        clock = asyncio.get_running_loop().time
        metrics.gauge("in_flight_requests", "Requests in flight", lambda: len(self.lifecycle.running))
        metrics.gauge(
            "retry_budget_remaining_ratio", "What is left of the retry budget", lambda: budget.remaining(clock())
        )
        in_flight = metrics.labelled_gauge("upstream_in_flight_attempts", "Attempts in flight", "upstream")
        for name in self.settings.upstreams:
            in_flight.labels(name).set_function(partial(self._in_flight, name))

    def _in_flight(self, upstream: str) -> int:
        return sum(each.in_flight for each in self.pool.deployments() if each.id.upstream == upstream)
