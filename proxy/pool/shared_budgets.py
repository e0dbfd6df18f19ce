"""The budgets of one of several processes on one host: paid from by all of them together.

Each process writes down what it deposits and withdraws where the others see it (`Paid`), and before it asks whether a
budget pays, it counts what the others have added since it last looked. So the windows of all processes hold the same,
but for what happens in the very moment in which one of them looks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from proxy.policies.retry_budget import RetryBudgetSettings
from proxy.pool.budgets import Budgets


class Paid(Protocol):
    """What the processes have added so far, by name. It only grows."""

    row: int
    """Which of the values is one's own."""

    def add(self, name: str, count: int = 1) -> None:
        """Add to one's own."""

    def by_row(self, name: str) -> list[int]:
        """What each has added."""


class SharedBudgets(Budgets):
    """See above."""

    def __init__(
        self,
        overall: RetryBudgetSettings,
        upstreams: Mapping[str, RetryBudgetSettings],
        hedges: Mapping[str, float],
        paid: Paid,
    ) -> None:
        self._paid = paid
        self._known: dict[str, list[int]] = {}
        """What each process had added when it was last looked at."""
        super().__init__(overall, upstreams, hedges)
        self._begin()

    def change(
        self, overall: RetryBudgetSettings, upstreams: Mapping[str, RetryBudgetSettings], hedges: Mapping[str, float]
    ) -> None:
        """Go by other settings from now on."""
        super().change(overall, upstreams, hedges)
        self._begin()

    def look(self, now: float) -> None:
        """Count what the others have added. To be called every second, since what is seen late is counted as late."""
        self._hear(now)
        for name in self._upstreams:
            self._hear_of(name, now)
        for route in self._hedges:
            self._hear_of_hedges(route)

    def known(self) -> tuple[Budgets, dict[str, list[int]]]:
        """What a process that joins has to know."""
        plain = Budgets.__new__(Budgets)
        plain._overall, plain._upstreams, plain._hedges = self._overall, self._upstreams, self._hedges  # noqa: SLF001
        own = {name: self._with_own(name, values) for name, values in self._known.items()}
        return plain, own

    def join(self, known: tuple[Budgets, dict[str, list[int]]]) -> None:
        """Go on from what another process knew."""
        plain, seen = known
        self._overall, self._upstreams, self._hedges = plain._overall, plain._upstreams, plain._hedges  # noqa: SLF001
        self._known.update(seen)

    def request(self, route: str, now: float) -> None:
        """Count a request."""
        super().request(route, now)
        self._paid.add("+")
        if route in self._hedges:
            self._paid.add(f"+ {route}")

    def first_attempt(self, upstream: str, now: float) -> None:
        """Count a request's first attempt at an upstream."""
        super().first_attempt(upstream, now)
        if upstream in self._upstreams:
            self._paid.add(f"+/{upstream}")

    def allows(self, upstream: str, now: float) -> bool:
        """Whether one more extra attempt at an upstream would be within the budgets."""
        self._hear(now)
        self._hear_of(upstream, now)
        return super().allows(upstream, now)

    def withdraw(self, upstream: str, now: float) -> bool:
        """Pay for an extra attempt. False, and nothing is taken, when a budget is used up."""
        paid = super().withdraw(upstream, now)
        if paid:
            self._paid.add("-")
            self._paid.add(f"-/{upstream}")
        return paid

    def withdraw_hedge(self, route: str, now: float) -> bool:
        """Pay for a hedge. False, and nothing is taken, when a budget is used up."""
        self._hear(now)
        self._hear_of_hedges(route)
        paid = super().withdraw_hedge(route, now)
        if paid:
            self._paid.add("-")
            self._paid.add(f"- {route}")
        return paid

    def remaining(self, now: float) -> float:
        """The share of the budget over all traffic that is left, from 0 to 1."""
        self._hear(now)
        return super().remaining(now)

    def remaining_of(self, now: float) -> dict[str, float]:
        """The same of each upstream's own."""
        for name in self._upstreams:
            self._hear_of(name, now)
        return super().remaining_of(now)

    def _hear(self, now: float) -> None:
        self._overall.heard(self._new("+"), self._new("-"), now)

    def _hear_of(self, upstream: str, now: float) -> None:
        budget = self._upstreams.get(upstream)
        if budget is not None:
            budget.heard(self._new(f"+/{upstream}"), self._new(f"-/{upstream}"), now)

    def _hear_of_hedges(self, route: str) -> None:
        budget = self._hedges.get(route)
        if budget is not None:
            budget.heard(self._new(f"+ {route}"), self._new(f"- {route}"))

    def _begin(self) -> None:
        """What was added before this process knew of a budget is not counted as new."""
        names = ["", *(f"/{name}" for name in self._upstreams), *(f" {route}" for route in self._hedges)]
        for name in (f"{sign}{each}" for each in names for sign in "+-"):
            if name not in self._known:
                self._known[name] = self._paid.by_row(name)

    def _new(self, name: str) -> int:
        """What the others have added since this was last asked."""
        values, known = self._paid.by_row(name), self._known[name]
        self._known[name] = values
        own = self._paid.row
        return sum(values) - values[own] - sum(known) + known[own]

    def _with_own(self, name: str, values: list[int]) -> list[int]:
        """The values as known to us: of the others as last looked at, of our own as they are."""
        own = self._paid.row
        return [*values[:own], self._paid.by_row(name)[own], *values[own + 1 :]]
