"""Goes round the deployments once a second: lets time do its work in the pool, and has probed who should be."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from proxy.config.settings import HealthSettings, Settings
from proxy.core.event import Happening
from proxy.core.names import DeploymentId
from proxy.execution.relay import Clock
from proxy.health.prober import Probed, Prober
from proxy.health.schedule import Cause, jittered, why_probe
from proxy.pool.deployment import Deployment
from proxy.pool.pool import Pool
from proxy.pool.upkeep import tick

_ROUND_S = 1.0
_MOST_AT_ONCE = 20
"""Probes under way: names that clients make up must not become a flood of questions."""

_logger = logging.getLogger("holdfast.health")


class Watched(NamedTuple):
    """How one deployment is to be probed. `connect` is in seconds."""

    health: HealthSettings
    connect: float
    free: bool
    """Asking costs nothing."""


class Rounds:
    """The rounds of one process: `run` until cancelled."""

    def __init__(
        self,
        settings: Settings,
        pool: Pool,
        prober: Prober,
        emit: Callable[[Happening], None],
        clock: Clock,
        roll: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._pool = pool
        self._prober = prober
        self._emit = emit
        self._clock = clock
        self._roll = roll
        self.leads = True
        """Of several processes on a host, one goes round for all: it probes, and tells what time has changed."""
        self._probed_at: dict[DeploymentId, float] = {}
        """When each was last probed, jitter included; a deployment that is met first counts as just probed."""
        self._watched: dict[DeploymentId, Watched | None] = {}
        self._asking: dict[DeploymentId, asyncio.Task[Probed | None]] = {}

    def follow(self, settings: Settings, pool: Pool, prober: Prober) -> None:
        """Go by another configuration from now on. Probes under way end as they began."""
        self._settings, self._pool, self._prober = settings, pool, prober
        self._watched.clear()

    async def run(self) -> None:
        """Go round until cancelled; then let go of the probes under way."""
        try:
            while True:
                try:
                    self.go_round()
                except Exception:
                    # Without the rounds nothing would recover: a bug in one of them must not end them all.
                    _logger.exception("a bug of the proxy, in its rounds")
                await asyncio.sleep(_ROUND_S)
        finally:
            asking = list(self._asking.values())
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)

    def go_round(self) -> None:
        """One round."""
        now = self._clock()
        routes = self._settings.routes.values() if self.leads else ()
        events = tick(self._pool, routes, now, time.localtime().tm_hour)
        if not self.leads:
            return
        for event in events:
            self._emit(event)
        deployments = self._pool.deployments()
        last = _last_to_answer(deployments)
        for deployment in deployments:
            if len(self._asking) >= _MOST_AT_ONCE:
                break
            watched = self.watched(deployment.id)
            if watched is not None and deployment.id not in self._asking:
                # Asking must not make a server throw the model that is in use out of its memory.
                free = watched.free and last[deployment.id.upstream] in {None, deployment.id}
                cause = self._why_probe(deployment, watched, now, free=free)
                if cause is not None:
                    self._start(deployment.id, watched, cause)
        if len(self._probed_at) > len(deployments):
            known = {deployment.id for deployment in deployments}
            self._probed_at = {id_: at for id_, at in self._probed_at.items() if id_ in known}
            self._watched = {id_: watched for id_, watched in self._watched.items() if id_ in known}

    def watched(self, id_: DeploymentId) -> Watched | None:
        """How a deployment is probed: as the first step of the file says that names it; None where none does."""
        if id_ not in self._watched:
            steps = (step for route in self._settings.routes.values() for step in route.steps)
            step = next((step for step in steps if step.unusable is None and step.serves(id_)), None)
            # Whoever asks may have been told of an upstream that a reload has taken away.
            upstream = self._settings.upstreams.get(id_.upstream)
            if step is None or upstream is None:
                self._watched[id_] = None
            else:
                self._watched[id_] = Watched(step.health, step.timeouts.connect, upstream.kind.free)
        return self._watched[id_]

    async def probe(self, id_: DeploymentId) -> Probed | None:
        """Probe at an operator's word; None when it may not be asked now."""
        watched = self.watched(id_)
        if watched is None:
            return None
        if (asking := self._asking.get(id_)) is not None:
            return await asyncio.shield(asking)
        return await asyncio.shield(self._start(id_, watched, "operator"))

    def _why_probe(self, deployment: Deployment, watched: Watched, now: float, *, free: bool) -> Cause | None:
        standing = self._pool.standing(deployment.id, deployment.guards[0].rules, now) if deployment.guards else None
        # The first round only notes who is there: a process that restarts in a loop must not probe in a loop.
        probed_at = self._probed_at.setdefault(deployment.id, now - self._roll() * watched.health.interval)
        rest = standing.rest if standing is not None else None
        named = self._pool.is_named(deployment.id)
        return why_probe(deployment, watched.health, rest, probed_at, now, free=free, named=named)

    def _start(self, id_: DeploymentId, watched: Watched, cause: Cause) -> asyncio.Task[Probed | None]:
        jitter = jittered(watched.health.interval, self._roll()) - watched.health.interval
        self._probed_at[id_] = self._clock() + jitter
        task = asyncio.create_task(
            self._prober.probe(id_, watched.health, watched.connect, cause), name=f"probe of {id_}"
        )
        self._asking[id_] = task
        task.add_done_callback(lambda _: self._asking.pop(id_, None))
        return task


def _last_to_answer(deployments: Iterable[Deployment]) -> dict[str, DeploymentId | None]:
    """By upstream: the deployment whose model is likely to be loaded, the last to answer; None where it has but one."""
    last: dict[str, tuple[int, float, DeploymentId]] = {}
    for deployment in deployments:
        name, at = deployment.id.upstream, deployment.last_success_at
        count, latest, id_ = last.get(name, (0, -1.0, deployment.id))
        newer = at is not None and at > latest
        last[name] = (count + 1, at, deployment.id) if newer and at is not None else (count + 1, latest, id_)
    # Of several that never answered none is likely to be loaded, and each would throw out the one before.
    nobody = DeploymentId("", "")
    return {name: None if count == 1 else id_ if latest >= 0 else nobody for name, (count, latest, id_) in last.items()}
