"""The settings that the running proxy reads: plain, frozen, everything decided.

`resolve` turns a checked configuration into them. For timers and retries the nearest to the step wins, key by key:
built-in values < defaults < upstream < route < step. `find_route` answers which route a model name means.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import TypeVar

from pydantic import SecretStr

from proxy.config.schema import Client, Config, Retry, Route, Server, Step, Timers, Upstream
from proxy.dialects.registry import KINDS, Kind, address
from proxy.policies.backoff import BackoffSettings
from proxy.policies.retry_budget import RetryBudgetSettings

_T = TypeVar("_T")


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
class ModelFacts:
    """What is known of one model: its window in tokens, and its quality from 0 to 1."""

    context: int | None = None
    quality: float | None = None


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
    unconfigured: str | None = None
    """Why it is never called, such as `OPENAI_API_KEY is not set`."""


@dataclass(frozen=True, slots=True)
class StepSettings:
    """One link of a chain. A `*` in `model` stands for the name that the client asked for."""

    upstream: str
    model: str
    timeouts: Timeouts
    retry: RetrySettings
    unusable: str | None = None
    """Why the step is never taken, as long as this configuration is in force."""


@dataclass(frozen=True, slots=True)
class RouteSettings:
    """A name or glob that clients put in `model`, and the chain behind it; `deadline` in seconds."""

    name: str
    steps: tuple[StepSettings, ...]
    deadline: float
    last_resort: str | None = None


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
    timeout: PatienceSettings
    drain: DrainSettings


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


def is_glob(name: str) -> bool:
    """Whether a route's name is a pattern."""
    return "*" in name


def find_route(settings: Settings, model: str) -> RouteSettings | None:
    """The route that a model name means: the one of exactly this name, else the longest glob that matches."""
    exact = settings.routes.get(model)
    if exact is not None and not is_glob(model):
        return exact
    return next((route for route in settings.globs if fnmatchcase(model, route.name)), None)


def nearest_route(settings: Settings, name: str) -> str | None:
    """The route that somebody probably meant who asked for a name that does not exist."""
    known = {each.casefold(): each for each in settings.routes if not is_glob(each)}
    near = get_close_matches(name[:200].casefold(), known, n=1, cutoff=0.5)
    return known[near[0]] if near else None


def resolve(config: Config, unconfigured: Mapping[str, str]) -> Settings:
    """The settings of a configuration that `load` found no error in. `unconfigured` is upstream -> why."""
    unusable = unusable_upstreams(config, unconfigured)
    routes = {name: _route(name, route, config, unusable) for name, route in config.routes.items()}
    globs = sorted((route for name, route in routes.items() if is_glob(name)), key=lambda route: -len(route.name))
    budget = config.defaults.retry.budget
    return Settings(
        server=_server(config.server),
        upstreams=MappingProxyType(
            {name: _upstream(name, each, unconfigured.get(name)) for name, each in config.upstreams.items()}
        ),
        routes=MappingProxyType(routes),
        globs=tuple(globs),
        budget=RetryBudgetSettings(budget.ratio, budget.min_per_second),
        clients=None if config.clients is None else tuple(_client(client) for client in config.clients),
        admin_key=_plain(config.admin.key) or None,
        log=LogSettings(config.telemetry.log.format, config.telemetry.log.level),
    )


def unusable_upstreams(config: Config, unconfigured: Mapping[str, str]) -> dict[str, str]:
    """Upstreams whose steps are never taken, and why: those to skip, and stand-ins that are not needed."""
    reasons = dict(unconfigured)
    real = any(
        upstream_keys(upstream)
        for name, upstream in config.upstreams.items()
        if name not in unconfigured and upstream.kind != "simulated"
    )
    if real:
        reasons |= {
            name: "stands aside: a real key is set"
            for name, upstream in config.upstreams.items()
            if upstream.only_without_keys
        }
    return reasons


