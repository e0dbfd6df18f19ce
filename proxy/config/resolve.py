"""From a checked configuration to the settings that the running proxy reads.

`resolve` turns a checked configuration into them; `nearest.py` says what holds where a setting may stand in several
places. `find_route` answers which route a model name means.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

from pydantic import SecretStr

from proxy.config import schema
from proxy.config.catalogue import known_facts
from proxy.config.nearest import (
    effective_budget,
    effective_health,
    effective_outlier,
    effective_resume,
    effective_retry,
    effective_rules,
    effective_timeouts,
    layers,
    limit_settings,
)
from proxy.config.schema import Client, Config, Defaults, Route, Server, State, Step, Upstream
from proxy.config.schema_policies import Nearest
from proxy.config.settings import (
    ClientSettings,
    DrainSettings,
    LastResortSettings,
    LogSettings,
    PatienceSettings,
    RouteSettings,
    Rules,
    ServerSettings,
    Settings,
    StepSettings,
    UpstreamSettings,
)
from proxy.core.facts import NOTHING, ModelFacts, Price
from proxy.dialects.registry import KINDS, address
from proxy.policies.hedge import HedgeSettings

_Known = dict[Rules, Rules]
"""Rules that steps have, so that equal ones become the same object."""


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


def resolve(config: Config, unconfigured: Mapping[str, str], folder: Path | None = None) -> Settings:
    """The settings of a configuration that `load` found no error in.

    `unconfigured` is upstream -> why. `folder` is that of the file, None for a text that came from no file.
    """
    unusable = unusable_upstreams(config, unconfigured)
    known: _Known = {}
    routes = {name: _route(name, route, config, unusable, known) for name, route in config.routes.items()}
    globs = sorted((route for name, route in routes.items() if is_glob(name)), key=lambda route: -len(route.name))
    return Settings(
        server=_server(config.server),
        upstreams=MappingProxyType(
            {
                name: _upstream(name, each, config.defaults, unconfigured.get(name))
                for name, each in config.upstreams.items()
            }
        ),
        routes=MappingProxyType(routes),
        globs=tuple(globs),
        budget=effective_budget([config.defaults.retry]),
        clients=None if config.clients is None else tuple(_client(client) for client in config.clients),
        admin_key=_plain(config.admin.key) or None,
        log=LogSettings(config.telemetry.log.format, config.telemetry.log.level),
        state_path=_state_path(config.state, folder),
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


def _route(name: str, route: Route, config: Config, unusable: Mapping[str, str], known: _Known) -> RouteSettings:
    defaults = config.defaults
    panic = defaults.panic if route.panic is None else route.panic
    return RouteSettings(
        name=name,
        steps=tuple(_step(step, layers(config, route, step), unusable, known) for step in route.chain),
        deadline=defaults.deadline if route.deadline is None else route.deadline,
        last_resort=LastResortSettings(route.last_resort.text, route.last_resort.cached) if route.last_resort else None,
        strategy=route.strategy,
        hedge=HedgeSettings(*route.hedge.after, route.hedge.ratio) if route.hedge else None,
        panic=None if math.isinf(panic) else panic,
        outlier=effective_outlier([defaults, route]),
        degraded_below=defaults.degraded_below if route.degraded_below is None else route.degraded_below,
        resume=effective_resume([defaults, route]),
        mixed_dimensions=route.mixed_dimensions,
    )


def _step(step: Step, nearest: list[Nearest], unusable: Mapping[str, str], known: _Known) -> StepSettings:
    upstream, _, model = step.to.partition("/")
    rules = effective_rules(nearest)
    return StepSettings(
        upstream=upstream,
        model=model,
        timeouts=effective_timeouts(nearest),
        retry=effective_retry(nearest),
        rules=known.setdefault(rules, rules),
        health=effective_health(nearest),
        weight=1.0 if step.weight is None else step.weight,
        quality=step.quality,
        unusable=unusable.get(upstream),
    )


def _upstream(name: str, upstream: Upstream, defaults: Defaults, unconfigured: str | None) -> UpstreamSettings:
    kind = KINDS[upstream.kind]
    models = {model: _facts(told) for model, told in upstream.models.items()}
    return UpstreamSettings(
        name=name,
        kind=kind,
        base_url=(address(kind, upstream.base_url, upstream.options) or "").rstrip("/"),
        keys=upstream_keys(upstream),
        models=MappingProxyType(models),
        limit=limit_settings(upstream.max_concurrent),
        budget=effective_budget([defaults.retry, upstream.retry]),
        unconfigured=unconfigured,
        options=MappingProxyType(dict(upstream.options)),
        listed_as=listed_as(upstream),
        learns=effective_health([defaults, upstream]).learn,
    )


def listed_as(upstream: Upstream) -> str | None:
    """The kind as which the catalogue knows an upstream's models; None where their names are the operator's own.

    `kind: openai` at another address than OpenAI's is any server that speaks the language.
    """
    kind = KINDS[upstream.kind]
    if kind.local:
        return None
    if kind.name == "openai" and upstream.base_url is not None:
        try:
            host = urlsplit(upstream.base_url).hostname or ""
        except ValueError:
            return None
        return kind.name if host == "openai.com" or host.endswith(".openai.com") else None
    return kind.name


def facts_of(upstream: Upstream, model: str) -> ModelFacts:
    """What the file and the catalogue say of a model."""
    told = upstream.models.get(model)
    facts = NOTHING if told is None else _facts(told)
    kind = listed_as(upstream)
    return facts if kind is None else facts.over(known_facts(kind, model))


def _facts(told: schema.ModelFacts) -> ModelFacts:
    price = told.price
    members = {name: getattr(told, name) for name in ModelFacts.__struct_fields__ if name != "price"}
    return ModelFacts(
        price=None if price is None else Price(price.input, price.output, price.cache_read, price.cache_write),
        **members,
    )


def _state_path(state: State | None, folder: Path | None) -> Path | None:
    """Where state is kept. Without a folder that a relative path starts from, nowhere."""
    if state is None:
        return None
    path = Path(state.path)
    if path.is_absolute():
        return path
    return folder / path if folder is not None else None


def _server(server: Server) -> ServerSettings:
    patience = server.timeout
    return ServerSettings(
        host=server.host,
        port=server.port,
        max_body=server.max_body,
        max_concurrent=server.max_concurrent,
        max_waiting=server.max_waiting,
        timeout=PatienceSettings(patience.header, patience.body, patience.keepalive, patience.write),
        drain=DrainSettings(server.drain.delay, server.drain.timeout),
        watch=server.watch,
        workers=server.workers,
        front_lane=server.front_lane,
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
