"""When a second attempt is started while the first is still silent.

Theory of operation ("The tail at scale", Dean and Barroso 2013): a second attempt after the 95th percentile of the
usual latency cuts the tail for about 5 % more attempts, since by then 19 of 20 have answered. The percentile is that of
the deployment's own recent answers in the same mode, because what is late for one model is quick for another, and the
first content of a stream comes long before the end of a whole answer. Until it has answered often enough, nothing says
what late is, and there is no hedge: hedging on a guess doubles the load of a deployment that is merely slow.

The budget holds the cost to a share of requests, whatever the latencies do: each request saves `ratio` of a hedge, each
hedge takes a whole one, and no more than ten are saved. It counts requests, not time, so a route with one request a
minute gets its share, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from proxy.policies.recent import RecentAnswers

# With fewer, the 95th percentile is the slowest answer seen.
_LEAST_ANSWERS: Final = 20
_MOST_SAVED: Final = 10.0
# Where all answers take the same time, none of them is slower than usual.
_STRICTLY_S: Final = 0.001


@dataclass(frozen=True, slots=True)
class HedgeSettings:
    """`percentile` (0 to 1): the delay is this percentile of the first deployment's own recent answers; or `delay`: a
    fixed one, in seconds. Exactly one of the two is set. `ratio`: the most hedges per request (0 to 1)."""

    percentile: float | None = 0.95
    delay: float | None = None
    ratio: float = 0.05


def hedge_delay(settings: HedgeSettings, recent: RecentAnswers, *, stream: bool) -> float | None:
    """Seconds after the first attempt's start at which a second one may start; None for no hedge."""
    if settings.delay is not None:
        return settings.delay
    if settings.percentile is None:
        return None
    usual = recent.percentile(settings.percentile, stream=stream, least=_LEAST_ANSWERS)
    return None if usual is None else usual + _STRICTLY_S


class HedgeBudget:
    """How many hedges a route may start."""

    __slots__ = ("_ratio", "_saved")

    def __init__(self, ratio: float) -> None:
        self._ratio = ratio
        self._saved = 0.0

    def change(self, ratio: float) -> None:
        """Save another share of requests from now on; what is saved stays."""
        self._ratio = ratio

    def deposit(self) -> None:
        """Count one request."""
        self._saved = min(_MOST_SAVED, self._saved + self._ratio)

    def heard(self, deposits: int, withdrawals: int) -> None:
        """Count the requests and the hedges of other processes of the host."""
        self._saved = max(0.0, min(_MOST_SAVED, self._saved + deposits * self._ratio) - withdrawals)

    def allows(self) -> bool:
        """Whether one more hedge would be within the budget."""
        return self._saved >= 1.0

    def withdraw(self) -> bool:
        """Take one hedge out of the budget. False, and nothing is taken, when it is used up."""
        if self._saved < 1.0:
            return False
        self._saved -= 1.0
        return True
