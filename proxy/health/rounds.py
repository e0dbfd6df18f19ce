"""Goes round the deployments once a second: lets time do its work in the pool, and has probed who should be."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
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
        self._probed_at: dict[DeploymentId, float] = {}
        """When each was last probed, jitter included; a deployment that is met first counts as just probed."""
        self._watched: dict[DeploymentId, Watched | None] = {}
        self._asking: dict[DeploymentId, asyncio.Task[Probed | None]] = {}

    async def run(self) -> None:
        """Go round until cancelled; then let go of the probes under way."""
        try:
            while True:
                self.go_round()
                await asyncio.sleep(_ROUND_S)
        finally:
            asking = list(self._asking.values())
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)

    def go_round(self) -> None:
        """One round."""
        now = self._clock()
        for event in tick(self._pool, self._settings.routes.values(), now, time.localtime().tm_hour):
            self._emit(event)
        for deployment in self._pool.deployments():
            watched = self.watched(deployment.id)
            if watched is None or deployment.id in self._asking:
                continue
            cause = self._why_probe(deployment, watched, now)
            if cause is not None:
                self._start(deployment.id, watched, cause)

    def watched(self, id_: DeploymentId) -> Watched | None:
        """How a deployment is probed: as the first step of the file says that names it; None where none does."""
        if id_ not in self._watched:
            steps = (step for route in self._settings.routes.values() for step in route.steps)
            step = next((step for step in steps if step.unusable is None and step.serves(id_)), None)
            free = self._settings.upstreams[id_.upstream].kind.free
            self._watched[id_] = None if step is None else Watched(step.health, step.timeouts.connect, free)
        return self._watched[id_]

    async def probe(self, id_: DeploymentId) -> Probed | None:
        """Probe at an operator's word; None when it may not be asked now."""
        watched = self.watched(id_)
        if watched is None:
            return None
        if (asking := self._asking.get(id_)) is not None:
            return await asyncio.shield(asking)
        return await asyncio.shield(self._start(id_, watched, "operator"))

    def _why_probe(self, deployment: Deployment, watched: Watched, now: float) -> Cause | None:
        standing = self._pool.standing(deployment.id, deployment.guards[0].rules, now) if deployment.guards else None
        # The first round only notes who is there: a process that restarts in a loop must not probe in a loop.
        probed_at = self._probed_at.setdefault(deployment.id, now - self._roll() * watched.health.interval)
        free = watched.free and self._is_loaded(deployment)
        rest = standing.rest if standing is not None else None
        return why_probe(deployment, watched.health, rest, probed_at, now, free=free)

    def _is_loaded(self, deployment: Deployment) -> bool:
        """Whether asking it does not make its server throw another model out of memory: it was the last to answer."""
        siblings = [each for each in self._pool.deployments() if each.id.upstream == deployment.id.upstream]
        return len(siblings) == 1 or deployment.last_success_at == max(
            (each.last_success_at for each in siblings if each.last_success_at is not None), default=-1.0
        )

    def _start(self, id_: DeploymentId, watched: Watched, cause: Cause) -> asyncio.Task[Probed | None]:
        jitter = jittered(watched.health.interval, self._roll()) - watched.health.interval
        self._probed_at[id_] = self._clock() + jitter
        task = asyncio.create_task(
            self._prober.probe(id_, watched.health, watched.connect, cause), name=f"probe of {id_}"
        )
        self._asking[id_] = task
        task.add_done_callback(lambda _: self._asking.pop(id_, None))
        return task
