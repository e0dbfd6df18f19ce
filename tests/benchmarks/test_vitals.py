"""Whether memory grows is judged by medians after the warm-up, so that neither the start nor one peak decides."""

from __future__ import annotations

import pytest

from benchmarks.support.vitals import Vitals, growth


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([10, 90, 50, 50, 50, 50, 50, 50, 50, 50, 50, 50], (50, 50)),
        ([10, 90, 50, 50, 50, 99, 50, 50, 50, 50, 50, 50], (50, 50)),
        ([10, 90, 50, 52, 54, 56, 58, 60, 62, 64, 66, 68], (51, 67)),
        ([10, 20, 30], (30, 30)),
    ],
)
def test_growth(sizes: list[int], expected: tuple[float, float]) -> None:
    samples = [Vitals(float(at), size, size, 9, 0, 0) for at, size in enumerate(sizes)]

    assert expected == growth(samples, since=2.0)
