"""The deciding parts played together on a fake clock, without an event loop: plan, pool, budget, moves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import repeat

from proxy.core.failure import Failure
from proxy.policies.retry_budget import RetryBudget, RetryBudgetSettings
from proxy.pool.deployment import Rest
from proxy.pool.pool import SUCCEEDED, Pool
from proxy.routing.next_move import Attempt, GiveUp, History, LastResort, Return, next_move
from proxy.routing.plan import Plan

OK = "ok"


def always(outcome: Failure | str) -> Iterator[Failure | str]:
    """The same outcome for ever."""
    return repeat(outcome)


@dataclass
class Play:
    """A world of scripted deployments. Each attempt takes `takes` seconds."""

    scripts: Mapping[str, Iterable[Failure | str]]
    budget: RetryBudget = field(default_factory=lambda: RetryBudget(RetryBudgetSettings()))
    keys: int = 1
    takes: float = 0.1
    roll: float = 0.5
    now: float = 0.0

    def __post_init__(self) -> None:
        self.pool = Pool(dict.fromkeys(self.scripts, self.keys))
        self.script = {name: iter(outcomes) for name, outcomes in self.scripts.items()}
        self.log: list[tuple[float, str, str]] = []

    def request(self, plan: Plan) -> str | Return | LastResort | GiveUp:
        """Run one request: the name of who answered, or the last move."""
        history = History()
        self.budget.deposit(self.now)
        while True:
            standings = [self.pool.standing(step.deployment, self.now) for step in plan.steps]
            move = next_move(plan, history, standings, lambda: self.budget.allows(self.now), self.now)
            if not isinstance(move, Attempt):
                return move
            if self._attempt(plan, history, move):
                return plan.steps[move.step].deployment.upstream

    def _attempt(self, plan: Plan, history: History, move: Attempt) -> bool:
        if move.retry:
            assert self.budget.withdraw(self.now)
        history.waited(move.step, max(0.0, move.at - self.now))
        self.now = max(self.now, move.at)
        id_ = plan.steps[move.step].deployment
        permit = self.pool.admit(id_, self.now)
        if isinstance(permit, Rest):
            return False
        outcome = next(self.script[id_.upstream])
        self.now += self.takes
        self.log.append((round(self.now - self.takes, 3), id_.upstream, getattr(outcome, "code", OK)))
        if isinstance(outcome, Failure):
            self.pool.report(permit, outcome, self.now)
            history.record(plan, move.step, outcome, self.now, self.roll)
            return False
        self.pool.report(permit, SUCCEEDED, self.now)
        return True

    def order(self) -> list[str]:
        """Who was asked, in order."""
        return [name for _, name, _ in self.log]
