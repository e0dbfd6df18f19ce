"""Asks servers about their models: windows, abilities, prices, and what is loaded. Beside the requests, never for one.

A server of one's own is asked at the start, every few minutes, and sooner when there is reason to think that it has
changed: a prompt was refused as too long, a model answered that was not loaded, another configuration is in force.
Others are asked at the start and once a day. Who does not answer is asked less and less often, and nobody is told.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from msgspec import structs

from proxy.config.settings import Settings, UpstreamSettings
from proxy.core.facts import Learned
from proxy.core.hosts import is_this_machine
from proxy.core.names import DeploymentId
from proxy.dialects.live.question import Heard, Question, Reply
from proxy.dialects.live.table import TABLE, learned, questions_for
from proxy.execution.relay import Clock
from proxy.health.schedule import jittered
from proxy.pool.pool import Pool

OFTEN_S: Final = 180.0
"""From question to question to a server of one's own."""
DAILY_S: Final = 86_400.0
SOON_S: Final = 10.0
"""The least time between two rounds of questions to one server, whatever the reason."""
_FIRST_PAUSE_S: Final = 30.0
"""After the first round without an answer; it doubles."""
_LONGEST_PAUSE_S: Final = 3600.0
_MOST_SILENCES: Final = 12
_ROUND_S: Final = 2.0
_MOST_AT_ONCE: Final = 4
"""Servers."""
_MOST_QUESTIONS: Final = 64
"""To one server in one round."""
_MOST_OF_A_GLOB: Final = 64
"""Models that only clients have named, of one upstream."""

_logger = logging.getLogger("holdfast.health")

Ask = Callable[[UpstreamSettings, Question], Awaitable[Reply | None]]
Take = Callable[[str, Mapping[str, Learned]], None]
"""Hears the name of an upstream, and all that is known now of its models from the server."""


@dataclass(slots=True)
class _Record:
    """When one server was asked, and how often it has not answered since it did last."""

    server: tuple[str, str]
    asked_at: float | None = None
    due_at: float = 0.0
    silences: int = 0


class _Models(NamedTuple):
    """The models of an upstream."""

    named: tuple[str, ...]
    """Those that routes name, and the last that clients have named through globs."""
    globs: bool
    """Whether clients may name others."""


