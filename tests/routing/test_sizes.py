"""What deployments teach about lengths."""

import pytest

from proxy.core.names import DeploymentId
from proxy.routing.eligibility import Known
from proxy.routing.sizes import Sizes

HERE, THERE = DeploymentId("a", "m"), DeploymentId("b", "m")


def test_nothing_is_known_at_first() -> None:
    assert (Known(1.0, None), None) == (Sizes().of(HERE, 0.0), Sizes().smallest)


def test_the_ratio_follows_what_is_really_counted() -> None:
    sizes = Sizes()
    sizes.counted(HERE, 1000, 1300)

    assert Known(1.3) == sizes.of(HERE, 0.0)
    sizes.counted(HERE, 1000, 1800)
    assert 1.4 == pytest.approx(sizes.of(HERE, 0.0).ratio)
    assert Known() == sizes.of(THERE, 0.0)


def test_the_largest_ratio_is_at_least_that_of_whoever_is_not_known() -> None:
    sizes = Sizes()
    found = []
    for deployment, tokens in ((HERE, 500), (THERE, 1500), (HERE, 700)):
        found.append(sizes.largest_ratio)
        sizes.counted(deployment, 1000, tokens)

    assert [1.0, 1.0, 1.5] == found


def test_a_ratio_beyond_reason_is_cut() -> None:
    sizes = Sizes()
    sizes.counted(HERE, 1000, 10**9)
    sizes.counted(THERE, 10**9, 1)

    assert [3.0, 0.4] == [sizes.of(each, 0.0).ratio for each in (HERE, THERE)]
    for estimate, tokens in ((0, 10), (10, 0), (-1, -1)):
        sizes.counted(HERE, estimate, tokens)
    assert 3.0 == sizes.of(HERE, 0.0).ratio


def test_a_refusal_teaches_the_window_for_an_hour() -> None:
    sizes = Sizes()
    sizes.refused(HERE, 8000, 9600, 8192, 100.0)

    assert (Known(1.2, 8192), 8192) == (sizes.of(HERE, 3699.0), sizes.smallest)
    assert Known(1.2) == sizes.of(HERE, 3701.0)


@pytest.mark.parametrize(("tokens", "window"), [(100, 8192), (None, None), (None, 3), (None, 10**12)])
def test_a_refusal_that_makes_no_sense_teaches_no_window(tokens: int | None, window: int | None) -> None:
    sizes = Sizes()
    sizes.refused(HERE, None, tokens, window, 0.0)

    assert (Known(), None) == (sizes.of(HERE, 1.0), sizes.smallest)


def test_no_count_is_learned_from_a_limit_that_is_repeated() -> None:
    sizes = Sizes()
    sizes.refused(HERE, 30_000, 8192, 8192, 0.0)

    assert Known(1.0, 8192) == sizes.of(HERE, 1.0)


def test_the_first_counts_are_heard_and_then_one_of_twenty() -> None:
    sizes = Sizes()

    assert [0, 1, 2, 3, 4, 20, 40] == [number for number in range(60) if sizes.is_due(HERE)]
    assert sizes.is_due(THERE)


def test_memory_is_bounded() -> None:
    sizes = Sizes()
    for number in range(5000):
        sizes.counted(DeploymentId("a", str(number)), 10, 12)
        sizes.refused(DeploymentId("a", str(number)), None, None, 1000 + number, 0.0)

    assert (1024, 1024) == (len(sizes._ratios), len(sizes._windows))
    assert Known(1.2, 5999) == sizes.of(DeploymentId("a", "4999"), 0.0)
    assert 1000 + 5000 - 1024 == sizes.smallest


def test_another_window_that_the_server_tells_ends_what_it_refused() -> None:
    sizes = Sizes()
    sizes.refused(HERE, None, None, 4096, 0.0)
    sizes.refused(THERE, None, None, 8192, 0.0)
    sizes.forget_window(HERE)

    assert (None, 8192, 8192) == (sizes.of(HERE, 1.0).window, sizes.of(THERE, 1.0).window, sizes.smallest)
    sizes.forget_window(THERE)
    sizes.forget_window(THERE)
    assert sizes.smallest is None


def test_a_refusal_casts_a_doubt_on_the_server() -> None:
    sizes = Sizes()
    sizes.refused(HERE, None, None, None, 0.0)

    assert {"a"} == sizes.doubts
    sizes.refused(THERE, None, 10, 100_000, 0.0)
    assert {"a"} == sizes.doubts
