"""A cap on retries as a share of all traffic, so that an outage is not answered with a flood.

Theory of operation (after Finagle's RetryBudget, with two counts per slice): time is cut into slices of one second, and
the last ten are remembered. Each request deposits one, each retry withdraws one. A retry is allowed while
withdrawals in the window stay below `ratio` x deposits + `min_per_second` x window. With `ratio` 0.2, a total outage
costs the upstreams at most 1.2 attempts per request in the long run, plus the constant reserve that lets a quiet proxy
retry at all. `now` is any clock that does not run backwards, in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass

_SLICES = 10
_SLICE_S = 1.0


@dataclass(frozen=True, slots=True)
class RetryBudgetSettings:
    """`ratio`: retries per request (0 to 1). `min_per_second`: retries per second that are always allowed."""

    ratio: float = 0.2
    min_per_second: float = 3.0


class RetryBudget:
    """The budget of one process."""

    __slots__ = (
        "_deposited", "_deposits", "_ends", "_place", "_ratio", "_reserve", "_slice", "_withdrawals", "_withdrawn",
    )  # fmt: skip

    def __init__(self, settings: RetryBudgetSettings) -> None:
        self._ratio = settings.ratio
        self._reserve = settings.min_per_second * _SLICE_S * _SLICES
        self._deposits = [0] * _SLICES
        self._withdrawals = [0] * _SLICES
        # Running totals of the two, so that no request pays for a sum.
        self._deposited = self._withdrawn = 0
        self._slice = self._place = 0
        self._ends = _SLICE_S

    def change(self, settings: RetryBudgetSettings) -> None:
        """Go by other settings from now on; what was deposited and withdrawn still counts."""
        self._ratio = settings.ratio
        self._reserve = settings.min_per_second * _SLICE_S * _SLICES

    def deposit(self, now: float) -> None:
        """Count one request."""
        if now >= self._ends:
            self._turn(now)
        self._deposits[self._place] += 1
        self._deposited += 1

    def allows(self, now: float) -> bool:
        """Whether one more retry would be within the budget."""
        if now >= self._ends:
            self._turn(now)
        return self._withdrawn + 1 <= self._ratio * self._deposited + self._reserve

    def withdraw(self, now: float) -> bool:
        """Take one retry out of the budget. False, and nothing is taken, when it is used up."""
        if not self.allows(now):
            return False
        self._withdrawals[self._place] += 1
        self._withdrawn += 1
        return True

    def heard(self, deposits: int, withdrawals: int, now: float) -> None:
        """Count what other processes of the host have deposited and withdrawn lately."""
        if now >= self._ends:
            self._turn(now)
        self._deposits[self._place] += deposits
        self._deposited += deposits
        self._withdrawals[self._place] += withdrawals
        self._withdrawn += withdrawals

    def remaining(self, now: float) -> float:
        """The share of the budget that is left, from 0 to 1."""
        self._turn(now)
        limit = self._ratio * self._deposited + self._reserve
        return max(0.0, 1 - self._withdrawn / limit) if limit > 0 else 0.0

    def _turn(self, now: float) -> None:
        """Go to the slice of now; slices that time has passed over are emptied first."""
        current = int(now / _SLICE_S)
        for step in range(min(current - self._slice, _SLICES)):
            place = (current - step) % _SLICES
            self._deposited -= self._deposits[place]
            self._withdrawn -= self._withdrawals[place]
            self._deposits[place] = self._withdrawals[place] = 0
        self._slice = max(self._slice, current)
        self._place = self._slice % _SLICES
        self._ends = (self._slice + 1) * _SLICE_S
