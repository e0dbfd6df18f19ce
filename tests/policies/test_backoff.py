"""Full jitter below a growing ceiling."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.policies.backoff import BackoffSettings, backoff

SETTINGS = BackoffSettings(initial=1.0, multiplier=2.0, max=10.0)


@pytest.mark.parametrize(("failures", "ceiling"), [(1, 1.0), (2, 2.0), (3, 4.0), (4, 8.0), (5, 10.0), (5000, 10.0)])
def test_ceiling(failures: int, ceiling: float) -> None:
    assert ceiling == backoff(SETTINGS, failures, 1.0)
    assert ceiling / 2 == backoff(SETTINGS, failures, 0.5)
    assert 0.0 == backoff(SETTINGS, failures, 0.0)


@given(st.integers(1, 10**9), st.floats(0, 1))
def test_is_always_within_bounds(failures: int, roll: float) -> None:
    assert 0 <= backoff(SETTINGS, failures, roll) <= SETTINGS.max
