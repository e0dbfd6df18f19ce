"""Every transition of the breaker, and what it lets through."""

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from proxy.policies.breaker import Breaker, BreakerSettings, BreakerState, Change
from tests.support.steps import RANDOM_STEPS

CLOSED, OPEN, HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN
SETTINGS = BreakerSettings(
    consecutive=3, error_rate=0.6, minimum_requests=10, window=60.0, open_for=10.0, max_open_for=60.0, probes=2,
    close_after=2,
)  # fmt: skip


def breaker(**changes: Any) -> Breaker:
    return Breaker(replace(SETTINGS, **changes), 0.0)


def admit(breaker_: Breaker, now: float, *, early: bool = False) -> int:
    admission = breaker_.admit(now, early=early)
    assert admission is not None
    return admission[0]


def fail(breaker_: Breaker, now: float, times: int = 1, roll: float = 0.0) -> Change | None:
    change = None
    for _ in range(times):
        change = breaker_.failed(admit(breaker_, now), now, roll)
    return change


def opened(now: float = 0.0, **changes: Any) -> Breaker:
    made = breaker(**changes)
    fail(made, now, int(made.settings.consecutive))
    assert OPEN is made.state
    return made


# Closed.


def test_opens_on_failures_in_a_row() -> None:
    made = breaker()
    fail(made, 0.0, 2)
    assert CLOSED is made.state

    assert Change(CLOSED, OPEN, "consecutive_failures", 10.0) == fail(made, 1.0)
    assert 11.0 == made.usable_at(1.0)


def test_a_success_breaks_the_row() -> None:
    made = breaker()
    for _ in range(3):
        fail(made, 0.0, 2)
        made.succeeded(admit(made, 0.0), 0.0)

    assert CLOSED is made.state


def test_opens_on_the_error_rate_of_enough_requests() -> None:
    made, changes = breaker(consecutive=100), []
    for _ in range(4):
        made.succeeded(admit(made, 0.0), 0.0)
    changes = [fail(made, 0.0) for _ in range(6)]

    assert [None] * 5 == changes[:5]
    assert Change(CLOSED, OPEN, "error_rate", 10.0) == changes[5]


def test_the_error_rate_of_too_few_requests_says_nothing() -> None:
    made = breaker(consecutive=100)
    fail(made, 0.0, 9)

    assert CLOSED is made.state


def test_failures_outside_the_window_do_not_count() -> None:
    made = breaker(consecutive=100)
    fail(made, 0.0, 9)
    fail(made, 61.0)

    assert CLOSED is made.state


def test_a_better_threshold_may_be_learned() -> None:
    made = breaker(consecutive=100)
    made.error_rate = 0.2
    for _ in range(8):
        made.succeeded(admit(made, 0.0), 0.0)
    fail(made, 0.0, 2)

    assert OPEN is made.state


# Open.


def test_admits_nothing_until_its_time_is_over() -> None:
    made = opened()

    assert made.admit(9.99) is None
    assert 10.0 == made.usable_at(3.0)
    assert 12.0 == made.usable_at(12.0)


def test_up_to_a_tenth_is_added_by_luck() -> None:
    made = breaker()
    change = fail(made, 0.0, 3, roll=0.5)

    assert change is not None
    assert pytest.approx(10.5) == change.duration


def test_each_reopening_doubles_the_time_up_to_the_maximum() -> None:
    made, now, durations = breaker(), 0.0, []
    change = fail(made, now, 3)
    for _ in range(6):
        assert change is not None
        assert change.duration is not None
        durations.append(change.duration)
        now = made.usable_at(now)
        change = fail(made, now)

    assert [10.0, 20.0, 40.0, 60.0, 60.0, 60.0] == durations


def test_a_stable_time_makes_the_next_opening_a_first_one() -> None:
    made = opened()
    fail(made, 10.0)
    for _ in range(2):
        made.succeeded(admit(made, 40.0), 40.0)
    made.settle()

    change = fail(made, 50.0, 3)
    assert change is not None
    assert 10.0 == change.duration


def test_without_a_stable_time_closing_does_not_reset_the_growth() -> None:
    made = opened()
    for _ in range(2):
        made.succeeded(admit(made, 10.0), 10.0)

    change = fail(made, 11.0, 3)
    assert change is not None
    assert 20.0 == change.duration


