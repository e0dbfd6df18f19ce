"""Breakers, health checks, limits and strategies: do they fit together, and can they do anything?"""

from __future__ import annotations

from collections.abc import Iterator

from proxy.config.document import Path
from proxy.config.meaning_view import StepView, Value, deadline_of, has_second, nearer, steps_of
from proxy.config.notes import Notes
from proxy.config.schema import Config, Route
from proxy.config.schema_policies import Limit
from proxy.config.settings import HealthSettings
from proxy.config.units import show_duration

_SHORTEST = 1.0
"""Seconds: a shorter window sees nothing, and a shorter pause between questions is an attack."""


def check(config: Config, notes: Notes) -> None:
    """Note policies that contradict each other or never act."""
    for path, limit in _limits(config):
        _check_limit(path, limit, notes)
    asked: dict[str, tuple[str, int, HealthSettings]] = {}
    for name, route in config.routes.items():
        _check_weights(name, route, notes)
        _check_strategy(name, route, notes)
        _check_hedge(name, route, deadline_of(name, route, config), notes)
        _check_last_resort(name, route, notes)
        _check_learn(name, route, notes)
        for index, step in enumerate(steps_of(name, route, config, notes)):
            _check_breaker(step, notes)
            _check_health(step, notes)
            _check_same_health(step, *asked.setdefault(step.to, (name, index, step.health)), notes)


def _limits(config: Config) -> Iterator[tuple[Path, Limit]]:
    """Every limit of the file, whether a step goes by it or not."""
    places: dict[Path, Limit | None] = {("defaults",): config.defaults.max_concurrent}
    places |= {("upstreams", name): each.max_concurrent for name, each in config.upstreams.items()}
    for name, route in config.routes.items():
        places["routes", name] = route.max_concurrent
        places |= {("routes", name, "chain", index): each.max_concurrent for index, each in enumerate(route.chain)}
    yield from (((*path, "max_concurrent"), limit) for path, limit in places.items() if limit is not None)


def _check_limit(path: Path, limit: Limit, notes: Notes) -> None:
    def shown(key: str) -> str:
        default = "" if notes.written((*path, key)) else " (the default)"
        return f"{key} {getattr(limit, key)}{default}"

    for low, high in (("min", "max"), ("min", "initial"), ("initial", "max")):
        if getattr(limit, low) > getattr(limit, high):
            place = next((key for key in (low, high) if notes.written((*path, key))), low)
            notes.error((*path, place), f"{shown(low)} is more than {shown(high)}; the order is min, initial, max")
            return


def _check_weights(name: str, route: Route, notes: Notes) -> None:
    chain: Path = ("routes", name, "chain")
    if route.strategy != "weighted":
        for index, step in enumerate(route.chain):
            if step.weight is not None:
                message = f"weight is for `strategy: weighted`; this route is {route.strategy}"
                notes.error((*chain, index, "weight"), message, key=True)
    elif all(step.weight == 0 for step in route.chain):
        notes.error(chain, "all weights are 0, so none can be drawn; 0 is for steps that only stand in for others")


def _check_strategy(name: str, route: Route, notes: Notes) -> None:
    if route.strategy == "parallel" and not has_second(route):
        notes.warning(("routes", name, "strategy"), "parallel makes no difference: the chain leads to one deployment")


def _check_hedge(name: str, route: Route, deadline: Value, notes: Notes) -> None:
    path: Path = ("routes", name, "hedge")
    if route.hedge is None:
        return
    if route.strategy == "parallel":
        notes.error(path, "hedge and `strategy: parallel`: all are called at once anyway; keep one of them", key=True)
    elif not has_second(route):
        notes.warning(path, "never starts: the chain leads to one deployment, and a hedge goes to another", key=True)
    seconds = route.hedge.after.seconds
    if seconds is not None and seconds > deadline.number:
        message = f"after {show_duration(seconds)} is longer than {deadline}, so a hedge never starts"
        notes.warning((*path, "after"), message)


def _check_last_resort(name: str, route: Route, notes: Notes) -> None:
    resort = route.last_resort
    if resort is not None and resort.text is None and resort.cached is None:
        cure = 'write text: "...", or cached: 24h, or both'
        notes.error(("routes", name, "last_resort"), f"there is nothing to answer with; {cure}")


def _check_learn(name: str, route: Route, notes: Notes) -> None:
    path: Path = ("routes", name)
    for place in (path, *((*path, "chain", index) for index in range(len(route.chain)))):
        if notes.written((*place, "health", "learn")):
            message = "learn is for defaults and upstreams: a server is asked once for all routes that lead to it"
            notes.error((*place, "health", "learn"), message, key=True)


def _check_breaker(step: StepView, notes: Notes) -> None:
    breaker = step.rules.breaker
    first = step.value("open_for", breaker.open_for, "breaker", "open_for")
    most = step.value("max_open_for", breaker.max_open_for, "breaker", "max_open_for")
    place = nearer(first, most)
    if first.number > most.number and place is not None:
        notes.error(place, f"{first} is more than {most}; a breaker is open for one at first and the other at last")
    _check_shortest(step.value("window", breaker.window, "breaker", "window"), "so short a time says nothing", notes)


def _check_health(step: StepView, notes: Notes) -> None:
    interval = step.value("interval", step.health.interval, "health", "interval")
    timeout = step.value("timeout", step.health.timeout, "health", "timeout")
    place = nearer(timeout, interval)
    if timeout.number > interval.number and place is not None:
        notes.warning(place, f"{timeout} is longer than {interval}, when the next question is due")
    _check_shortest(interval, "each question is a request that somebody pays for", notes)
    _check_expected(step, notes)


def _check_expected(step: StepView, notes: Notes) -> None:
    built_in = HealthSettings()
    if step.health.prompt == built_in.prompt or step.health.expect != built_in.expect:
        return
    if not any(notes.written((*path, "health", "expect")) for path in step.places):
        prompts: Iterator[Path] = ((*path, "health", "prompt") for path in step.places)
        place = next(path for path in prompts if notes.written(path))
        message = f'the answer must contain "{step.health.expect}", the default of expect; set `expect`, too'
        notes.warning(place, message)


def _check_shortest(value: Value, why: str, notes: Notes) -> None:
    if value.number < _SHORTEST and value.path is not None:
        notes.error(value.path, f"{value} is shorter than {show_duration(_SHORTEST)}; {why}")


def _check_same_health(step: StepView, route: str, index: int, first: HealthSettings, notes: Notes) -> None:
    """A deployment is asked in one way, whatever leads to it: what a later step says of it does not count."""
    if not step.says_health or step.health == first:
        return
    place = next(((*path, "health") for path in step.places[:2] if notes.written((*path, "health"))), step.places[0])
    where = f"step {index + 1} of route {route}"
    notes.warning(place, f"{step.to} is asked as {where} says, which comes first; other `health` does not count")
