"""What other processes have seen comes late, and in any order: it is booked as if it had come in time."""

from __future__ import annotations

from itertools import permutations

import pytest

from proxy.core.failure import Failure, FailureClass
from proxy.core.names import DeploymentId
from proxy.policies.breaker import BreakerState
from proxy.policies.concurrency import ConcurrencyLimit, LimitSettings
from proxy.pool.deployment import Deployment
from proxy.pool.elsewhere import as_if_here, take_up_end_of_rest, take_up_outcome, told_outcome
from proxy.pool.permit import SUCCEEDED, Outcome
from proxy.pool.rest import Rest
from proxy.pool.upstream import Upstream
from tests.support.plans import guarded

ID = DeploymentId("a", "m")
RULES = guarded(consecutive=3, minimum_requests=100)
DOWN = Failure(FailureClass.OVERLOADED, "http_503")
LIMITED = Failure(FailureClass.RATE_LIMITED, "http_429", wait=7.0)


def records(keys: int = 1) -> tuple[Deployment, Upstream]:
    deployment = Deployment(ID)
    deployment.guard(RULES, 0.0)
    return deployment, Upstream.with_keys(keys, ConcurrencyLimit(LimitSettings(4, 1, 8)))


def hear(deployment: Deployment, upstream: Upstream, outcome: Outcome, now: float, key: int = 0) -> None:
    """An attempt of a process that knows the same keys."""
    there = as_if_here(Deployment(ID), upstream, key, now - 0.5)
    take_up_outcome(deployment, upstream, 12, told_outcome(there, outcome, now))


def in_a_row(deployment: Deployment) -> tuple[int, int]:
    return deployment.consecutive_failures, deployment.guards[0].breaker.consecutive


def test_failures_are_counted_and_move_no_breaker() -> None:
    deployment, upstream = records()
    for now in (1.0, 2.0, 3.0, 4.0):
        hear(deployment, upstream, DOWN, now)

    breaker = deployment.guards[0].breaker
    assert (4, 4) == in_a_row(deployment)
    assert BreakerState.CLOSED is breaker.state
    assert breaker.judge(5.0, 0.0) is not None


def test_what_came_before_a_breaker_moved_has_been_judged() -> None:
    deployment, upstream = records()
    deployment.guards[0].breaker.changed_at = 2.0
    hear(deployment, upstream, DOWN, 1.0)

    assert 0 == deployment.guards[0].breaker.consecutive
    assert 1 == deployment.failed


def test_what_a_failure_says_of_the_request_alone_counts_against_nobody() -> None:
    deployment, upstream = records()
    hear(deployment, upstream, Failure(FailureClass.CALLER_FAULT, "http_400"), 1.0)

    assert (0, 0) == in_a_row(deployment)
    assert 1 == deployment.failed


def test_a_success_from_before_a_failure_ends_nothing() -> None:
    deployment, upstream = records()
    hear(deployment, upstream, DOWN, 2.0)
    hear(deployment, upstream, SUCCEEDED, 1.0)

    assert (1, 1) == in_a_row(deployment)
    assert 1.0 == deployment.last_success_at


def test_a_failure_from_before_a_success_begins_nothing() -> None:
    deployment, upstream = records()
    hear(deployment, upstream, SUCCEEDED, 2.0)
    hear(deployment, upstream, DOWN, 1.0)

    assert (0, 0) == in_a_row(deployment)
    assert ("http_503", 1.0) == (deployment.last_failure, deployment.last_failure_at)


@pytest.mark.parametrize("order", list(permutations([(1.0, DOWN), (2.0, SUCCEEDED), (3.0, LIMITED)])))
def test_what_was_last_is_last_in_whatever_order_it_is_heard(order: tuple[tuple[float, Outcome], ...]) -> None:
    deployment, upstream = records()
    for now, outcome in order:
        hear(deployment, upstream, outcome, now)

    assert (1, 2) == (deployment.succeeded, deployment.failed)
    assert (2.0, "http_429", 3.0) == (
        deployment.last_success_at,
        deployment.last_failure,
        deployment.last_failure_at,
    )
    assert {0: Rest(10.0, FailureClass.RATE_LIMITED)} == deployment.key_rests


def test_a_key_that_is_not_known_here_is_taken_for_the_last_one() -> None:
    _, elsewhere = records(keys=3)
    deployment, upstream = records(keys=2)
    told = told_outcome(as_if_here(Deployment(ID), elsewhere, 2, 0.5), LIMITED, 1.0)
    take_up_outcome(deployment, upstream, 12, told)

    assert [1] == list(deployment.key_rests)


def test_an_outcome_is_told_without_the_upstreams_words() -> None:
    deployment, upstream = records()
    said = Failure(FailureClass.CALLER_FAULT, "http_400", "the prompt, echoed", 400, param="tools")

    assert (0, False, False, False, 0.5, None, ("caller_fault", "http_400", None, "tools", False), 1.0) == told_outcome(
        as_if_here(deployment, upstream, 0, 0.5), said, 1.0
    )


@pytest.mark.parametrize(
    ("key", "everywhere", "left"),
    [(None, False, (False, True, True)), (0, False, (True, False, True)), (0, True, (True, True, False))],
)
def test_one_rest_ends_and_no_other(key: int | None, everywhere: bool, left: tuple[bool, bool, bool]) -> None:
    deployment, upstream = records()
    rest = Rest(9.0, FailureClass.RATE_LIMITED)
    deployment.rest, deployment.key_rests[0], upstream.key_rests[0] = rest, rest, rest
    take_up_end_of_rest(deployment, upstream, key, everywhere=everywhere)

    assert left == (deployment.rest is not None, bool(deployment.key_rests), bool(upstream.key_rests))


def test_the_end_of_a_rest_of_a_key_that_is_gone_ends_nothing() -> None:
    deployment, upstream = records()
    deployment.key_rests[0] = Rest(9.0, FailureClass.RATE_LIMITED)
    take_up_end_of_rest(deployment, upstream, 5, everywhere=False)

    assert [0] == list(deployment.key_rests)
