"""What to do next with a request: one pure question, asked again after every event.

`next_move` looks at the plan, at what has been tried, and at when each deployment may be used, and answers with one
move. The executor obeys. The rules, in this order:

1. The deadline is gone: give up.
2. The last failure forbids every other deployment (a caller's fault, a refusal): return it as it is.
3. Try the same deployment again, if the failure's class allows it, tries are left, the wait fits what is left of
   `patience`, and the budget pays.
4. Else the next deployment that can be used, at once; first those that should have their share of traffic.
5. Else wait for the first one that becomes usable before the deadline: a place at one that is full, or the end of a
   rest. An open breaker is not waited for: nothing says that its deployment will be well when its time is over.
6. Else panic: if too much of the chain is out at once, try one whose breaker is open before its time.
7. Else the last resort.
8. Else give up, with the exact reason.

A retry is another attempt on the same deployment; it pays from the retry budget, and so does a panic. A failover, the
first attempt on another one, does not: it is what the chain is for.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from msgspec import Struct

from proxy.core.failure import DEADLINE_EXCEEDED, Failure, FailureClass, NextDeployment, SameDeployment
from proxy.core.wire import Wire, own_form_of
from proxy.policies.backoff import backoff
from proxy.pool.standing import Hold, Standing
from proxy.routing.plan import Plan, PlannedStep
from proxy.streams.resume import ResumeMode

_SOON_S = 1.0
"""What a client is told to wait for what ends soon, though nobody knows when: a place, the end of a probe."""
_WAYS = frozenset({*ResumeMode, *map(own_form_of, Wire)})
"""What may have been refused instead of a field of the request: a way to go on with a broken answer, or a language."""
_ABOUT_THE_REQUEST: Final = frozenset({FailureClass.CONTEXT_TOO_LONG, FailureClass.NOT_CARRIED})
"""What nobody could serve for a reason of the request's own: its client is told that, and may change it."""
_OUT: Final = frozenset({Hold.OPEN, Hold.PROBING, Hold.OFF})
"""What is not waited for: nothing says that the deployment will be well when it ends."""
_USEFUL_S = 1.0
_USEFUL_SHARE = 0.1
"""The time that must be left for an attempt after a wait for a place: a tenth of the request's, at most a second."""


class Tried(Struct, frozen=True):
    """One failed attempt of this request."""

    step: int
    failure: Failure
    ready_at: float
    """When the failure's own wait is over (monotonic seconds)."""


class History(Struct):
    """What this request has tried so far. Written by the executor, through `record` and `waited`."""

    tried: list[Tried] = []
    waits: dict[int, float] = {}
    """Seconds that were spent waiting for each step."""
    luck: float = 0.0
    """From 0 to 1, drawn once for the request: it passes over deployments whose share of traffic is not above it."""
    panicked: bool = False
    """Whether the request has made its attempt in a panic; it makes one at most."""

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
        if not self.tried:
            return []
        deployment = plan.steps[step].deployment
        return [tried for tried in self.tried if plan.steps[tried.step].deployment == deployment]

    def retries(self, plan: Plan, step: int) -> int:
        """How many of these count as tries: one that only refused a way of asking has cost nothing to speak of."""
        return _tries(self.of(plan, step))

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


class Attempt(Struct, frozen=True):
    """Send the request to this step at this moment (monotonic seconds)."""

    step: int
    at: float
    retry: bool
    """Whether the same deployment was tried before; such an attempt pays from the budget."""
    last: bool
    """Nobody else is left to ask: the first-token timer has until the deadline."""
    panic: bool = False
    """Its breaker is open, and is asked to admit before its time; such an attempt pays from the budget, too."""


@dataclass(frozen=True, slots=True)
class Queue:
    """Wait for a place at one of these steps, until a moment at which there is something else to do."""

    steps: tuple[int, ...]
    until: float
    last: bool = False
    """As of an attempt: nobody else is left to ask."""


@dataclass(frozen=True, slots=True)
class Return:
    """Give the client this failure as it is: another deployment would say the same."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class LastResort:
    """Answer with what the route has for when all fail."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Tell the client what was tried. `retry_after` is in seconds, where something is known to be usable then."""

    code: str
    retry_after: float | None = None


Move = Attempt | Queue | Return | LastResort | GiveUp


class Means(Protocol):
    """What a request has at its disposal besides the deployments."""

    def pays(self, step: int) -> bool:
        """Whether the budgets pay for an extra attempt on a step."""

    def may_queue(self) -> bool:
        """Whether there is room to wait for a place."""

    def has_kept(self) -> bool:
        """Whether an earlier good answer to the same request is at hand."""


