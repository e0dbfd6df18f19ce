"""What makes sense as a duration, a count or a text."""

import math

import pytest

from proxy.core.plain import count, seconds, text


@pytest.mark.parametrize("value", [None, True, "5", [], {}, -1, -0.1, math.nan, math.inf, -math.inf, 1e12, 10**400])
def test_no_duration(value: object) -> None:
    assert seconds(value) is None


@pytest.mark.parametrize("value", [0, 5, 2.5, 86400 * 365])
def test_durations(value: float) -> None:
    assert float(value) == seconds(value)


def test_counts() -> None:
    assert [0, 7, 0, 0, 0, 0] == [count(each) for each in (0, 7, -7, 2.0, True, 10**400)]


def test_texts() -> None:
    assert ("x", "y" * 200, None) == (text("x"), text("y" * 300), text(5))
