"""The settings that the running proxy reads: plain, frozen, everything decided. `resolve.py` makes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from proxy.config.catalogue import known_facts
from proxy.core.facts import NOTHING, Learned, ModelFacts
from proxy.core.names import DeploymentId
from proxy.dialects.registry import Kind
from proxy.policies.backoff import BackoffSettings
from proxy.policies.breaker import BreakerSettings
from proxy.policies.concurrency import LimitSettings
from proxy.policies.hedge import HedgeSettings
from proxy.policies.outlier import OutlierSettings
from proxy.policies.retry_budget import RetryBudgetSettings
from proxy.policies.slow_start import RecoverySettings
from proxy.policies.trend import ForesightSettings
from proxy.streams.resume import ResumeSettings

_MOST_REMEMBERED = 1024
"""Models of one upstream. More than the file names only clients can ask for, through globs."""
_SILENCE = Learned()


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Timers of one attempt, in seconds; see `Timers` in the schema."""

    connect: float = 3.0
    first_token: float = 30.0
    answer: float = 60.0
    idle: float = 15.0


@dataclass(frozen=True, slots=True)
class RetrySettings:
    """Trying one deployment again within one request; `patience` in seconds."""

    attempts: int = 3
    patience: float = 3.0
    backoff: BackoffSettings = field(default_factory=BackoffSettings)


@dataclass(frozen=True, slots=True)
class Rules:
    """What guards a deployment. Steps with equal rules share its state; `resolve` makes equal rules one object."""

    breaker: BreakerSettings = field(default_factory=BreakerSettings)
    limit: LimitSettings = field(default_factory=LimitSettings)
    recovery: RecoverySettings = field(default_factory=RecoverySettings)
    foresight: ForesightSettings = field(default_factory=ForesightSettings)


@dataclass(frozen=True, slots=True)
class HealthSettings:
    """Asking a deployment a small question; times in seconds. `probe` is auto, always, suspect or never."""

    probe: str = "auto"
    interval: float = 30.0
    timeout: float = 10.0
    prompt: str = "Reply with the word ok."
    expect: str = "ok"
    """What the answer must contain; empty for any answer."""
    learn: bool = True
    """Whether the server is asked about its models; said of an upstream, and the same for all its steps."""


@dataclass(frozen=True, slots=True)
class UpstreamSettings:
    """An account or a server."""

    name: str
    kind: Kind
    base_url: str
    """Without a slash at the end; empty for a simulated upstream that lives within the proxy, or an unconfigured
    one."""
    keys: tuple[str, ...] = field(repr=False)
    models: Mapping[str, ModelFacts]
    """What the file says of models."""
    limit: LimitSettings | None = None
    """Attempts at once of the whole upstream, all its models together; None for no such limit."""
    budget: RetryBudgetSettings = field(default_factory=RetryBudgetSettings)
    """The upstream's own retry budget, below the one over all traffic."""
    unconfigured: str | None = None
    """Why it is never called, such as `OPENAI_API_KEY is not set`."""
    options: Mapping[str, str | int | float | bool] = field(default_factory=lambda: MappingProxyType({}))
    """What only its kind knows; see `Kind.options`."""

    listed_as: str | None = None
    """The kind of provider as which the catalogue knows its models; None where a name says nothing about a model."""
    learns: bool = True
    """Whether the server is asked about its models."""
    live: dict[str, Learned] = field(default_factory=dict, compare=False, repr=False)
    """What the server has told of its models. It changes only by `learn`."""
    _asked: dict[str, ModelFacts] = field(default_factory=dict, compare=False, repr=False)

    def facts(self, model: str) -> ModelFacts:
        """What is known of any of its models: what the file says, then what the server does, then the catalogue."""
        found = self._asked.get(model)
        if found is None:
            if len(self._asked) >= _MOST_REMEMBERED:
                self._asked.clear()
            found = NOTHING
            for _, facts in self._told(model):
                found = found.over(facts)
            self._asked[model] = found
        return found

    def sources(self, model: str) -> dict[str, str]:
        """Who says so, by the names of the facts that are known of a model: `file`, `server` or `catalogue`."""
        sources: dict[str, str] = {}
        for source, facts in self._told(model):
            known = (name for name in ModelFacts.__struct_fields__ if getattr(facts, name) is not None)
            sources |= {name: source for name in known if name not in sources}
        return sources

    def learn(self, told: Mapping[str, Learned]) -> set[str]:
        """Take what the server tells of its models, in place of all that it told before.

        Returns the models of which it tells something else now.
        """
        now = dict(told)
        changed = {
            name for name in (*now, *self.live) if now.get(name, _SILENCE).facts != self.live.get(name, _SILENCE).facts
        }
        self.live.clear()
        self.live.update(now)
        if changed:
            self._asked.clear()
        return changed

    def _told(self, model: str) -> Iterator[tuple[str, ModelFacts]]:
        """What is said of a model, the nearest source first."""
        if model in self.models:
            yield "file", self.models[model]
        if model in self.live:
            yield "server", self.live[model].facts
        if self.listed_as is not None:
            yield "catalogue", known_facts(self.listed_as, model)


