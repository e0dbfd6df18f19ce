"""Retries are a bounded share of traffic."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.policies.retry_budget import RetryBudget, RetryBudgetSettings


def spend(budget: RetryBudget, now: float) -> int:
    spent = 0
    while budget.withdraw(now):
        spent += 1
    return spent


def test_reserve_lets_a_quiet_proxy_retry() -> None:
    assert 30 == spend(RetryBudget(RetryBudgetSettings(ratio=0.2, min_per_second=3)), 100.0)


def test_ratio_of_requests_on_top_of_the_reserve() -> None:
    budget = RetryBudget(RetryBudgetSettings(ratio=0.2, min_per_second=0))
    for _ in range(100):
        budget.deposit(5.0)

    assert 20 == spend(budget, 5.0)
    assert not budget.allows(5.0)


def test_window_forgets() -> None:
    budget = RetryBudget(RetryBudgetSettings(ratio=0.2, min_per_second=0))
    for _ in range(100):
        budget.deposit(5.0)
    spend(budget, 5.0)

    assert not budget.allows(14.9)
    for _ in range(10):
        budget.deposit(16.0)
    assert 2 == spend(budget, 16.0)


def test_nothing_is_allowed_without_ratio_and_reserve() -> None:
    budget = RetryBudget(RetryBudgetSettings(ratio=0, min_per_second=0))
    budget.deposit(1.0)

    assert not budget.withdraw(1.0)
    assert 0.0 == budget.remaining(1.0)


def test_refused_withdrawal_takes_nothing() -> None:
    budget = RetryBudget(RetryBudgetSettings(ratio=0, min_per_second=0.1))

    assert [True, False, False] == [budget.withdraw(0.5) for _ in range(3)]
    assert 0.0 == budget.remaining(0.5)
    assert 1.0 == budget.remaining(60.0)


@given(
    st.lists(st.tuples(st.floats(0, 3), st.booleans()), max_size=200),
    st.floats(0, 1),
    st.floats(0, 5),
)
def test_never_exceeds_the_share_in_any_window(steps: list[tuple[float, bool]], ratio: float, reserve: float) -> None:
    budget = RetryBudget(RetryBudgetSettings(ratio=ratio, min_per_second=reserve))
    now, deposits, withdrawals = 0.0, [], []
    for pause, is_request in steps:
        now += pause
        if is_request:
            budget.deposit(now)
            deposits.append(now)
        elif budget.withdraw(now):
            withdrawals.append(now)
            recent = [at for at in withdrawals if int(now) - int(at) < 10]
            requests = [at for at in deposits if int(now) - int(at) < 10]
            assert len(recent) <= ratio * len(requests) + reserve * 10 + 1e-9


def test_remaining_is_a_share() -> None:
    budget = RetryBudget(RetryBudgetSettings(ratio=0, min_per_second=1))
    for _ in range(5):
        budget.withdraw(0.0)

    assert pytest.approx(0.5) == budget.remaining(0.0)


def test_a_change_of_settings_pays_for_no_flood() -> None:
    budget = RetryBudget(RetryBudgetSettings(ratio=0.2, min_per_second=3))
    for _ in range(100):
        budget.deposit(5.0)
    assert 50 == spend(budget, 5.0)
    budget.change(RetryBudgetSettings(ratio=0.2, min_per_second=3))
    assert 0 == spend(budget, 5.0)
    budget.change(RetryBudgetSettings(ratio=0.5, min_per_second=1))
    assert 10 == spend(budget, 5.0)
