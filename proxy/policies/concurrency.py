"""How many attempts may be under way at once: a fixed number, or one that is found by trying.

Theory of operation: additive increase, multiplicative decrease (AIMD), the rule by which TCP shares a line (Jacobson
1988; Chiu and Jain 1989 show that it converges and is fair between senders that know nothing of each other, such as
two proxies with one account). Every success adds 1 / limit, so the limit grows by one per full turn of attempts;
every sign of overload takes 30 % away.

* Growth needs use: only while at least half of the limit is under way. An idle deployment proves nothing about its
  capacity, and a limit that grew while idle would let the next burst through unchecked.
* One decrease per second at most: a burst of refusals has one cause and is one signal. Taking 30 % for each would end
  at the minimum after every hiccup.
* The signals are explicit: the upstream says that it is overloaded or that a rate limit is reached, or an attempt times
  out. A latency gradient (Netflix concurrency-limits, Envoy's adaptive concurrency) takes longer answers for queueing;
  but how long a language model takes to answer is mostly how much it writes. A few long essays would halve the
  limit of a healthy deployment, and a run of short answers would hide a queue.

Whole numbers only: successes are counted until there are `limit` of them, which is the same as adding 1 / limit each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

# Attempts times 7 / 10 after a sign of overload, at most once in so many seconds.
_KEPT_TENTHS: Final = 7
_PAUSE_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """Attempts at once. Fixed where `min` equals `max`; else adaptive between the two, beginning with `initial`."""

    initial: int = 100
    min: int = 100
    max: int = 100

    @property
    def adaptive(self) -> bool:
        """Whether the limit moves."""
        return self.min < self.max


class ConcurrencyLimit:
    """The limit of one deployment. It counts nothing itself: whoever admits compares `limit` with what is under way."""

    __slots__ = ("_credit", "_max", "_min", "_reduced_at", "adaptive", "limit")

    def __init__(self, settings: LimitSettings) -> None:
        self._min = settings.min
        self._max = settings.max
        self.adaptive = settings.adaptive
        """Whether the limit moves."""
        self._credit = 0
        self._reduced_at = float("-inf")
        self.limit = min(max(settings.initial, settings.min), settings.max)
        """How many attempts may be under way now; never below `min`, never above `max`."""

    def succeeded(self, in_flight: int) -> None:
        """One attempt succeeded, while `in_flight` attempts, itself included, were under way."""
        limit = self.limit
        if limit >= self._max or 2 * in_flight < limit:
            return
        self._credit += 1
        if self._credit >= limit:
            self._credit = 0
            self.limit = limit + 1

    def overloaded(self, now: float) -> None:
        """An attempt showed overload: refused as overloaded or rate limited, or timed out. `now` in seconds."""
        limit = self.limit
        if limit <= self._min or now - self._reduced_at < _PAUSE_S:
            return
        self._reduced_at = now
        self._credit = 0
        self.limit = max(self._min, limit * _KEPT_TENTHS // 10)
