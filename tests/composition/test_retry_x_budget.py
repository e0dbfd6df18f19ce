"""Retries and the budget: an outage costs a bounded share, and failover goes on when retries may not."""

from proxy.core.failure import Failure, FailureClass
from proxy.routing.next_move import GiveUp
from tests.support.plans import plan
from tests.support.play import OK, Play, always, budgets

BUSY = Failure(FailureClass.OVERLOADED, "http_503")


def test_with_budget_the_same_deployment_is_tried_again() -> None:
    play = Play({"a": iter([BUSY, OK]), "b": always(OK)}, budgets(1.0, 0))

    assert "a" == play.request(plan("a", "b"))
    assert ["a", "a"] == play.order()


def test_without_budget_the_next_one_is_tried_at_once() -> None:
    play = Play({"a": always(BUSY), "b": always(OK)}, budgets(0.0, 0))

    assert "b" == play.request(plan("a", "b"))
    assert ["a", "b"] == play.order()
    assert play.takes == play.log[1][0]


def test_a_long_outage_costs_one_attempt_and_a_fifth() -> None:
    play = Play({"a": always(BUSY)}, budgets(0.2, 0), takes=0.01)
    for _ in range(1000):
        assert GiveUp("upstream_error") == play.request(plan("a"))

    assert 1000 < len(play.log) <= 1210
