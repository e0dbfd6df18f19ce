"""One of several processes that serve on one host: a proxy whose state is that of the host.

What differs from a proxy that serves alone stands here, so that the one that does pays nothing for it: the pool, the
budgets and the waiting room are their shared kinds; what happens is told to the others; what is one host's and not one
process's (test prompts, the state file, the control plane, reading the configuration) is done by the worker that leads.
Who leads, the supervisor says.
"""

from __future__ import annotations

import asyncio
import logging
import random
import socket
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from aiohttp.typedefs import Middleware

from proxy.app import Holdfast
from proxy.config.finding import Finding
from proxy.config.load import Loaded
from proxy.config.settings import DrainSettings, Settings
from proxy.control.moving import moving
from proxy.control.reloads import Reload
from proxy.control.source import Mark
from proxy.core.event import Ejected, Happening, Reloaded
from proxy.core.facts import Learned
from proxy.core.names import DeploymentId
from proxy.execution.shared_room import SharedRoom
from proxy.execution.waiting_room import WaitingRoom
from proxy.pool.budgets import Budgets
from proxy.pool.layout import budgets_of, layout_of, rules_in
from proxy.pool.orders import Order, carry_out
from proxy.pool.pool import Pool
from proxy.pool.shared import SharedPool
from proxy.pool.shared_budgets import SharedBudgets
from proxy.server.farewell import let_finish
from proxy.stores.memory import MemoryStore
from proxy.stores.store import Store
from proxy.telemetry.metrics import CONTENT_TYPE
from proxy.worker.counts import CountsOfHost
from proxy.worker.errands import Errands
from proxy.worker.events import EventsOfHost
from proxy.worker.hearing import Hearing
from proxy.worker.lifecycle import CountedLifecycle
from proxy.worker.played import PlayedElsewhere
from proxy.worker.snapshot import Configuration, Snapshot, pickled, unpickled
from proxy.workers.covering import Covering
from proxy.workers.link import Link, Message
from proxy.workers.roster import Roster, has_lost, leader_of, serving, with_ages
from proxy.workers.seat import Seat
from proxy.workers.sockets import close
from proxy.workers.table import Counts

_EVERY_S = 1.0

_logger = logging.getLogger("holdfast.worker")


class _ToldToStop(Protocol):
    def __call__(self, *, at_once: bool = False) -> None: ...


