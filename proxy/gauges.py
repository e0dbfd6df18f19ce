"""What the metrics show of the configuration in force, its pool and its budgets, each time that they are asked."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from proxy.config.settings import Settings
from proxy.pool.budgets import Budgets
from proxy.pool.layout import named_steps
from proxy.pool.pool import Pool
from proxy.telemetry.metrics import Metrics


class Gauges:
    """The gauges whose values are asked for, rather than told."""

    def __init__(self, metrics: Metrics, running: Callable[[], int]) -> None:
        """`running` says how many requests are in flight."""
        self._metrics = metrics
        self._budgets: Budgets | None = None
        metrics.gauge("in_flight_requests", "Requests in flight", running)
        metrics.gauge("retry_budget_remaining_ratio", "What is left of the retry budget", self._remaining)
        self._in_flight = metrics.labelled_gauge("upstream_in_flight_attempts", "Attempts in flight", "upstream")

    def watch(self, settings: Settings, pool: Pool, budgets: Budgets, config: Mapping[str, Any]) -> None:
        """Show what a configuration names, and which one it is; `config` is routes.yaml with secrets masked."""
        self._budgets = budgets
        self._in_flight.clear()
        for name in settings.upstreams:
            self._in_flight.labels(name).set_function(partial(_in_flight, pool, name))
        named = [id_ for id_, _ in named_steps(settings)]
        clock = asyncio.get_running_loop().time
        self._metrics.watch_pool(pool, budgets, named, clock, settings.is_loaded)
        self._metrics.tell_config(hashlib.sha256(repr(config).encode()).hexdigest()[:12])

    def _remaining(self) -> float:
        return 1.0 if self._budgets is None else self._budgets.remaining(asyncio.get_running_loop().time())


def _in_flight(pool: Pool, upstream: str) -> int:
    return pool.upstream(upstream).in_flight
