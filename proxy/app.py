"""The composition root: builds every object, in the order in which a request meets them, starts them, and stops them.

What is built once lives as long as the process; what depends on the configuration is built anew for each one
(`_put_in_force`), and requests that began with the one before keep what they began with.
"""

from __future__ import annotations

import asyncio
import random
import socket
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Middleware

from proxy.config.finding import Finding
from proxy.config.lasting import kept_from, needs_restart, restart_finding
from proxy.config.load import Loaded
from proxy.config.settings import DrainSettings, Settings
from proxy.control import urls as control_urls
from proxy.control.audit import Audit
from proxy.control.context import CONTROL, Control
from proxy.control.reloads import RefusedError, Reload, Reloader
from proxy.control.source import Source
from proxy.core.event import Happening
from proxy.core.facts import Learned
from proxy.core.in_force import InForce
from proxy.core.names import DeploymentId
from proxy.execution.attempt import Attempts
from proxy.execution.executor import Executor
from proxy.execution.kept import KeptAnswers
from proxy.execution.waiting_room import WaitingRoom
from proxy.execution.walk import World
from proxy.gauges import Gauges
from proxy.health.learning import Learning, hand_on
from proxy.health.prober import Prober
from proxy.health.rounds import Rounds
from proxy.playing import Playing
from proxy.pool.budgets import Budgets
from proxy.pool.layout import budgets_of, change_between, layout_of, rules_in
from proxy.pool.orders import Order
from proxy.pool.pool import Pool
from proxy.routing.plan import Planner
from proxy.routing.sizes import Sizes
from proxy.server import urls
from proxy.server.context import CONTEXT, Context
from proxy.server.farewell import let_finish
from proxy.server.fast_path import FastPath
from proxy.server.lifecycle import Lifecycle
from proxy.server.listener import Listener
from proxy.server.middlewares import envelope
from proxy.server.reach import open_place
from proxy.server.ties import Ties
from proxy.simulator.server import Simulator
from proxy.stores.memory import MemoryStore
from proxy.stores.sqlite import SqliteStore
from proxy.stores.store import Store
from proxy.stores.sync import Sync, marks_of
from proxy.streams.transcript import Room
from proxy.telemetry.bus import Bus
from proxy.telemetry.bus import Listener as EventListener
from proxy.telemetry.feed import Feed
from proxy.telemetry.metrics import CONTENT_TYPE, Metrics
from proxy.upstreams.asking import ask
from proxy.upstreams.client import UpstreamClient
from proxy.upstreams.transport import Transport

_LAST_WORDS_S = 1.0
"""Seconds for telling the clients of unfinished answers."""


