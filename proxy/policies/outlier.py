"""Which deployments are far worse than their siblings, and shall be taken out for a while.

Theory of operation (after Envoy's outlier detection): a breaker judges a deployment by itself; this compares it with
the others of its chain, which see the same requests. A share of 50 % failures may stay below every breaker's threshold,
and yet it makes no sense to go on asking there while the siblings answer. The yardstick is the median of the siblings,
not the mean, so that one more sick sibling does not excuse the first. Ejected siblings are no yardstick: they get no
traffic, so their numbers are old.

Latency is compared only between peers by intent: in a fallback chain a slow large model behind a quick small one is
as it should be.

If everybody is bad, nobody is an outlier, and taking out deployments only moves load to the rest. Hence the cap on the
share that may be out for this reason, and the last one is never taken (Envoy: `max_ejection_percent`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import floor
from statistics import median
from typing import Literal, NamedTuple


@dataclass(frozen=True, slots=True)
class OutlierSettings:
    """When a deployment is taken out because its siblings do far better.

    `error_gap`: how much higher its error share must be than that of the median sibling (0 to 1). `latency_factor`: how
    many times slower than the median sibling, among steps that are equals (weighted, parallel). `minimum_requests`:
    recent answers that it and a sibling need to be compared. `eject_for`: seconds. `max_ejected`: the most of a chain
    that may be out for this reason (0 to 1); 0 switches it off.
    """

    error_gap: float = 0.4
    latency_factor: float = 5.0
    minimum_requests: int = 20
    eject_for: float = 30.0
    max_ejected: float = 0.5


class Sample(NamedTuple):
    """How one deployment of a chain did lately."""

    name: str
    answers: int
    failed: int
    latency: float | None
    """Median seconds until an answer was good; None where unknown."""
    equal: bool
    """Whether it is a peer by intent, so that its latency may be compared."""
    ejected: bool
    """Whether it is out already."""


class Outlier(NamedTuple):
    """One to take out, and why."""

    name: str
    reason: Literal["errors", "latency"]


class _Found(NamedTuple):
    """Greater is worse: the rank of the reason first, then how bad it is."""

    rank: int
    badness: float
    outlier: Outlier


def outliers(samples: Sequence[Sample], settings: OutlierSettings) -> list[Outlier]:
    """Those to take out now, worst first: by errors before by latency. Names are unique within `samples`.

    Together with those that are out already never more than the cap, and never the last one.
    """
    out = sum(sample.ejected for sample in samples)
    room = min(floor(settings.max_ejected * len(samples)), len(samples) - 1) - out
    if room <= 0:
        return []
    known = [one for one in samples if one.answers >= max(settings.minimum_requests, 1) and not one.ejected]
    found = [*_by_errors(known, settings.error_gap), *_by_latency(known, settings.latency_factor)]
    worst: dict[str, Outlier] = {}
    for _, _, outlier in sorted(found, key=lambda one: one[:2], reverse=True):
        worst.setdefault(outlier.name, outlier)
    return list(worst.values())[:room]


def _by_errors(known: list[Sample], gap: float) -> Iterator[_Found]:
    for one in known:
        share = one.failed / one.answers
        others = [other.failed / other.answers for other in known if other is not one]
        if others and share > 0 and share - median(others) >= gap:
            yield _Found(1, share - median(others), Outlier(one.name, "errors"))


def _by_latency(known: list[Sample], factor: float) -> Iterator[_Found]:
    peers = [(one, one.latency) for one in known if one.equal and one.latency is not None]
    for one, latency in peers:
        others = [other for sample, other in peers if sample is not one]
        if others and latency > 0 and latency >= factor * median(others):
            yield _Found(0, latency / max(median(others), 1e-9), Outlier(one.name, "latency"))
