"""The limit grows while it is used and shrinks when told of overload."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.policies.concurrency import ConcurrencyLimit, LimitSettings

ADAPTIVE = LimitSettings(initial=10, min=2, max=20)


def succeed(limit: ConcurrencyLimit, times: int, in_flight: int) -> int:
    for _ in range(times):
        limit.succeeded(in_flight)
    return limit.limit


def test_only_a_range_is_adaptive() -> None:
    assert not LimitSettings().adaptive
    assert ADAPTIVE.adaptive


def test_fixed_limit_never_moves() -> None:
    limit = ConcurrencyLimit(LimitSettings(initial=100, min=100, max=100))
    limit.overloaded(1.0)

    assert 100 == succeed(limit, 1000, 100)


@pytest.mark.parametrize(("initial", "starts_with"), [(1, 2), (10, 10), (1000, 20)])
def test_starts_within_bounds(initial: int, starts_with: int) -> None:
    assert starts_with == ConcurrencyLimit(LimitSettings(initial=initial, min=2, max=20)).limit


def test_grows_by_one_for_a_full_turn_of_successes() -> None:
    limit = ConcurrencyLimit(ADAPTIVE)

    assert 10 == succeed(limit, 9, 10)
    assert 11 == succeed(limit, 1, 10)
    assert 11 == succeed(limit, 10, 10)
    assert 12 == succeed(limit, 1, 10)


def test_does_not_grow_while_less_than_half_is_used() -> None:
    limit = ConcurrencyLimit(ADAPTIVE)

    assert 10 == succeed(limit, 1000, 4)
    assert 11 == succeed(limit, 10, 5)


def test_grows_to_the_maximum_and_no_further() -> None:
    assert 20 == succeed(ConcurrencyLimit(ADAPTIVE), 10_000, 20)


def test_overload_takes_three_tenths() -> None:
    limit = ConcurrencyLimit(ADAPTIVE)
    limit.overloaded(5.0)

    assert 7 == limit.limit


def test_a_burst_of_refusals_is_one_signal() -> None:
    limit = ConcurrencyLimit(ADAPTIVE)
    for now in (5.0, 5.0, 5.5, 5.9):
        limit.overloaded(now)
    assert 7 == limit.limit

    limit.overloaded(6.0)
    assert 4 == limit.limit


def test_shrinks_to_the_minimum_and_comes_back() -> None:
    limit = ConcurrencyLimit(ADAPTIVE)
    for now in range(100):
        limit.overloaded(float(now))
    assert 2 == limit.limit

    assert 3 == succeed(limit, 2, 2)


def test_overload_takes_back_the_progress_towards_the_next_step() -> None:
    limit = ConcurrencyLimit(ADAPTIVE)
    succeed(limit, 9, 10)
    limit.overloaded(1.0)

    assert 7 == succeed(limit, 6, 7)
    assert 8 == succeed(limit, 1, 7)


@given(
    st.integers(1, 50),
    st.integers(0, 100),
    st.integers(0, 200),
    st.lists(st.tuples(st.booleans(), st.integers(1, 300), st.floats(0, 3)), max_size=300),
)
def test_never_leaves_its_bounds(least: int, room: int, initial: int, steps: list[tuple[bool, int, float]]) -> None:
    limit, now = ConcurrencyLimit(LimitSettings(initial=initial, min=least, max=least + room)), 0.0
    for is_success, in_flight, pause in steps:
        now += pause
        before = limit.limit
        if is_success:
            limit.succeeded(in_flight)
            assert limit.limit - before in {0, 1}
        else:
            limit.overloaded(now)
            assert limit.limit <= before

        assert least <= limit.limit <= least + room
