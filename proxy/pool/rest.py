"""A rest keeps requests away until a reset time that is known beforehand."""

from __future__ import annotations

from typing import NamedTuple

from proxy.core.failure import Failure, FailureClass

_LASTING = 300.0
"""Seconds that a quota, a refused credential or a missing model rests when no reset time is known. Short enough that a
topped-up account is noticed soon, long enough that a dead one is not asked on every request."""

_LIMITED = 1.0
"""Seconds that a rate-limited key rests at first when no reset time is known; doubled with each further refusal."""

_LONGEST_LIMITED = 60.0
_SHORTEST = 0.1
"""Hints below a tenth of a second are taken for none: obeyed to the letter, they would mean hammering."""
LONGEST = 86_400.0
"""A day: no upstream's hint is believed beyond it."""


class Rest(NamedTuple):
    """Until when (monotonic seconds), and the class of the failure that caused it."""

    until: float
    kind: FailureClass

    @property
    def reason(self) -> str:
        """The cause in a word, for people: `rate_limited`, `quota`, `credential`, `model_gone`."""
        return self.kind.value


def rest_for(failure: Failure, now: float, refusals: int) -> Rest:
    """The rest that a failure calls for; `refusals` counts those in a row, this one included."""
    if failure.wait is not None and failure.wait >= _SHORTEST:
        duration = failure.wait
    elif failure.kind is FailureClass.RATE_LIMITED:
        duration = min(_LIMITED * 2.0 ** min(refusals - 1, 16), _LONGEST_LIMITED)
    else:
        duration = _LASTING
    return Rest(now + min(duration, LONGEST), failure.kind)


def later(one: Rest | None, other: Rest | None, now: float) -> Rest | None:
    """The rest that lasts longer, of those that still hold."""
    if one is None or one.until <= now:
        one = None
    if other is not None and other.until > now and (one is None or other.until > one.until):
        return other
    return one
