"""What time alone changes: outliers are left out, and come back."""

from proxy.config.settings import RetrySettings, RouteSettings, StepSettings, Timeouts
from proxy.core.event import Ejected, TrendChanged
from proxy.core.failure import Failure, FailureClass
from proxy.core.names import DeploymentId
from proxy.policies.outlier import OutlierSettings
from proxy.pool.permit import SUCCEEDED, Outcome, Permit
from proxy.pool.pool import Pool
from proxy.pool.snapshot import picture
from proxy.pool.upkeep import tick
from tests.support.plans import UNGUARDED

A, B, C = (DeploymentId(name, "m") for name in "abc")
BAD = Failure(FailureClass.BAD_ANSWER, "empty_answer")


def route(strategy: str = "sequential") -> RouteSettings:
    steps = tuple(StepSettings(id_.upstream, "m", Timeouts(), RetrySettings(), rules=UNGUARDED) for id_ in (A, B, C))
    return RouteSettings("r", steps, 60.0, strategy=strategy, outlier=OutlierSettings())


def answers(pool: Pool, id_: DeploymentId, outcome: Outcome, count: int, now: float = 0.0, takes: float = 1.0) -> None:
    for _ in range(count):
        permit = pool.admit(id_, UNGUARDED, now)
        assert isinstance(permit, Permit)
        pool.report(permit, outcome, now + takes)


def test_far_more_errors_than_its_siblings_leave_it_out_for_a_while() -> None:
    pool = Pool({"a": 1, "b": 1, "c": 1})
    answers(pool, A, BAD, 30)
    answers(pool, B, SUCCEEDED, 30)
    answers(pool, C, SUCCEEDED, 30)

    assert [Ejected(A, "r", "errors", 30.0)] == tick(pool, [route()], 5.0, 0)
    assert 0.0 == pool.standing(A, UNGUARDED, 6.0).share
    seen = picture(pool, A, 6.0)
    assert ("degraded", "left out for 29 s: its siblings do far better (errors)") == (seen.status, seen.reason)


def test_when_its_time_is_over_it_is_judged_by_what_it_does_then() -> None:
    pool = Pool({"a": 1, "b": 1, "c": 1})
    answers(pool, A, BAD, 30)
    answers(pool, B, SUCCEEDED, 30)
    tick(pool, [route()], 5.0, 0)

    assert [] == tick(pool, [route()], 35.0, 0)
    assert 1.0 == pool.standing(A, UNGUARDED, 35.0).share


def test_slowness_counts_among_equals_only() -> None:
    pool = Pool({"a": 1, "b": 1, "c": 1})
    answers(pool, A, SUCCEEDED, 30, takes=20.0)
    answers(pool, B, SUCCEEDED, 30)
    answers(pool, C, SUCCEEDED, 30)

    assert [] == tick(pool, [route()], 20.0, 0)
    assert [Ejected(A, "r", "latency", 30.0)] == tick(pool, [route("weighted")], 20.0, 0)


def test_when_all_are_bad_nobody_is_an_outlier() -> None:
    pool = Pool({"a": 1, "b": 1, "c": 1})
    for id_ in (A, B, C):
        answers(pool, id_, BAD, 30)

    assert [] == tick(pool, [route()], 5.0, 0)


def test_a_bad_trend_moves_a_part_of_the_traffic_away_and_is_told_once() -> None:
    rules = route().steps[0].rules
    watchful = type(rules)(rules.breaker, rules.limit, rules.recovery)
    pool, now, told = Pool({"a": 1}), 0.0, []
    for number in range(1200):
        permit = pool.admit(A, watchful, now)
        assert isinstance(permit, Permit)
        failing = number >= 900 and number % 2 == 0
        pool.report(permit, BAD if failing else SUCCEEDED, now)
        now += 0.5
        told += tick(pool, [], now, 0) if number % 2 else []

    assert [TrendChanged] == [type(event) for event in told if isinstance(event, TrendChanged)]
    assert 0.8 <= pool.standing(A, watchful, now).share < 1.0