# Half-open.


def test_admits_as_many_probes_at_a_time_as_are_set() -> None:
    made = opened()
    first = admit(made, 10.0)
    admit(made, 10.0)

    assert made.admit(10.0) is None
    assert math.inf == made.usable_at(10.0)
    made.ignored(first, 10.5)
    assert 10.5 == made.usable_at(10.5)
    assert made.admit(10.5) is not None


def test_it_asks_no_more_than_it_needs_to_make_up_its_mind() -> None:
    made = opened()
    first = admit(made, 10.0)
    admit(made, 10.0)
    made.succeeded(first, 10.5)

    assert made.admit(10.5) is None


def test_enough_successes_close_it() -> None:
    made = opened()
    assert Change(OPEN, HALF_OPEN, "time") == made.admit(10.0)[1]  # type: ignore[index]
    period = made.period
    assert made.succeeded(period, 10.1) is None

    assert Change(HALF_OPEN, CLOSED, "probes_succeeded") == made.succeeded(admit(made, 10.2), 10.3)
    assert (0, None) == (made.consecutive, made.counts.error_rate(10.3))


def test_any_failure_opens_it_again() -> None:
    made = opened()
    first, second = admit(made, 10.0), admit(made, 10.0)
    made.succeeded(first, 10.1)

    assert Change(HALF_OPEN, OPEN, "probe_failed", 20.0) == made.failed(second, 10.2, 0.0)


def test_a_probe_that_was_given_up_frees_its_place_and_says_nothing() -> None:
    made = opened()
    for _ in range(5):
        made.ignored(admit(made, 10.0), 10.0)

    assert HALF_OPEN is made.state
    assert 10.0 == made.usable_at(10.0)


# Late reports.


def test_late_reports_of_an_earlier_period_change_nothing() -> None:
    made = breaker()
    late = admit(made, 0.0)
    fail(made, 0.0, 3)
    probe = admit(made, 10.0)

    assert made.succeeded(late, 10.1) is None
    assert made.failed(late, 10.1, 0.0) is None
    made.ignored(late, 10.1)

    assert HALF_OPEN is made.state
    made.succeeded(probe, 10.2)
    assert CLOSED is not made.state
    made.succeeded(admit(made, 10.3), 10.3)
    assert CLOSED is made.state


def test_a_late_failure_does_not_open_a_breaker_that_has_closed_since() -> None:
    made = breaker(consecutive=1)
    first, late = admit(made, 0.0), admit(made, 0.0)
    made.failed(first, 0.0, 0.0)
    for _ in range(2):
        made.succeeded(admit(made, 10.0), 10.0)

    assert made.failed(late, 11.0, 0.0) is None
    assert CLOSED is made.state


def test_watchers_of_a_breaker_that_is_not_closed_are_not_heard() -> None:
    made = breaker(consecutive=1)
    watching = made.watch()
    made.failed(watching, 0.0, 0.0)
    assert OPEN is made.state

    made.succeeded(made.watch(), 1.0)
    made.failed(made.watch(), 1.0, 0.0)
    assert (OPEN, 10.0) == (made.state, made.usable_at(1.0))


# Panic.


def test_in_a_panic_an_open_breaker_admits_as_if_half_open() -> None:
    made = opened()
    period, change = made.admit(1.0, early=True)  # type: ignore[misc]
    assert Change(OPEN, HALF_OPEN, "panic") == change

    made.succeeded(period, 1.1)
    made.succeeded(admit(made, 1.2), 1.2)
    assert CLOSED is made.state


def test_a_panic_that_fails_does_not_lengthen_the_wait() -> None:
    made = opened()
    for now in (1.0, 2.0, 3.0):
        assert made.early_at <= now
        made.failed(admit(made, now, early=True), now, 1.0)
        assert (OPEN, 10.0) == (made.state, made.usable_at(now))

    change = fail(made, 10.0)
    assert change is not None
    assert 20.0 == change.duration


