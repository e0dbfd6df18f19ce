"""One of several processes that serve on one host: a proxy whose state is that of the host.

What differs from a proxy that serves alone stands here, so that the one that does pays nothing for it: the pool, the
budgets and the waiting room are their shared kinds; what happens is told to the others; what is one host's and not one
process's (test prompts, the state file, the control plane, reading the configuration) is done by the worker that leads.
Who leads, the supervisor says.
"""

from __future__ import annotations

import asyncio
import copyreg
import logging
import pickle
import random
import socket
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, NamedTuple

from aiohttp.typedefs import Middleware
from msgspec import structs

from proxy.app import Holdfast, budgets_of
from proxy.config.finding import Finding
from proxy.config.load import Loaded
from proxy.config.settings import DrainSettings, Rules, Settings
from proxy.control.moving import moving
from proxy.control.reloads import Reload
from proxy.control.source import Mark
from proxy.core.event import (
    AttemptEnded,
    BudgetRefused,
    Controlled,
    Degraded,
    Ejected,
    FailedOver,
    Happening,
    Hedged,
    Reloaded,
    RequestEnded,
    ResumeEnded,
    Shed,
    StreamInterrupted,
)
from proxy.core.names import DeploymentId
from proxy.execution.shared_room import SharedRoom
from proxy.execution.waiting_room import WaitingRoom
from proxy.pool.budgets import Budgets
from proxy.pool.layout import change_between, layout_of
from proxy.pool.orders import Order, carry_out
from proxy.pool.pool import Pool
from proxy.pool.shared import Known, SharedPool
from proxy.pool.shared_budgets import SharedBudgets
from proxy.server.context import Lifecycle
from proxy.server.farewell import let_finish
from proxy.stores.base import Store
from proxy.stores.memory import MemoryStore
from proxy.telemetry.metrics import CONTENT_TYPE
from proxy.workers.frames import SUPERVISOR
from proxy.workers.link import Link, Message
from proxy.workers.seat import Seat
from proxy.workers.table import Counts
from proxy.workers.tasks import CountedTasks

_OF_REQUESTS = (
    AttemptEnded,
    BudgetRefused,
    Degraded,
    FailedOver,
    Hedged,
    RequestEnded,
    ResumeEnded,
    Shed,
    StreamInterrupted,
)
"""Events that come with every request or nearly so: told only while somebody follows them."""
_FOLLOWERS = "followers "
"""The name of a count; no upstream has a space in its name."""
_EVERY_S = 1.0
_SLACK = 2000
"""Numbers of events that a new leader leaves out, so that none is given twice."""
_PLAY_S = 10.0

_logger = logging.getLogger("holdfast.worker")


class _Snapshot(NamedTuple):
    """What a worker that joins has to know. All in one, so that what is one object stays one."""

    settings: Settings
    config: Mapping[str, Any]
    simulator_url: str | None
    last_reload: Mapping[str, object] | None
    mark: Mark | None
    known: Known
    budgets: tuple[Budgets, dict[str, list[int]]]
    hour: int
    audit: list[Any]
    last_event: int


