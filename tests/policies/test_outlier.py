"""Who is far worse than the siblings is taken out, but never too many."""

from math import floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.policies.outlier import Outlier, OutlierSettings, Sample, outliers

SETTINGS = OutlierSettings()


def sample(
    name: str,
    failed: int = 0,
    *,
    answers: int = 100,
    latency: float | None = 1.0,
    equal: bool = True,
    ejected: bool = False,
) -> Sample:
    return Sample(name, answers, failed, latency, equal, ejected)


def test_equals_that_do_well_stay() -> None:
    assert [] == outliers([sample("a"), sample("b", 5), sample("c", 30)], SETTINGS)
    assert [] == outliers([], SETTINGS)


def test_one_that_fails_far_more_is_taken_out() -> None:
    assert [Outlier("b", "errors")] == outliers([sample("a", 2), sample("b", 60)], SETTINGS)


@pytest.mark.parametrize(("failed", "found"), [(49, 0), (50, 1)])
def test_gap_counts_from_the_siblings_share(failed: int, found: int) -> None:
    assert found == len(outliers([sample("a", 10), sample("b", failed)], SETTINGS))


def test_when_all_are_bad_nobody_is_an_outlier() -> None:
    assert [] == outliers([sample("a", 90), sample("b", 95), sample("c", 100)], SETTINGS)


def test_one_more_sick_sibling_does_not_excuse_the_first() -> None:
    found = outliers([sample("a"), sample("b", 1), sample("c", 2), sample("d", 90), sample("e", 80)], SETTINGS)

    assert [Outlier("d", "errors"), Outlier("e", "errors")] == found


def test_one_that_is_far_slower_is_taken_out() -> None:
    assert [Outlier("b", "latency")] == outliers([sample("a"), sample("b", latency=5.0)], SETTINGS)
    assert [] == outliers([sample("a"), sample("b", latency=4.9)], SETTINGS)


def test_latency_is_compared_among_peers_only() -> None:
    assert [] == outliers([sample("a", equal=False), sample("b", latency=50.0)], SETTINGS)
    assert [] == outliers([sample("a"), sample("b", latency=50.0, equal=False)], SETTINGS)
    assert [] == outliers([sample("a", latency=None), sample("b", latency=50.0)], SETTINGS)


def test_siblings_without_latency_are_no_trouble() -> None:
    assert [] == outliers([sample("a", latency=0.0), sample("b", latency=0.0)], SETTINGS)


@pytest.mark.parametrize(("mine", "theirs"), [(19, 100), (100, 19), (0, 100)])
def test_both_need_enough_answers(mine: int, theirs: int) -> None:
    assert [] == outliers([sample("a", answers=theirs), sample("b", mine, answers=mine, latency=50.0)], SETTINGS)


def test_no_answers_at_all_are_never_compared() -> None:
    assert [] == outliers([sample("a", answers=0), sample("b", 50)], OutlierSettings(minimum_requests=0))


def test_worst_first_errors_before_latency_and_each_once() -> None:
    sick = [sample("slow", latency=99.0), sample("b", 70), sample("worst", 90, latency=99.0)]
    found = outliers([*(sample(f"well-{number}") for number in range(5)), *sick], SETTINGS)

    assert [Outlier("worst", "errors"), Outlier("b", "errors"), Outlier("slow", "latency")] == found


def test_cap_leaves_the_less_bad_in() -> None:
    chain = [sample("a"), sample("b"), sample("c"), sample("d", 60), sample("e", 90)]

    assert [Outlier("e", "errors")] == outliers(chain, OutlierSettings(max_ejected=0.3))


def test_those_already_out_count_and_are_not_returned_again() -> None:
    chain = [sample("a"), sample("b"), sample("c", 100, ejected=True), sample("d", 90)]
    assert [Outlier("d", "errors")] == outliers(chain, SETTINGS)

    assert [] == outliers([*chain[:3], sample("d", 90, ejected=True)], SETTINGS)


def test_those_already_out_are_no_yardstick() -> None:
    chain = [sample("a"), sample("b", 100, ejected=True), sample("c", 100, ejected=True), sample("d", 50)]

    assert [Outlier("d", "errors")] == outliers(chain, OutlierSettings(max_ejected=0.75))


def test_the_last_one_stays() -> None:
    chain = [sample("a", ejected=True), sample("b", 100)]

    assert [] == outliers(chain, OutlierSettings(max_ejected=1.0))


def test_zero_switches_it_off() -> None:
    assert [] == outliers([sample("a"), sample("b", 100)], OutlierSettings(max_ejected=0.0))


@st.composite
def chains(draw: st.DrawFn) -> list[Sample]:
    drawn = []
    for number in range(draw(st.integers(0, 12))):
        answers = draw(st.integers(0, 100))
        latency = draw(st.none() | st.floats(0, 1e4))
        equal, ejected = draw(st.booleans()), draw(st.booleans())
        drawn.append(Sample(str(number), answers, draw(st.integers(0, answers)), latency, equal, ejected))
    return drawn


@given(chains(), st.floats(0, 1), st.floats(0, 1), st.floats(1, 10), st.integers(0, 50))
def test_never_exceeds_the_cap(chain: list[Sample], cap: float, gap: float, factor: float, least: int) -> None:
    settings = OutlierSettings(error_gap=gap, latency_factor=factor, minimum_requests=least, max_ejected=cap)
    found = [one.name for one in outliers(chain, settings)]
    out = {one.name for one in chain if one.ejected}

    assert len(set(found)) == len(found)
    assert out.isdisjoint(found)
    assert not found or len(out) + len(found) <= min(floor(cap * len(chain)), len(chain) - 1)
