"""Panic and the rest: a chain that is out is tried early, in measure, and never past a rest or an operator."""

from proxy.core.failure import Failure, FailureClass
from proxy.core.names import DeploymentId
from proxy.pool.operator import Operator
from proxy.routing.next_move import GiveUp
from tests.support.plans import guarded, plan
from tests.support.play import OK, Play, always, budgets

DOWN = Failure(FailureClass.CONNECT, "connect_refused")
LIMITED = Failure(FailureClass.RATE_LIMITED, "http_429", wait=600.0)
A = DeploymentId("a", "m")


def test_a_false_alarm_of_a_whole_chain_is_over_with_the_first_requests_that_come() -> None:
    rules = guarded(consecutive=1, open_for=300.0, close_after=2)
    play = Play({"a": iter([DOWN, *[OK] * 99]), "b": iter([DOWN, *[OK] * 99])})
    made = plan("a", "b", rules=rules, attempts=1)
    assert isinstance(play.request(made), GiveUp)

    assert ["a", "a", "a"] == play.requests(made, 3)


def test_panics_are_paid_from_the_budget() -> None:
    rules = guarded(consecutive=1, open_for=300.0)
    play = Play({"a": always(DOWN)}, budgets(0.0, 0.05), takes=0.0)
    made = plan("a", rules=rules, attempts=1, deadline=1e9)
    for _ in range(25):
        play.request(made)
        play.pass_time(10.0)

    # A twentieth in each second, remembered for ten, is half a panic: none at all.
    assert 1 == len(play.log)


def test_panics_are_spaced_so_that_they_are_no_way_around_the_breaker() -> None:
    rules = guarded(consecutive=1, open_for=300.0, max_open_for=300.0)
    play = Play({"a": always(DOWN)}, budgets(1.0, 100.0), takes=0.0)
    made = plan("a", rules=rules, attempts=1, deadline=1e9)
    for _ in range(100):
        play.request(made)
        play.pass_time(0.1)

    assert 10 <= len(play.log) <= 12


def test_one_request_panics_once() -> None:
    rules = guarded(consecutive=1, open_for=300.0)
    play = Play({name: always(DOWN) for name in "abc"}, budgets(1.0, 100.0), takes=0.0)
    made = plan("a", "b", "c", rules=rules, attempts=1)
    play.requests(made, 2)

    assert 3 + 1 == len(play.log)


def test_a_rest_is_no_matter_of_opinion() -> None:
    play = Play({"a": always(LIMITED), "b": always(LIMITED)})
    made = plan("a", "b", rules=guarded(), attempts=1)
    play.requests(made, 20)

    assert ["a", "b"] == play.order()


def test_rests_count_as_out_when_a_panic_is_considered() -> None:
    rules = guarded(consecutive=1, open_for=300.0)
    play = Play({"a": always(LIMITED), "b": iter([DOWN, OK])})
    made = plan("a", "b", rules=rules, attempts=1)
    play.request(made)

    assert "b" == play.request(made)


def test_what_an_operator_has_opened_stays_open() -> None:
    play = Play({"a": always(OK)})
    made = plan("a", rules=guarded())
    play.request(made)
    Operator(play.pool).open(A, "maintenance", None, play.now)

    assert GiveUp("no_healthy_upstream") == play.request(made)
    assert 1 == len(play.log)
