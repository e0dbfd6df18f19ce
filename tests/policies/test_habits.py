"""Thresholds follow what is usual for a deployment at an hour."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.policies.habits import Habits

BASE = 0.6


def used(hour: int, answers: int, failed: int, habits: Habits | None = None) -> Habits:
    habits = habits or Habits()
    for number in range(answers):
        habits.observe(number < failed, hour)
    return habits


def test_without_history_it_is_the_base() -> None:
    assert BASE == Habits().error_rate(BASE, 3)
    assert "error rate 60%: too little is known of this hour to adapt it" == Habits().explain(BASE, 3)


def test_history_must_be_long_enough() -> None:
    habits = used(3, 49, 0)
    assert BASE == habits.error_rate(BASE, 3)

    habits.observe(False, 3)
    assert 0.3 == habits.error_rate(BASE, 3)


def test_three_times_the_usual_and_a_margin() -> None:
    habits = used(3, 100, 4)

    assert pytest.approx(0.42) == habits.error_rate(BASE, 3)
    assert "error rate 60% adapted to 42%: at this hour 4% of answers usually fail" == habits.explain(BASE, 3)


@pytest.mark.parametrize(("failed", "base", "rate"), [(0, 0.6, 0.3), (100, 0.6, 0.8), (0, 1.0, 0.5), (100, 1.0, 1.0)])
def test_the_past_moves_it_only_so_far(failed: int, base: float, rate: float) -> None:
    assert pytest.approx(rate) == used(3, 100, failed).error_rate(base, 3)


@pytest.mark.parametrize(("hour", "neighbour"), [(3, 2), (3, 4), (0, 23), (23, 0)])
def test_neighbouring_hours_help_out(hour: int, neighbour: int) -> None:
    habits = used(neighbour, 100, 10)

    assert pytest.approx(0.6) == habits.error_rate(0.5, hour)
    assert 0.5 == habits.error_rate(0.5, (hour + 12) % 24)


def test_an_hour_well_known_does_not_ask_its_neighbours() -> None:
    habits = used(4, 1000, 500, used(3, 50, 0))

    assert 0.3 == habits.error_rate(BASE, 3)


def test_hours_differ() -> None:
    habits = used(14, 100, 10, used(3, 100, 0))

    assert [0.3, pytest.approx(0.6)] == [habits.error_rate(BASE, hour) for hour in (3, 14)]


def test_a_bad_day_wears_off() -> None:
    habits = used(3, 100, 100)
    shares = []
    for _ in range(10):
        habits.observe(False, 4)
        used(3, 100, 0, habits)
        shares.append(habits.error_rate(BASE, 3))

    assert sorted(shares, reverse=True) == shares
    assert (0.8, pytest.approx(0.37, abs=0.01)) == (shares[0], shares[-1])


def test_history_survives_a_restart() -> None:
    habits = used(3, 100, 4)
    again = Habits()
    again.restore(json.loads(json.dumps(habits.as_state())))

    assert habits.as_state() == again.as_state()
    # The same hour goes on; it is not a new day.
    again.observe(False, 3)
    habits.observe(False, 3)
    assert habits.as_state() == again.as_state()


ZEROS = [0.0] * 24


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -1.0, 1e300, 10**400, "15", None, True, [], {}])
def test_garbage_is_unknown(bad: object) -> None:
    counts = [60.0, bad, *ZEROS[2:]]
    habits = Habits()
    for state in (bad, {"answers": bad, "failures": bad}, {"answers": counts, "failures": [*ZEROS[1:], bad]}):
        habits.restore(state)

    # What makes sense next to it is kept.
    assert [0.3, 0.3, BASE] == [habits.error_rate(BASE, hour) for hour in (0, 1, 2)]


def test_more_failures_than_answers_are_garbage() -> None:
    habits = Habits()
    habits.restore({"answers": [50.0] * 24, "failures": [60.0] * 24, "hour": 99})

    assert Habits().as_state() == habits.as_state()


@given(
    st.floats(0, 1),
    st.lists(st.tuples(st.booleans(), st.integers(0, 23), st.integers(1, 100)), max_size=30),
    st.integers(0, 23),
)
def test_rate_is_always_within_bounds(base: float, steps: list[tuple[bool, int, int]], hour: int) -> None:
    habits = Habits()
    for failed, at, times in steps:
        for _ in range(times):
            habits.observe(failed, at)

    rate = habits.error_rate(base, hour)
    assert base / 2 <= rate <= base + (1 - base) / 2 <= 1
    assert habits.explain(base, hour).startswith("error rate ")


VALUES = st.none() | st.booleans() | st.floats() | st.integers() | st.text()


@given(
    st.fixed_dictionaries(
        {key: VALUES | st.lists(VALUES, min_size=24, max_size=24) for key in ("answers", "failures", "hour")}
    )
)
def test_restore_survives_anything(state: dict[str, object]) -> None:
    habits = Habits()
    habits.restore(state)
    habits.observe(True, 5)

    json.dumps(habits.as_state(), allow_nan=False)
    assert all(BASE / 2 <= habits.error_rate(BASE, hour) <= 0.8 for hour in range(24))
