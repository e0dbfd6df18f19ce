"""What the benchmarks compute from answers and events."""

from __future__ import annotations

import pytest

from benchmarks.support.figures import Begun, Timeline, back_after, begun, percentile
from benchmarks.support.load import retries

CHANGES = [
    {"at": 10.0, "target": "open"},
    {"at": 14.0, "target": "half_open"},
    {"at": 14.5, "target": "open"},
    {"at": 22.0, "target": "half_open"},
    {"at": 22.5, "target": "closed"},
]


def ended(began: float, duration: float = 0.5) -> dict[str, float]:
    return {"at": began + duration, "duration": duration}


@pytest.mark.parametrize(("share", "expected"), [(0.5, 2), (0.75, 3), (0.99, 4), (0.0, 1)])
def test_percentiles_are_values_that_were_seen(share: float, expected: int) -> None:
    assert percentile([3, 1, 4, 2], share) == expected


def test_no_values_have_no_percentile() -> None:
    assert percentile([], 0.5) == 0


def test_attempts_count_by_the_state_in_which_they_began() -> None:
    attempts = [ended(9.0, 3.0), ended(12.0), ended(14.2), ended(14.3), ended(20.0), ended(30.0)]

    assert begun(Timeline(CHANGES), attempts) == Begun(closed=2, half_open=2, open=2)


def test_an_attempt_at_the_very_moment_of_a_change_is_not_held_against_the_breaker() -> None:
    attempts = [ended(10.002), ended(13.998), ended(22.501)]

    assert begun(Timeline(CHANGES), attempts) == Begun(closed=2, half_open=1, open=0)


def test_a_half_open_moment_is_not_overlooked() -> None:
    changes = [{"at": 10.0, "target": "open"}, {"at": 14.0, "target": "half_open"}, {"at": 14.002, "target": "open"}]

    assert begun(Timeline(changes), [ended(13.999), ended(14.001), ended(14.003)]) == Begun(0, 3, 0)


def test_half_open_periods_are_counted() -> None:
    assert Timeline(CHANGES).entered("half_open") == 2
    assert Timeline([]).state(5.0) == "closed"


def test_back_is_the_end_of_the_first_window_with_the_wanted_share() -> None:
    moments = [(second / 10, second >= 50) for second in range(100)]

    back = back_after(moments, healed=2.0, wanted=0.95, window=1.0)

    assert back == pytest.approx(3.9, abs=0.11)


def test_never_back() -> None:
    assert back_after([(second / 10, False) for second in range(100)], 0.0, 0.95, 1.0) is None


@pytest.mark.parametrize(
    ("trail", "expected"),
    [
        ("", 0),
        ("a/m;o=ok;ms=3", 0),
        ("a/m;o=http_503;ms=3, b/m;o=ok;ms=5", 0),
        ("a/m;o=http_503;ms=3, a/m;o=http_503;ms=3, b/m;o=ok;ms=5", 1),
    ],
)
def test_retries_are_further_attempts_on_the_same_deployment(trail: str, expected: int) -> None:
    assert retries(trail) == expected