def test_a_panic_that_says_nothing_leaves_it_open_for_as_long_as_before() -> None:
    made = opened()
    first, second = admit(made, 1.0, early=True), admit(made, 1.0, early=True)
    assert made.ignored(first, 1.5) is None
    assert Change(HALF_OPEN, OPEN, "panic", 8.0) == made.ignored(second, 2.0)

    assert (OPEN, 10.0) == (made.state, made.usable_at(2.0))


def test_panics_are_spaced_by_a_second() -> None:
    made = opened()
    admit(made, 1.0, early=True)

    assert 2.0 == made.early_at


def test_while_a_panic_tries_it_its_own_time_is_still_known() -> None:
    made = opened()
    admit(made, 1.0, early=True)
    admit(made, 1.0, early=True)

    assert 10.0 == made.usable_at(1.0)


# By hand.


def test_opened_by_hand_it_stays_open_and_no_panic_tries_it() -> None:
    made = breaker()
    assert Change(CLOSED, OPEN, "operator", None) == made.force_open(0.0, None)

    assert made.admit(1e9) is None
    assert made.admit(1e9, early=True) is None
    assert 0.0 == made.distance(0.0).share


def test_opened_by_hand_for_a_time_it_is_half_open_after_it() -> None:
    made = breaker()
    made.force_open(0.0, 30.0)

    assert made.admit(29.0, early=True) is None
    assert made.admit(30.0) is not None
    assert (HALF_OPEN, False) == (made.state, made.forced)


def test_closed_by_hand_for_a_time_no_failure_opens_it() -> None:
    made = opened()
    assert Change(OPEN, CLOSED, "operator") == made.force_close(1.0, 30.0)
    fail(made, 2.0, 50)
    assert CLOSED is made.state

    fail(made, 31.0)
    assert OPEN is made.state


def test_reset_forgets_all_that_led_to_an_opening() -> None:
    made = opened()
    made.reset(1.0)

    change = fail(made, 2.0, 3)
    assert change is not None
    assert 10.0 == change.duration


def test_just_back_it_is_out_again_after_half_the_failures() -> None:
    made = breaker(consecutive=5)
    made.strict = True

    assert Change(CLOSED, OPEN, "relapse", 10.0) == fail(made, 0.0, 2)


# What it shows.


def test_distance_shrinks_with_failures() -> None:
    made = breaker(consecutive=4)
    shares = [made.distance(0.0).share]
    for _ in range(4):
        fail(made, 0.0)
        shares.append(made.distance(0.0).share)

    assert [1.0, 0.75, 0.5, 0.25, 0.0] == shares


def test_distance_shrinks_with_the_error_rate_too() -> None:
    made = breaker(consecutive=100)
    for _ in range(7):
        made.succeeded(admit(made, 0.0), 0.0)
    fail(made, 0.0, 3)

    distance = made.distance(0.0)
    assert (97, 0.3, 0.6) == (distance.failures_left, distance.error_rate, distance.threshold)
    assert pytest.approx(0.5) == distance.share


# Over a restart.


def test_an_open_breaker_stays_open_for_what_was_left() -> None:
    saved = opened().as_state(4.0)
    made = breaker()
    made.restore(saved, elapsed=1.0, now=1000.0)

    assert (OPEN, 1005.0) == (made.state, made.usable_at(1000.0))
    change = fail(made, 1005.0)
    assert change is not None
    assert 20.0 == change.duration


def test_a_half_open_one_may_be_probed_at_once() -> None:
    old = opened()
    admit(old, 10.0)
    made = breaker()
    made.restore(old.as_state(10.0), elapsed=0.0, now=0.0)

    assert (OPEN, 0.0) == (made.state, made.usable_at(0.0))


def test_one_opened_by_hand_stays_so() -> None:
    old = breaker()
    old.force_open(0.0, None)
    made = breaker()
    made.restore(old.as_state(0.0), elapsed=1e6, now=5.0)

    assert (True, math.inf) == (made.forced, made.usable_at(5.0))


