"""Ratios within a round, and how they spread."""

from __future__ import annotations

from benchmarks.cost.figures import Spread, add_latency, ratios, spread


def cpu(*values: float | None) -> list[dict[str, float | None]]:
    return [{"cpu": value} for value in values]


def test_a_ratio_is_taken_within_its_round() -> None:
    # In the second round the machine was three times as slow, for both of them.
    assert Spread(2.0, 2.0, 2.0, 3) == ratios(cpu(20.0, 60.0, 24.0), cpu(10.0, 30.0, 12.0), "cpu")


def test_the_median_of_the_ratios_is_told_with_the_least_and_the_greatest() -> None:
    assert Spread(3.0, 2.0, 7.0, 3) == ratios(cpu(2.0, 7.0, 3.0), cpu(1.0, 1.0, 1.0), "cpu")


def test_a_round_without_one_of_the_two_values_does_not_count() -> None:
    assert Spread(2.0, 2.0, 2.0, 1) == ratios(cpu(None, 4.0, 6.0), cpu(1.0, 2.0, None), "cpu")


def test_what_is_smaller_than_the_noise_has_no_ratio() -> None:
    assert ratios(cpu(5.0, -1.0), cpu(-0.5, 2.0), "cpu") is None


def test_nothing_measured_has_no_spread() -> None:
    assert spread([None, None]) is None


def test_added_latency_is_what_is_more_than_without_a_proxy_in_the_same_round() -> None:
    told = add_latency({"p50": 150.0, "p99": 900.0}, {"p50": 50.0, "p99": 1000.0})

    assert {"p50": 150.0, "p99": 900.0, "added_p50": 100.0, "added_p99": -100.0} == told


def test_nothing_is_added_to_what_was_not_measured() -> None:
    assert {"p50": 150.0, "p99": None} == add_latency({"p50": 150.0, "p99": None}, None)
