"""Counts and histograms of what every request changes, at the cost of an addition.

The client library's own metrics look their series up, check and lock at every change. These are written by one thread,
the event loop's, and become the library's when somebody looks.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from functools import partial

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector


class Tallies(Collector):
    """A counter for each combination of labels."""

    def __init__(self, registry: CollectorRegistry, name: str, help_text: str, *labels: str) -> None:
        self._name, self._help, self._labels = name, help_text, labels
        self.of: defaultdict[tuple[str, ...], float] = defaultdict(int)
        """The count, by the labels' values; to be added to."""
        registry.register(self)

    def collect(self) -> Iterator[CounterMetricFamily]:
        """For the registry."""
        family = CounterMetricFamily(self._name, self._help, labels=self._labels)
        for values, count in self.of.items():
            family.add_metric(values, count)
        yield family


class Series:
    """One histogram: how many durations fell into each bucket, and their sum."""

    __slots__ = ("_bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        """Count one duration."""
        self.counts[bisect_left(self._bounds, seconds)] += 1
        self.total += seconds


class Timings(Collector):
    """A histogram of seconds for each combination of labels."""

    def __init__(
        self, registry: CollectorRegistry, name: str, help_text: str, bounds: tuple[float, ...], *labels: str
    ) -> None:
        """`bounds` are the upper ends of the buckets, in seconds; one more takes what is above them."""
        self._name, self._help, self._labels = name, help_text, labels
        self._bounds = bounds
        self.of: defaultdict[tuple[str, ...], Series] = defaultdict(partial(Series, bounds))
        """The histogram, by the labels' values."""
        if not labels:
            self.of[()] = Series(bounds)
        registry.register(self)

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """For the registry."""
        family = HistogramMetricFamily(self._name, self._help, labels=self._labels)
        names = [*(str(float(bound)) for bound in self._bounds), "+Inf"]
        for values, series in self.of.items():
            buckets: list[tuple[str, float]] = []
            below = 0
            for name, count in zip(names, series.counts, strict=True):
                below += count
                buckets.append((name, below))
            family.add_metric(values, buckets, series.total)
        yield family
