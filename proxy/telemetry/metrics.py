"""Prometheus metrics, as a listener of events and a reader of the pool.

Labels come from closed sets only: names from the configuration, codes of failures. A model name that a client made up,
a key, a URL or an error's text is never a label.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, disable_created_metrics
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from proxy import __version__
from proxy.core.event import (
    AttemptEnded,
    BreakerChanged,
    BudgetRefused,
    Controlled,
    Degraded,
    Ejected,
    FailedOver,
    Happening,
    Hedged,
    ProbeEnded,
    Recovered,
    Reloaded,
    RequestEnded,
    RestCleared,
    Rested,
    ResumeEnded,
    Shed,
    StoreRecovered,
    StoreTrouble,
    StreamInterrupted,
)
from proxy.core.names import DeploymentId
from proxy.pool.budgets import Budgets
from proxy.pool.pool import Pool
from proxy.telemetry.host_metrics import Counts, counts_of, page_of
from proxy.telemetry.pool_metrics import Loaded, PoolMetrics
from proxy.telemetry.tallies import Tallies, Timings

CONTENT_TYPE = CONTENT_TYPE_LATEST

_DURATIONS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92, 163.84, 327.68)
_FIRST_TOKEN = (0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40)
_OVERHEAD = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1)
"""Buckets in seconds: durations and first token after OpenTelemetry's GenAI conventions, with longer streams added."""
_CAUSES = ("killed", "failed", "asked")
"""What ends workers: a signal, an exit of their own, or somebody's wish."""
_OF_HOST = ("holdfast_worker_restarts",)
"""Counters that every process of a host has alike."""
_MADE_UP = "*"
"""The label of a model that no route names, but a client by a glob."""
_PROBES = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20)
_RECOVERIES = (10, 30, 60, 120, 300, 600, 1800, 3600, 14400)


