"""The metrics of several processes as one page: what they have counted is added up.

What one process has counted is plain data, so that it can be sent to others and kept when the process is gone: sums
that Prometheus has seen never become smaller. Gauges are those of the host already, and each process shows its own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Sample

_Key = tuple[str, str, tuple[tuple[str, str], ...]]
Counts = Mapping[_Key, float]
"""By metric, sample and labels."""
_ADDED_UP = {"counter", "histogram"}


def counts_of(registry: CollectorRegistry, left_out: Collection[str] = ()) -> dict[_Key, float]:
    """What a process has counted."""
    return {
        (metric.name, sample.name, tuple(sample.labels.items())): sample.value
        for metric in registry.collect()
        if metric.type in _ADDED_UP and metric.name not in left_out
        for sample in metric.samples
    }


def page_of(registry: CollectorRegistry, own: Counts, others: Counts, left_out: Collection[str] = ()) -> bytes:
    """Prometheus' text of a process and of what others have counted."""
    together: Any = _Together(registry, own, others, left_out)
    return generate_latest(together)


class _Together:
    """What stands in for the registry."""

    def __init__(self, registry: CollectorRegistry, own: Counts, others: Counts, left_out: Collection[str]) -> None:
        self._registry = registry
        self._left_out = left_out
        self._samples: dict[str, dict[_Key, float]] = {}
        for counts in (own, others):
            for key, value in counts.items():
                # The samples of one series stay together and in their order, as a histogram's have to.
                samples = self._samples.setdefault(key[0], {})
                samples[key] = samples.get(key, 0.0) + value

    def collect(self) -> Iterator[Metric]:
        """As of a registry."""
        for metric in self._registry.collect():
            if metric.type in _ADDED_UP and metric.name not in self._left_out:
                metric.samples = [
                    Sample(name, dict(labels), value)
                    for (_, name, labels), value in self._samples.get(metric.name, {}).items()
                ]
            yield metric
