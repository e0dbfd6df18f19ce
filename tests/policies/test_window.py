"""Counts over a sliding stretch of time."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.policies.window import TimeWindow


def test_counts_what_happened_within_the_window() -> None:
    window = TimeWindow(60.0)
    window.add(True, 0.0)
    window.add(False, 30.0)

    assert (2, 1) == (window.total, window.failed)
    assert 0.5 == window.error_rate(30.0)


def test_forgets_what_is_older() -> None:
    window = TimeWindow(60.0)
    window.add(True, 0.0)
    window.add(False, 30.0)

    assert 0.0 == window.error_rate(61.0)
    assert window.error_rate(200.0) is None


def test_clear_forgets_everything() -> None:
    window = TimeWindow(60.0)
    window.add(True, 5.0)
    window.clear()

    assert window.error_rate(5.0) is None


@given(
    st.lists(st.tuples(st.booleans(), st.floats(0, 40)), max_size=60),
    st.floats(0.5, 1000),
)
def test_is_never_far_from_an_exact_count(steps: list[tuple[bool, float]], seconds: float) -> None:
    window, now, events = TimeWindow(seconds), 0.0, []
    for failed, pause in steps:
        now += pause
        window.add(failed, now)
        events.append((now, failed))

        # Slices are dropped whole: what is younger than 95 % of the window is in, what is older than all of it is out.
        certain = [each for at, each in events if at > now - 0.95 * seconds]
        possible = [each for at, each in events if at > now - seconds * (1 + 1e-9)]
        assert len(certain) <= window.total <= len(possible)
        assert sum(certain) <= window.failed <= sum(possible)


@given(st.lists(st.floats(0, 200), max_size=40), st.sampled_from([0.5, 3.0, 60.0, 300.0]))
def test_looking_changes_nothing_of_what_is_counted(pauses: list[float], seconds: float) -> None:
    watched, alone, now = TimeWindow(seconds), TimeWindow(seconds), 1e6
    for pause in pauses:
        now += pause
        watched.error_rate(now - pause / 2)
        watched.add(True, now)
        alone.add(True, now)

        assert (alone.total, alone.failed) == (watched.total, watched.failed)
