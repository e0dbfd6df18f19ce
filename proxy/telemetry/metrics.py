"""Prometheus metrics, as a listener of events and a reader of the pool.

Labels come from closed sets only: names from the configuration, codes of failures. A model name that a client made up,
a key, a URL or an error's text is never a label.
"""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, disable_created_metrics
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from proxy import __version__
from proxy.core.event import (
    AttemptEnded,
    FailedOver,
    Happening,
    RequestEnded,
    Rested,
    RetryRefused,
    StreamInterrupted,
)

CONTENT_TYPE = CONTENT_TYPE_LATEST

_DURATIONS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92, 163.84, 327.68)
_FIRST_TOKEN = (0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40)
_OVERHEAD = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1)
"""Buckets in seconds: durations and first token after OpenTelemetry's GenAI conventions, with longer streams added."""


class Metrics:
    """The process's metrics, in a registry of their own."""

    def __init__(self) -> None:
        # A second series for each counter, telling when it began, doubles the page and nobody reads it.
        disable_created_metrics()  # type: ignore[no-untyped-call] # the library forgot its annotation
        self._registry = CollectorRegistry()
        self._requests = self._counter("requests", "Client requests", "route", "outcome")
        self._duration = self._histogram(
            "request_duration_seconds", "From arrival to the end of the answer", _DURATIONS
        )
        self._first_token = self._histogram(
            "time_to_first_token_seconds", "From arrival to first content", _FIRST_TOKEN
        )
        self._overhead = Histogram(
            "holdfast_overhead_seconds",
            "The proxy's own share of a request",
            buckets=_OVERHEAD,
            registry=self._registry,
        )
        self._attempts = self._counter("attempts", "Calls to upstreams", "upstream", "outcome")
        self._attempt_duration = Histogram(
            "holdfast_attempt_duration_seconds",
            "Of one call",
            ["upstream"],
            buckets=_DURATIONS,
            registry=self._registry,
        )
        self._failovers = self._counter(
            "failovers", "Requests that went on elsewhere", "route", "source", "target", "reason"
        )
        self._rests = self._counter("rests", "Rests of keys and deployments", "upstream", "reason")
        self._refused = self._counter("retries_refused", "Retries that the budget did not pay for", "upstream")
        self._interrupted = self._counter(
            "stream_interruptions", "Streams broken after the commit point", "upstream", "code"
        )
        self._degraded = self._counter("degraded_responses", "Answers below the first choice", "route")
        self._client_retries = self._counter("client_retries", "Requests that a client's SDK sent again")
        info = Info("holdfast_build", "The running version", registry=self._registry)
        info.info({"version": __version__})

    def gauge(self, name: str, help_text: str, read: Callable[[], float]) -> None:
        """Show a value that is read when somebody looks."""
        Gauge(f"holdfast_{name}", help_text, registry=self._registry).set_function(read)

    def labelled_gauge(self, name: str, help_text: str, label: str) -> Gauge:
        """A gauge with one label; the caller sets its series' functions."""
        return Gauge(f"holdfast_{name}", help_text, [label], registry=self._registry)

    def render(self) -> bytes:
        """Prometheus' text."""
        return generate_latest(self._registry)

    def __call__(self, event: Happening) -> None:
        """Listen to one event."""
        if isinstance(event, RequestEnded):
            self._request(event)
        elif isinstance(event, AttemptEnded):
            self._attempts.labels(event.deployment.upstream, event.outcome).inc()
            self._attempt_duration.labels(event.deployment.upstream).observe(event.duration)
        elif isinstance(event, FailedOver):
            self._failovers.labels(event.route, event.source.upstream, event.target.upstream, event.reason).inc()
        elif isinstance(event, Rested):
            self._rests.labels(event.deployment.upstream, event.reason).inc()
        elif isinstance(event, RetryRefused):
            self._refused.labels(event.deployment.upstream).inc()
        elif isinstance(event, StreamInterrupted):
            self._interrupted.labels(event.deployment.upstream, event.code).inc()

    def _request(self, record: RequestEnded) -> None:
        stream = "true" if record.stream else "false"
        self._requests.labels(record.route, record.outcome).inc()
        self._duration.labels(record.route, stream).observe(record.duration)
        if record.first_token is not None:
            self._first_token.labels(record.route, stream).observe(record.first_token)
        self._overhead.observe(max(0.0, record.duration - record.waited_for_others))
        if record.degraded:
            self._degraded.labels(record.route).inc()
        if record.client_retry:
            self._client_retries.inc()

    def _counter(self, name: str, help_text: str, *labels: str) -> Counter:
        return Counter(f"holdfast_{name}_total", help_text, labels, registry=self._registry)

    def _histogram(self, name: str, help_text: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"holdfast_{name}", help_text, ["route", "stream"], buckets=buckets, registry=self._registry)