class Metrics:
    """The process's metrics, in a registry of their own."""

    def __init__(self) -> None:
        # A second series for each counter, telling when it began, doubles the page and nobody reads it.
        disable_created_metrics()  # type: ignore[no-untyped-call] # the library forgot its annotation
        self._registry = CollectorRegistry()
        self._pool: PoolMetrics | None = None
        self._named: frozenset[DeploymentId] = frozenset()
        counter, histogram = self._counter, self._histogram
        counts, timings = self._counts, self._timings
        self._requests = counts("requests", "Client requests", "route", "outcome")
        self._duration = timings(
            "request_duration_seconds", "From arrival to the end of the answer", _DURATIONS, "route", "stream"
        )
        self._first_token = timings(
            "time_to_first_token_seconds", "From arrival to first content", _FIRST_TOKEN, "route", "stream"
        )
        self._overhead = timings("overhead_seconds", "The proxy's own share of a request", _OVERHEAD)
        self._degraded = counts("degraded_responses", "Answers below the first choice", "route", "reason")
        self._shed = counter("shed", "Requests refused because everything was full", "route")
        self._client_retries = counter("client_retries", "Requests that a client's SDK sent again")
        self._interrupted = counter("stream_interruptions", "Streams broken after the commit point", "upstream", "code")
        self._resumes = counter("resumes", "Attempts to go on with a broken stream", "cause", "mode", "outcome")

        self._cost = counts("cost_usd", "What answers cost, where that is known", "route", "upstream", "model")
        self._attempts = counts("attempts", "Calls to upstreams", "upstream", "outcome")
        self._attempt_duration = timings("attempt_duration_seconds", "Of one call", _DURATIONS, "upstream")
        self._lost = counter("lost_attempts", "Calls given up because another one was faster", "upstream")
        self._lost_seconds = counter("lost_attempt_seconds", "Time spent on lost calls", "upstream")
        self._failovers = counts("failovers", "Requests that went on elsewhere", "route", "source", "target", "reason")
        self._hedges = counter("hedges", "Second attempts made because the first was silent", "route")
        self._refused = counter("budget_refusals", "Extra attempts that no budget paid for", "upstream", "purpose")

        self._rests = counter("rests", "Rests of keys and deployments", "upstream", "reason")
        self._cleared = counter("rests_cleared", "Rests ended before their time", "upstream", "cause")
        self._transitions = counter("breaker_transitions", "Changes of breakers", "upstream", "to", "cause")
        self._ejections = counter("ejections", "Deployments left out as outliers", "upstream", "reason")
        self._recovery = histogram(
            "recovery_seconds", "From a breaker's first opening until stable again", _RECOVERIES, "upstream"
        )
        self._probes = counter("probes", "Test prompts", "upstream", "outcome")
        self._probe_duration = histogram("probe_duration_seconds", "Of one test prompt", _PROBES, "upstream")
        self._controls = counter("control_changes", "What operators changed, and what reverted", "action")
        self._reloads = counter("config_reloads", "Times that the configuration was read again", "outcome")
        self._reload_good = Gauge(
            "holdfast_config_last_reload_successful", "Whether the last reading was in order", registry=self._registry
        )
        self._reload_good.set(1)
        self._config = Info("holdfast_config", "The configuration in force", registry=self._registry)
        self._store_up = Gauge("holdfast_state_store_up", "Whether state is kept", registry=self._registry)
        self._store_up.set(1)
        info = Info("holdfast_build", "The running version", registry=self._registry)
        info.info({"version": __version__})
        self._workers = Gauge("holdfast_workers", "Processes that serve on this host", registry=self._registry)
        self._workers.set(1)
        self._restarts = counter("worker_restarts", "Workers that were replaced, by what ended them", "cause")
        self._restarts_told = dict.fromkeys(_CAUSES, 0)
        for cause in _CAUSES:
            self._restarts.labels(cause)
        self._hears = self._what_is_heard()

    def tell_workers(self, serving: int, restarts: Mapping[str, int]) -> None:
        """Show how many workers serve, and how often any was replaced, by what ended the one before."""
        self._workers.set(serving)
        for cause, times in restarts.items():
            self._restarts.labels(cause).inc(times - self._restarts_told[cause])
            self._restarts_told[cause] = times

    def note_elsewhere(self, event: Happening) -> None:
        """Hear of an event that another process of the host has counted."""
        if isinstance(event, StoreTrouble | StoreRecovered):
            self._store_up.set(isinstance(event, StoreRecovered))
        elif isinstance(event, Reloaded):
            self._reload_good.set(event.outcome == "ok")

    def counts(self) -> Counts:
        """What this process has counted."""
        return counts_of(self._registry, _OF_HOST)

    def render_together(self, own: Counts, others: Counts) -> bytes:
        """Prometheus' text of a host: with what its other processes have counted."""
        page = page_of(self._registry, own, others, _OF_HOST)
        return page if self._pool is None else page + self._pool.render()

    def tell_config(self, digest: str) -> None:
        """Show which configuration is in force, by a digest that gives nothing of it away."""
        self._config.info({"hash": digest})

    def gauge(self, name: str, help_text: str, read: Callable[[], float]) -> None:
        """Show a value that is read when somebody looks."""
        Gauge(f"holdfast_{name}", help_text, registry=self._registry).set_function(read)

    def labelled_gauge(self, name: str, help_text: str, label: str) -> Gauge:
        """A gauge with one label; the caller sets its series' functions."""
        return Gauge(f"holdfast_{name}", help_text, [label], registry=self._registry)

    def watch_pool(
        self,
        pool: Pool,
        budgets: Budgets,
        named: Iterable[DeploymentId],
        clock: Callable[[], float],
        is_loaded: Loaded = lambda _: None,
    ) -> None:
        """Show how these deployments, which the configuration names, are at the moment when somebody looks.

        `clock` is the pool's: monotonic, in seconds.
        """
        in_order = tuple(named)
        self._named = frozenset(in_order)
        self._pool = PoolMetrics(pool, budgets, in_order, clock, is_loaded)

    def render(self) -> bytes:
        """Prometheus' text."""
        page = generate_latest(self._registry)
        return page if self._pool is None else page + self._pool.render()

    def __call__(self, event: Happening) -> None:
        """Listen to one event."""
        self.hear_all((event,))

    def hear_all(self, events: Iterable[Happening]) -> None:
        """Listen to all events of one moment."""
        hears = self._hears
        for event in events:
            hear = hears.get(event.__class__)
            if hear is not None:
                hear(event)

    def _what_is_heard(self) -> dict[type, Callable[[Any], None]]:
        return {
            RequestEnded: self._request,
            Degraded: self._count_degraded,
            Shed: lambda event: self._shed.labels(event.route).inc(),
            StreamInterrupted: lambda event: self._interrupted.labels(event.deployment.upstream, event.code).inc(),
            ResumeEnded: lambda event: self._resumes.labels(event.cause, event.mode, event.outcome).inc(),
            AttemptEnded: self._attempt,
            FailedOver: self._failover,
            Hedged: lambda event: self._hedges.labels(event.route).inc(),
            BudgetRefused: lambda event: self._refused.labels(event.deployment.upstream, event.purpose).inc(),
            Rested: lambda event: self._rests.labels(event.deployment.upstream, event.reason).inc(),
            RestCleared: lambda event: self._cleared.labels(event.deployment.upstream, event.cause).inc(),
            BreakerChanged: self._breaker,
            Ejected: lambda event: self._ejections.labels(event.deployment.upstream, event.reason).inc(),
            Recovered: lambda event: self._recovery.labels(event.deployment.upstream).observe(event.duration),
            ProbeEnded: self._probe,
            Controlled: lambda event: self._controls.labels(event.action).inc(),
            Reloaded: self._reload,
            StoreTrouble: lambda _event: self._store_up.set(0),
            StoreRecovered: lambda _event: self._store_up.set(1),
        }

    def _request(self, record: RequestEnded) -> None:
        by_mode = (record.route, "true" if record.stream else "false")
        self._requests.of[record.route, record.outcome] += 1
        self._duration.of[by_mode].observe(record.duration)
        if record.first_token is not None:
            self._first_token.of[by_mode].observe(record.first_token)
        overhead = record.duration - record.waited_for_others
        self._overhead.of[()].observe(overhead if overhead > 0 else 0.0)
        if record.cost is not None:
            self._add_cost(record)
        if record.client_retry:
            self._client_retries.inc()

    def _add_cost(self, record: RequestEnded) -> None:
        for attempt in record.attempts:
            if attempt.cost is not None:
                upstream, model = attempt.deployment
                known = model if attempt.deployment in self._named else _MADE_UP
                self._cost.of[record.route, upstream, known] += attempt.cost

    def _attempt(self, event: AttemptEnded) -> None:
        upstream = event.deployment.upstream
        self._attempts.of[upstream, event.outcome] += 1
        self._attempt_duration.of[upstream,].observe(event.duration)
        if event.outcome == "lost":
            self._lost.labels(upstream).inc()
            self._lost_seconds.labels(upstream).inc(event.duration)

    def _count_degraded(self, event: Degraded) -> None:
        self._degraded.of[event.route, event.reason] += 1

    def _failover(self, event: FailedOver) -> None:
        self._failovers.of[event.route, event.source.upstream, event.target.upstream, event.reason] += 1

    def _breaker(self, event: BreakerChanged) -> None:
        self._transitions.labels(event.deployment.upstream, event.target, event.cause).inc()

    def _reload(self, event: Reloaded) -> None:
        self._reloads.labels(event.outcome).inc()
        self._reload_good.set(event.outcome == "ok")

    def _probe(self, event: ProbeEnded) -> None:
        self._probes.labels(event.deployment.upstream, event.outcome).inc()
        if event.outcome != "cancelled":
            self._probe_duration.labels(event.deployment.upstream).observe(event.duration)

    def _counts(self, name: str, help_text: str, *labels: str) -> Tallies:
        return Tallies(self._registry, f"holdfast_{name}_total", help_text, *labels)

    def _timings(self, name: str, help_text: str, bounds: tuple[float, ...], *labels: str) -> Timings:
        return Timings(self._registry, f"holdfast_{name}", help_text, bounds, *labels)

    def _counter(self, name: str, help_text: str, *labels: str) -> Counter:
        return Counter(f"holdfast_{name}_total", help_text, labels, registry=self._registry)

    def _histogram(self, name: str, help_text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"holdfast_{name}", help_text, labels, buckets=buckets, registry=self._registry)