def upstream_keys(upstream: Upstream) -> tuple[str, ...]:
    """The credentials of an upstream; empty ones do not count."""
    given = [upstream.api_key] if upstream.api_key is not None else upstream.api_keys or []
    return tuple(key for secret in given if (key := secret.get_secret_value()))


def effective_timeouts(nearest: Sequence[Timers | None]) -> Timeouts:
    """The timers that hold, of settings that are ordered from the farthest to the nearest."""
    built_in = Timeouts()
    silence = [each.first_token for each in nearest if each]
    return Timeouts(
        connect=_last([each.connect for each in nearest if each], built_in.connect),
        first_token=_last(silence, built_in.first_token),
        # Whoever sets a limit to silence means it for answers that are not streamed, too, unless they say otherwise.
        answer=_last([each.answer for each in nearest if each], _last(silence, built_in.answer)),
        idle=_last([each.idle for each in nearest if each], built_in.idle),
    )


def effective_retry(nearest: Sequence[Retry | None]) -> RetrySettings:
    """The retry settings that hold, likewise."""
    built_in = RetrySettings()
    backoffs = [each.backoff for each in nearest if each and each.backoff]
    return RetrySettings(
        attempts=_last([each.attempts for each in nearest if each], built_in.attempts),
        patience=_last([each.patience for each in nearest if each], built_in.patience),
        backoff=BackoffSettings(
            initial=_last([each.initial for each in backoffs], built_in.backoff.initial),
            multiplier=_last([each.multiplier for each in backoffs], built_in.backoff.multiplier),
            max=_last([each.max for each in backoffs], built_in.backoff.max),
        ),
    )


def _last(values: Sequence[_T | None], otherwise: _T) -> _T:
    return next((value for value in reversed(values) if value is not None), otherwise)


def _route(name: str, route: Route, config: Config, unusable: Mapping[str, str]) -> RouteSettings:
    return RouteSettings(
        name=name,
        steps=tuple(_step(step, route, config, unusable) for step in route.chain),
        deadline=config.defaults.deadline if route.deadline is None else route.deadline,
        last_resort=route.last_resort.text if route.last_resort else None,
    )


def _step(step: Step, route: Route, config: Config, unusable: Mapping[str, str]) -> StepSettings:
    name, _, model = step.to.partition("/")
    upstream = config.upstreams[name]
    return StepSettings(
        upstream=name,
        model=model,
        timeouts=effective_timeouts([config.defaults.timeout, upstream.timeout, route.timeout, step.timeout]),
        retry=effective_retry([config.defaults.retry, upstream.retry, route.retry, step.retry]),
        unusable=unusable.get(name),
    )


def _upstream(name: str, upstream: Upstream, unconfigured: str | None) -> UpstreamSettings:
    kind = KINDS[upstream.kind]
    models = {model: ModelFacts(facts.context, facts.quality) for model, facts in upstream.models.items()}
    return UpstreamSettings(
        name=name,
        kind=kind,
        base_url=(address(kind, upstream.base_url) or "").rstrip("/"),
        keys=upstream_keys(upstream),
        models=MappingProxyType(models),
        unconfigured=unconfigured,
    )


def _server(server: Server) -> ServerSettings:
    patience = server.timeout
    return ServerSettings(
        host=server.host,
        port=server.port,
        max_body=server.max_body,
        max_concurrent=server.max_concurrent,
        timeout=PatienceSettings(patience.header, patience.body, patience.keepalive, patience.write),
        drain=DrainSettings(server.drain.delay, server.drain.timeout),
    )


def _client(client: Client) -> ClientSettings:
    return ClientSettings(client.name, client_digest(client), None if client.routes is None else tuple(client.routes))


def client_digest(client: Client) -> str:
    """The SHA-256 of a client's key, however the key was given."""
    if client.key_hash is not None:
        return client.key_hash.removeprefix("sha256:")
    return hashlib.sha256((_plain(client.key) or "").encode()).hexdigest()


def _plain(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()
