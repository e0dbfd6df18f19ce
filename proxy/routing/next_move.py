"""What to do next with a request: one pure question, asked again after every event.

`next_move` looks at the plan, at what has been tried, and at when each deployment may be used, and answers with one
move. The executor obeys. The rules, in this order:

1. The deadline is gone: give up.
2. The last failure forbids every other deployment (a caller's fault, a refusal): return it as it is.
3. Try the same deployment again, if the failure's class allows it, tries are left, the wait fits what is left of
   `patience`, and the budget pays.
4. Else the next deployment that can be used, at once.
5. Else wait for the first one that becomes usable before the deadline.
6. Else the last resort.
7. Else give up, with the exact reason.

A retry is another attempt on the same deployment; it pays from the retry budget. A failover, the first attempt on
another one, does not: it is what the chain is for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from proxy.core.failure import DEADLINE_EXCEEDED, Failure, FailureClass, NextDeployment, SameDeployment
from proxy.policies.backoff import backoff
from proxy.pool.pool import Standing
from proxy.routing.plan import Plan


@dataclass(frozen=True, slots=True)
class Tried:
    """One failed attempt of this request."""

    step: int
    failure: Failure
    ready_at: float
    """When the failure's own wait is over (monotonic seconds)."""


@dataclass(slots=True)
class History:
    """What this request has tried so far. Written by the executor, through `record` and `waited`."""

    tried: list[Tried] = field(default_factory=list)
    waits: dict[int, float] = field(default_factory=dict)
    """Seconds that were spent waiting for each step."""

    def record(self, plan: Plan, step: int, failure: Failure, now: float, roll: float) -> None:
        """Add a failed attempt. `roll`, from 0 to 1, is the luck of its backoff."""
        failures = 1 + len(self.of(plan, step))
        wait = 0.0
        if failure.verdict.same is SameDeployment.AFTER_BACKOFF:
            wait = backoff(plan.steps[step].retry.backoff, failures, roll)
            if failure.wait is not None:
                # An overloaded upstream that names a time means it; one that names none to speak of still gets some.
                wait = max(wait, failure.wait)
        self.tried.append(Tried(step, failure, now + wait))

    def of(self, plan: Plan, step: int) -> list[Tried]:
        """The failed attempts on a step's deployment, by identity: two steps may name the same one."""
        deployment = plan.steps[step].deployment
        return [tried for tried in self.tried if plan.steps[tried.step].deployment == deployment]

    def refused_fields(self, plan: Plan, step: int) -> set[str]:
        """The request fields that a step's deployment has rejected in this request."""
        refused = (tried.failure for tried in self.of(plan, step))
        return {
            failure.param
            for failure in refused
            if failure.kind is FailureClass.PARAMETER_UNSUPPORTED and failure.param is not None
        }

    def waited(self, step: int, seconds: float) -> None:
        """Add a wait that was spent on one step."""
        self.waits[step] = self.waits.get(step, 0.0) + seconds


@dataclass(frozen=True, slots=True)
class Attempt:
    """Send the request to this step at this moment (monotonic seconds)."""

    step: int
    at: float
    retry: bool
    """Whether the same deployment was tried before; such an attempt pays from the budget."""
    last: bool
    """Nobody else is left to ask: the first-token timer has until the deadline."""


