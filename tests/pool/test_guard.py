"""What guards a deployment: breakers by rules, limits, the way back."""

from dataclasses import replace

from proxy.config.settings import Rules
from proxy.core.event import BreakerChanged, RampStarted, Recovered
from proxy.core.failure import Failure, FailureClass
from proxy.core.names import DeploymentId
from proxy.policies.breaker import BreakerSettings
from proxy.policies.concurrency import LimitSettings
from proxy.policies.trend import ForesightSettings
from proxy.pool.permit import IGNORED, SUCCEEDED, Outcome, Permit
from proxy.pool.pool import Pool
from proxy.pool.snapshot import picture, threshold
from proxy.pool.standing import Hold
from proxy.pool.upkeep import tick
from tests.support.plans import guarded

ID, SIBLING = DeploymentId("a", "m"), DeploymentId("a", "n")
STRICT = guarded(consecutive=2, open_for=10.0, close_after=1, probes=1)
LAX = guarded(consecutive=4, open_for=10.0, close_after=1, probes=1)
DOWN = Failure(FailureClass.OVERLOADED, "http_503")
LIMITED = Failure(FailureClass.RATE_LIMITED, "http_429", wait=1.0)


def admit(pool: Pool, now: float, rules: Rules = STRICT, id_: DeploymentId = ID, *, early: bool = False) -> Permit:
    permit = pool.admit(id_, rules, now, early=early)
    assert isinstance(permit, Permit)
    return permit


def attempts(pool: Pool, outcome: Outcome, now: float, times: int = 1, rules: Rules = STRICT) -> list[object]:
    told: list[object] = []
    for _ in range(times):
        permit = admit(pool, now, rules)
        told += [*permit.events, *pool.report(permit, outcome, now)]
    return told


def hold(pool: Pool, now: float, rules: Rules = STRICT) -> Hold | None:
    return pool.standing(ID, rules, now).hold


def test_an_open_breaker_keeps_requests_away_until_its_time_is_over() -> None:
    pool = Pool({"a": 1})
    told = attempts(pool, DOWN, 0.0, 2)

    assert [BreakerChanged(ID, "closed", "open", "consecutive_failures", 10.0)] == told
    assert (10.0, Hold.OPEN) == pool.standing(ID, STRICT, 5.0)[:2]
    assert not isinstance(pool.admit(ID, STRICT, 5.0), Permit)
    assert hold(pool, 10.0) is None


def test_the_probe_of_a_half_open_breaker_is_the_only_attempt() -> None:
    pool = Pool({"a": 1})
    attempts(pool, DOWN, 0.0, 2)
    permit = admit(pool, 10.0)

    assert Hold.PROBING is hold(pool, 10.0)
    told = [*permit.events, *pool.report(permit, SUCCEEDED, 10.5)]
    assert [
        BreakerChanged(ID, "open", "half_open", "time"),
        BreakerChanged(ID, "half_open", "closed", "probes_succeeded"),
        RampStarted(ID, 0.0),
    ] == told


def test_other_rules_have_a_breaker_of_their_own_which_hears_every_outcome() -> None:
    pool = Pool({"a": 1}, [(ID, STRICT), (ID, LAX)])
    attempts(pool, DOWN, 0.0, 2)
    assert (Hold.OPEN, None) == (hold(pool, 1.0), hold(pool, 1.0, LAX))

    attempts(pool, DOWN, 1.0, 2, LAX)
    assert Hold.OPEN is hold(pool, 1.0, LAX)


def test_a_success_under_one_set_of_rules_does_not_close_the_breaker_of_another() -> None:
    pool = Pool({"a": 1}, [(ID, STRICT), (ID, LAX)])
    attempts(pool, DOWN, 0.0, 2)
    probe = admit(pool, 10.0)
    attempts(pool, SUCCEEDED, 10.0, 5, LAX)

    assert Hold.PROBING is hold(pool, 10.0)
    pool.report(probe, SUCCEEDED, 11.0)
    assert hold(pool, 11.0) is None


def test_equal_rules_share_one_breaker() -> None:
    pool = Pool({"a": 1})
    attempts(pool, DOWN, 0.0, 1, guarded(consecutive=2))
    attempts(pool, DOWN, 0.0, 1, guarded(consecutive=2))

    assert 1 == len(pool.deployment(ID).guards)
    assert Hold.OPEN is hold(pool, 0.0, guarded(consecutive=2))


def test_a_rate_limit_during_a_probe_neither_closes_nor_opens_the_breaker() -> None:
    pool = Pool({"a": 1})
    attempts(pool, DOWN, 0.0, 2)
    attempts(pool, LIMITED, 10.0)

    assert "half_open" == picture(pool, ID, 10.0).breakers[0].state
    assert Hold.RESTS is hold(pool, 10.0)
    assert hold(pool, 11.5) is None


def test_a_cancelled_probe_leaves_the_place_to_the_next() -> None:
    pool = Pool({"a": 1})
    attempts(pool, DOWN, 0.0, 2)
    attempts(pool, IGNORED, 10.0, 3)

    assert hold(pool, 10.0) is None


