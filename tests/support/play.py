"""The deciding parts played together on a fake clock, without an event loop: plan, pool, budgets, moves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import repeat

from proxy.config.settings import RouteSettings
from proxy.core.event import Happening
from proxy.core.failure import Failure
from proxy.policies.retry_budget import RetryBudgetSettings
from proxy.pool.budgets import Budgets
from proxy.pool.permit import SUCCEEDED, Permit
from proxy.pool.pool import Pool
from proxy.pool.upkeep import tick
from proxy.routing.next_move import Attempt, GiveUp, History, LastResort, Queue, Return, next_move
from proxy.routing.plan import Plan

OK = "ok"
Answer = str | Return | LastResort | GiveUp | Queue


def always(outcome: Failure | str) -> Iterator[Failure | str]:
    """The same outcome for ever."""
    return repeat(outcome)


def budgets(ratio: float = 0.2, reserve: float = 3.0) -> Budgets:
    """The budget over all traffic alone."""
    return Budgets(RetryBudgetSettings(ratio, reserve))


@dataclass
class Play:
    """A world of scripted deployments. Each attempt takes `takes` seconds."""

    scripts: Mapping[str, Iterable[Failure | str]]
    budgets: Budgets = field(default_factory=budgets)
    keys: int = 1
    takes: float = 0.1
    roll: float = 0.5
    luck: float = 0.0
    now: float = 0.0

    def __post_init__(self) -> None:
        self.pool = Pool(dict.fromkeys(self.scripts, self.keys))
        self.script = {name: iter(outcomes) for name, outcomes in self.scripts.items()}
        self.log: list[tuple[float, str, str]] = []
        self.told: list[Happening] = []
        """Every event that the pool returned."""

    def request(self, plan: Plan) -> Answer:
        """Run one request: the name of who answered, or the last move."""
        history = History(luck=self.luck)
        self.budgets.request(plan.route, self.now)
        while True:
            standings = [self.pool.standing(step.deployment, step.rules, self.now) for step in plan.steps]
            move = next_move(plan, history, standings, _Means(self, plan), self.now)
            if not isinstance(move, Attempt):
                return move
            if self._attempt(plan, history, move):
                return plan.steps[move.step].deployment.upstream

    def requests(self, plan: Plan, count: int) -> list[Answer]:
        """Several requests, one after the other."""
        return [self.request(plan) for _ in range(count)]

    def pass_time(self, seconds: float, routes: Iterable[RouteSettings] = ()) -> None:
        """Let time pass, with the pool's rounds once a second."""
        until, routes = self.now + seconds, list(routes)
        while self.now < until:
            self.now = min(until, self.now + 1.0)
            self.told += tick(self.pool, routes, self.now, 0)

    def _attempt(self, plan: Plan, history: History, move: Attempt) -> bool:
        step = plan.steps[move.step]
        upstream = step.deployment.upstream
        history.panicked |= move.panic
        if move.retry:
            assert self.budgets.withdraw(upstream, self.now)
        history.waited(move.step, max(0.0, move.at - self.now))
        self.now = max(self.now, move.at)
        permit = self.pool.admit(step.deployment, step.rules, self.now, early=move.panic)
        if not isinstance(permit, Permit):
            return False
        self.told += permit.events
        outcome = next(self.script[upstream])
        self.now += self.takes
        self.log.append((round(self.now - self.takes, 3), upstream, getattr(outcome, "code", OK)))
        if isinstance(outcome, Failure):
            self.told += self.pool.report(permit, outcome, self.now, self.roll)
            history.record(plan, move.step, outcome, self.now, self.roll)
            return False
        self.told += self.pool.report(permit, SUCCEEDED, self.now, self.roll)
        return True

    def order(self) -> list[str]:
        """Who was asked, in order."""
        return [name for _, name, _ in self.log]


@dataclass
class _Means:
    play: Play
    plan: Plan

    def pays(self, step: int) -> bool:
        return self.play.budgets.allows(self.plan.steps[step].deployment.upstream, self.play.now)

    def may_queue(self) -> bool:
        return False

    def has_kept(self) -> bool:
        return False
