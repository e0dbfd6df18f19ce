"""Plain data that was read back from somewhere: what makes sense as a duration, a count or a text."""

from __future__ import annotations

_LONGEST_S = 10 * 365 * 86400.0
"""Ten years: longer durations are garbage."""
_MOST = 2**53
_LONGEST_TEXT = 200


def seconds(value: object) -> float | None:
    """A number from 0 to ten years of seconds; None for anything else."""
    # The comparison also refuses nan, the infinities, and whole numbers too large for a float.
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LONGEST_S:
        return None
    return float(value)


def count(value: object) -> int:
    """A whole number that may have been counted; 0 for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MOST else 0


def text(value: object) -> str | None:
    """A text, cut to 200 characters; None for anything else."""
    return value[:_LONGEST_TEXT] if isinstance(value, str) else None
