"""A hedge starts when an answer is late for its own deployment and mode."""

from proxy.policies.hedge import HedgeBudget, HedgeSettings, hedge_delay
from proxy.policies.recent import RecentAnswers


def answering(count: int, *, stream: bool) -> RecentAnswers:
    """Answers that were good after 1, 2, 3 ... seconds."""
    recent = RecentAnswers()
    for number in range(1, count + 1):
        recent.record(True, stream, float(number), number if not stream else number + 100.0)
    return recent


def test_percentile_of_its_own_answers_in_that_mode() -> None:
    streams, others = answering(100, stream=True), answering(20, stream=False)

    assert 95.001 == hedge_delay(HedgeSettings(), streams, stream=True)
    assert 19.001 == hedge_delay(HedgeSettings(), others, stream=False)
    assert 10.001 == hedge_delay(HedgeSettings(percentile=0.5), others, stream=False)


def test_no_hedge_without_knowledge() -> None:
    assert hedge_delay(HedgeSettings(), RecentAnswers(), stream=True) is None
    assert hedge_delay(HedgeSettings(), answering(19, stream=True), stream=True) is None
    assert hedge_delay(HedgeSettings(), answering(100, stream=False), stream=True) is None


def test_fixed_delay_needs_no_knowledge() -> None:
    settings = HedgeSettings(percentile=None, delay=2.5)

    assert 2.5 == hedge_delay(settings, RecentAnswers(), stream=True)
    assert 2.5 == hedge_delay(settings, answering(100, stream=False), stream=False)


def test_neither_means_no_hedge() -> None:
    assert hedge_delay(HedgeSettings(percentile=None), answering(100, stream=True), stream=True) is None


def test_budget_is_a_share_of_requests_however_slowly_they_come() -> None:
    budget, hedges = HedgeBudget(0.05), 0
    for _ in range(1000):
        budget.deposit()
        hedges += budget.withdraw()

    assert 49 <= hedges <= 50


def test_budget_saves_for_no_more_than_a_burst() -> None:
    budget = HedgeBudget(0.5)
    for _ in range(1000):
        budget.deposit()

    assert 10 == sum(budget.withdraw() for _ in range(100))
    assert not budget.allows()


def test_a_change_of_the_share_keeps_what_is_saved() -> None:
    budget = HedgeBudget(0.5)
    for _ in range(4):
        budget.deposit()
    budget.change(0.0)
    budget.deposit()

    assert 2 == sum(budget.withdraw() for _ in range(10))
