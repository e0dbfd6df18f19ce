"""What the control plane's handlers share, one object for each configuration; finding and showing deployments."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import msgspec
from aiohttp import HttpVersion11, web

from proxy.config.settings import Rules, Settings, StepSettings
from proxy.control.audit import Audit
from proxy.control.guard import check_operator
from proxy.control.reloads import Reload
from proxy.core.errors import ClientError
from proxy.core.event import Happening
from proxy.core.facts import Learned
from proxy.core.in_force import InForce
from proxy.core.names import DeploymentId
from proxy.health.prober import Probed
from proxy.pool.budgets import Budgets
from proxy.pool.orders import Order
from proxy.pool.pool import Pool
from proxy.pool.snapshot import as_document, picture
from proxy.telemetry.feed import Feed


async def _alone(_order: Order) -> None:
    """Nobody else has to hear of it."""


@dataclass(frozen=True, slots=True)
class Control:
    """The control plane's world."""

    settings: Settings
    pool: Pool
    budgets: Budgets
    feed: Feed
    audit: Audit
    emit: Callable[[Happening], None]
    probe: Callable[[DeploymentId], Awaitable[Probed | None]]
    """Ask a deployment a test prompt at an operator's word; None when it may not be asked now."""
    in_flight: Callable[[], int]
    """Client requests under way."""
    draining: Callable[[], bool]
    config: Mapping[str, Any]
    """routes.yaml as loaded, secrets masked."""
    started_at: float
    """The wall clock, in seconds."""
    simulator_url: str | None
    """Where faults can be injected into the simulated upstreams that run within this process."""
    state_trouble: Callable[[], str | None] = lambda: None
    """Why what should survive a restart is not kept at present; None when it is."""
    reload: Callable[[str, str | None], Awaitable[Reload]] | None = None
    """Read the configuration again, for a cause and an operator's reason; None where it came from no file."""
    last_reload: Callable[[], Mapping[str, object] | None] = lambda: None
    """What came of the last time; None when there was none."""

    workers: Callable[[], Sequence[Mapping[str, object]]] = tuple
    """The processes that serve on this host, as plain data; none where one serves alone."""
    ordered: Callable[[Order], Awaitable[None]] = _alone
    """Has a change that was carried out here carried out by the other processes of the host, where there are any."""

    def steps(self, id_: DeploymentId) -> list[StepSettings]:
        """The steps of all routes that can lead to a deployment, those that are never taken left out."""
        steps = (step for route in self.settings.routes.values() for step in route.steps)
        return [step for step in steps if step.unusable is None and step.serves(id_)]

    def known(self) -> list[DeploymentId]:
        """Every deployment that a route names outright or that traffic has made."""
        steps = (step for route in self.settings.routes.values() for step in route.steps)
        named = (DeploymentId(step.upstream, step.model) for step in steps if "*" not in step.model)
        return list(dict.fromkeys([*named, *(each.id for each in self.pool.deployments())]))

    def unusable(self) -> dict[str, str]:
        """Upstreams that are left out of every plan, and why."""
        steps = (step for route in self.settings.routes.values() for step in route.steps)
        return {step.upstream: step.unusable for step in steps if step.unusable is not None}

    def document(self, id_: DeploymentId) -> dict[str, object]:
        """One deployment as plain data."""
        reason = self.unusable().get(id_.upstream)
        if reason is not None:
            return {"deployment": str(id_), "status": "skipped", "reason": reason}
        return {**self.pictured(id_, now()), "model": self._model(id_)}

    def _model(self, id_: DeploymentId) -> dict[str, object]:
        """What is known of a deployment's model, and who says so."""
        upstream = self.settings.upstreams.get(id_.upstream)
        if upstream is None:
            return {}
        told, facts = upstream.live.get(id_.model, Learned()), upstream.facts(id_.model)
        sources = upstream.sources(id_.model).items()
        return {
            "loaded": told.loaded,
            "listed": told.listed,
            "slots": told.slots,
            "gpu": told.gpu,
            "facts": {name: {"is": getattr(facts, name), "from": source} for name, source in sources},
        }

    def pictured(self, id_: DeploymentId, at: float, rules: Rules | None = None) -> dict[str, object]:
        """A picture of one deployment as plain data; each of its breakers tells which routes go by it."""
        seen = picture(self.pool, id_, at, rules)
        state = self.pool.find(id_)
        guards = state.guards if state is not None else []
        breakers = [
            {**breaker._asdict(), "routes": self._routes_by(id_, guard.rules)}
            for breaker, guard in zip(seen.breakers, guards, strict=True)
        ]
        return {**as_document(seen), "breakers": breakers}

    def _routes_by(self, id_: DeploymentId, rules: Rules) -> list[str]:
        """The routes with a step that leads to a deployment by these rules."""
        return [
            route.name
            for route in self.settings.routes.values()
            if any(step.unusable is None and step.serves(id_) and step.rules == rules for step in route.steps)
        ]


CONTROL: web.AppKey[InForce[Control]] = web.AppKey("control", InForce)


def operator(request: web.Request) -> Control:
    """The control plane, for a request whose sender may operate it. Raises ClientError (401, 403)."""
    control = request.app[CONTROL].now
    version_1_1 = request.version == HttpVersion11
    check_operator(control.settings.admin_key, request.headers, request.remote, http_1_1=version_1_1)
    return control


def named_in(request: web.Request) -> DeploymentId:
    """The deployment that a URL names."""
    return DeploymentId(request.match_info["upstream"], request.match_info["model"])


def not_found(control: Control, id_: DeploymentId) -> ClientError:
    """No such deployment; the message has the nearest."""
    names = {str(each).casefold(): str(each) for each in control.known()}
    near = get_close_matches(str(id_)[:200].casefold(), names, n=1, cutoff=0.5)
    hint = f" Did you mean {names[near[0]]!r}?" if near else " GET /admin/v1/deployments lists them."
    return ClientError(404, "deployment_not_found", f"No deployment is named {str(id_)[:200]!r}.{hint}")


def now() -> float:
    """Monotonic seconds."""
    return asyncio.get_running_loop().time()


def as_json(value: object, status: int = 200) -> web.Response:
    """A reply."""
    headers = {"content-type": "application/json", "cache-control": "no-store"}
    return web.Response(status=status, body=msgspec.json.encode(value), headers=headers)