@dataclass(frozen=True, slots=True)
class Return:
    """Give the client this failure as it is: another deployment would say the same."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class LastResort:
    """Answer with the route's own text."""

    text: str


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Tell the client what was tried. `retry_after` is in seconds, where something is known to be usable then."""

    code: str
    retry_after: float | None = None


Move = Attempt | Return | LastResort | GiveUp


def next_move(
    plan: Plan, history: History, standings: Sequence[Standing], budget_allows: Callable[[], bool], now: float
) -> Move:
    """The next move. `standings` has one entry for each step of the plan, as of `now` (monotonic seconds)."""
    last = history.tried[-1].failure if history.tried else None
    # A timer may fire a hair before its moment, so an attempt that the deadline ended says so itself.
    if now >= plan.deadline or (last is not None and last.code == DEADLINE_EXCEEDED):
        return GiveUp(DEADLINE_EXCEEDED)
    if last is not None and last.verdict.next is NextDeployment.NO:
        return Return(last)
    ready = {
        step: at for step in range(len(plan.steps)) if (at := _ready_at(plan, history, standings, step)) is not None
    }
    for step in _order(plan, history, ready, now):
        retry = bool(history.of(plan, step))
        if ready[step] < plan.deadline and (not retry or budget_allows()):
            return Attempt(step, max(now, ready[step]), retry, last=_is_last(plan, ready, step))
    if last is not None and all(tried.failure.kind is FailureClass.CONTEXT_TOO_LONG for tried in history.tried):
        return Return(last)
    if plan.last_resort is not None:
        return LastResort(plan.last_resort)
    return _give_up(plan, history, standings, now)


def _order(plan: Plan, history: History, ready: dict[int, float], now: float) -> Iterator[int]:
    """The steps in the order of preference of rules 3, 4 and 5."""
    if history.tried and (same := history.tried[-1].step) in ready:
        waiting = history.waits.get(same, 0.0) + max(0.0, ready[same] - now)
        if waiting <= plan.steps[same].retry.patience:
            yield same
    yield from (step for step, at in ready.items() if at <= now and not history.of(plan, step))
    yield from sorted(ready, key=lambda step: (max(now, ready[step]), step))


def _is_last(plan: Plan, ready: dict[int, float], step: int) -> bool:
    """Whether nobody is left to answer if this one is silent: no other deployment in time, and no last resort."""
    here = plan.steps[step].deployment
    others = (at for other, at in ready.items() if plan.steps[other].deployment != here)
    return plan.last_resort is None and all(at >= plan.deadline for at in others)


def _ready_at(plan: Plan, history: History, standings: Sequence[Standing], step: int) -> float | None:
    """When a step may be sent the request, or None if this request must not try it (again)."""
    usable_at = standings[step].usable_at
    failures = history.of(plan, step)
    if not failures:
        return usable_at if _window_may_fit(plan, history, step) else None
    if len(failures) >= plan.steps[step].retry.attempts:
        return None
    last = failures[-1]
    same = last.failure.verdict.same
    alike = [tried for tried in failures if tried.failure.verdict.same is same]
    if same is SameDeployment.AFTER_BACKOFF:
        return max(last.ready_at, usable_at)
    if same is SameDeployment.AFTER_ITS_WAIT:
        return usable_at
    if same is SameDeployment.WITH_ANOTHER_KEY:
        return usable_at if standings[step].rest is None else None
    if same is SameDeployment.ONCE_AT_ONCE:
        return usable_at if len(alike) == 1 else None
    if same is SameDeployment.ONCE_WITHOUT_PARAMETER:
        named = [tried for tried in alike if tried.failure.param == last.failure.param]
        return usable_at if last.failure.param is not None and len(named) == 1 else None
    return None


def _window_may_fit(plan: Plan, history: History, step: int) -> bool:
    """Whether a request that was too long elsewhere may fit here. A window that is not known is given the chance."""
    too_small = [
        plan.steps[tried.step].context for tried in history.tried if tried.failure.kind is FailureClass.CONTEXT_TOO_LONG
    ]
    here = plan.steps[step].context
    return all(context is None or here is None or here > context for context in too_small)


def _give_up(plan: Plan, history: History, standings: Sequence[Standing], now: float) -> GiveUp:
    lasting = {FailureClass.QUOTA, FailureClass.CREDENTIAL, FailureClass.MODEL_GONE}
    causes: list[FailureClass | None] = []
    for step, standing in enumerate(standings):
        failures = history.of(plan, step)
        rest = standing.rest.kind if standing.rest else None
        causes.append(failures[-1].failure.kind if failures else rest)
    usable = [cause for cause in causes if cause not in lasting]
    resting = [(standing.usable_at - now, standing.rest.kind) for standing in standings if standing.rest is not None]
    if usable and all(cause is FailureClass.RATE_LIMITED for cause in usable):
        limited = [left for left, kind in resting if kind is FailureClass.RATE_LIMITED]
        return GiveUp("rate_limit_exceeded", min(limited, default=None))
    if not history.tried:
        return GiveUp("no_healthy_upstream", min((left for left, _ in resting), default=None))
    return GiveUp("upstream_error")
