"""Metrics of several processes on one page."""

from prometheus_client.parser import text_string_to_metric_families

from proxy.core.event import AttemptEnded, RequestEnded, StoreRecovered, StoreTrouble
from proxy.core.names import DeploymentId
from proxy.telemetry.metrics import Metrics


def asked(metrics: Metrics, route: str = "r", times: int = 1) -> None:
    for _ in range(times):
        metrics(RequestEnded("id", route, "m", stream=False, status=200, duration=0.05))
        metrics(AttemptEnded(DeploymentId("u", "m"), "ok", 0.05, 200))


def test_what_was_counted_is_added_up() -> None:
    one, two = Metrics(), Metrics()
    asked(one, times=2)
    asked(two)
    asked(two, "other")
    page = one.render_together(one.counts(), two.counts()).decode()

    assert 'holdfast_requests_total{outcome="ok",route="r"} 3.0' in page
    assert 'holdfast_requests_total{outcome="ok",route="other"} 1.0' in page
    families = {family.name: family for family in text_string_to_metric_families(page)}
    buckets = [
        (sample.labels["le"], sample.value)
        for sample in families["holdfast_attempt_duration_seconds"].samples
        if sample.name.endswith("_bucket")
    ]
    # In their order, and growing: what makes it a histogram.
    assert [value for _, value in buckets] == sorted(value for _, value in buckets)
    assert ("+Inf", 4.0) == buckets[-1]


def test_alone_it_is_the_page_as_ever() -> None:
    metrics = Metrics()
    asked(metrics)

    assert metrics.render() == metrics.render_together(metrics.counts(), {})


def test_gauges_and_what_all_count_alike_are_not_added_up() -> None:
    one, two = Metrics(), Metrics()
    for metrics in (one, two):
        metrics.tell_workers(2, {"killed": 3})
    page = one.render_together(one.counts(), two.counts()).decode()

    assert "holdfast_workers 2.0" in page
    assert 'holdfast_worker_restarts_total{cause="killed"} 3.0' in page


def test_the_store_of_whoever_leads_is_that_of_all() -> None:
    metrics = Metrics()
    metrics.note_elsewhere(StoreTrouble("full"))
    assert "holdfast_state_store_up 0.0" in metrics.render().decode()
    metrics.note_elsewhere(StoreRecovered())
    assert "holdfast_state_store_up 1.0" in metrics.render().decode()
