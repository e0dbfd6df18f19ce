"""Whether a deployment may be tried at this moment; if not, what keeps requests away."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Final, NamedTuple

from proxy.pool.rest import Rest


class Hold(StrEnum):
    """What keeps requests away."""

    RESTS = "resting"
    """The deployment, or every key for it, rests until a time that is known."""
    OPEN = "breaker_open"
    PROBING = "breaker_half_open"
    """As many attempts as the half-open breaker admits are under way."""
    OFF = "off"
    """An operator wants it so."""
    FULL = "full"
    """As many attempts as are allowed at once are under way."""


class Standing(NamedTuple):
    """Whether a deployment may be tried, and what it waits for if not."""

    usable_at: float
    """When (monotonic seconds): any moment of the past means now, infinity that nobody knows."""
    hold: Hold | None = None
    rest: Rest | None = None
    """Of `RESTS`."""
    share: float = 1.0
    """Of the requests that would come here, how many should (0 to 1): less than all of them while it recovers, while
    its trend is bad, or while it is ejected. Others take the rest, if there are others."""
    early_at: float = math.inf
    """Of `OPEN`: from when on a panic may try it; infinity where an operator has opened it."""
    doubtful: bool = False
    """It may be tried, but its breaker is not closed: it is being found out whether it is well."""

    @property
    def cause(self) -> str | None:
        """What holds it, in a word for machines: `quota`, `breaker_open`, `full`; None when nothing does."""
        return self.rest.reason if self.rest is not None else self.hold and self.hold.value

    def words(self, now: float) -> str:
        """The same for people."""
        left = self.usable_at - now
        if self.rest is not None:
            return f"rests for {left:.0f} s ({self.rest.reason})"
        if self.hold is Hold.OPEN:
            return f"breaker open for {left:.0f} s" if math.isfinite(left) else "breaker opened by an operator"
        if self.hold is Hold.PROBING:
            return "breaker half-open, its probes are under way"
        return {Hold.OFF: "switched off by an operator", Hold.FULL: "full", None: "usable"}[self.hold]


FREE: Final = Standing(-math.inf)
"""Of a deployment that nothing keeps away."""
