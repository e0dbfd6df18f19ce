"""Breakers of several processes that guard the same deployment: each goes where the last of them has moved."""

from __future__ import annotations

import pytest

from proxy.policies.breaker import Breaker, BreakerSettings, BreakerState

CLOSED, OPEN, HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN
SETTINGS = BreakerSettings(consecutive=1, open_for=10.0, probes=2, close_after=2)


def opened(now: float) -> Breaker:
    made = Breaker(SETTINGS, 0.0)
    made.failed(made.period, now, 0.0)
    assert OPEN is made.state
    return made


def half_open(now: float) -> Breaker:
    made = opened(0.0)
    assert made.admit(now) is not None
    assert HALF_OPEN is made.state
    return made


def test_the_later_move_holds() -> None:
    here, there = Breaker(SETTINGS, 0.0), opened(1.0)

    assert here.adopt(there.twin())
    assert (OPEN, 11.0) == (here.state, here.usable_at(2.0))
    assert here.twin() == there.twin()


def test_an_earlier_move_changes_nothing() -> None:
    here, there = opened(2.0), opened(1.0)
    before = here.twin()

    assert not here.adopt(there.twin())
    assert before == here.twin()


def test_of_two_moves_at_once_both_take_the_one_that_lets_less_through() -> None:
    open_, tried = opened(12.0), half_open(12.0)
    told = open_.twin(), tried.twin()
    open_.adopt(told[1])
    tried.adopt(told[0])

    assert [OPEN, OPEN] == [open_.state, tried.state]


def test_what_two_half_open_ones_find_out_counts_together() -> None:
    here, there = half_open(11.0), half_open(12.0)
    there.succeeded(there.period, 13.0)

    assert not here.adopt(there.twin())
    assert CLOSED is not here.state
    change = here.succeeded(here.period, 14.0)
    assert change is not None and CLOSED is change.target


def test_what_was_admitted_before_is_not_heard_any_more() -> None:
    here, there = Breaker(SETTINGS, 0.0), half_open(12.0)
    period = here.period
    here.adopt(there.twin())

    assert here.failed(period, 13.0, 0.0) is None
    assert HALF_OPEN is here.state


@pytest.mark.parametrize(
    "made", [Breaker(SETTINGS, 0.0), opened(1.0), half_open(12.0)], ids=["closed", "open", "half-open"]
)
def test_where_it_stands_itself_is_nothing_new(made: Breaker) -> None:
    before, period = made.twin(), made.period

    assert not made.adopt(made.twin())
    assert (before, period) == (made.twin(), made.period)
