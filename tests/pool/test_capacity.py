"""What a route can take, and whether it can answer at all."""

import math

import pytest

from proxy.config.settings import LastResortSettings, RetrySettings, RouteSettings, StepSettings, Timeouts
from proxy.core.failure import Failure, FailureClass
from proxy.core.names import DeploymentId
from proxy.pool.capacity import can_answer, route_capacity
from proxy.pool.deployment import Ejection
from proxy.pool.operator import Operator
from proxy.pool.permit import Permit
from proxy.pool.pool import Pool
from tests.support.plans import guarded

RULES = guarded(consecutive=1, open_for=60.0, limit=1)
A, B = DeploymentId("a", "m"), DeploymentId("b", "m")
OUT = (A, B)


def pool() -> Pool:
    return Pool({"a": 1, "b": 1})


def step(upstream: str, weight: float = 1.0, unusable: str | None = None) -> StepSettings:
    return StepSettings(upstream, "m", Timeouts(), RetrySettings(), RULES, weight=weight, unusable=unusable)


def route(*steps: StepSettings, strategy: str = "weighted", resort: bool = False) -> RouteSettings:
    last = LastResortSettings("sorry") if resort else None
    return RouteSettings("r", steps or (step("a", 3), step("b", 1)), 60.0, last, strategy=strategy)


def fail(pool: Pool, id_: DeploymentId, kind: FailureClass = FailureClass.CONNECT) -> None:
    permit = pool.admit(id_, RULES, 0.0)
    assert isinstance(permit, Permit)
    pool.report(permit, Failure(kind, "x"), 0.0)


def test_steps_count_by_their_weights() -> None:
    pool_ = pool()
    assert (1.0, "ok") == route_capacity(pool_, route(), 1.0)
    fail(pool_, B)
    assert (0.75, "ok") == route_capacity(pool_, route(), 1.0)
    fail(pool_, A)
    assert (0.0, "unavailable") == route_capacity(pool_, route(), 1.0)


def test_degraded_below_the_limit_of_the_route() -> None:
    pool_ = pool()
    fail(pool_, A)
    assert (0.25, "degraded") == route_capacity(pool_, route(), 1.0)


def test_a_full_deployment_can_take_its_own() -> None:
    pool_ = pool()
    pool_.admit(A, RULES, 0.0)
    assert (1.0, "ok") == route_capacity(pool_, route(), 1.0)


def test_steps_that_are_never_taken_do_not_count() -> None:
    pool_ = pool()
    assert (1.0, "ok") == route_capacity(pool_, route(step("a", 9, "no key"), step("b")), 1.0)
    assert (0.0, "unavailable") == route_capacity(pool_, route(step("a", 9, "no key")), 1.0)


def test_the_operators_weight_counts_as_long_as_it_lasts() -> None:
    pool_ = pool()
    Operator(pool_).weigh(A, 1.0, None, 10.0, 0.0)
    fail(pool_, B)
    assert (0.5, "degraded") == route_capacity(pool_, route(), 9.0)
    assert (0.75, "ok") == route_capacity(pool_, route(), 11.0)


@pytest.mark.parametrize("strategy", ["sequential", "parallel"])
def test_the_operators_weight_means_nothing_where_nothing_is_drawn(strategy: str) -> None:
    pool_ = pool()
    Operator(pool_).weigh(A, 0.0, None, None, 0.0)
    fail(pool_, B)
    steps = (step("a"), step("b"))
    assert (0.5, "degraded") == route_capacity(pool_, route(*steps, strategy=strategy), 1.0)


def test_a_stand_in_keeps_a_route_from_being_unavailable() -> None:
    pool_ = pool()
    both = route(step("a"), step("b", 0))
    fail(pool_, A)
    assert (0.0, "degraded") == route_capacity(pool_, both, 1.0)
    Operator(pool_).weigh(A, 0.0, None, None, 0.0)
    assert (0.0, "degraded") == route_capacity(pool_, both, 1.0)
    fail(pool_, B)
    assert (0.0, "unavailable") == route_capacity(pool_, both, 1.0)


def test_what_comes_back_by_itself_can_answer() -> None:
    pool_ = pool()
    for id_ in OUT:
        fail(pool_, id_)
    assert can_answer(pool_, route(), 1.0)
    full = pool()
    for id_ in OUT:
        full.admit(id_, RULES, 0.0)
        full.deployment(id_).ejection = Ejection(math.inf, "errors")
    assert can_answer(full, route(), 1.0)


def test_what_rests_or_is_switched_off_cannot_answer() -> None:
    pool_ = pool()
    fail(pool_, A, FailureClass.CREDENTIAL)
    assert can_answer(pool_, route(), 1.0)
    Operator(pool_).order(B, "drain", None, 100.0, 0.0)
    assert not can_answer(pool_, route(), 1.0)
    assert can_answer(pool_, route(resort=True), 1.0)
    assert can_answer(pool_, route(), 101.0)


def test_steps_that_are_never_taken_cannot_answer() -> None:
    assert not can_answer(pool(), route(step("a", unusable="no key")), 1.0)
    assert can_answer(pool(), route(step("a", unusable="no key"), resort=True), 1.0)
