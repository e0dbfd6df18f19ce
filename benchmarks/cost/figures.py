"""What is computed from the rounds, for machines that are never quiet.

A neighbour's busy minute hits every proxy of a round alike, and no two rounds are alike. So a ratio is taken within
each round, and the median of the ratios is told with the least and the greatest of them; the ratio of two medians would
mix quiet rounds with busy ones. Pure.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

Round = Mapping[str, float | None]
"""What one round gave of one proxy, by key; a key that is absent, or None, was not measured."""


@dataclass(frozen=True)
class Spread:
    """The median of some values, the least and the greatest."""

    median: float
    low: float
    high: float
    count: int = 1
    """How many there were."""


def spread(values: Iterable[float | None]) -> Spread | None:
    """The spread of those values that were measured; None if none was."""
    known = [value for value in values if value is not None]
    return Spread(statistics.median(known), min(known), max(known), len(known)) if known else None


def ratios(mine: Sequence[Round | None], base: Sequence[Round | None], key: str) -> Spread | None:
    """A value of each round as a multiple of the base's in the same round.

    A round counts only where both have a value above zero: an added latency below it says that the noise was greater.
    """
    found: list[float] = []
    for own, other in zip(mine, base, strict=False):
        value, divisor = (own or {}).get(key), (other or {}).get(key)
        if value is not None and divisor is not None and value > 0 and divisor > 0:
            found.append(value / divisor)
    return spread(found)


def add_latency(mine: Round, direct: Round | None) -> dict[str, float | None]:
    """A round with what the proxy added to asking directly in the same round."""
    told = dict(mine)
    for share in ("p50", "p99"):
        own, other = mine.get(share), (direct or {}).get(share)
        if own is not None and other is not None:
            told[f"added_{share}"] = own - other
    return told
