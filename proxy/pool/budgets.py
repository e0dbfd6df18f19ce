"""The budgets of extra attempts: over all traffic, of each upstream, and for hedges of each route.

A retry or a panic attempt pays from the budget over all traffic and from its upstream's own. A hedge pays from its
route's share of hedges and from the budget over all traffic: for the upstream that it goes to it is a first attempt, as
a failover is. What one of them refuses is taken from none.
"""

from __future__ import annotations

from collections.abc import Mapping

from proxy.policies.hedge import HedgeBudget
from proxy.policies.retry_budget import RetryBudget, RetryBudgetSettings


class Budgets:
    """All budgets of the process. `now` is monotonic, in seconds."""

    def __init__(
        self,
        overall: RetryBudgetSettings,
        upstreams: Mapping[str, RetryBudgetSettings] | None = None,
        hedges: Mapping[str, float] | None = None,
    ) -> None:
        """`hedges` is the share of requests that may be hedged, by route."""
        self._overall = RetryBudget(overall)
        self._upstreams = {name: RetryBudget(settings) for name, settings in (upstreams or {}).items()}
        self._hedges = {route: HedgeBudget(ratio) for route, ratio in (hedges or {}).items()}

    def change(
        self, overall: RetryBudgetSettings, upstreams: Mapping[str, RetryBudgetSettings], hedges: Mapping[str, float]
    ) -> None:
        """Go by other settings from now on. What has been paid is not forgotten: a change must not pay for a flood."""
        self._overall.change(overall)
        self._upstreams = {name: self._upstreams.get(name) or RetryBudget(each) for name, each in upstreams.items()}
        self._hedges = {route: self._hedges.get(route) or HedgeBudget(ratio) for route, ratio in hedges.items()}
        for name, each in upstreams.items():
            self._upstreams[name].change(each)
        for route, ratio in hedges.items():
            self._hedges[route].change(ratio)

    def request(self, route: str, now: float) -> None:
        """Count a request."""
        self._overall.deposit(now)
        hedges = self._hedges.get(route)
        if hedges is not None:
            hedges.deposit()

    def first_attempt(self, upstream: str, now: float) -> None:
        """Count a request's first attempt at an upstream."""
        budget = self._upstreams.get(upstream)
        if budget is not None:
            budget.deposit(now)

    def allows(self, upstream: str, now: float) -> bool:
        """Whether one more extra attempt at an upstream would be within the budgets."""
        own = self._upstreams.get(upstream)
        return self._overall.allows(now) and (own is None or own.allows(now))

    def withdraw(self, upstream: str, now: float) -> bool:
        """Pay for an extra attempt. False, and nothing is taken, when a budget is used up."""
        if not self.allows(upstream, now):
            return False
        own = self._upstreams.get(upstream)
        return self._overall.withdraw(now) and (own is None or own.withdraw(now))

    def withdraw_hedge(self, route: str, now: float) -> bool:
        """Pay for a hedge. False, and nothing is taken, when a budget is used up."""
        hedges = self._hedges.get(route)
        if hedges is None or not hedges.allows() or not self._overall.allows(now):
            return False
        return hedges.withdraw() and self._overall.withdraw(now)

    def remaining(self, now: float) -> float:
        """The share of the budget over all traffic that is left, from 0 to 1."""
        return self._overall.remaining(now)

    def remaining_of(self, now: float) -> dict[str, float]:
        """The same of each upstream's own."""
        return {name: budget.remaining(now) for name, budget in self._upstreams.items()}
