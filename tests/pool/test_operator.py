"""What operators may change, and that it reverts when its time is over."""

import math

from proxy.core.event import BreakerChanged, Controlled, RestCleared
from proxy.core.failure import Failure, FailureClass
from proxy.core.names import DeploymentId
from proxy.pool.operator import Operator
from proxy.pool.permit import IGNORED, Permit
from proxy.pool.pool import Pool
from proxy.pool.snapshot import picture, pull
from proxy.pool.standing import Hold
from proxy.pool.upkeep import tick
from tests.support.plans import guarded

A, B = DeploymentId("up", "a"), DeploymentId("up", "b")
RULES, OTHERS = guarded(consecutive=2, open_for=10.0), guarded(consecutive=3)
DOWN = Failure(FailureClass.OVERLOADED, "http_503")


def pool() -> Pool:
    return Pool({"up": 1}, [(A, RULES), (A, OTHERS), (B, RULES)])


def hold(pool_: Pool, now: float, id_: DeploymentId = A) -> Hold | None:
    return pool_.standing(id_, RULES, now).hold


def test_open_holds_for_all_rules_and_until_it_is_closed() -> None:
    pool_ = pool()
    told = Operator(pool_).open(A, "bad answers", None, 5.0)

    assert Controlled(A, "open", "bad answers", None) == told[0]
    assert [BreakerChanged(A, "closed", "open", "operator", None)] * 2 == told[1:]
    assert (math.inf, Hold.OPEN, True) == (
        pool_.standing(A, OTHERS, 1e9).usable_at,
        hold(pool_, 1e9),
        pool_.deployment(A).guards[0].breaker.forced,
    )
    assert pool_.admit_probe(A, 6.0, early=True) is None
    assert hold(pool_, 6.0, B) is None


def test_open_for_a_time_is_half_open_after_it() -> None:
    pool_ = pool()
    Operator(pool_).open(A, None, 60.0, 0.0)

    assert Hold.OPEN is hold(pool_, 59.0)
    assert hold(pool_, 60.0) is None


def test_close_ends_an_opening() -> None:
    pool_ = pool()
    operator = Operator(pool_)
    operator.open(A, None, None, 0.0)
    operator.close(A, None, None, 1.0)

    assert hold(pool_, 1.0) is None


def test_reset_clears_breakers_rests_orders_and_ejections_of_one_or_all() -> None:
    pool_ = pool()
    operator = Operator(pool_)
    operator.open(A, None, None, 0.0)
    operator.order(A, "disable", None, None, 0.0)
    operator.weigh(A, 5.0, None, None, 0.0)
    permit = pool_.admit(B, RULES, 0.0)
    assert isinstance(permit, Permit)
    pool_.report(permit, Failure(FailureClass.MODEL_GONE, "http_404"), 0.0)

    operator.reset([A], "after the incident", 1.0)
    assert (None, Hold.RESTS) == (hold(pool_, 1.0), hold(pool_, 1.0, B))
    told = operator.reset(None, None, 1.0)
    assert [Controlled(None, "reset"), RestCleared(B, None, False, "operator")] == told
    assert hold(pool_, 1.0, B) is None
    assert 3.0 == pull(pool_, A, RULES, 3.0, 1.0)


def test_drain_lets_running_attempts_finish_and_still_probes() -> None:
    pool_ = pool()
    permit = pool_.admit(A, RULES, 0.0)
    assert isinstance(permit, Permit)
    Operator(pool_).order(A, "drain", "upgrade", 60.0, 0.0)

    assert (60.0, Hold.OFF) == pool_.standing(A, RULES, 1.0)[:2]
    pool_.report(permit, IGNORED, 2.0)
    probe = pool_.admit_probe(A, 3.0)
    assert probe is not None
    pool_.report(probe, IGNORED, 3.0)
    assert ("unavailable", "drain", 57.0) == (
        (seen := picture(pool_, A, 3.0)).status,
        seen.order,
        seen.order_remaining_s,
    )


def test_disable_does_not_even_probe() -> None:
    pool_ = pool()
    operator = Operator(pool_)
    operator.order(A, "disable", None, None, 0.0)
    assert pool_.admit_probe(A, 1.0, early=True) is None

    operator.enable(A, None)
    assert hold(pool_, 1.0) is None


def test_an_order_reverts_by_itself_and_that_is_told() -> None:
    pool_ = pool()
    operator = Operator(pool_)
    operator.order(A, "drain", None, 60.0, 0.0)
    operator.weigh(A, 0.0, None, 30.0, 0.0)
    assert [] == tick(pool_, [], 29.0, 0)
    assert 0.0 == pull(pool_, A, OTHERS, 2.0, 29.0)

    assert [Controlled(A, "revert", "the time of the weight is over")] == tick(pool_, [], 30.0, 0)
    assert [Controlled(A, "revert", "the time of drain is over")] == tick(pool_, [], 61.0, 0)
    assert 2.0 == pull(pool_, A, OTHERS, 2.0, 61.0)


def test_a_deployment_near_its_rate_limit_is_drawn_less() -> None:
    pool_ = pool()
    pool_.deployment(A).headroom = 0.05

    assert 0.5 == pull(pool_, A, RULES, 2.0, 0.0)