class Holdfast:
    """One proxy: `start`, then `stop`. `port` is known once it has started."""

    def __init__(
        self,
        settings: Settings,
        *,
        config: Mapping[str, Any] | None = None,
        listeners: tuple[EventListener, ...] = (),
        source: Source | None = None,
        told: Callable[[Reload], None] = lambda _reload: None,
        sockets: Sequence[socket.socket] = (),
    ) -> None:
        """`config` is routes.yaml with secrets masked, to be shown; `listeners` hear every event.

        `source` is where to read the configuration again, `told` hears what came of it. `sockets` listen already, in
        place of server.host and server.port.
        """
        self.settings = settings
        """Those in force."""
        self.pool: Pool
        """That of the configuration in force."""
        self.port = 0
        self.lifecycle = Lifecycle()
        """Whether the proxy takes work, and what work it has."""
        self._playing = Playing()
        self._config = config or {}
        self._sockets = sockets
        self._transport = Transport()
        self._bus, self._metrics, self._feed, self._audit = Bus(), Metrics(), Feed(), Audit()
        everybody: tuple[EventListener, ...] = (self._metrics, self._feed, *listeners, self._audit)
        for listener in everybody:
            self._bus.listen(listener)
        self._reloader = None if source is None else Reloader(source, self._take, self._bus.emit, told)
        self._started_at = time.time()
        self._gauges = Gauges(self._metrics, lambda: len(self.lifecycle.running))
        self._kept, self._sizes, self._transcripts, self._ties = KeptAnswers(), Sizes(), Room(), Ties()
        self._budgets: Budgets
        self._room: WaitingRoom
        self._rounds: Rounds
        self._learning: Learning
        self._context: InForce[Context]
        self._control: InForce[Control]
        self._listener: Listener
        self._sync: Sync
        self._beside: list[asyncio.Task[None]] = []
        """What runs beside the requests."""

    @property
    def simulator(self) -> Simulator | None:
        """Plays the upstreams of kind `simulated` that have no base_url; there from `start` on."""
        return self._playing.simulator

    async def start(self) -> None:
        """Start the simulated upstreams, then listen. Raises OSError when the port is taken."""
        settings = self.settings = await self._with_simulator(self.settings)
        self._bus.tell_later(asyncio.get_running_loop().call_later)
        emit, clock = self._bus.emit, asyncio.get_running_loop().time
        self.pool = self._new_pool(settings, clock())
        self._budgets = self._new_budgets(settings)
        self._room = self._new_room(settings)
        attempts, executor = self._way_of_a_request(settings, self.pool)
        # What goes on beside the requests: rounds of the deployments, and what is to survive a restart.
        prober = Prober(attempts, self.pool, emit, clock)
        self._rounds = Rounds(settings, self.pool, prober, emit, clock, random.random)
        self._learning = Learning(
            settings, self.pool, partial(ask, self._transport), self._learn, self._sizes.doubts, clock, random.random
        )
        self._sync = Sync(self._new_store(settings), self.pool, marks_of(settings), rules_in(settings), clock)
        self._bus.listen(self._sync)
        self._context = InForce(self._new_context(settings, self.pool, executor))
        self._control = InForce(self._new_control(settings, self.pool))
        app = web.Application(middlewares=self._middlewares())
        app[CONTEXT], app[CONTROL] = self._context, self._control
        app.add_routes(urls.routes())
        app.add_routes(control_urls.routes())
        self._gauges.watch(settings, self.pool, self._budgets, self._config)
        self._listener = Listener(app, settings.server.timeout, front_lane=settings.server.front_lane)
        try:
            await self._restore()
            self.port = await self._listener.start(settings.server.host, settings.server.port, self._sockets)
        except BaseException:
            # The state may be that of the process that has the port.
            await self._close_outside(keep=False)
            raise
        self._beside = [
            asyncio.create_task(self._rounds.run(), name="rounds"),
            asyncio.create_task(self._learning.run(), name="questions"),
        ]
        self._begin_beside()

    async def reload(self, cause: str) -> Reload | None:
        """Read the configuration again, and put it in force if it is in order; None where it came from no file."""
        return None if self._reloader is None else await self._reloader.reload(cause)

    def tell(self) -> None:
        """Tell everybody who listens what has happened up to now."""
        self._bus.flush()

    async def drain(self, limits: DrainSettings | None = None) -> None:
        """Stop without breaking answers: unready at once, deaf after the delay, patient until the timeout.

        `limits` are those of the configuration, unless others are given.
        """
        self.lifecycle.draining = True
        limits = limits or self.settings.server.drain
        await asyncio.sleep(limits.delay)
        self._go_deaf()
        await let_finish(self._listener, self.lifecycle, limits.timeout)
        self.lifecycle.ending = True
        running = set(self.lifecycle.running)
        for work in running:
            work.cancel()
        await self.lifecycle.wait_for(running, _LAST_WORDS_S)

    async def stop(self) -> None:
        """Close everything, at once."""
        await self._listener.close()
        for task in self._beside:
            task.cancel()
        await asyncio.gather(*self._beside, return_exceptions=True)
        self._bus.tell_later(None)
        await self._close_outside()

    async def _close_outside(self, *, keep: bool = True) -> None:
        await self._sync.close(write=keep)
        await self._transport.close()
        await self._playing.close()

    # What a worker, one of several processes of a host, has in another form: see `worker/worker.py`.

    def _new_pool(self, settings: Settings, now: float) -> Pool:
        return Pool(*layout_of(settings), now)

    def _new_budgets(self, settings: Settings) -> Budgets:
        return Budgets(*budgets_of(settings))

    def _new_room(self, settings: Settings) -> WaitingRoom:
        return WaitingRoom(settings.server.max_waiting, self._bus.emit, asyncio.get_running_loop().time)

    def _new_store(self, settings: Settings) -> Store:
        return MemoryStore() if settings.state_path is None else SqliteStore(settings.state_path, self._bus.emit)

    async def _restore(self) -> None:
        """Take up what is known from before."""
        await self._sync.restore()

    def _begin_beside(self) -> None:
        """Start what one process of a host does for all of it."""
        self._beside.append(asyncio.create_task(self._sync.run(), name="state"))
        if self._reloader is not None:
            wanted = self._reloader.watch(lambda: self.settings.server.watch and not self.lifecycle.draining)
            self._beside.append(asyncio.create_task(wanted, name="watch"))

    def _learn(self, upstream: str, told: Mapping[str, Learned]) -> None:
        """Take what a server tells of its models, in place of all that it told before."""
        known = self.settings.upstreams.get(upstream)
        if known is None:
            return
        changed = known.learn(told)
        for model, each in told.items():
            if model in changed and (each.facts.context or each.facts.max_input):
                self._sizes.forget_window(DeploymentId(upstream, model))
        if changed:
            self._context.now.planner.forget()

    def _tell_changes(self, events: Iterable[Happening]) -> None:
        """Tell what another configuration has changed of what is known."""
        for event in events:
            self._bus.emit(event)

    def _middlewares(self) -> list[Middleware]:
        return [envelope]

    def _go_deaf(self) -> None:
        """Take no new connections."""
        self._listener.stop_listening()

    async def _metrics_page(self) -> tuple[bytes, str]:
        self.tell()
        return self._metrics.render(), CONTENT_TYPE

    def _simulator_url(self) -> str | None:
        return self.simulator.control_url if self.simulator else None

    def _workers(self) -> Sequence[Mapping[str, object]]:
        return ()

    async def _ordered(self, order: Order) -> None:
        """Have an operator's order carried out by all processes of the host, where there are others."""

    # One configuration after another.

    async def _take(self, wanted: Settings, loaded: Loaded) -> Sequence[Finding]:
        """Put a configuration in force, from one moment to the next; returns what of it takes a restart."""
        running = self.settings
        restart = [restart_finding(key, running, _file(loaded)) for key in needs_restart(running, wanted)]
        settings = kept_from(running, wanted)
        place = open_place(self._sockets, running.server.host)
        if settings.clients is None and place is not None:
            raise RefusedError(
                f"clients: without them {place} would let anyone in, and where the proxy listens cannot change without "
                "a restart"
            )
        if self.lifecycle.draining:
            raise RefusedError("the proxy is shutting down")
        try:
            settings = await self._with_simulator(settings)
        except OSError as error:
            raise RefusedError(f"a simulated upstream cannot be started: {error.strerror or error}") from None
        self._config = loaded.masked
        self._put_in_force(settings)
        return restart

    def _put_in_force(self, settings: Settings) -> None:
        """Swap the configuration. Nothing is awaited here, so no request ever sees a part of it."""
        running, clock = self.settings, asyncio.get_running_loop().time
        change = change_between(running, settings)
        hand_on(running, settings)
        pool, events = self.pool.reconfigure(change, clock())
        self.settings, self.pool = settings, pool
        self._budgets.change(*budgets_of(settings))
        attempts, executor = self._way_of_a_request(settings, pool)
        self._rounds.follow(settings, pool, Prober(attempts, pool, self._bus.emit, clock))
        self._learning.follow(settings, pool)
        self._sync.follow(pool, marks_of(settings), change.rules_of)
        self._context.now = self._new_context(settings, pool, executor)
        self._control.now = self._new_control(settings, pool)
        self._gauges.watch(settings, pool, self._budgets, self._config)
        self._listener.patience = settings.server.timeout
        self._listener.front_lane = settings.server.front_lane
        self._room.size = settings.server.max_waiting
        self._tell_changes(events)
        # Where there is more room now, those who wait can have it.
        self._room.look_around()
        self._playing.follow(running, settings, self.lifecycle)

    def _way_of_a_request(self, settings: Settings, pool: Pool) -> tuple[Attempts, Executor]:
        """What a request meets behind the server, in travel order: the executor runs its plan over attempts, which ask
        the pool for permits and the client for calls, which go through the transport."""
        emit, clock = self._bus.emit, asyncio.get_running_loop().time
        client = UpstreamClient(settings.upstreams, self._transport)
        attempts = Attempts(client, pool, self._room, emit, clock, random.random)
        world = World(
            attempts,
            pool,
            self._budgets,
            self._room,
            emit,
            clock,
            random.random,
            self._load,
            self._kept,
            self._sizes,
            self._transcripts,
        )
        return attempts, Executor(world)

    def _new_context(self, settings: Settings, pool: Pool, executor: Executor) -> Context:
        emit, clock, planner = self._bus.emit, asyncio.get_running_loop().time, Planner(settings, self._sizes)
        return Context(
            settings,
            planner,
            executor,
            pool,
            emit,
            self.lifecycle,
            clock,
            FastPath(settings, planner, executor, self.lifecycle),
            self._metrics_page,
            self._last_reload,
            self._ties,
            lambda: len(self._workers()),
        )

    def _new_control(self, settings: Settings, pool: Pool) -> Control:
        return Control(
            settings,
            pool,
            self._budgets,
            self._feed,
            self._audit,
            emit=self._bus.emit,
            probe=self._rounds.probe,
            in_flight=lambda: len(self.lifecycle.running),
            draining=lambda: self.lifecycle.draining,
            config=self._config,
            started_at=self._started_at,
            simulator_url=self._simulator_url(),
            state_trouble=lambda: self._sync.trouble,
            workers=self._workers,
            ordered=self._ordered,
            reload=None if self._reloader is None else self._reloader.reload,
            last_reload=self._last_reload,
        )

    def _last_reload(self) -> Mapping[str, object] | None:
        return None if self._reloader is None else self._reloader.summary()

    async def _with_simulator(self, settings: Settings) -> Settings:
        return await self._playing.with_addresses(settings)

    def _load(self) -> float:
        return len(self.lifecycle.running) / self.settings.server.max_concurrent


def _file(loaded: Loaded) -> str:
    return loaded.findings[0].file if loaded.findings else "routes.yaml"
