"""Thresholds that adapt to a deployment's own history and to the time of day.

Theory of operation: for each hour of the day the answers and the failures are kept. Entering an hour anew means that a
day has passed, and what was known of it is weighed by 4/5 first; so a slot remembers about five days, whatever the
traffic, and the outage of one day wears off. The threshold at an hour is::

    3 x usual error share + 0.30, between base / 2 and base + (1 - base) / 2

Three times the usual, as chance alone often doubles a low share; 0.30 upon it, because a deployment that never fails
must not be cut off for two failures of five. The bounds keep a bad past from blinding the breaker: with a base of 60 %
the threshold moves between 30 % and 80 %. As long as fewer than 50 answers are known of an hour, those of the hours
before and after are taken with it; where even these are fewer, the threshold is exactly the base.
"""

from __future__ import annotations

from typing import Final

_HOURS: Final = 24
_KEPT_PER_DAY: Final = 0.8
_ENOUGH: Final = 50.0
_TIMES_USUAL: Final = 3.0
_MARGIN: Final = 0.3
# Beyond any honest traffic of five days' hours; a larger number in a saved state is garbage.
_MOST: Final = 1e9


class Habits:
    """The usual error share of one deployment, hour by hour. Hours are 0 to 23, of any one time zone."""

    __slots__ = ("_answers", "_failures", "_hour")

    def __init__(self) -> None:
        self._answers = [0.0] * _HOURS
        self._failures = [0.0] * _HOURS
        self._hour = -1

    def observe(self, failed: bool, hour: int) -> None:
        """Count one answer."""
        if hour != self._hour:
            self._hour = hour
            self._answers[hour] *= _KEPT_PER_DAY
            self._failures[hour] *= _KEPT_PER_DAY
        self._answers[hour] += 1.0
        if failed:
            self._failures[hour] += 1.0

    def error_rate(self, base: float, hour: int) -> float:
        """The error share (0 to 1) at which the breaker should open at this hour; `base` until enough is known."""
        usual = self._usual(hour)
        if usual is None:
            return base
        return min(max(_TIMES_USUAL * usual + _MARGIN, base / 2), base + (1 - base) / 2)

    def explain(self, base: float, hour: int) -> str:
        """The same in words."""
        usual = self._usual(hour)
        if usual is None:
            return f"error rate {base:.0%}: too little is known of this hour to adapt it"
        adapted = self.error_rate(base, hour)
        return f"error rate {base:.0%} adapted to {adapted:.0%}: at this hour {usual:.0%} of answers usually fail"

    def as_state(self) -> dict[str, object]:
        """What to save, as JSON-able data."""
        return {
            "answers": [round(count, 3) for count in self._answers],
            "failures": [round(count, 3) for count in self._failures],
            "hour": self._hour,
        }

    def restore(self, state: object) -> None:
        """Continue from what was saved. Hours that make no sense are unknown; nothing is raised."""
        saved = state if isinstance(state, dict) else {}
        answers, failures = _counts(saved.get("answers")), _counts(saved.get("failures"))
        sound = [failed <= count for count, failed in zip(answers, failures, strict=True)]
        self._answers = [count if good else 0.0 for count, good in zip(answers, sound, strict=True)]
        self._failures = [failed if good else 0.0 for failed, good in zip(failures, sound, strict=True)]
        hour = saved.get("hour")
        # With an unknown hour the current slot is weighed once too often, which does no harm.
        self._hour = hour if type(hour) is int and 0 <= hour < _HOURS else -1

    def _usual(self, hour: int) -> float | None:
        answers, failures = self._answers, self._failures
        if answers[hour] >= _ENOUGH:
            return failures[hour] / answers[hour]
        around = (hour - 1, hour, (hour + 1) % _HOURS)
        known = sum(answers[at] for at in around)
        return sum(failures[at] for at in around) / known if known >= _ENOUGH else None


def _counts(value: object) -> list[float]:
    """One count per hour; all of them, or each, 0 where it makes no sense."""
    if not isinstance(value, list) or len(value) != _HOURS:
        return [0.0] * _HOURS
    return [float(one) if type(one) in {int, float} and 0 <= one <= _MOST else 0.0 for one in value]