class Worker(Holdfast):
    """`start`, then wait until the supervisor wants an end, which `told_to_stop` hears; then `drain` and `stop`."""

    def __init__(
        self,
        seat: Seat,
        settings: Settings,
        told_to_stop: Callable[[], None],
        took: Callable[[Settings], None] = lambda _settings: None,
        **others: Any,
    ) -> None:
        """`told_to_stop` is called when the supervisor wants it, and again when it wants that at once. `took` hears of
        settings that another worker has put in force. `others` are as of a proxy that serves alone."""
        super().__init__(settings, sockets=seat.listening[seat.place], **others)
        self._seat = seat
        self._told_to_stop, self._took = told_to_stop, took
        self._places, self._paid = Counts(seat.under_way, seat.number), Counts(seat.paid, seat.number)
        self.lifecycle = Lifecycle(running=CountedTasks(self._places))
        self.all_end = False
        """Whether the whole proxy stops, and not only this worker."""
        self._link = Link(seat, self._hear, self._orphaned, self._taken)
        self._begun: asyncio.Future[_Snapshot | None] = asyncio.get_running_loop().create_future()
        self._early: list[tuple[int, list[Message]]] | None = []
        """What is heard before there is anybody to hear it."""
        self._leads = self._is_up = False
        self._known: Known | None = None
        self._roster: Sequence[Mapping[str, object]] = ()
        self._counted_elsewhere: Mapping[Any, float] = {}
        self._playing: asyncio.Future[tuple[Any, ...]] | None = None
        self._played_at: str | None = None
        self._reload_summary: Mapping[str, object] | None = None
        self._covering: dict[int, list[asyncio.Server]] = {}
        self._last_event = 0
        self._counting = False
        """Whether something was counted since the supervisor was told the counts."""
        self._followings: list[int | None] = []
        """The places in the count of those who follow."""
        self._joined_with: _Snapshot | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._began = seat.started_at
        self._feed.watched = self._followed

    # Beginning.

    async def start(self) -> None:
        """Begin with what the others know, or with what the file says where there are none; then listen."""
        await self._link.open()
        snapshot = await self._begun
        if snapshot is not None:
            self.settings, self._config = snapshot.settings, snapshot.config
            self._played_at = snapshot.simulator_url
            self._learn_of_reload(snapshot.last_reload, snapshot.mark)
            self._known, self._last_event = snapshot.known, snapshot.last_event
            self._audit.take_up(snapshot.audit)
        try:
            self._joined_with = snapshot
            await super().start()
        except BaseException:
            self._link.close()
            raise
        self._started_at = self._began
        self._swap_control()
        self._bus.listen(self._tell_event)
        self._beside.append(asyncio.create_task(self._look_around(), name="budgets"))
        self._is_up = True
        self._link.tell_supervisor("ready")

    async def _restore(self) -> None:
        """All that is known is there: what others know, and what they have said since."""
        if self._joined_with is None:
            await super()._restore()
        elif isinstance(self._budgets, SharedBudgets):
            self._budgets.join(self._joined_with.budgets)
            self.pool.hour = self._joined_with.hour
        self._joined_with = None
        early, self._early = self._early or [], None
        for source, messages in early:
            self._hear(source, messages)

    def _begin_beside(self) -> None:
        self._rounds.leads = self._leads
        if self._leads:
            super()._begin_beside()

    def _new_pool(self, settings: Settings, now: float) -> Pool:
        rules_of = change_between(settings, settings).rules_of
        known, self._known = self._known, None
        return SharedPool(layout_of(settings), now, known, self._places, self._link.tell, rules_of)

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
        self._leads = self._rounds.leads = True
        self._feed.skip_to(self._last_event + _SLACK)
        self._sync.keep_in(super()._new_store(self.settings))
        if self._is_up:
            self._begin_beside()

    async def step_down(self) -> None:
        """Leave it to another one."""
        if self._leads:
            self._leads = self._rounds.leads = False
            await self._sync.close()
            self._sync.keep_in(MemoryStore())
        self._link.tell_supervisor("leaves")

    def _give_snapshot(self, number: int) -> None:
        """Tell a worker that joins what it has to know. What is still to be told to all is told first."""
        assert isinstance(self.pool, SharedPool)  # noqa: S101 - as made above
        assert isinstance(self._budgets, SharedBudgets)  # noqa: S101 - as above
        self._link.flush()
        snapshot = _Snapshot(
            self.settings,
            self._config,
            self._simulator_url(),
            self._last_reload(),
            self._mark(),
            self.pool.known(),
            self._budgets.known(),
            self.pool.hour,
            self._audit.all(),
            self._feed.last,
        )
        self._link.tell_supervisor("snapshot", number, _pickled(snapshot))

    # What the others say.

    def _hear(self, source: int, messages: list[Message]) -> None:
        if source == SUPERVISOR:
            messages = [message for message in messages if not self._heed_before(message)]
        if self._early is not None:
            if messages:
                self._early.append((source, messages))
            return
        for message in messages:
            try:
                if source == SUPERVISOR:
                    self._heed(*message)
                else:
                    self._hear_other(*message)
            except Exception:
                # One message that makes no sense must not cost the others.
                _logger.exception("a bug of the proxy, in what a worker was told (%.40s)", message[0])
        if isinstance(self.pool, SharedPool):
            clock = asyncio.get_running_loop().time
            for event in self.pool.judge(clock(), random.random()) if self._leads else self.pool.leave_it():
                self._bus.emit(event)

    def _heed_before(self, message: Message) -> bool:
        """What can be heeded at any time; whether this could."""
        match message:
            case ("begin", settings):
                self._leads = True
                if settings is not None:
                    self.settings, self._config, self._played_at, mark = _unpickled(settings)
                    self._learn_of_reload(None, mark)
                self._begun.set_result(None)
            case ("join", snapshot):
                self._begun.set_result(_unpickled(snapshot))
            case ("played", *answer):
                if self._playing is not None and not self._playing.done():
                    self._playing.set_result(tuple(answer))
            case ("stop" | "end",):
                self.all_end = True
                self._told_to_stop()
            case ("crew", roster, restarts):
                if leader_of(roster) != leader_of(self._roster):
                    self._link.another_leads()
                fewer = len(roster) < len(self._roster)
                self._roster = roster
                self._metrics.tell_workers(sum(each["phase"] == "serving" for each in roster), restarts)
                if fewer and self._early is None:
                    # Whoever is gone has left places.
                    self._room.look_around()
            case _:
                return False
        return True

    def _heed(self, kind: str, *said: Any) -> None:
        """What the supervisor says."""
        match kind, *said:
            case ("lead",):
                self._lead()
            case ("welcome", number):
                self._give_snapshot(number)
            case ("cover", place):
                self._do(self._cover(place))
            case ("uncover", place):
                for server in self._covering.pop(place, []):
                    server.close()
            case ("leave",):
                self._told_to_stop()
            case ("reload",):
                self._do(self._reload_for_supervisor())
            case ("asked", asker, ticket, question):
                self._answer(asker, ticket, question)
            case ("counted", counts):
                self._counted_elsewhere = counts

    def _hear_other(self, kind: str, *said: Any) -> None:
        """What another worker says."""
        match kind, *said:
            case ("freed", upstream, model) if isinstance(self._room, SharedRoom):
                self._room.freed_elsewhere(DeploymentId(upstream, model))
            case ("event", at, event):
                self._note_elsewhere(at, event)
            case ("order", order):
                carry_out(self.pool, order, self._rules_of)
                self._room.look_around()
            case ("settings", settings):
                self._follow(*_unpickled(settings))
            case ("last_reload", summary, mark):
                self._learn_of_reload(summary, mark)
            case ("last_event", number):
                self._last_event = number
            case _ if isinstance(self.pool, SharedPool):
                self.pool.hear(kind, *said)
                if kind == "guards":
                    self._room.look_around()

    def _answer(self, asker: int, ticket: int, question: Message) -> None:
        if question[0] == "counts":
            self._link.tell_supervisor("counts", self._metrics.counts())
        self._link.answer(asker, ticket, None)

    # What is told.

    def _tell_event(self, event: Happening) -> None:
        self._counting = True
        if isinstance(event, Ejected) and isinstance(self.pool, SharedPool):
            self.pool.tell_ejection(event.deployment)
        if isinstance(event, Reloaded):
            self._link.tell("last_reload", self._last_reload(), self._mark())
        if not isinstance(event, _OF_REQUESTS):
            self._link.tell("event", time.time(), event)
        elif not self._leads and self._places.total(_FOLLOWERS):
            told = structs.replace(event, usage=None) if isinstance(event, RequestEnded) else event
            self._link.tell_leader_soon("event", time.time(), told)

    def _note_elsewhere(self, at: float, event: Happening) -> None:
        """What has happened in another worker, which has counted and logged it."""
        self._feed(event, at)
        if isinstance(event, Controlled | Reloaded):
            self._audit.add(event, at)
        self._sync(event)
        self._metrics.note_elsewhere(event)

    def _followed(self, change: int) -> None:
        """Somebody has begun to follow the events, or has ceased to. The others are told by a count."""
        if change > 0:
            self._followings.append(self._places.take(_FOLLOWERS)[0])
        elif self._followings:
            self._places.free(self._followings.pop())

    async def _look_around(self) -> None:
        """Every second: hear what others have paid, and tell what has been counted."""
        while True:
            await asyncio.sleep(_EVERY_S)
            try:
                self._tell_counts()
            except Exception:
                # A bug in one look must not end the others.
                _logger.exception("a bug of the proxy, in looking around")

    def _tell_counts(self) -> None:
        if isinstance(self._budgets, SharedBudgets):
            self._budgets.look(asyncio.get_running_loop().time())
        if not self._leads:
            self._sync.leave_it()
        elif self._last_event != self._feed.last:
            self._last_event = self._feed.last
            self._link.tell("last_event", self._last_event)
        if self._counting:
            self._counting = False
            self._link.tell_supervisor("counts", self._metrics.counts())

    # One configuration after another.

    async def _take(self, wanted: Settings, loaded: Loaded) -> Sequence[Finding]:
        lasting = await super()._take(wanted, loaded)
        # Whoever waits for the reload may ask any worker next.
        await self._link.ask_all("settled")
        return lasting

    def _put_in_force(self, settings: Settings) -> None:
        if isinstance(self.pool, SharedPool):
            # The next pool is made like this one.
            self.pool.follow(change_between(settings, settings).rules_of)
        super()._put_in_force(settings)
        if self._leads:
            told = _pickled((settings, self._config, self._simulator_url(), self._mark()))
            self._link.tell_supervisor("settings", told)
            self._link.tell("settings", told, at_once=True)

    def _follow(
        self,
        settings: Settings,
        config: Mapping[str, Any],
        simulator_url: str | None,
        mark: Mark | None,
    ) -> None:
        """Put in force what another worker has read and found to be in order."""
        self._config, self._played_at = config, simulator_url
        self._learn_of_reload(self._reload_summary, mark)
        self._put_in_force(settings)
        self._took(settings)

    def _tell_changes(self, events: Iterable[Happening]) -> None:
        if self._leads:
            super()._tell_changes(events)

    async def reload(self, cause: str) -> Reload | None:
        """Read the configuration again, if this one leads."""
        return await super().reload(cause) if self._leads else None

    def _learn_of_reload(self, summary: Mapping[str, object] | None, mark: Mark | None) -> None:
        """What another worker has read is not news for the one that leads after it."""
        self._reload_summary = summary
        if self._reloader is not None:
            self._reloader.mark = mark

    def _mark(self) -> Mark | None:
        return None if self._reloader is None else self._reloader.mark

    async def _reload_for_supervisor(self) -> None:
        try:
            await self.reload("signal")
        finally:
            self._link.tell_supervisor("reloaded")

    def _last_reload(self) -> Mapping[str, object] | None:
        return super()._last_reload() or self._reload_summary

    async def _ordered(self, order: Order) -> None:
        self._link.tell("order", order, at_once=True)
        await self._link.ask_all("settled")

    def _rules_of(self, id_: DeploymentId) -> Sequence[Rules]:
        return change_between(self.settings, self.settings).rules_of(id_)

    # The simulated upstreams, which a process of their own plays for all.

    async def _with_simulator(self, settings: Settings) -> Settings:
        names = [
            name for name, each in settings.upstreams.items() if each.kind.name == "simulated" and not each.base_url
        ]
        if not names:
            return settings
        self._playing = asyncio.get_running_loop().create_future()
        self._link.tell_supervisor("play", names)
        try:
            async with asyncio.timeout(_PLAY_S):
                urls, control_url = await self._playing
        except TimeoutError:
            raise OSError("the simulated upstreams did not start") from None
        if urls is None:
            raise OSError(control_url)
        self._played_at = control_url
        places = {name: replace(settings.upstreams[name], base_url=urls[name]) for name in names}
        return replace(settings, upstreams={**settings.upstreams, **places})

    def _simulator_url(self) -> str | None:
        return self._played_at

    # What is shown.

    async def _metrics_page(self) -> tuple[bytes, str]:
        own = self._metrics.counts()
        self._link.tell_supervisor("counts", own)
        await self._link.ask_all("counts")
        assert isinstance(self.pool, SharedPool)  # noqa: S101 - as made above
        self.pool.count()
        return self._metrics.render_together(own, self._counted_elsewhere), CONTENT_TYPE

    def _workers(self) -> Sequence[Mapping[str, object]]:
        now = time.time()
        return [{**each, "age_s": round(now - float(str(each["started_at"])), 1)} for each in self._roster]

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
        self._link.tell_supervisor("counts", self._metrics.counts())
        self._link.close()

    async def _leave(self) -> None:
        """Take nothing new, and answer what comes on connections that are there, asking each to close."""
        self.lifecycle.draining = True
        self._go_deaf()
        await let_finish(self._listener, self.lifecycle, self.settings.server.drain.timeout)

    def _go_deaf(self) -> None:
        super()._go_deaf()
        for servers in self._covering.values():
            for server in servers:
                server.close()
        self._covering.clear()
        if not self.lifecycle.leaving:
            # Whatever copy of a socket stays open, somebody would wait on it.
            for each in {id(each): each for listening in self._seat.listening for each in listening}.values():
                each.close()
            self._link.tell_supervisor("deaf")

    async def _cover(self, place: int) -> None:
        """Take what comes to the sockets of a worker that is gone, until another one is there."""
        if place not in self._covering and not self.lifecycle.draining:
            self._covering[place] = []
            self._covering[place] += await self._listener.also_on(self._seat.listening[place])

    def _taken(self, moved: socket.socket, head: bytes) -> bool:
        """Serve a connection that wants who leads, if that is us."""
        leads = self._leads and self._early is None
        if leads:
            self._do(self._listener.take(moved, head))
        else:
            moved.close()
        return leads

    def _orphaned(self) -> None:
        """The supervisor is gone: nobody else will follow."""
        self.all_end = True
        self._told_to_stop()

    def _do(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _logger.error("a bug of the proxy, in a worker", exc_info=error)


def _read_only(mapping: dict[Any, Any]) -> MappingProxyType[Any, Any]:
    return MappingProxyType(mapping)


def leader_of(roster: Sequence[Mapping[str, object]]) -> object:
    """The number of whoever leads."""
    return next((each["worker"] for each in roster if each["leads"]), None)


# Settings have read-only mappings, which the library forgot.
copyreg.pickle(MappingProxyType, lambda mapping: (_read_only, (dict(mapping),)))


def _pickled(value: object) -> bytes:
    return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)


def _unpickled(value: bytes) -> Any:
    return pickle.loads(value)  # noqa: S301 - from our own processes
