"""Budgets of several processes of one host: paid from by all of them together."""

import pickle

from proxy.policies.retry_budget import RetryBudgetSettings
from proxy.pool.shared_budgets import SharedBudgets
from proxy.workers.table import Counts, Table

TEN = RetryBudgetSettings(0.0, 1.0)
SHARE = RetryBudgetSettings(0.5, 0.0)


def budgets(size: int, settings: RetryBudgetSettings, hedges: float = 0.5) -> tuple[Table, list[SharedBudgets]]:
    table = Table(4, lasting=True)
    return table, [made(table, row, settings, hedges) for row in range(size)]


def made(table: Table, row: int, settings: RetryBudgetSettings, hedges: float = 0.5) -> SharedBudgets:
    return SharedBudgets(settings, {"a": settings}, {"r": hedges}, Counts(table, row))


def test_a_reserve_is_given_once_to_all_together() -> None:
    _, (one, two) = budgets(2, TEN)
    paid = [each.withdraw("a", 5.0) for _ in range(10) for each in (one, two)]

    assert [True] * 10 + [False] * 10 == paid
    assert (0.0, 0.0) == (one.remaining(5.0), two.remaining(5.0))


def test_requests_of_one_pay_for_retries_of_another() -> None:
    _, (one, two) = budgets(2, SHARE)
    for _ in range(4):
        one.request("r", 5.0)
        one.first_attempt("a", 5.0)

    assert [True, True, False] == [two.withdraw("a", 5.0) for _ in range(3)]
    assert {"a": 0.0} == one.remaining_of(5.0)


def test_hedges_are_paid_for_by_all_together() -> None:
    _, (one, two) = budgets(2, TEN)
    for _ in range(2):
        one.request("r", 5.0)
        two.request("r", 5.0)

    assert [True, True, False] == [two.withdraw_hedge("r", 5.0) for _ in range(3)]
    assert not one.withdraw_hedge("r", 5.0)


def test_what_was_paid_long_ago_is_not_counted_by_whoever_joins() -> None:
    table, (one, two) = budgets(2, SHARE)
    for _ in range(100):
        two.request("r", 5.0)
        two.first_attempt("a", 5.0)
    one.look(5.0)
    joining = made(table, 2, SHARE)
    joining.join(pickle.loads(pickle.dumps(one.known())))  # noqa: S301 - our own

    assert joining.allows("a", 5.0)
    assert not joining.allows("a", 30.0)


def test_a_first_look_counts_nothing_of_before() -> None:
    table, (one,) = budgets(1, SHARE)
    for _ in range(100):
        one.request("r", 5.0)
        one.first_attempt("a", 5.0)

    assert not made(table, 1, SHARE).allows("a", 6.0)
