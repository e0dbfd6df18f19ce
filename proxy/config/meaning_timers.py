"""Timers, waits and deadlines of a chain: do they fit into each other?"""

from __future__ import annotations

from proxy.config.meaning_view import StepView, Value, deadline_of, nearer, steps_of
from proxy.config.notes import Notes
from proxy.config.schema import Config
from proxy.config.units import show_duration
from proxy.policies.backoff import BackoffSettings


def check(config: Config, notes: Notes) -> None:
    """Note timers that can never run out, and waits that do not fit."""
    for name, route in config.routes.items():
        deadline = deadline_of(name, route, config)
        for step in steps_of(name, route, config, notes):
            _check_against_deadline(step, deadline, len(route.chain), notes)
            _check_connect(step, notes)
            _check_backoff(step, notes)
            _check_attempts(step, deadline, notes)


def _check_against_deadline(step: StepView, deadline: Value, length: int, notes: Notes) -> None:
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


def _matters_by_default(timer: Value, length: int) -> bool:
    """Whether a built-in timer is worth a word: one silent deployment would use up the time of those behind it."""
    return timer.name in {"connect", "first_token"} and length > 1


def _check_connect(step: StepView, notes: Notes) -> None:
    connect = step.value("connect", step.timeouts.connect, "timeout", "connect")
    first = step.value("first_token", step.timeouts.first_token, "timeout", "first_token")
    if connect.path is None or connect.number <= first.number:
        return
    if (place := nearer(connect, first)) is not None:
        notes.warning(place, f"{connect} is longer than {first}: opening a connection is the smaller part")


def _check_backoff(step: StepView, notes: Notes) -> None:
    initial = step.value("initial", step.retry.backoff.initial, "retry", "backoff", "initial")
    highest = step.value("max", step.retry.backoff.max, "retry", "backoff", "max")
    place = nearer(initial, highest)
    if initial.number > highest.number and place is not None:
        notes.error(place, f"{initial} is more than {highest}; the waits begin at one and end at the other")


def _check_attempts(step: StepView, deadline: Value, notes: Notes) -> None:
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
