"""One step's settings as they hold, and where in the file each of them was written.

Settings may stand in defaults, an upstream, a route or a step, and the nearest to the step wins. A finding about two of
them points at the nearer one, because that is the one that was written with the other in mind.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from proxy.config.document import Path
from proxy.config.nearest import effective_health, effective_retry, effective_rules, effective_timeouts, layers
from proxy.config.notes import Notes
from proxy.config.schema import Config, Route
from proxy.config.settings import HealthSettings, RetrySettings, Rules, Timeouts
from proxy.config.units import show_duration

_BUILT_IN = -1
_ROUTE = 2


class Value(NamedTuple):
    """A duration that holds for a step, and where it was written; `path` is None for a built-in value."""

    name: str
    number: float
    path: Path | None
    nearness: int
    """0 for defaults, 1 for an upstream, 2 for a route, 3 for a step."""

    def __str__(self) -> str:
        default = " (the default)" if self.path is None else ""
        return f"{self.name} {show_duration(self.number)}{default}"


class StepView(NamedTuple):
    """One step's settings, as they hold."""

    to: str
    timeouts: Timeouts
    retry: RetrySettings
    rules: Rules
    health: HealthSettings
    places: tuple[Path, ...]
    """Where settings may stand, the nearest first."""
    says_health: bool
    """Whether the step, its route or its upstream says something about health; else all comes from defaults."""
    notes: Notes

    def value(self, name: str, number: float, *keys: str) -> Value:
        """A duration with its place. `keys` lead to it from wherever it may stand."""
        for nearness, path in zip((3, 2, 1, 0), self.places, strict=True):
            if self.notes.written((*path, *keys)):
                return Value(name, number, (*path, *keys), nearness)
        return Value(name, number, None, _BUILT_IN)


def steps_of(name: str, route: Route, config: Config, notes: Notes) -> Iterator[StepView]:
    """The steps of a route."""
    for index, step in enumerate(route.chain):
        nearest = layers(config, route, step)
        places: tuple[Path, ...] = (
            ("routes", name, "chain", index),
            ("routes", name),
            ("upstreams", step.to.partition("/")[0]),
            ("defaults",),
        )
        yield StepView(
            step.to,
            effective_timeouts(nearest),
            effective_retry(nearest),
            effective_rules(nearest),
            effective_health(nearest),
            places,
            any(each.health is not None and each.health.model_dump(exclude_none=True) for each in nearest[1:]),
            notes,
        )


def deadline_of(name: str, route: Route, config: Config) -> Value:
    """The deadline of a route."""
    if route.deadline is not None:
        return Value("deadline", route.deadline, ("routes", name, "deadline"), _ROUTE)
    written = "deadline" in config.defaults.model_fields_set
    path: Path | None = ("defaults", "deadline") if written else None
    return Value("deadline", config.defaults.deadline, path, 0 if written else _BUILT_IN)


def has_second(route: Route) -> bool:
    """Whether the chain leads to more than one deployment."""
    return len({step.to for step in route.chain}) > 1


def nearer(first: Value, second: Value) -> Path | None:
    """Where the nearer of two values was written; None when both are built in."""
    return (first if first.nearness >= second.nearness else second).path
