"""What other processes of the host have seen and decided: how an outcome is told, and how it is taken up here.

Theory of operation
-------------------

An outcome is booked as if the attempt had been made here, at the time at which it happened. Two things set it apart.

It moves no breaker. A failure is counted, and left to `judge`; one from before the breaker moved has been judged by
whoever moved it, and is not.

It comes late. Meanwhile something else may have happened here, or have been heard of from a quicker process. What is
older than a known success ends no failures in a row and adds none; what is older than a known failure starts no count
anew; and what was last stays what was last. So all come to the same, in whatever order they hear.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from proxy.core.failure import Failure, FailureClass
from proxy.policies.breaker import NO_PERIOD
from proxy.policies.recent import RecentAnswers
from proxy.pool.bookkeeping import book_failure, book_success
from proxy.pool.deployment import Deployment
from proxy.pool.guard import GuardTwin, mark
from proxy.pool.permit import Outcome, Permit
from proxy.pool.upstream import Upstream

Told = tuple[int, bool, bool, bool, float, float | None, tuple[Any, ...] | None, float]
"""An outcome on its way to other processes, without what it said: an upstream's words are nobody's business.

In this order: the key, whether it was a stream, for vectors, and a probe, when it was admitted and when its content was
good, the failure's parts (None for a success), and when it was over.
"""


class _InARow(NamedTuple):
    """Failures in a row, in all places that count them."""

    of_deployment: int
    of_guards: Sequence[int]


def told_outcome(permit: Permit, outcome: Outcome, now: float) -> Told:
    """What others have to know of a success or of a failure."""
    failed = None
    if isinstance(outcome, Failure):
        failed = (outcome.kind.value, outcome.code, outcome.wait, outcome.param, outcome.value_only)
    stream, embeds, probe = permit.stream, permit.embeds, permit.probe
    return permit.key, stream, embeds, probe, permit.admitted_at, permit.good_at, failed, now


def as_if_here(deployment: Deployment, upstream: Upstream, key: int, admitted_at: float) -> Permit:
    """A permit as if an attempt had been made here. It is under way nowhere."""
    tickets = [(guard, guard.breaker.watch()) for guard in deployment.guards]
    key = min(key, len(upstream.slots) - 1)
    return Permit(deployment, upstream, key, upstream.slots[key], admitted_at, tickets)


def take_up_outcome(deployment: Deployment, upstream: Upstream, hour: int, outcome: Told) -> None:
    """Book what became of another process's attempt."""
    key, stream, embeds, probe, admitted_at, good_at, failed, now = outcome
    permit = as_if_here(deployment, upstream, key, admitted_at)
    permit.stream, permit.embeds, permit.probe, permit.good_at = stream, embeds, probe, good_at
    if failed is None:
        _take_up_success(permit, now, hour)
    else:
        kind, code, wait, param, value_only = failed
        failure = Failure(FailureClass(kind), code, wait=wait, param=param, value_only=value_only)
        _take_up_failure(permit, failure, now, hour)


def take_up_guards(deployment: Deployment, twins: Sequence[GuardTwin]) -> None:
    """Go where the guards of another process stand."""
    for guard in deployment.guards:
        own = mark(guard.rules)
        twin = next((each for each in twins if each.mark == own), None)
        if twin is not None and guard.adopt(twin):
            # As when it came back here: what it did before says nothing about it any more.
            deployment.recent = RecentAnswers()


def take_up_rejected(deployment: Deployment, rules: int) -> None:
    """Count a request that a breaker of another process kept away; `rules` are told by their mark."""
    for guard in deployment.guards:
        guard.breaker.rejected += mark(guard.rules) == rules


def take_up_end_of_rest(deployment: Deployment, upstream: Upstream, key: int | None, *, everywhere: bool) -> None:
    """End a rest that a probe of another process has ended: of a key here or everywhere; None: of the deployment."""
    if key is None:
        deployment.rest = None
    elif key < len(upstream.slots):
        (upstream.key_rests if everywhere else deployment.key_rests).pop(upstream.slots[key], None)


def _take_up_success(permit: Permit, now: float, hour: int) -> None:
    deployment = permit.deployment
    last, failed_at = deployment.last_success_at, deployment.last_failure_at
    in_a_row = _in_a_row(deployment) if failed_at is not None and failed_at > now else None
    book_success(permit, now, hour)
    if in_a_row is not None:
        # A failure has come since: it ended nothing.
        _put_back(in_a_row, deployment)
    if last is not None and last > now:
        deployment.last_success_at = last


def _take_up_failure(permit: Permit, failure: Failure, now: float, hour: int) -> None:
    deployment = permit.deployment
    last, last_at, in_a_row = deployment.last_failure, deployment.last_failure_at, _in_a_row(deployment)
    # Breakers that heard of it in their period would move.
    permit.tickets = [(guard, NO_PERIOD) for guard in deployment.guards]
    book_failure(permit, failure, now, hour, roll=0.0)
    if failure.verdict.counts:
        for guard in deployment.guards:
            guard.failed_elsewhere(now)
    if last_at is not None and last_at > now:
        deployment.last_failure, deployment.last_failure_at = last, last_at
    if deployment.last_success_at is not None and deployment.last_success_at > now:
        # It was over before it was heard of.
        _put_back(in_a_row, deployment)


def _in_a_row(deployment: Deployment) -> _InARow:
    return _InARow(deployment.consecutive_failures, [guard.breaker.consecutive for guard in deployment.guards])


def _put_back(in_a_row: _InARow, deployment: Deployment) -> None:
    deployment.consecutive_failures = in_a_row.of_deployment
    for guard, failures in zip(deployment.guards, in_a_row.of_guards, strict=True):
        guard.breaker.consecutive = failures
