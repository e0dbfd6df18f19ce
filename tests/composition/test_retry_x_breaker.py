"""Retries and breakers: retries feed the breaker, and stop when it has opened."""

from proxy.core.event import BreakerChanged
from proxy.core.failure import Failure, FailureClass
from proxy.routing.next_move import GiveUp
from tests.support.plans import guarded, plan
from tests.support.play import OK, Play, always, budgets

BUSY = Failure(FailureClass.OVERLOADED, "http_503")
REFUSED = Failure(FailureClass.CALLER_FAULT, "http_400")


def test_the_retries_of_one_request_may_open_it_and_the_chain_goes_on() -> None:
    rules = guarded(consecutive=2)
    play = Play({"a": always(BUSY), "b": always(OK)})

    assert ["b", "b"] == play.requests(plan("a", "b", rules=rules), 2)
    assert ["a", "a", "b", "b"] == play.order()


def test_an_open_breaker_is_not_called_whatever_the_budget_pays() -> None:
    rules = guarded(consecutive=3, open_for=60.0)
    play = Play({"a": always(BUSY), "b": always(OK)}, budgets(1.0))
    made = plan("a", "b", rules=rules, attempts=1)

    play.requests(made, 50)
    assert 3 == play.order().count("a")


def test_a_half_open_breaker_is_not_retried_after_its_probe_has_failed() -> None:
    rules = guarded(consecutive=1, open_for=10.0, probes=2)
    play = Play({"a": always(BUSY), "b": always(OK)}, budgets(1.0))
    made = plan("a", "b", rules=rules)
    play.request(made)
    play.pass_time(12.0)
    play.request(made)

    assert ["a", "b", "a", "b"] == play.order()


def test_a_callers_fault_opens_nothing() -> None:
    play = Play({"a": always(REFUSED)})
    play.requests(plan("a", rules=guarded(consecutive=1)), 20)

    assert 20 == len(play.log)
    assert [] == play.told


def test_all_down_costs_at_most_a_fifth_more_than_one_attempt_for_each_request() -> None:
    rules = guarded(consecutive=5, open_for=5.0, max_open_for=10.0)
    play = Play({"a": always(BUSY), "b": always(BUSY), "c": always(BUSY)}, budgets(0.2, 0.0), takes=0.01)
    made, given_up = plan("a", "b", "c", rules=rules, deadline=1e9), []
    for _ in range(2000):
        given_up.append(play.request(made))
        play.pass_time(0.01)

    assert all(isinstance(each, GiveUp) for each in given_up)
    assert len(play.log) <= 1.2 * 2000
    last = given_up[-1]
    assert isinstance(last, GiveUp)
    assert "no_healthy_upstream" == last.code
    assert last.retry_after is not None
    assert 0 <= last.retry_after <= 11.0


def test_all_well_again_traffic_is_back_by_itself() -> None:
    rules = guarded(consecutive=2, open_for=5.0, close_after=1)
    play = Play({"a": iter([BUSY, BUSY, *[OK] * 1000]), "b": always(OK)})
    made = plan("a", "b", rules=rules, attempts=1)
    answers = []
    for _ in range(20):
        answers.append(play.request(made))
        play.pass_time(1.0)

    assert "b" == answers[2]
    assert ["a"] * 10 == answers[-10:]
    assert BreakerChanged in [type(event) for event in play.told]