class Learning:
    """The questions of one process: `run` until cancelled."""

    def __init__(
        self,
        settings: Settings,
        pool: Pool,
        ask: Ask,
        take: Take,
        doubts: set[str],
        clock: Clock,
        roll: Callable[[], float],
    ) -> None:
        """`ask` sends a question, `take` hears what was learned, `roll` is luck, from 0 to 1.

        `doubts` gathers the names of upstreams of which something that is known may not be true any more.
        """
        self._settings, self._pool = settings, pool
        self._ask, self._take = ask, take
        self._doubts = doubts
        self._clock, self._roll = clock, roll
        self.leads = True
        """Of several processes on a host, one asks for all."""
        self._records: dict[str, _Record] = {}
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._followed = asyncio.Event()

    def follow(self, settings: Settings, pool: Pool) -> None:
        """Go by another configuration from now on. Servers of one's own are asked anew."""
        self._settings, self._pool = settings, pool
        self._followed.set()
        # What comes of questions to servers that are gone is not heard.
        servers = {name: _server(upstream) for name, upstream in settings.upstreams.items()}
        self._records = {name: record for name, record in self._records.items() if servers.get(name) == record.server}
        for name, upstream in settings.upstreams.items():
            if is_own(upstream):
                self.doubt(name)

    def doubt(self, name: str) -> None:
        """What is known of a server may not be true any more. Others than one's own keep to their day."""
        record = self._records.get(name)
        upstream = self._settings.upstreams.get(name)
        if record is not None and record.asked_at is not None and upstream is not None and is_own(upstream):
            record.due_at = min(record.due_at, record.asked_at + SOON_S)

    async def run(self) -> None:
        """Go round until cancelled; then let go of the questions under way."""
        try:
            while True:
                try:
                    self.go_round()
                except Exception:
                    # A bug in one round must not end them all.
                    _logger.exception("a bug of the proxy, in asking about models")
                await self._pause()
        finally:
            asking = list(self._asking.values())
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)

    async def _pause(self) -> None:
        """Until the next round; where nobody is asked, until another configuration is in force."""
        self._followed.clear()
        if any(is_asked(upstream) for upstream in self._settings.upstreams.values()):
            await asyncio.sleep(_ROUND_S)
        else:
            await self._followed.wait()

    def go_round(self) -> None:
        """Begin to ask whoever is due."""
        if not self.leads:
            return
        while self._doubts:
            self.doubt(self._doubts.pop())
        now = self._clock()
        for name, upstream in self._settings.upstreams.items():
            if len(self._asking) >= _MOST_AT_ONCE:
                return
            if name in self._asking or not is_asked(upstream):
                continue
            record = self._record(name, upstream)
            self._look_at_loaded(name, upstream, record)
            if now >= record.due_at:
                record.asked_at = now
                self._start(name, upstream, record)

    def _record(self, name: str, upstream: UpstreamSettings) -> _Record:
        record = self._records.get(name)
        if record is None:
            record = self._records[name] = _Record(_server(upstream))
        return record

    def _look_at_loaded(self, name: str, upstream: UpstreamSettings, record: _Record) -> None:
        """A model that was not loaded and has answered since is loaded now, with a window that nobody knows."""
        if record.asked_at is None:
            return
        for model, told in upstream.live.items():
            state = self._pool.find(DeploymentId(name, model)) if told.loaded is False else None
            if state is not None and state.last_success_at is not None and state.last_success_at > record.asked_at:
                self.doubt(name)
                return

    def _models(self, name: str) -> _Models:
        steps = [step for route in self._settings.routes.values() for step in route.steps]
        used = [step.model for step in steps if step.upstream == name and step.unusable is None]
        named = [model for model in used if "*" not in model]
        globs = len(named) < len(used)
        if globs:
            of_clients = (each.id.model for each in reversed(self._pool.deployments()) if each.id.upstream == name)
            named += islice(of_clients, _MOST_OF_A_GLOB)
        return _Models(tuple(dict.fromkeys(named)), globs)

    def _start(self, name: str, upstream: UpstreamSettings, record: _Record) -> None:
        task = asyncio.create_task(self._learn(name, upstream, record), name=f"questions to {name}")
        self._asking[name] = task
        task.add_done_callback(lambda _: self._asking.pop(name, None))

    async def _learn(self, name: str, upstream: UpstreamSettings, record: _Record) -> None:
        often = OFTEN_S if is_own(upstream) else DAILY_S
        # Whatever goes wrong from here on, it is not asked in a loop.
        record.due_at = self._clock() + often
        models = self._models(name)
        if not models.named and not models.globs:
            return
        kind = upstream.kind.name
        heard = await self._hear(upstream, questions_for(kind, models.named, upstream.options))
        known = self._settings.upstreams.get(name)
        if known is None or self._records.get(name) is not record:
            # Another configuration has another server by this name.
            return
        told = learned(kind, heard, models.named, every=models.globs)
        if told:
            record.silences = 0
            pause = often
        else:
            _logger.debug("%s tells nothing about its models", name)
            pause = min(_FIRST_PAUSE_S * 2**record.silences, max(often, _LONGEST_PAUSE_S))
            record.silences = min(record.silences + 1, _MOST_SILENCES)
            # What its models are like stays known, but nobody knows whether one is loaded.
            told = {model: structs.replace(each, loaded=None, gpu=None) for model, each in known.live.items()}
        record.due_at = self._clock() + jittered(pause, self._roll())
        if told != known.live:
            self._take(name, told)

    async def _hear(self, upstream: UpstreamSettings, questions: Iterable[Question]) -> list[Heard]:
        """Ask one question after another, and what their answers lead to."""
        heard: list[Heard] = []
        waiting = list(questions)
        asked = 0
        while waiting and asked < _MOST_QUESTIONS:
            question = waiting.pop(0)
            asked += 1
            reply = await self._ask(upstream, question)
            if reply is None:
                if not heard:
                    # It does not answer at all.
                    return []
                continue
            answer = question.read(reply)
            heard.append(answer)
            waiting += answer.further
        return heard


def _server(upstream: UpstreamSettings) -> tuple[str, str]:
    return upstream.kind.name, upstream.base_url


def is_asked(upstream: UpstreamSettings) -> bool:
    """Whether a server is asked at all."""
    usable = upstream.learns and upstream.unconfigured is None and bool(upstream.base_url)
    # The list of OpenAI itself tells nothing but names.
    return usable and upstream.listed_as != "openai" and upstream.kind.name in TABLE


def is_own(upstream: UpstreamSettings) -> bool:
    """Whether asking costs nothing but a moment of a machine of one's own."""
    if upstream.kind.free:
        return True
    try:
        host = urlsplit(upstream.base_url).hostname or ""
    except ValueError:
        return False
    return is_this_machine(host)


def hand_on(running: Settings, settings: Settings) -> None:
    """Let a new configuration have what servers have told that it names, too."""
    for name, upstream in settings.upstreams.items():
        before = running.upstreams.get(name)
        if (
            before is not None
            and upstream.learns
            and (before.kind, before.base_url) == (upstream.kind, upstream.base_url)
        ):
            upstream.learn(before.live)
