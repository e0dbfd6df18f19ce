"""One deployment's state: what it has done lately, what guards it, and whether it rests.

A *rest* keeps requests away until a reset time that is known beforehand. It can hold for one key of the upstream's
pool on this deployment (a rate limit), for one key everywhere (a quota, a refused credential; kept with the upstream)
or for the deployment itself (a model that is gone). Times are monotonic seconds, handed in.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from proxy.config.settings import Rules
from proxy.core.failure import Failure, FailureClass
from proxy.core.names import DeploymentId
from proxy.policies.breaker import BreakerState
from proxy.policies.recent import RecentAnswers
from proxy.pool.guard import Guard
from proxy.pool.rest import Rest


class Order(NamedTuple):
    """What an operator has ordered, until when (monotonic seconds; infinity for lasting), and why."""

    kind: Literal["drain", "disable"]
    until: float
    reason: str | None


class Weight(NamedTuple):
    """A weight that an operator has set in place of the configured ones; the rest as in `Order`."""

    value: float
    until: float
    reason: str | None


class Ejection(NamedTuple):
    """Left out because its siblings do far better: until when, and whether for `errors` or `latency`."""

    until: float
    reason: str


@dataclass(slots=True)
class Deployment:
    """The mutable record of one deployment. Only the pool writes it."""

    id: DeploymentId
    guards: list[Guard] = field(default_factory=list)
    """One for each distinct set of rules."""
    former: list[tuple[Rules, Guard]] = field(default_factory=list)
    """Rules that are no longer in force, and the guards that took over: requests that began before ask by them."""
    recent: RecentAnswers = field(default_factory=RecentAnswers)
    rest: Rest | None = None
    """The rest of the deployment itself, whatever the key."""
    key_rests: dict[int, Rest] = field(default_factory=dict)
    """By slot of the key: rests that hold for this deployment only."""
    refusals: dict[int, int] = field(default_factory=dict)
    """By slot of the key: rate-limit refusals in a row; those of one burst of requests count as one."""
    refused_at: dict[int, float] = field(default_factory=dict)
    """By slot of the key: when the last refusal that counted was reported."""
    order: Order | None = None
    weight: Weight | None = None
    ejection: Ejection | None = None
    in_flight: int = 0
    embeds: bool = False
    """It served vectors last: a question in words would be one too many for it."""
    streams: bool = True
    """Whether the last request that it answered was streamed: the mode in which to probe it."""
    succeeded: int = 0
    failed: int = 0
    consecutive_failures: int = 0
    last_failure: str | None = None
    last_failure_at: float | None = None
    last_success_at: float | None = None
    last_served_at: float | None = None
    """The last good answer to a client; probes do not count."""
    headroom: float | None = None
    """The share of its rate limits that is left, where its last good answer told."""
    headroom_at: float = 0.0
    refused_parameters: set[str] = field(default_factory=set)
    """Optional request fields that this model has rejected; they are left out from then on."""

    def guard(self, rules: Rules, now: float) -> Guard:
        """The guard of a set of rules, made when first asked for."""
        # Equal rules are one object, so comparing them is the exception.
        for guard in self.guards:
            if guard.rules is rules:
                return guard
        for guard in self.guards:
            if guard.rules == rules:
                return guard
        for former, guard in self.former:
            if former == rules:
                return guard
        guard = Guard(self.id, rules, now)
        self.guards.append(guard)
        return guard

    @property
    def ordered(self) -> bool:
        """Whether an operator has said how it is to be treated."""
        forced = any(guard.breaker.forced for guard in self.guards)
        return forced or self.order is not None or self.weight is not None

    @property
    def troubled(self) -> bool:
        """Whether something is known of it that keeps requests away, or has lately."""
        out = any(guard.breaker.state is not BreakerState.CLOSED or guard.returning for guard in self.guards)
        return out or self.rest is not None or bool(self.key_rests) or self.ejection is not None

    def record_success(self, slot: int, now: float) -> None:
        """An answer that passed the checks, given to the key of a slot."""
        self.succeeded += 1
        self.consecutive_failures = 0
        if self.refusals:
            self.refusals.pop(slot, None)
        self.last_success_at = now

    def record_refusal(self, slot: int, admitted_at: float, now: float) -> None:
        """A rate-limit refusal of a slot's key, for an attempt that was admitted at the given time."""
        if admitted_at >= self.refused_at.get(slot, admitted_at):
            self.refusals[slot] = self.refusals.get(slot, 0) + 1
            self.refused_at[slot] = now

    def record_failure(self, failure: Failure, now: float) -> None:
        """A failed attempt. Only what counts against health feeds the count in a row."""
        self.failed += 1
        self.last_failure = failure.code
        self.last_failure_at = now
        if failure.verdict.counts:
            self.consecutive_failures += 1
        if failure.kind is FailureClass.PARAMETER_UNSUPPORTED and failure.param is not None and not failure.value_only:
            self.refused_parameters.add(failure.param)