@pytest.mark.parametrize("left", [math.inf, -math.inf, math.nan, -1, "10", None, True, [], 1e300])
@pytest.mark.parametrize("openings", [0, -5, 10**400, "x", None, 1.5])
def test_what_makes_no_sense_never_keeps_it_open_for_ever(left: object, openings: object) -> None:
    made = breaker()
    made.restore({"state": "open", "left": left, "openings": openings, "consecutive": left}, 0.0, 100.0)

    assert made.usable_at(100.0) <= 100.0 + 1.1 * SETTINGS.max_open_for
    assert CLOSED is not made.state
    made.failed(admit(made, 1000.0), 1000.0, 1.0)
    assert made.usable_at(1000.0) <= 1000.0 + 1.1 * SETTINGS.max_open_for


def test_garbage_leaves_it_closed() -> None:
    made = breaker()
    made.restore({"state": "exploded", "left": 5}, 0.0, 0.0)

    assert CLOSED is made.state


class BreakerMachine(RuleBasedStateMachine):
    """Looks for a breaker that is stuck, a probe that is lost, and a count that runs away."""

    held = Bundle("held")

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.breaker = Breaker(SETTINGS, 0.0)
        self.probes: set[int] = set()
        self.number = 0
        self.process = 0

    @rule(target=held, early=st.booleans())
    def admit(self, early: bool) -> tuple[int, int]:
        usable = self.breaker.usable_at(self.now) <= self.now
        admission = self.breaker.admit(self.now, early=early)
        self.number += 1
        if admission is None:
            assert not usable
            return self.number, -2
        assert usable or early
        if HALF_OPEN is self.breaker.state:
            self.probes = {each for each in self.probes if each >= 0}
            self.probes.add(self.number)
        return self.number, admission[0]

    @rule(permit=consumes(held), roll=st.floats(0, 1))
    def fail(self, permit: tuple[int, int], roll: float) -> None:
        self.report(permit, lambda period: self.breaker.failed(period, self.now, roll))

    @rule(permit=consumes(held))
    def succeed(self, permit: tuple[int, int]) -> None:
        self.report(permit, lambda period: self.breaker.succeeded(period, self.now))

    @rule(permit=consumes(held))
    def give_up(self, permit: tuple[int, int]) -> None:
        self.report(permit, lambda period: self.breaker.ignored(period, self.now))

    def report(self, permit: tuple[int, int], tell: object) -> None:
        number, period = permit
        before = (self.breaker.state, self.breaker.consecutive, self.breaker.usable_at(self.now))
        late = period != self.breaker.period
        tell(period)  # type: ignore[operator]
        self.probes.discard(number)
        if late:
            assert before == (self.breaker.state, self.breaker.consecutive, self.breaker.usable_at(self.now))

    @rule(seconds=st.sampled_from([0.1, 1.0, 5.0, 10.0, 70.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def settle(self) -> None:
        self.breaker.settle()

    @rule()
    def open_by_hand(self) -> None:
        self.breaker.force_open(self.now, 5.0)

    @rule()
    def close_by_hand(self) -> None:
        self.breaker.force_close(self.now, None)

    @rule()
    def restart(self) -> None:
        saved = self.breaker.as_state(self.now)
        self.breaker = Breaker(SETTINGS, self.now)
        # Nobody of the process before reports to this one.
        self.process += 1
        self.breaker.period = self.process * 10**6
        self.breaker.restore(saved, 0.0, self.now)
        self.probes = set()

    @invariant()
    def never_stuck(self) -> None:
        """Once all who are under way have reported, it admits somebody within its longest time."""
        if CLOSED is self.breaker.state:
            assert self.breaker.usable_at(self.now) == self.now
        if OPEN is self.breaker.state:
            assert self.breaker.usable_at(self.now) <= self.now + 1.1 * SETTINGS.max_open_for
            assert not self.breaker.probing

    @invariant()
    def counts_are_sane(self) -> None:
        assert 0 <= self.breaker.probing <= SETTINGS.probes
        assert 0 <= self.breaker._successes < SETTINGS.close_after
        assert 0 <= self.breaker.consecutive
        assert 0 <= self.breaker.counts.failed <= self.breaker.counts.total
        assert 0 <= self.breaker.distance(self.now).share <= 1
        if HALF_OPEN is self.breaker.state:
            assert self.breaker.probing <= len(self.probes)


TestBreakerMachine = BreakerMachine.TestCase
TestBreakerMachine.settings = RANDOM_STEPS