def next_move(plan: Plan, history: History, standings: Sequence[Standing], means: Means, now: float) -> Move:
    """The next move. `standings` has one entry for each step of the plan, as of `now` (monotonic seconds)."""
    last = history.tried[-1].failure if history.tried else None
    # A timer may fire a hair before its moment, so an attempt that the deadline ended says so itself.
    if now >= plan.deadline or (last is not None and last.code == DEADLINE_EXCEEDED):
        return GiveUp(DEADLINE_EXCEEDED)
    if last is not None and last.verdict.next is NextDeployment.NO:
        return Return(last)
    failures = [history.of(plan, step) for step in range(len(plan.steps))]
    ready = _ready(plan, history, standings, failures)
    queue = _queue(plan, standings, ready, failures, means, now)
    for step in _order(plan, history, standings, ready, failures, now):
        if ready[step] > now and queue is not None:
            break
        retry = _tries(failures[step]) > 0
        if ready[step] < plan.deadline and (not retry or means.pays(step)):
            return Attempt(step, max(now, ready[step]), retry, last=_is_last(plan, ready, step))
    if queue is not None:
        return queue
    doubtful = _panic(plan, history, standings, failures, now)
    if doubtful is not None and means.pays(doubtful):
        return Attempt(doubtful, now, retry=True, last=False, panic=True)
    if last is not None and all(tried.failure.kind in _ABOUT_THE_REQUEST for tried in history.tried):
        return Return(last)
    if plan.last_resort is not None and (plan.last_resort.text is not None or means.has_kept()):
        return LastResort()
    return _give_up(history, standings, failures, now)


def _order(
    plan: Plan,
    history: History,
    standings: Sequence[Standing],
    ready: dict[int, float],
    failures: Sequence[list[Tried]],
    now: float,
) -> Iterator[int]:
    """The steps in the order of preference of rules 3, 4 and 5; those that are full are not among them."""
    free = {step: at for step, at in ready.items() if standings[step].hold is not Hold.FULL}
    if history.tried and (same := history.tried[-1].step) in free:
        waiting = history.waits.get(same, 0.0) + max(0.0, free[same] - now)
        if waiting <= plan.steps[same].retry.patience:
            yield same
    fresh = [step for step, at in free.items() if at <= now and not failures[step]]
    yield from [step for step in fresh if _has_its_turn(plan, history, standings, step)]
    yield from fresh
    yield from sorted(free, key=lambda step: (max(now, free[step]), step))


def _has_its_turn(plan: Plan, history: History, standings: Sequence[Standing], step: int) -> bool:
    """Whether the request is among the share that the step should get. A weighted draw has seen to that already."""
    share = standings[step].share
    return history.luck < share if plan.strategy == "sequential" else share > 0


def _queue(
    plan: Plan,
    standings: Sequence[Standing],
    ready: dict[int, float],
    failures: Sequence[list[Tried]],
    means: Means,
    now: float,
) -> Queue | None:
    """The wait for a place at those that could be tried now if they were not full; None where there is no such wait.

    It ends when another step may have become usable, and so early that an attempt would still have some time.
    """
    full = [
        step
        for step, at in ready.items()
        if standings[step].hold is Hold.FULL and at <= now and (not _tries(failures[step]) or means.pays(step))
    ]
    if not full or not means.may_queue():
        return None
    changes = [at for step, at in ready.items() if step not in full]
    changes += [standing.usable_at for standing in standings if standing.hold in {Hold.OPEN, Hold.OFF}]
    useful = plan.deadline - min(_USEFUL_S, plan.patience * _USEFUL_SHARE)
    until = min([useful, *(at for at in changes if at > now)])
    return Queue(tuple(full), until, last=_is_last(plan, ready, full[0])) if until > now else None


def _panic(
    plan: Plan, history: History, standings: Sequence[Standing], failures: Sequence[list[Tried]], now: float
) -> int | None:
    """The step to try although its breaker is open, the one whose time comes first; None where that is not called for.

    "Too much" is a share of the whole chain, those included that this request has tried.
    """
    out = sum(standing.hold not in {None, Hold.FULL} for standing in standings)
    if plan.panic is None or history.panicked or not out or out < plan.panic * len(standings):
        return None
    open_ = [
        step
        for step, standing in enumerate(standings)
        if standing.hold is Hold.OPEN and standing.early_at <= now and not failures[step]
    ]
    return min(open_, key=lambda step: standings[step].usable_at, default=None)


