"""What is computed from answers and events. Pure; times are seconds of one clock."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from math import ceil
from typing import Any, NamedTuple

SLACK_S = 0.005
"""Events are told to the millisecond, and a moment after they happened: so near to a change, either state is right."""


def percentile(values: Iterable[float], share: float) -> float:
    """The nearest-rank percentile; 0 for none."""
    ranked = sorted(values)
    return ranked[min(max(ceil(share * len(ranked)), 1), len(ranked)) - 1] if ranked else 0.0


class Timeline:
    """The states of one breaker over time, from its changes."""

    def __init__(self, changes: Iterable[Mapping[str, Any]]) -> None:
        """Each change has `at` and `target`. Before the first one the breaker is closed."""
        told = list(changes)
        self._at = [float(change["at"]) for change in told]
        self._states = ["closed", *(str(change["target"]) for change in told)]

    def state(self, at: float) -> str:
        """The state at a moment; near a closed stretch it is closed, else near a half-open one half-open."""
        first, last = (bisect_right(self._at, at + slack) for slack in (-SLACK_S, SLACK_S))
        near = self._states[first : last + 1]
        return next(state for state in ("closed", "half_open", "open") if state in near)

    def nearest(self, at: float) -> str:
        """The change that is nearest to a moment, in words."""
        place = min(range(len(self._at)), key=lambda place: abs(self._at[place] - at))
        return f"{(at - self._at[place]) * 1000:+.0f} ms from the change to {self._states[place + 1]}"

    def entered(self, state: str) -> int:
        """How often a state was entered."""
        return self._states[1:].count(state)


class Begun(NamedTuple):
    """Attempts by the state of the breaker when they began."""

    closed: int
    half_open: int
    open: int


def begun(timeline: Timeline, ended: Iterable[Mapping[str, Any]]) -> Begun:
    """Counts attempts from the events of their ends, which tell `at` and `duration`."""
    states = [timeline.state(float(event["at"]) - float(event["duration"])) for event in ended]
    return Begun(states.count("closed"), states.count("half_open"), states.count("open"))


def back_after(moments: Sequence[tuple[float, bool]], healed: float, wanted: float, window: float) -> float | None:
    """Seconds from healing to the end of the first `window` in which the share of true ones is what is wanted.

    `moments` are pairs of a time and whether it is one that is counted; None when there is no such window.
    """
    later = sorted(moment for moment in moments if moment[0] >= healed)
    start = counted = 0
    for place, (at, mine) in enumerate(later):
        counted += mine
        while later[start][0] <= at - window:
            counted -= later[start][1]
            start += 1
        if at - healed >= window and counted >= wanted * (place - start + 1):
            return at - healed
    return None
