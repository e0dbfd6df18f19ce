"""Who is told what."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import pytest

from proxy.core.event import AttemptEnded, BudgetRefused, Happening, RequestEnded, Shed
from proxy.core.names import DeploymentId
from proxy.telemetry.bus import Bus

SHED = Shed("chat")
REFUSED = BudgetRefused(DeploymentId("a", "m"), "retry")
TRIED = AttemptEnded(DeploymentId("a", "m"), "ok", 1.0)
ENDED = RequestEnded("r", "chat", "chat", stream=False)


class Choosy:
    """Hears some events only."""

    def __init__(self, *hears: type) -> None:
        self.hears = frozenset(hears)
        self.told: list[Happening] = []

    def __call__(self, event: Happening) -> None:
        self.told.append(event)


def test_a_plain_function_is_told_everything() -> None:
    bus, told = Bus(), list[Happening]()
    bus.listen(told.append)
    bus.emit(SHED)
    bus.emit(REFUSED)
    bus.emit(SHED)

    assert [SHED, REFUSED, SHED] == told


def test_whoever_says_what_it_hears_is_told_no_more() -> None:
    bus, choosy, deaf, told = Bus(), Choosy(Shed), Choosy(), list[Happening]()
    for listener in (choosy, deaf, told.append):
        bus.listen(listener)
    for event in (REFUSED, SHED, REFUSED, SHED):
        bus.emit(event)

    assert ([SHED, SHED], [], [REFUSED, SHED, REFUSED, SHED]) == (choosy.told, deaf.told, told)


def test_who_comes_later_is_told_from_then_on_and_after_the_others() -> None:
    bus, order = Bus(), list[str]()
    bus.listen(lambda _event: order.append("first"))
    bus.emit(SHED)
    bus.listen(lambda _event: order.append("second"))
    bus.emit(SHED)

    assert ["first", "first", "second"] == order


def test_one_that_fails_is_reported_once_and_disturbs_nobody(caplog: pytest.LogCaptureFixture) -> None:
    bus, told = Bus(), list[Happening]()

    def fails(_event: Happening) -> None:
        raise ValueError

    bus.listen(fails)
    bus.listen(told.append)
    with caplog.at_level(logging.ERROR):
        bus.emit(SHED)
        bus.emit(REFUSED)

    assert ([SHED, REFUSED], 1) == (told, len(caplog.records))


class Timer:
    """Calls later what it is given, when the test says so."""

    def __init__(self) -> None:
        self.asked: list[tuple[float, Callable[[], None]]] = []

    def __call__(self, seconds: float, call: Callable[[], None]) -> None:
        self.asked.append((seconds, call))

    def fire(self) -> None:
        (_, call) = self.asked.pop(0)
        call()


def late_bus() -> tuple[Bus, Timer, list[Happening]]:
    bus, timer, told = Bus(), Timer(), list[Happening]()
    bus.listen(told.append)
    bus.tell_later(timer)
    return bus, timer, told


def test_what_every_request_emits_is_told_together_a_moment_later() -> None:
    bus, timer, told = late_bus()
    bus.emit(TRIED)
    bus.emit(ENDED)

    assert ([], [0.005]) == (told, [seconds for seconds, _ in timer.asked])
    timer.fire()
    assert [TRIED, ENDED] == told
    # The next one needs another call.
    bus.emit(TRIED)
    assert 1 == len(timer.asked)


def test_all_else_is_told_at_once_after_what_came_before_it() -> None:
    bus, timer, told = late_bus()
    bus.emit(TRIED)
    bus.emit(SHED)
    bus.emit(ENDED)

    assert [TRIED, SHED] == told
    timer.fire()
    assert [TRIED, SHED, ENDED] == told


def test_few_wait_however_many_come() -> None:
    bus, _, told = late_bus()
    for _ in range(600):
        bus.emit(TRIED)

    assert 600 - 256 < len(told) <= 600


def test_nothing_waits_once_it_is_told_at_once_again() -> None:
    bus, timer, told = late_bus()
    bus.emit(TRIED)
    bus.tell_later(None)
    bus.emit(ENDED)

    assert [TRIED, ENDED] == told
    timer.fire()
    assert [TRIED, ENDED] == told


class Gathering:
    """Hears many at once, and fails over some of them, before it looks at them or after."""

    def __init__(self, *, hears: frozenset[type] | None = None, over: Happening | None = None) -> None:
        if hears is not None:
            self.hears = hears
        self.over = over
        self.moments: list[list[Happening]] = []

    def __call__(self, event: Happening) -> None:
        raise AssertionError(event)

    def hear_all(self, events: Iterator[Happening]) -> None:
        moment: list[Happening] = []
        self.moments.append(moment)
        for event in events:
            if event is self.over:
                raise ValueError
            moment.append(event)


def test_all_of_a_moment_is_told_at_once_to_whoever_wants_it_so() -> None:
    bus, timer, told = late_bus()
    everything, some, deaf = Gathering(), Gathering(hears=frozenset({RequestEnded, Shed})), Gathering(hears=frozenset())
    for listener in (everything, some, deaf):
        bus.listen(listener)
    for event in (TRIED, ENDED, TRIED, ENDED):
        bus.emit(event)
    timer.fire()
    bus.emit(TRIED)
    bus.emit(REFUSED)

    assert [[TRIED, ENDED, TRIED, ENDED], [TRIED, REFUSED]] == everything.moments
    assert [[ENDED, ENDED]] == some.moments
    assert [] == deaf.moments
    assert [TRIED, ENDED, TRIED, ENDED, TRIED, REFUSED] == told


def test_what_one_event_brings_down_is_told_the_others(caplog: pytest.LogCaptureFixture) -> None:
    bus, timer, told = late_bus()
    fragile = Gathering(over=ENDED)
    bus.listen(fragile)
    with caplog.at_level(logging.ERROR):
        for event in (TRIED, ENDED, TRIED, ENDED, ENDED):
            bus.emit(event)
        timer.fire()
        bus.emit(SHED)

    assert [[TRIED], [TRIED], [], [SHED]] == fragile.moments
    assert ([TRIED, ENDED, TRIED, ENDED, ENDED, SHED], 1) == (told, len(caplog.records))


def test_one_that_fails_before_it_takes_an_event_is_asked_once_for_each(caplog: pytest.LogCaptureFixture) -> None:
    bus, timer, told = late_bus()
    asked: list[object] = []

    class Broken(Gathering):
        def hear_all(self, events: Iterator[Happening]) -> None:
            asked.append(events)
            raise ValueError

    bus.listen(Broken())
    bus.listen(Gathering())
    with caplog.at_level(logging.ERROR):
        for event in (TRIED, ENDED, TRIED):
            bus.emit(event)
        timer.fire()

    assert (3, 1, [TRIED, ENDED, TRIED]) == (len(asked), len(caplog.records), told)


def test_a_plain_function_that_fails_over_one_of_many_is_told_the_others(caplog: pytest.LogCaptureFixture) -> None:
    bus, timer, _ = late_bus()
    told: list[Happening] = []

    def fails(event: Happening) -> None:
        if event is ENDED:
            raise ValueError
        told.append(event)

    bus.listen(fails)
    with caplog.at_level(logging.ERROR):
        for event in (TRIED, ENDED, TRIED):
            bus.emit(event)
        timer.fire()

    assert ([TRIED, TRIED], 1) == (told, len(caplog.records))


def test_what_a_listener_emits_is_told_after_what_came_before_it() -> None:
    bus, timer, told = late_bus()
    bus.listen(lambda event: bus.emit(SHED) if event is TRIED else None)
    bus.emit(TRIED)
    bus.emit(ENDED)
    timer.fire()

    assert [TRIED, ENDED, SHED] == told


def test_a_process_that_is_interrupted_while_telling_can_still_tell_why() -> None:
    bus, told = Bus(), list[Happening]()

    def interrupted(event: Happening) -> None:
        if event is REFUSED:
            raise KeyboardInterrupt

    bus.listen(interrupted)
    bus.listen(told.append)
    with pytest.raises(KeyboardInterrupt):
        bus.emit(REFUSED)
    bus.emit(SHED)

    assert [SHED] == told