def test_places_are_counted_for_the_deployment_and_for_the_upstream() -> None:
    two, three = guarded(limit=2), LimitSettings(3, 3, 3)
    pool = Pool({"a": 1}, limits={"a": three})
    held = [admit(pool, 0.0, two), admit(pool, 0.0, two)]
    assert Hold.FULL is hold(pool, 0.0, two)
    held.append(admit(pool, 0.0, two, SIBLING))
    assert Hold.FULL is pool.standing(SIBLING, two, 0.0).hold

    pool.report(held[0], IGNORED, 0.0)
    assert (None, None) == (hold(pool, 0.0, two), pool.standing(SIBLING, two, 0.0).hold)


def test_an_adaptive_limit_shrinks_when_it_was_too_much() -> None:
    rules = Rules(limit=LimitSettings(initial=10, min=1, max=20))
    pool = Pool({"a": 1})
    held = [admit(pool, 0.0, rules) for _ in range(10)]
    pool.report(held[0], DOWN, 1.0)

    assert Hold.FULL is hold(pool, 1.0, rules)
    assert 7 == picture(pool, ID, 1.0).limit


def test_back_from_an_outage_traffic_grows_until_it_has_recovered() -> None:
    rules = guarded(consecutive=2, open_for=10.0, close_after=1, ramp=20.0, stable=30.0)
    pool = Pool({"a": 1})
    attempts(pool, DOWN, 0.0, 2, rules)
    told = attempts(pool, SUCCEEDED, 10.0, 1, rules)
    assert RampStarted(ID, 20.0) in told

    shares = [pool.standing(ID, rules, now).share for now in (10.0, 20.0, 25.0, 30.0)]
    assert [0.1, 0.5, 0.75, 1.0] == shares
    assert [] == tick(pool, [], 59.0, 0)
    assert [Recovered(ID, 60.0)] == tick(pool, [], 60.0, 0)


def test_a_relapse_on_the_way_back_opens_sooner_and_for_longer() -> None:
    rules = guarded(consecutive=4, open_for=10.0, close_after=1, ramp=20.0)
    pool = Pool({"a": 1})
    attempts(pool, DOWN, 0.0, 4, rules)
    attempts(pool, SUCCEEDED, 10.0, 1, rules)

    told = attempts(pool, DOWN, 12.0, 2, rules)
    assert [BreakerChanged(ID, "closed", "open", "relapse", 20.0)] == told


def test_the_window_of_recent_answers_begins_anew_after_an_outage() -> None:
    pool = Pool({"a": 1})
    attempts(pool, DOWN, 0.0, 2)
    assert 0.0 == picture(pool, ID, 0.0).success_share
    attempts(pool, SUCCEEDED, 10.0, 3)

    assert 1.0 == picture(pool, ID, 10.0).success_share


def test_a_test_prompt_passes_a_rest_and_clears_it() -> None:
    pool = Pool({"a": 1}, [(ID, STRICT)])
    attempts(pool, Failure(FailureClass.QUOTA, "http_402", wait=3600.0), 0.0)
    assert Hold.RESTS is hold(pool, 1.0)
    permit = pool.admit_probe(ID, 1.0)
    assert permit is not None

    pool.report(permit, SUCCEEDED, 2.0)
    assert hold(pool, 2.0) is None


def test_a_test_prompt_passes_no_breaker_before_its_time_unless_asked_to() -> None:
    pool = Pool({"a": 1}, [(ID, STRICT)])
    attempts(pool, DOWN, 0.0, 2)

    assert pool.admit_probe(ID, 5.0) is None
    permit = pool.admit_probe(ID, 5.0, early=True)
    assert permit is not None
    assert pool.admit_probe(ID, 5.0, early=True) is None
    pool.report(permit, SUCCEEDED, 6.0)
    assert hold(pool, 6.0) is None


def test_a_test_prompt_does_not_count_as_an_answer_to_traffic() -> None:
    pool = Pool({"a": 1}, [(ID, STRICT)])
    permit = pool.admit_probe(ID, 0.0)
    assert permit is not None
    pool.report(permit, SUCCEEDED, 9.0)

    assert (None, 9.0) == (pool.deployment(ID).recent.success_share(), pool.deployment(ID).last_success_at)


def test_a_breaker_that_adapts_says_to_what_it_has_adapted() -> None:
    rules = replace(STRICT, breaker=BreakerSettings(), foresight=ForesightSettings(trend=False, adaptive=True))
    pool = Pool({"a": 1})
    assert threshold(pool, ID, rules, 0.0).endswith("error rate 60%: too little is known of this hour to adapt it")
    for number in range(200):
        attempts(pool, DOWN if number % 25 == 0 else SUCCEEDED, 0.0, 1, rules)
    tick(pool, [], 1.0, 0)

    words = threshold(pool, ID, rules, 1.0)
    assert "error rate 60% adapted to " in words
    assert "at this hour 4% of answers usually fail" in words
    assert picture(pool, ID, 1.0).breakers[0].opens_at_rate < 0.6
