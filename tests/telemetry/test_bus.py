"""Who is told what."""

from __future__ import annotations

import logging

import pytest

from proxy.core.event import BudgetRefused, Happening, Shed
from proxy.core.names import DeploymentId
from proxy.telemetry.bus import Bus

SHED = Shed("chat")
REFUSED = BudgetRefused(DeploymentId("a", "m"), "retry")


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
