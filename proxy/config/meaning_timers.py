"""Timers, waits and deadlines of a chain: do they fit into each other?

Settings may stand in defaults, an upstream, a route or a step, and the nearest to the step wins. A finding about two of
them points at the nearer one, because that is the one that was written with the other in mind.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from proxy.config.document import Path
from proxy.config.notes import Notes
from proxy.config.resolve import RetrySettings, Timeouts, effective_retry, effective_timeouts
from proxy.config.schema import Config, Nearest, Route
from proxy.config.units import show_duration
from proxy.policies.backoff import BackoffSettings

_BUILT_IN = -1
_ROUTE = 2


class _Value(NamedTuple):
    """A setting that holds for a step, and where it was written; `path` is None for a built-in value."""

    name: str
    number: float
    path: Path | None
    nearness: int
    """0 for defaults, 1 for an upstream, 2 for a route, 3 for a step."""

    def __str__(self) -> str:
        default = " (the default)" if self.path is None else ""
        return f"{self.name} {show_duration(self.number)}{default}"


class _StepView(NamedTuple):
    """One step's settings, as they hold."""

    timeouts: Timeouts
    retry: RetrySettings
    owners: tuple[tuple[Path, Nearest | None], ...]
    """Where settings may stand, the nearest first."""
    notes: Notes

    def value(self, name: str, number: float, *keys: str) -> _Value:
        for nearness, (path, _) in zip((3, 2, 1, 0), self.owners, strict=True):
            if self.notes.written((*path, *keys)):
                return _Value(name, number, (*path, *keys), nearness)
        return _Value(name, number, None, _BUILT_IN)


def check(config: Config, notes: Notes) -> None:
    """Note timers that can never run out, and waits that do not fit."""
    for name, route in config.routes.items():
        deadline = _deadline(name, route, config)
        for step in _steps(name, route, config, notes):
            _check_against_deadline(step, deadline, len(route.chain), notes)
            _check_connect(step, notes)
            _check_backoff(step, notes)
            _check_attempts(step, deadline, notes)


def _steps(name: str, route: Route, config: Config, notes: Notes) -> Iterator[_StepView]:
    defaults = config.defaults
    for index, step in enumerate(route.chain):
        upstream_name = step.to.partition("/")[0]
        upstream = config.upstreams.get(upstream_name)
        above = [defaults.timeout, upstream.timeout if upstream else None, route.timeout, step.timeout]
        retry = effective_retry([defaults.retry, upstream.retry if upstream else None, route.retry, step.retry])
        owners = (
            (("routes", name, "chain", index), step),
            (("routes", name), route),
            (("upstreams", upstream_name), upstream),
            (("defaults",), None),
        )
        yield _StepView(effective_timeouts(above), retry, owners, notes)


def _deadline(name: str, route: Route, config: Config) -> _Value:
    if route.deadline is not None:
        return _Value("deadline", route.deadline, ("routes", name, "deadline"), _ROUTE)
    written = "deadline" in config.defaults.model_fields_set
    path: Path | None = ("defaults", "deadline") if written else None
    return _Value("deadline", config.defaults.deadline, path, 0 if written else _BUILT_IN)


def _check_against_deadline(step: _StepView, deadline: _Value, length: int, notes: Notes) -> None:
    timers = [
        step.value("connect", step.timeouts.connect, "timeout", "connect"),
        step.value("first_token", step.timeouts.first_token, "timeout", "first_token"),
        step.value("idle", step.timeouts.idle, "timeout", "idle"),
        step.value("patience", step.retry.patience, "retry", "patience"),
    ]
    for timer in timers:
        if timer.number <= deadline.number or (timer.path is None and not _matters_by_default(timer, length)):
            continue
        if deadline.path is not None and deadline.nearness > timer.nearness:
            notes.warning(deadline.path, f"{deadline} is shorter than {timer}, which can then never run out")
        elif timer.path is not None:
            notes.warning(timer.path, f"{timer} is longer than {deadline}, so it can never run out")


def _matters_by_default(timer: _Value, length: int) -> bool:
    """Whether a built-in timer is worth a word: one silent deployment would use up the time of those behind it."""
    return timer.name in {"connect", "first_token"} and length > 1


def _check_connect(step: _StepView, notes: Notes) -> None:
    connect = step.value("connect", step.timeouts.connect, "timeout", "connect")
    first = step.value("first_token", step.timeouts.first_token, "timeout", "first_token")
    if connect.path is None or connect.number <= first.number:
        return
    nearer = connect if connect.nearness >= first.nearness else first
    if nearer.path is not None:
        notes.warning(nearer.path, f"{connect} is longer than {first}: opening a connection is the smaller part")


def _check_backoff(step: _StepView, notes: Notes) -> None:
    initial = step.value("initial", step.retry.backoff.initial, "retry", "backoff", "initial")
    highest = step.value("max", step.retry.backoff.max, "retry", "backoff", "max")
    nearer = initial if initial.nearness >= highest.nearness else highest
    if initial.number > highest.number and nearer.path is not None:
        notes.error(nearer.path, f"{initial} is more than {highest}; the waits begin at one and end at the other")


def _check_attempts(step: _StepView, deadline: _Value, notes: Notes) -> None:
    attempts = step.value("attempts", step.retry.attempts, "retry", "attempts")
    waits = mean_waits(step.retry.backoff, step.retry.attempts)
    if attempts.path is not None and waits > deadline.number:
        count = step.retry.attempts
        message = f"{count} attempts cannot fit: the waits between them take {show_duration(waits)} on average"
        notes.warning(attempts.path, f"{message}, and the {deadline} is shorter")


def mean_waits(backoff: BackoffSettings, attempts: int) -> float:
    """Seconds that all waits between the attempts take on average: full jitter makes it half of their ceilings."""
    ceilings = (min(backoff.max, backoff.initial * backoff.multiplier**number) for number in range(attempts - 1))
    return sum(ceilings) / 2
