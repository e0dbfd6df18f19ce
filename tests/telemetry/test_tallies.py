"""Tallies and histograms of our own, against those of the client library: the same page."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from proxy.telemetry.tallies import Tallies, Timings

BOUNDS = (0.005, 0.1, 1.0, 2.5, 60.0)
LABEL = st.sampled_from(["a", "b", 'c"', "d\\", "e\nf", "g h", "é", ""])
SECONDS = st.sampled_from([0.0, *BOUNDS, 0.1 + 1e-9, 1e9]) | st.floats(0, 100)


def page(
    registry: CollectorRegistry,
) -> dict[str, tuple[str, str, set[tuple[str, tuple[tuple[str, str], ...], float]]]]:
    """What a scrape finds, without when series began."""
    found = {}
    for family in text_string_to_metric_families(generate_latest(registry).decode()):
        if family.name.endswith("_created"):
            continue
        samples = {
            (sample.name, tuple(sorted(sample.labels.items())), sample.value)
            for sample in family.samples
            if not sample.name.endswith("_created")
        }
        found[family.name] = (family.type, family.documentation, samples)
    return found


@given(st.lists(st.tuples(LABEL, LABEL, st.integers(1, 5)), max_size=20))
def test_counters(added: list[tuple[str, str, int]]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    counts = Tallies(ours, "holdfast_things", "Things.", "one", "two")
    counter = Counter("holdfast_things", "Things.", ["one", "two"], registry=theirs)
    for one, two, number in added:
        counts.of[one, two] += number
        counter.labels(one, two).inc(number)

    assert page(theirs) == page(ours)


@given(st.lists(st.tuples(LABEL, SECONDS), max_size=30))
def test_histograms(observed: list[tuple[str, float]]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    timings = Timings(ours, "holdfast_wait_seconds", "Waits.", BOUNDS, "one")
    histogram = Histogram("holdfast_wait_seconds", "Waits.", ["one"], registry=theirs, buckets=BOUNDS)
    for one, seconds in observed:
        timings.of[one,].observe(seconds)
        histogram.labels(one).observe(seconds)

    assert page(theirs) == page(ours)


@given(st.lists(SECONDS, max_size=30))
def test_a_histogram_without_labels_is_there_from_the_start(observed: list[float]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    timings = Timings(ours, "holdfast_wait_seconds", "Waits.", BOUNDS)
    histogram = Histogram("holdfast_wait_seconds", "Waits.", registry=theirs, buckets=BOUNDS)
    for seconds in observed:
        timings.of[()].observe(seconds)
        histogram.observe(seconds)

    assert page(theirs) == page(ours)
    ((_, _, samples),) = page(ours).values()
    assert ("holdfast_wait_seconds_count", (), float(len(observed))) in samples
    assert math.isclose(sum(observed), next(value for name, _, value in samples if name.endswith("_sum")))
