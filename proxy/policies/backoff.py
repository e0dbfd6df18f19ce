"""How long to wait before trying the same deployment again: full jitter below a ceiling that doubles.

wait = uniform(0, min(max, initial * multiplier^n)), after n + 1 failures ("full jitter", AWS builders' library). Luck
is an argument: `roll` is a number from 0 to 1, drawn by whoever acts.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BackoffSettings:
    """Ceilings in seconds; see `Backoff` in routes.yaml."""

    initial: float = 1.0
    multiplier: float = 2.0
    max: float = 60.0


def backoff(settings: BackoffSettings, failures: int, roll: float) -> float:
    """Seconds to wait after the given number of failures in a row (at least one), for a roll from 0 to 1."""
    # The exponent is bounded so that a long streak cannot overflow; the ceiling is reached long before.
    growth: float = settings.multiplier ** min(failures - 1, 64)
    return roll * min(settings.max, settings.initial * growth)
