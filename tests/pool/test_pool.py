"""Permits, keys and rests."""

import pytest

from proxy.core.event import Rested
from proxy.core.failure import DEADLINE_EXCEEDED, Failure, FailureClass
from proxy.core.names import DeploymentId
from proxy.pool.permit import IGNORED, SUCCEEDED, Outcome, Permit
from proxy.pool.pool import Pool
from proxy.pool.rest import Rest
from proxy.pool.resting import clear_rests
from proxy.pool.snapshot import picture
from tests.support.plans import UNGUARDED

F = FailureClass
BIG, SMALL = DeploymentId("openai", "big"), DeploymentId("openai", "small")


def pool(keys: int = 1) -> Pool:
    return Pool({"openai": keys, "other": 0})


def attempt(pool: Pool, outcome: Outcome, now: float = 0.0, id_: DeploymentId = BIG) -> Permit:
    permit = pool.admit(id_, UNGUARDED, now)
    assert isinstance(permit, Permit)
    pool.report(permit, outcome, now)
    return permit


def rest_of(pool: Pool, now: float, id_: DeploymentId = BIG) -> Rest | None:
    return pool.standing(id_, UNGUARDED, now).rest


def test_a_permit_is_consumed_exactly_once() -> None:
    pool_ = pool()
    permit = attempt(pool_, SUCCEEDED)

    with pytest.raises(RuntimeError, match="reported twice"):
        pool_.report(permit, SUCCEEDED, 0.0)


def test_a_cancelled_attempt_frees_its_place_and_blames_nobody() -> None:
    pool_ = pool()
    attempt(pool_, IGNORED)

    state = pool_.deployment(BIG)
    assert (0, 0, 0, 0) == (state.in_flight, state.succeeded, state.failed, state.consecutive_failures)


@pytest.mark.parametrize("kind", FailureClass)
def test_only_what_counts_feeds_the_failures_in_a_row(kind: FailureClass) -> None:
    pool_ = pool()
    failure = Failure(kind, "x")
    attempt(pool_, failure)

    assert int(failure.verdict.counts) == pool_.deployment(BIG).consecutive_failures


def test_a_request_out_of_time_blames_nobody() -> None:
    pool_ = pool()
    attempt(pool_, Failure(F.TIMEOUT, DEADLINE_EXCEEDED))

    assert (0, 0) == (pool_.deployment(BIG).failed, pool_.deployment(BIG).in_flight)


def test_a_rate_limit_rests_the_key_on_this_deployment_for_as_long_as_asked() -> None:
    pool_ = pool()
    attempt(pool_, Failure(F.RATE_LIMITED, "http_429", wait=20.0))

    assert Rest(20.0, F.RATE_LIMITED) == rest_of(pool_, 19.9)
    assert rest_of(pool_, 20.0) is None
    assert rest_of(pool_, 0.0, SMALL) is None
    assert not isinstance(pool_.admit(BIG, UNGUARDED, 10.0), Permit)


def test_rate_limits_without_a_hint_rest_longer_each_time_until_one_answer_comes() -> None:
    pool_, now, rests = pool(), 0.0, []
    for _ in range(8):
        attempt(pool_, Failure(F.RATE_LIMITED, "http_429"), now)
        rests.append(pool_.standing(BIG, UNGUARDED, now).usable_at - now)
        now += rests[-1]
    assert [1, 2, 4, 8, 16, 32, 60, 60] == rests

    attempt(pool_, SUCCEEDED, now)
    attempt(pool_, Failure(F.RATE_LIMITED, "http_429"), now)
    assert now + 1 == pool_.standing(BIG, UNGUARDED, now).usable_at


def test_another_key_goes_on_while_one_rests() -> None:
    pool_ = pool(keys=2)
    limited = attempt(pool_, Failure(F.RATE_LIMITED, "http_429", wait=20.0))

    assert rest_of(pool_, 1.0) is None
    assert limited.key != attempt(pool_, SUCCEEDED, 1.0).key
    attempt(pool_, Failure(F.RATE_LIMITED, "http_429", wait=5.0), 1.0)
    assert 6.0 == pool_.standing(BIG, UNGUARDED, 1.0).usable_at


