"""Retries and the deadline: no wait reaches beyond it."""

import pytest

from proxy.core.failure import Failure, FailureClass
from proxy.routing.next_move import GiveUp
from tests.support.plans import plan, step
from tests.support.play import OK, Play, always


@pytest.mark.parametrize("wait", [0.5, 5.0, 9.9])
def test_a_wait_within_the_deadline_is_waited(wait: float) -> None:
    limited = Failure(FailureClass.RATE_LIMITED, "http_429", wait=wait)
    play = Play({"a": iter([limited, OK])})

    assert "a" == play.request(plan("a", deadline=11.0))
    assert pytest.approx(0.1 + wait) == play.log[1][0]


@pytest.mark.parametrize("wait", [11.0, 60.0, 1e9])
def test_a_wait_beyond_it_is_not(wait: float) -> None:
    limited = Failure(FailureClass.RATE_LIMITED, "http_429", wait=wait)
    play = Play({"a": always(limited)})
    move = play.request(plan("a", deadline=11.0))

    assert isinstance(move, GiveUp)
    assert "rate_limit_exceeded" == move.code
    assert 0.1 == play.now


def test_patience_adds_up_over_one_request() -> None:
    busy = Failure(FailureClass.OVERLOADED, "http_503", wait=1.4)
    play = Play({"a": always(busy), "b": always(OK)}, roll=0.0)

    assert "b" == play.request(plan(step("a", attempts=9, patience=3.0), step("b", 1)))
    assert ["a", "a", "a", "b"] == play.order()