def _is_last(plan: Plan, ready: dict[int, float], step: int) -> bool:
    """Whether nobody is left to answer if this one is silent: no other deployment in time, and no last resort."""
    if plan.last_resort is not None:
        return False
    here = plan.steps[step].deployment
    others = [at for other, at in ready.items() if plan.steps[other].deployment != here]
    return not others or min(others) >= plan.deadline


def _ready(
    plan: Plan, history: History, standings: Sequence[Standing], failures: Sequence[list[Tried]]
) -> dict[int, float]:
    """When each step may be sent the request; those that must not be, or not again, are left out."""
    too_small = _too_small(plan, history)
    ready: dict[int, float] = {}
    for step, standing in enumerate(standings):
        if standing.hold in _OUT:
            continue
        if failures[step]:
            at = _again_at(plan.steps[step], standing, failures[step])
        else:
            at = standing.usable_at if not too_small or _may_fit(plan.steps[step], too_small) else None
        if at is not None:
            ready[step] = at
    return ready


def _again_at(step: PlannedStep, standing: Standing, failures: list[Tried]) -> float | None:
    """When a step may be sent a request that has failed there; None for not again."""
    usable_at = standing.usable_at
    if standing.doubtful:
        # Its breaker has opened since, and others find out whether it is well.
        return None
    if _tries(failures) >= step.retry.attempts:
        return None
    last = failures[-1]
    same = last.failure.verdict.same
    alike = [tried for tried in failures if tried.failure.verdict.same is same]
    if same is SameDeployment.AFTER_BACKOFF:
        return max(last.ready_at, usable_at)
    if same is SameDeployment.AFTER_ITS_WAIT:
        return usable_at
    if same is SameDeployment.WITH_ANOTHER_KEY:
        return usable_at if standing.rest is None else None
    if same is SameDeployment.ONCE_AT_ONCE:
        return usable_at if len(alike) == 1 else None
    if same is SameDeployment.ONCE_WITHOUT_PARAMETER:
        named = [tried for tried in alike if tried.failure.param == last.failure.param]
        return usable_at if last.failure.param is not None and len(named) == 1 else None
    return None


def _tries(failures: list[Tried]) -> int:
    """How many of the failures of one deployment count as tries."""
    return sum([tried.failure.param not in _WAYS for tried in failures])


def _too_small(plan: Plan, history: History) -> list[int | None]:
    """The windows, where they are known, of those for whom the request was too long."""
    return [
        plan.steps[tried.step].context if tried.failure.window is None else tried.failure.window
        for tried in history.tried
        if tried.failure.kind is FailureClass.CONTEXT_TOO_LONG
    ]


def _may_fit(step: PlannedStep, too_small: Sequence[int | None]) -> bool:
    """Whether a request that was too long elsewhere may fit here. A window that is not known is given the chance."""
    here = step.context
    return all(context is None or here is None or here > context for context in too_small)


def _give_up(history: History, standings: Sequence[Standing], failures: Sequence[list[Tried]], now: float) -> GiveUp:
    lasting = {FailureClass.QUOTA, FailureClass.CREDENTIAL, FailureClass.MODEL_GONE}
    causes: list[FailureClass | Hold | None] = []
    for standing, here in zip(standings, failures, strict=True):
        held = standing.rest.kind if standing.rest else standing.hold
        if held is not Hold.OFF:
            causes.append(here[-1].failure.kind if here else held)
    usable = [cause for cause in causes if cause not in lasting]
    if usable and all(cause is FailureClass.RATE_LIMITED for cause in usable):
        limited = [
            standing.usable_at - now
            for standing in standings
            if standing.rest is not None and standing.rest.kind is FailureClass.RATE_LIMITED
        ]
        return GiveUp("rate_limit_exceeded", min(limited, default=None))
    if any(standing.hold is Hold.FULL for standing in standings):
        return GiveUp("overloaded", _SOON_S)
    waits = [_wait(standing, now) for standing in standings if standing.hold is not None or standing.doubtful]
    known = min((wait for wait in waits if math.isfinite(wait)), default=None)
    broken = any(standing.hold in {Hold.OPEN, Hold.PROBING} or standing.doubtful for standing in standings)
    if not history.tried or (broken and all(each.hold is not None or each.doubtful for each in standings)):
        return GiveUp("no_healthy_upstream", known)
    return GiveUp("upstream_error")


def _wait(standing: Standing, now: float) -> float:
    """Seconds until it is worth asking again; infinity when nobody knows."""
    wait = standing.usable_at - now
    probed = standing.hold is Hold.PROBING or standing.doubtful
    return _SOON_S if probed and not 0 < wait < math.inf else wait
