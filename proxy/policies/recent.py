"""The last hundred answers of a deployment: what passive health knows.

Theory of operation: a ring of a hundred places, three plain arrays deep (what kind of answer, seconds to the first
content, seconds of the whole attempt), so that recording is three stores and one deployment costs about 2 KB, under 5
KB with everything asked. Nothing is sorted until somebody asks; then the sorted latencies and the answer are kept until
the next record, so that asking again costs a look-up.

The time until an answer was good means the first content for a stream and the whole answer otherwise: the two differ by
an order of magnitude, so they are never mixed. Failed answers count for the share of successes but have no latency: a
quick refusal must not make a deployment look fast. Percentiles are nearest rank: always a latency that was really seen.
"""

from __future__ import annotations

from array import array
from math import ceil
from typing import Final

CAPACITY: Final = 100

_FAILED: Final = 0
_WHOLE: Final = 1
_STREAM: Final = 2
_STREAM_UNTIMED: Final = 3
# A question about all good answers, whatever their mode; never stored in the ring.
_ALL: Final = 4


class RecentAnswers:
    """The last `CAPACITY` answers of one deployment, oldest forgotten first."""

    __slots__ = ("_answers", "_first", "_kinds", "_next", "_sorted", "_total", "count", "successes")

    def __init__(self) -> None:
        self.count = 0
        """Answers known, at most `CAPACITY`."""
        self.successes = 0
        """How many of them were good."""
        self._kinds = bytearray(CAPACITY)
        self._first = array("d", bytes(8 * CAPACITY))
        self._total = array("d", bytes(8 * CAPACITY))
        self._next = 0
        self._sorted: dict[int, array[float]] = {}
        self._answers: dict[tuple[int, float], float] = {}

    def record(self, ok: bool, stream: bool, first: float | None, total: float) -> None:
        """Count one answer. `first`: seconds to the first content, None where unknown; `total`: seconds of it all."""
        place = self._next
        kinds = self._kinds
        # Places not used yet read as failed, so this holds from the first answer on.
        if kinds[place]:
            self.successes -= 1
        if not ok:
            kinds[place] = _FAILED
        else:
            self.successes += 1
            self._total[place] = total
            if not stream:
                kinds[place] = _WHOLE
            elif first is None:
                kinds[place] = _STREAM_UNTIMED
            else:
                kinds[place] = _STREAM
                self._first[place] = first
        if self.count < CAPACITY:
            self.count += 1
        self._next = place + 1 if place + 1 < CAPACITY else 0
        if self._sorted:
            self._sorted.clear()
            self._answers.clear()

    def success_share(self) -> float | None:
        """The share of good answers, from 0 to 1; None where nothing is known."""
        return self.successes / self.count if self.count else None

    def percentile(self, share: float, *, stream: bool, least: int = 1) -> float | None:
        """The seconds within which `share` (0 to 1) of the good answers of this mode were good.

        For streams the time to the first content, else that of the whole answer. None with fewer than `least` of them.
        """
        return self._percentile(_STREAM if stream else _WHOLE, share, least)

    def total_percentile(self, share: float) -> float | None:
        """The seconds within which `share` (0 to 1) of all good answers were complete; None where there are none."""
        return self._percentile(_ALL, share, 1)

    def _percentile(self, kind: int, share: float, least: int) -> float | None:
        latencies = self._sorted.get(kind)
        if latencies is None:
            latencies = self._sorted[kind] = self._sort(kind)
        if len(latencies) < least or not latencies:
            return None
        question = (kind, share)
        answer = self._answers.get(question)
        if answer is None:
            rank = ceil(share * len(latencies))
            answer = self._answers[question] = latencies[min(max(rank, 1), len(latencies)) - 1]
        return answer

    def _sort(self, kind: int) -> array[float]:
        # Arrays rather than lists: a sorted list of a hundred floats would keep 3 KB.
        times = self._first if kind == _STREAM else self._total
        if kind == _ALL:
            return array("d", sorted([time for seen, time in zip(self._kinds, times, strict=True) if seen]))
        return array("d", sorted([time for seen, time in zip(self._kinds, times, strict=True) if seen == kind]))