@pytest.mark.parametrize("kind", [F.QUOTA, F.CREDENTIAL])
def test_a_dead_key_rests_for_the_whole_upstream(kind: FailureClass) -> None:
    pool_ = pool(keys=2)
    dead = attempt(pool_, Failure(kind, "http_401"))

    assert all(dead.key != attempt(pool_, SUCCEEDED, 1.0, SMALL).key for _ in range(4))
    attempt(pool_, Failure(kind, "http_401"), 1.0)
    assert rest_of(pool_, 2.0, SMALL) is not None
    assert rest_of(pool_, 2.0, DeploymentId("other", "x")) is None


def test_a_missing_model_rests_the_deployment_whatever_the_key() -> None:
    pool_ = pool(keys=3)
    attempt(pool_, Failure(F.MODEL_GONE, "http_404"))

    assert 300.0 == pool_.standing(BIG, UNGUARDED, 1.0).usable_at
    assert rest_of(pool_, 1.0, SMALL) is None


def test_keys_take_turns() -> None:
    pool_ = pool(keys=3)

    assert [0, 1, 2, 0, 1, 2] == [attempt(pool_, SUCCEEDED).key for _ in range(6)]


def test_no_hint_is_believed_beyond_a_day() -> None:
    pool_ = pool()
    attempt(pool_, Failure(F.QUOTA, "http_429", wait=1e12))

    assert 86_400.0 == pool_.standing(BIG, UNGUARDED, 0.0).usable_at


def test_a_refused_parameter_is_remembered() -> None:
    pool_ = pool()
    attempt(pool_, Failure(F.PARAMETER_UNSUPPORTED, "http_400", param="temperature"))

    assert {"temperature"} == pool_.deployment(BIG).refused_parameters


def test_names_that_clients_choose_do_not_fill_the_memory() -> None:
    pool_ = pool()
    for number in range(5000):
        attempt(pool_, SUCCEEDED, 0.0, DeploymentId("openai", str(number)))

    assert 4096 == len(pool_.deployments())


def test_a_good_answer_may_tell_that_the_next_one_would_be_refused() -> None:
    pool_ = pool(keys=2)
    permit = pool_.admit(BIG, UNGUARDED, 0.0)
    assert isinstance(permit, Permit)
    told = pool_.note_headroom(permit, 0.0, 4.0, 1.0)
    pool_.report(permit, SUCCEEDED, 1.0)

    assert [Rested(BIG, permit.key, False, "rate_limited", 4.0)] == list(told)
    assert permit.key != attempt(pool_, SUCCEEDED, 1.0).key
    assert 0.0 == pool_.deployment(BIG).headroom
    # It was no refusal, so the next one begins where refusals begin.
    assert {} == pool_.deployment(BIG).refusals


def test_rests_are_cleared_by_hand_for_the_deployment_and_all_its_keys() -> None:
    pool_ = pool(keys=3)
    for kind in (F.RATE_LIMITED, F.QUOTA, F.MODEL_GONE):
        attempt(pool_, Failure(kind, "x"))
    cleared = clear_rests(pool_.upstream("openai"), pool_.deployment(BIG))

    assert 3 == len(cleared)
    assert rest_of(pool_, 0.0) is None


def test_picture() -> None:
    pool_ = pool()
    attempt(pool_, SUCCEEDED, 1.0)
    attempt(pool_, Failure(F.OVERLOADED, "http_503"), 2.0)
    seen = picture(pool_, BIG, 5.0)
    assert ("degraded", "1 failures in a row", 1, 1, 1, "http_503", 3.0, 4.0) == (
        seen.status,
        seen.reason,
        seen.succeeded,
        seen.failed,
        seen.consecutive_failures,
        seen.last_failure,
        seen.since_failure_s,
        seen.since_success_s,
    )

    attempt(pool_, Failure(F.RATE_LIMITED, "http_429", wait=10.0), 5.0)
    seen = picture(pool_, BIG, 7.0)
    assert ("unavailable", "rate_limited", 8.0) == (seen.status, seen.rest_reason, seen.rest_remaining_s)