class Worker(Holdfast):
    """`start`, then wait until the supervisor wants an end, which `told_to_stop` hears; then `drain` and `stop`."""

    pool: SharedPool
    _budgets: SharedBudgets
    _room: SharedRoom

    def __init__(
        self,
        seat: Seat,
        settings: Settings,
        told_to_stop: _ToldToStop,
        took: Callable[[Settings], None] = lambda _settings: None,
        **others: Any,
    ) -> None:
        """`told_to_stop` is called when the supervisor wants it, and with `at_once` when it has no patience.

        `took` hears of settings that another worker has put in force. `others` are as of a proxy that serves alone.
        """
        super().__init__(settings, sockets=seat.listening[seat.place], **others)
        self._seat = seat
        self._started_at = seat.started_at
        self._told_to_stop, self._took = told_to_stop, took
        self._places, self._paid = Counts(seat.under_way, seat.number), Counts(seat.paid, seat.number)
        self.lifecycle = CountedLifecycle(self._places)
        self.all_end = False
        """Whether the whole proxy stops, and not only this worker."""
        self._hearing = Hearing(self._heed_before, self._heed, self._hear_other, self._judge)
        self._link = Link(seat, self._hearing, self._orphaned, self._taken)
        self._played = PlayedElsewhere(self._link)
        self._events = EventsOfHost(self._link, self._places, self._feed, self._audit, self._metrics)
        self._counts = CountsOfHost(self._link, self._metrics, self.tell)
        self._covering: Covering
        self._errands = Errands()
        self._begun: asyncio.Future[Snapshot | None] = asyncio.get_running_loop().create_future()
        self._leads = self._is_up = False
        self._roster: Roster = ()
        self._joined_with: Snapshot | None = None
        """What the others knew, until all of it is taken up."""

    # Beginning.

    async def start(self) -> None:
        """Begin with what the others know, or with what the file says where there are none; then listen."""
        await self._link.open()
        snapshot = self._joined_with = await self._begun
        if snapshot is not None:
            self.settings = self._learn_configuration(snapshot.configuration)
            self._learn_of_reload(snapshot.last_reload, snapshot.configuration.mark)
            self._events.last_known = snapshot.last_event
            self._audit.take_up(snapshot.audit)
        try:
            await super().start()
        except BaseException:
            self._link.close()
            raise
        self._bus.listen(self._tell_event)
        self._beside.append(asyncio.create_task(self._look_around(), name="look around"))
        self._is_up = True
        self._link.tell_supervisor("ready")

    async def _restore(self) -> None:
        """All that is known is there: what others know, and what they have said since."""
        self._covering = Covering(self._seat.listening, self._listener.also_on)
        if self._joined_with is None:
            await super()._restore()
        else:
            self._budgets.join(self._joined_with.budgets)
            self.pool.hour = self._joined_with.hour
        self._joined_with = None
        self._hearing.begin()

    def _begin_beside(self) -> None:
        self._rounds.leads = self._learning.leads = self._leads
        if self._leads:
            super()._begin_beside()

    def _new_pool(self, settings: Settings, now: float) -> Pool:
        known = None if self._joined_with is None else self._joined_with.known
        return SharedPool(layout_of(settings), now, known, self._places, self._link.tell, rules_in(settings))

    def _new_budgets(self, settings: Settings) -> Budgets:
        return SharedBudgets(*budgets_of(settings), self._paid)

    def _new_room(self, settings: Settings) -> WaitingRoom:
        clock = asyncio.get_running_loop().time
        return SharedRoom(settings.server.max_waiting, self._bus.emit, clock, self._places, self._link.tell)

    def _new_store(self, settings: Settings) -> Store:
        return super()._new_store(settings) if self._leads else MemoryStore()

    def _middlewares(self) -> list[Middleware]:
        return [*super()._middlewares(), moving(lambda: self._leads, self._link.move)]

    # Leading.

    def _lead(self) -> None:
        """Do what one worker does for the host."""
        if self._leads:
            return
        self._leads = self._rounds.leads = self._learning.leads = True
        self._events.lead()
        self._sync.keep_in(super()._new_store(self.settings))
        if self._is_up:
            self._begin_beside()

    async def step_down(self) -> None:
        """Leave it to another one."""
        if self._leads:
            self._leads = self._rounds.leads = self._learning.leads = False
            await self._sync.close()
            self._sync.keep_in(MemoryStore())
        self._link.tell_supervisor("leaves")

    def _give_snapshot(self, number: int) -> None:
        """Tell a worker that joins what it has to know. What is still to be told to all is told first."""
        self._link.flush()
        snapshot = Snapshot(
            self._configuration(),
            self._last_reload(),
            self.pool.known(),
            self._budgets.known(),
            self.pool.hour,
            self._audit.all(),
            self._feed.last,
        )
        self._link.tell_supervisor("snapshot", number, pickled(snapshot))

    # What the others say.

    def _judge(self) -> None:
        """What was heard may call for a breaker to open."""
        clock = asyncio.get_running_loop().time
        for event in self.pool.judge(clock(), random.random()) if self._leads else self.pool.leave_it():
            self._bus.emit(event)

    def _heed_before(self, message: Message) -> bool:
        """What can be heeded at any time; whether this could."""
        match message:
            case ("begin", configuration):
                self._leads = True
                if configuration is not None:
                    self.settings = self._learn_configuration(unpickled(configuration))
                self._begun.set_result(None)
            case ("join", snapshot):
                self._begun.set_result(unpickled(snapshot))
            case ("played", *answer):
                self._played.hear(tuple(answer))
            case ("stop" | "end" as word,):
                self.all_end = True
                self._told_to_stop(at_once=word == "end")
            case ("crew", roster, restarts):
                self._know_of(roster, restarts)
            case _:
                return False
        return True

    def _know_of(self, roster: Roster, restarts: Mapping[str, int]) -> None:
        before, self._roster = self._roster, roster
        self._link.leads_now(leader_of(roster))
        self._metrics.tell_workers(serving(roster), restarts)
        if has_lost(before, roster) and self._hearing.begun:
            self._room.look_around()

    def _heed(self, kind: str, *said: Any) -> None:
        """What the supervisor says."""
        match kind, *said:
            case ("lead",):
                self._lead()
            case ("welcome", number):
                self._give_snapshot(number)
            case ("cover", place):
                self._errands.begin(self._cover(place))
            case ("uncover", place):
                self._covering.end(place)
            case ("leave",):
                self._told_to_stop()
            case ("reload",):
                self._errands.begin(self._reload_for_supervisor())
            case ("asked", asker, ticket, question):
                self._answer(asker, ticket, question)
            case ("counted", counts):
                self._counts.elsewhere = counts

    def _hear_other(self, kind: str, *said: Any) -> None:
        """What another worker says."""
        match kind, *said:
            case ("freed", upstream, model):
                self._room.freed_elsewhere(DeploymentId(upstream, model))
            case ("event", at, event):
                self._events.note_elsewhere(at, event)
                self._sync(event)
            case ("order", order):
                carry_out(self.pool, order, rules_in(self.settings))
                self._room.look_around()
            case ("models", upstream, told):
                self._hear_of_models(upstream, told)
            case ("settings", configuration):
                self._follow(unpickled(configuration))
            case ("last_reload", summary, mark):
                self._learn_of_reload(summary, mark)
            case ("last_event", number):
                self._events.last_known = number
            case _:
                self.pool.hear(kind, *said)
                if kind == "guards":
                    self._room.look_around()

    def _answer(self, asker: int, ticket: int, question: Message) -> None:
        if question[0] == "counts":
            self._counts.tell()
        self._link.answer(asker, ticket, None)

    # What is told.

    def _tell_event(self, event: Happening) -> None:
        if isinstance(event, Ejected):
            self.pool.tell_ejection(event.deployment)
        if isinstance(event, Reloaded):
            self._link.tell("last_reload", self._last_reload(), self._mark())
        self._counts.has_news = True
        self._events.tell(event, leads=self._leads)

    async def _look_around(self) -> None:
        """Every second: hear what others have paid, and tell what has been counted."""
        while True:
            await asyncio.sleep(_EVERY_S)
            try:
                self._look()
            except Exception:
                # A bug in one look must not end the others.
                _logger.exception("a bug of the proxy, in looking around")

    def _look(self) -> None:
        self._budgets.look(asyncio.get_running_loop().time())
        if self._leads:
            self._events.tell_last()
        else:
            self._sync.leave_it()
            while self._sizes.doubts:
                self._link.tell_leader_soon("models", self._sizes.doubts.pop(), None)
        self._counts.tell_news()

    # One configuration after another.

    async def _take(self, wanted: Settings, loaded: Loaded) -> Sequence[Finding]:
        lasting = await super()._take(wanted, loaded)
        # Whoever waits for the reload may ask any worker next.
        await self._link.ask_all("settled")
        return lasting

    def _put_in_force(self, settings: Settings) -> None:
        # The next pool is made like this one.
        self.pool.follow(rules_in(settings))
        super()._put_in_force(settings)
        if self._leads:
            told = pickled(self._configuration())
            self._link.tell_supervisor("settings", told)
            self._link.tell("settings", told, at_once=True)

    def _follow(self, configuration: Configuration) -> None:
        """Put in force what another worker has read and found to be in order."""
        settings = self._learn_configuration(configuration)
        self._put_in_force(settings)
        self._took(settings)

    def _configuration(self) -> Configuration:
        """The one in force, to be told to others."""
        return Configuration(self.settings, self._config, self._simulator_url(), self._mark())

    def _learn_configuration(self, configuration: Configuration) -> Settings:
        """Take what belongs to another worker's configuration; returns its settings, to be put in force."""
        settings, self._config, self._played.control_url, mark = configuration
        self._learn_of_reload(self._last_reload(), mark)
        return settings

    def _learn_of_reload(self, summary: Mapping[str, object] | None, mark: Mark | None) -> None:
        """What another worker has read is not news for the one that leads after it."""
        if self._reloader is not None:
            self._reloader.last_elsewhere, self._reloader.mark = summary, mark

    def _mark(self) -> Mark | None:
        return None if self._reloader is None else self._reloader.mark

    def _learn(self, upstream: str, told: Mapping[str, Learned]) -> None:
        super()._learn(upstream, told)
        self._link.tell("models", upstream, dict(told))

    def _hear_of_models(self, upstream: str, told: Mapping[str, Learned] | None) -> None:
        """What a server tells of its models, or None: that it should be asked again."""
        if told is None:
            self._sizes.doubts.add(upstream)
        else:
            super()._learn(upstream, told)

    def _tell_changes(self, events: Iterable[Happening]) -> None:
        if self._leads:
            super()._tell_changes(events)

    async def reload(self, cause: str) -> Reload | None:
        """Read the configuration again, if this one leads."""
        return await super().reload(cause) if self._leads else None

    async def _reload_for_supervisor(self) -> None:
        try:
            await self.reload("signal")
        finally:
            self._link.tell_supervisor("reloaded")

    async def _ordered(self, order: Order) -> None:
        self._link.tell("order", order, at_once=True)
        await self._link.ask_all("settled")

    async def _with_simulator(self, settings: Settings) -> Settings:
        return await self._played.with_addresses(settings)

    def _simulator_url(self) -> str | None:
        return self._played.control_url

    # What is shown.

    async def _metrics_page(self) -> tuple[bytes, str]:
        own = await self._counts.ask()
        self.pool.count()
        return self._counts.page(own), CONTENT_TYPE

    def _workers(self) -> Sequence[Mapping[str, object]]:
        return with_ages(self._roster, time.time())

    # Ending.

    async def drain(self, limits: DrainSettings | None = None) -> None:
        """As of a proxy that serves alone, where all end; one that leaves while others stay breaks no connection."""
        if self.lifecycle.leaving and limits is None:
            await self.step_down()
            await self._leave()
            limits = DrainSettings(0.0, 0.0)
        await super().drain(limits)

    async def stop(self) -> None:
        """Close everything, at once."""
        await super().stop()
        self._counts.tell()
        self._link.close()

    async def _leave(self) -> None:
        """Take nothing new, and answer what comes on connections that are there, asking each to close."""
        self.lifecycle.draining = True
        self._go_deaf()
        await let_finish(self._listener, self.lifecycle, self.settings.server.drain.timeout)

    def _go_deaf(self) -> None:
        super()._go_deaf()
        self._covering.end_all()
        if not self.lifecycle.leaving:
            # Whatever copy of a socket stays open, somebody would wait on it.
            close(self._seat.listening)
            self._link.tell_supervisor("deaf")

    async def _cover(self, place: int) -> None:
        """Take what comes to the sockets of a worker that is gone, until another one is there."""
        if not self.lifecycle.draining:
            await self._covering.begin(place)

    def _taken(self, moved: socket.socket, head: bytes) -> bool:
        """Serve a connection that wants who leads, if that is us."""
        leads = self._leads and self._hearing.begun
        if leads:
            self._errands.begin(self._listener.take(moved, head))
        else:
            moved.close()
        return leads

    def _orphaned(self) -> None:
        """The supervisor is gone: nobody else will follow."""
        self.all_end = True
        self._told_to_stop()
