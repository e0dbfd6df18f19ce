"""What happens is counted, under labels from closed sets, on a page that Prometheus can read."""

from __future__ import annotations

import re
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from proxy.core.event import (
    AttemptEnded,
    BreakerChanged,
    BudgetRefused,
    Controlled,
    Degraded,
    Ejected,
    FailedOver,
    Hedged,
    ProbeEnded,
    RampStarted,
    Recovered,
    RequestEnded,
    RestCleared,
    Rested,
    ResumeEnded,
    Shed,
    StoreRecovered,
    StoreTrouble,
    StreamInterrupted,
    TrendChanged,
)
from proxy.core.names import DeploymentId
from proxy.telemetry.metrics import Metrics
from tests.support.happenings import CLASSES, names_of, one_of, one_of_each

A, B = DeploymentId("openai", "gpt-4o"), DeploymentId("claude", "sonnet")
# Shown by gauges of the pool, while they last.
NOT_COUNTED = {TrendChanged, RampStarted}


def samples(metrics: Metrics) -> dict[tuple[str, ...], float]:
    """The page: values by name and labels, the latter as `label=value` in the order of their names."""
    found: dict[tuple[str, ...], float] = {}
    for family in text_string_to_metric_families(metrics.render().decode()):
        for sample in family.samples:
            key = (sample.name, *(f"{name}={value}" for name, value in sorted(sample.labels.items())))
            assert key not in found
            found[key] = sample.value
    return found


def after(*events: Any) -> dict[tuple[str, ...], float]:
    metrics = Metrics()
    for event in events:
        metrics(event)
    return samples(metrics)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_every_event_changes_the_page(cls: type) -> None:
    before = [one_of(StoreTrouble)] if cls is StoreRecovered else []

    assert (cls in NOT_COUNTED) == (after(*before) == after(*before, one_of(cls)))


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (RequestEnded("id", "chat", "m", stream=False), ("requests_total", "outcome=ok", "route=chat")),
        (RequestEnded("id", "chat", "m", stream=False, client_retry=1), ("client_retries_total",)),
        (AttemptEnded(A, "http_503", 0.5, 503), ("attempts_total", "outcome=http_503", "upstream=openai")),
        (AttemptEnded(A, "lost", 0.5), ("lost_attempts_total", "upstream=openai")),
        (
            FailedOver("chat", A, B, "http_503"),
            ("failovers_total", "reason=http_503", "route=chat", "source=openai", "target=claude"),
        ),
        (Rested(A, 0, False, "rate_limited", 5.0), ("rests_total", "reason=rate_limited", "upstream=openai")),
        (RestCleared(A, 0, False, "probe"), ("rests_cleared_total", "cause=probe", "upstream=openai")),
        (
            BreakerChanged(A, "closed", "open", "error_rate", 60.0),
            ("breaker_transitions_total", "cause=error_rate", "to=open", "upstream=openai"),
        ),
        (Ejected(A, "chat", "latency", 30.0), ("ejections_total", "reason=latency", "upstream=openai")),
        (Recovered(A, 90.0), ("recovery_seconds_count", "upstream=openai")),
        (ProbeEnded(A, "ok", 0.5, "interval"), ("probes_total", "outcome=ok", "upstream=openai")),
        (ProbeEnded(A, "ok", 0.5, "interval"), ("probe_duration_seconds_count", "upstream=openai")),
        (Hedged("chat", A, B, 1.5), ("hedges_total", "route=chat")),
        (BudgetRefused(A, "hedge"), ("budget_refusals_total", "purpose=hedge", "upstream=openai")),
        (Shed("chat"), ("shed_total", "route=chat")),
        (Degraded("chat", B, "failover", 0.6), ("degraded_responses_total", "reason=failover", "route=chat")),
        (Controlled(None, "reset"), ("control_changes_total", "action=reset")),
        (StreamInterrupted(A, "cut"), ("stream_interruptions_total", "code=cut", "upstream=openai")),
        (
            ResumeEnded("chat", A, B, "cut", "prefill", "continued", 0.3),
            ("resumes_total", "cause=cut", "mode=prefill", "outcome=continued"),
        ),
        (
            ResumeEnded("chat", A, None, "cut", "none", "given_up", 0.3),
            ("resumes_total", "cause=cut", "mode=none", "outcome=given_up"),
        ),
    ],
)
def test_counted_once(event: Any, expected: tuple[str, ...]) -> None:
    name, *labels = expected

    assert 1 == after(event)[f"holdfast_{name}", *labels]


def test_many_at_once_are_counted_as_one_by_one() -> None:
    events = [one_of(cls) for cls in CLASSES] * 3
    together = Metrics()
    together.hear_all(iter(events))

    assert after(*events) == samples(together)


def test_a_degraded_answer_is_counted_once() -> None:
    counted = after(
        Degraded("chat", B, "failover", 0.6),
        RequestEnded("id", "chat", "m", stream=False, degraded="reason=failover;quality=0.6"),
    )

    assert 1 == sum(value for name, value in counted.items() if name[0] == "holdfast_degraded_responses_total")


def test_what_hedges_cost() -> None:
    counted = after(AttemptEnded(A, "lost", 0.5), AttemptEnded(A, "lost", 0.25), AttemptEnded(B, "ok", 4.0))

    assert 0.75 == counted["holdfast_lost_attempt_seconds_total", "upstream=openai"]
    assert ("holdfast_lost_attempts_total", "upstream=claude") not in counted


def test_a_probe_that_was_given_up_has_no_duration() -> None:
    assert ("holdfast_probe_duration_seconds_count", "upstream=openai") not in after(
        ProbeEnded(A, "cancelled", 0.1, "interval")
    )


def test_the_state_store_is_up_unless_there_is_trouble() -> None:
    name = ("holdfast_state_store_up",)

    assert [1, 0, 1] == [
        after(*events)[name]
        for events in ((), (StoreTrouble("full"),), (StoreTrouble("full"), StoreTrouble("full"), StoreRecovered()))
    ]


def test_names_that_clients_make_up_are_no_labels() -> None:
    evil = DeploymentId("openai", "evil")
    metrics = Metrics()
    for cls in CLASSES:
        given = {name: evil for name in names_of(cls) if name == "deployment"}
        metrics(one_of(cls, **given, **({"model_asked": "evil"} if cls is RequestEnded else {})))

    assert "evil" not in metrics.render().decode()


def test_the_page_keeps_to_what_promtool_checks() -> None:
    metrics = Metrics()
    for event in one_of_each():
        metrics(event)
    check_page(metrics.render().decode())


def check_page(page: str) -> None:
    """The rules of `promtool check metrics` that such a page could break."""
    assert page.endswith("\n") and "\n\n" not in page
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", page, re.MULTILINE))
    helped = re.findall(r"^# HELP (\S+) \S", page, re.MULTILINE)
    assert list(kinds) == helped and len(helped) == len(set(helped))
    for name, kind in kinds.items():
        assert re.fullmatch("holdfast(_[a-z]+)+", name), name
        assert name.endswith("_total") == (kind == "counter"), name
        assert not name.endswith(("_count", "_sum", "_bucket")), name
        assert not {"gauge", "counter", "histogram", "ms", "s", "milliseconds", "percent"} & set(name.split("_")), name
    series = [line.rpartition(" ")[0] for line in page.splitlines() if not line.startswith("#")]
    assert len(series) == len(set(series))
    for each in series:
        name = re.split("[{ ]", each)[0]
        assert name in kinds or re.sub("_(count|sum|bucket)$", "", name) in kinds, each
