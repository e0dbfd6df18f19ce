"""Counts over a sliding stretch of time: how many attempts there were lately, and how many of them failed.

Time is cut into slices, a twentieth of the window each, and as many slices are remembered, so what is counted covers
between 95 % and 100 % of the window. Running totals make reading free; adding costs one addition, and a few more when
time has moved on to a new slice. `now` is any clock in seconds that does not run backwards.
"""

from __future__ import annotations

_SLICES = 20


class TimeWindow:
    """Attempts and failures over the last `seconds`. `total` and `failed` are as of the last `add` or `turn`."""

    __slots__ = ("_ends", "_failures", "_place", "_slice", "_slice_s", "_totals", "failed", "total")

    def __init__(self, seconds: float) -> None:
        self._slice_s = seconds / _SLICES
        self._totals = [0] * _SLICES
        self._failures = [0] * _SLICES
        self._slice = self._place = 0
        self._ends = self._slice_s
        self.total = 0
        self.failed = 0

    def add(self, failed: bool, now: float) -> None:
        """Count one attempt."""
        if now >= self._ends:
            self.turn(now)
        self._totals[self._place] += 1
        self.total += 1
        if failed:
            self._failures[self._place] += 1
            self.failed += 1

    def turn(self, now: float) -> None:
        """Forget what time has passed over."""
        current = int(now / self._slice_s)
        if current > self._slice:
            for step in range(min(current - self._slice, _SLICES)):
                place = (current - step) % _SLICES
                self.total -= self._totals[place]
                self.failed -= self._failures[place]
                self._totals[place] = self._failures[place] = 0
            self._slice, self._place = current, current % _SLICES
            self._ends = (current + 1) * self._slice_s

    def error_rate(self, now: float) -> float | None:
        """The share that failed; None when there was nothing to fail."""
        self.turn(now)
        return self.failed / self.total if self.total else None

    def clear(self) -> None:
        """Forget everything."""
        self._totals = [0] * _SLICES
        self._failures = [0] * _SLICES
        self.total = 0
        self.failed = 0
