"""What passive health knows of the last hundred answers."""

import sys
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.policies.recent import CAPACITY, RecentAnswers

Answer = tuple[bool, bool, float | None, float]

SECONDS = st.floats(0, 1e6)
ANSWERS = st.lists(st.tuples(st.booleans(), st.booleans(), st.none() | SECONDS, SECONDS), max_size=350)


def knowing(*answers: Answer) -> RecentAnswers:
    recent = RecentAnswers()
    for answer in answers:
        recent.record(*answer)
    return recent


def naive(latencies: list[float], share: float, least: int = 1) -> float | None:
    """The smallest latency that at least `share` of them do not exceed."""
    if len(latencies) < max(least, 1):
        return None
    return next(one for rank, one in enumerate(sorted(latencies), 1) if rank >= ceil(share * len(latencies)))


def test_nothing_is_known_at_first() -> None:
    recent = RecentAnswers()

    assert (0, 0) == (recent.count, recent.successes)
    assert recent.success_share() is None
    assert recent.percentile(0.5, stream=True) is None
    assert recent.percentile(0.5, stream=False, least=0) is None
    assert recent.total_percentile(0.5) is None


def test_streams_are_good_at_their_first_content_and_others_at_their_end() -> None:
    recent = knowing((True, True, 0.5, 9.0), (True, False, 0.1, 4.0))

    assert 0.5 == recent.percentile(0.5, stream=True)
    assert 4.0 == recent.percentile(0.5, stream=False)
    assert [4.0, 9.0] == [recent.total_percentile(0.5), recent.total_percentile(1.0)]


def test_failed_answers_have_no_latency() -> None:
    recent = knowing((True, True, 0.5, 9.0), (False, True, 0.01, 0.01), (False, False, None, 0.01))

    assert (3, 1) == (recent.count, recent.successes)
    assert pytest.approx(1 / 3) == recent.success_share()
    assert 0.5 == recent.percentile(0.0, stream=True)
    assert recent.percentile(0.5, stream=False) is None
    assert 9.0 == recent.total_percentile(0.0)


def test_stream_without_a_known_first_content_counts_but_for_its_percentile() -> None:
    recent = knowing((True, True, None, 3.0))

    assert 1 == recent.successes
    assert recent.percentile(0.5, stream=True) is None
    assert 3.0 == recent.total_percentile(0.5)


def test_percentile_needs_enough_answers() -> None:
    recent = knowing(*[(True, True, 1.0, 2.0)] * 19)
    assert recent.percentile(0.95, stream=True, least=20) is None

    recent.record(True, True, 1.0, 2.0)
    assert 1.0 == recent.percentile(0.95, stream=True, least=20)


def test_oldest_answers_are_forgotten() -> None:
    recent = knowing(*[(False, False, None, 1.0)] * CAPACITY)
    assert 0.0 == recent.success_share()

    for number in range(CAPACITY):
        recent.record(True, False, None, float(number))
    assert 1.0 == recent.success_share()
    assert (CAPACITY, 94.0) == (recent.count, recent.percentile(0.95, stream=False))


def test_a_new_answer_changes_what_was_asked_before() -> None:
    recent = knowing((True, False, None, 1.0))
    assert 1.0 == recent.percentile(1.0, stream=False)
    assert 1.0 == recent.percentile(1.0, stream=False)

    recent.record(True, False, None, 2.0)
    assert 2.0 == recent.percentile(1.0, stream=False)


def test_is_small() -> None:
    recent = knowing(*[(True, bool(number % 2), 1.0, 2.0) for number in range(CAPACITY)])
    for share in (0.5, 0.95, 0.99):
        assert recent.percentile(share, stream=True) and recent.percentile(share, stream=False)
        assert recent.total_percentile(share)

    assert 6000 > sys.getsizeof(recent) + sum(
        sys.getsizeof(part) + (sum(map(sys.getsizeof, part.values())) if isinstance(part, dict) else 0)
        for part in (getattr(recent, name) for name in recent.__slots__)
    )


@given(ANSWERS, st.floats(0, 1), st.integers(0, 30))
def test_agrees_with_a_naive_model(answers: list[Answer], share: float, least: int) -> None:
    recent, last = knowing(*answers), answers[-CAPACITY:]
    good = [one for one in last if one[0]]
    streams = [first for _, stream, first, _ in good if stream and first is not None]
    others = [total for _, stream, _, total in good if not stream]

    assert (len(last), len(good)) == (recent.count, recent.successes)
    for _ in range(2):
        assert naive(streams, share, least) == recent.percentile(share, stream=True, least=least)
        assert naive(others, share, least) == recent.percentile(share, stream=False, least=least)
        assert naive([total for *_, total in good], share) == recent.total_percentile(share)