@dataclass(frozen=True, slots=True)
class StepSettings:
    """One link of a chain. A `*` in `model` stands for the name that the client asked for."""

    upstream: str
    model: str
    timeouts: Timeouts
    retry: RetrySettings
    rules: Rules = field(default_factory=Rules)
    health: HealthSettings = field(default_factory=HealthSettings)
    """Where several steps name one deployment, that of the first in the file counts."""
    weight: float = 1.0
    """Its part of a weighted route's requests, in proportion to the other steps' weights."""
    quality: float | None = None
    """How good its answers are on this route, from 0 to 1; None for what is known of the model."""
    unusable: str | None = None
    """Why the step is never taken, as long as this configuration is in force."""

    def serves(self, deployment: DeploymentId) -> bool:
        """Whether the step can lead to a deployment."""
        if deployment.upstream != self.upstream:
            return False
        before, star, after = self.model.partition("*")
        if not star:
            return deployment.model == self.model
        return len(deployment.model) >= len(before) + len(after) and (
            deployment.model.startswith(before) and deployment.model.endswith(after)
        )


@dataclass(frozen=True, slots=True)
class LastResortSettings:
    """The answer when all fail: `cached` is how old, in seconds, a kept answer to the same request may be; `text` is
    said where there is none. At least one of them is set."""

    text: str | None = None
    cached: float | None = None


@dataclass(frozen=True, slots=True)
class RouteSettings:
    """A name or glob that clients put in `model`, and the chain behind it; `deadline` in seconds."""

    name: str
    steps: tuple[StepSettings, ...]
    deadline: float
    last_resort: LastResortSettings | None = None
    strategy: str = "sequential"
    """`sequential`, `weighted` or `parallel`."""
    hedge: HedgeSettings | None = None
    panic: float | None = 0.5
    """The share of the chain out at once from which open breakers are tried early; None for never."""
    outlier: OutlierSettings = field(default_factory=OutlierSettings)
    degraded_below: float = 0.6
    """The share of the route's weighted capacity below which it counts as degraded."""
    resume: ResumeSettings | None = field(default_factory=ResumeSettings)
    """How a broken stream is finished on another deployment; None for not at all."""
    mixed_dimensions: bool = False
    """Whether its embeddings may have different lengths."""


@dataclass(frozen=True, slots=True)
class PatienceSettings:
    """How long the server waits for slow clients, in seconds."""

    header: float
    body: float
    keepalive: float
    write: float


@dataclass(frozen=True, slots=True)
class DrainSettings:
    """Stopping, in seconds: still serving, then finishing what runs."""

    delay: float
    timeout: float


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """The listener and its limits; `max_body` in bytes."""

    host: str
    port: int
    max_body: int
    max_concurrent: int
    max_waiting: int
    """Requests that may wait for a place at a deployment that is full."""
    timeout: PatienceSettings
    drain: DrainSettings
    watch: bool = True
    """Whether a change of the file takes effect by itself."""
    workers: int = 1
    """Processes that serve; 0 for one per core."""
    front_lane: bool = True
    """Whether plain requests are taken off the socket before aiohttp's machinery."""


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """Somebody who may call. `routes` are names or globs, None for all."""

    name: str
    key_sha256: str = field(repr=False)
    """The hexadecimal SHA-256 of the key; the key itself is not kept."""
    routes: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class LogSettings:
    """The log."""

    format: str
    level: str


@dataclass(frozen=True, slots=True)
class Settings:
    """The whole."""

    server: ServerSettings
    upstreams: Mapping[str, UpstreamSettings]
    routes: Mapping[str, RouteSettings]
    """In the order of the file."""
    globs: tuple[RouteSettings, ...]
    """The routes that are globs, longest first."""
    budget: RetryBudgetSettings
    clients: tuple[ClientSettings, ...] | None
    """None where anyone may call."""
    admin_key: str | None = field(repr=False)
    log: LogSettings
    state_path: Path | None = None
    """The file that keeps what survives a restart; None where nothing is kept."""

    def is_loaded(self, deployment: DeploymentId) -> bool | None:
        """Whether a model is in the memory of its server, as that has told last; None where it has not."""
        upstream = self.upstreams.get(deployment.upstream)
        told = None if upstream is None else upstream.live.get(deployment.model)
        return None if told is None else told.loaded
