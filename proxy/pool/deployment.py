"""One deployment's state: what it has done lately, and whether it rests.

A *rest* keeps requests away until a reset time that is known beforehand. It can hold for one key of the upstream's
pool on this deployment (a rate limit), for one key everywhere (a quota, a refused credential; kept by the pool) or for
the deployment itself (a model that is gone). Times are monotonic seconds, handed in.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from proxy.core.failure import Failure, FailureClass
from proxy.core.names import DeploymentId

_LASTING = 300.0
"""Seconds that a quota, a refused credential or a missing model rests when no reset time is known. Short enough that a
topped-up account is noticed soon, long enough that a dead one is not asked on every request."""

_LIMITED = 1.0
"""Seconds that a rate-limited key rests at first when no reset time is known; doubled with each further refusal."""

_LONGEST_LIMITED = 60.0
_SHORTEST = 0.1
"""Hints below a tenth of a second are taken for none: obeyed to the letter, they would mean hammering."""
_LONGEST = 86_400.0
"""A day: no upstream's hint is believed beyond it."""


class Rest(NamedTuple):
    """Until when (monotonic seconds), and the class of the failure that caused it."""

    until: float
    kind: FailureClass

    @property
    def reason(self) -> str:
        """The cause in a word, for people: `rate_limited`, `quota`, `credential`, `model_gone`."""
        return self.kind.value


def rest_for(failure: Failure, now: float, refusals: int) -> Rest:
    """The rest that a failure calls for; `refusals` counts those in a row, this one included."""
    if failure.wait is not None and failure.wait >= _SHORTEST:
        duration = failure.wait
    elif failure.kind is FailureClass.RATE_LIMITED:
        duration = min(_LIMITED * 2.0 ** min(refusals - 1, 16), _LONGEST_LIMITED)
    else:
        duration = _LASTING
    return Rest(now + min(duration, _LONGEST), failure.kind)


@dataclass(slots=True)
class Deployment:
    """The mutable record of one deployment. Only the pool writes it."""

    id: DeploymentId
    rest: Rest | None = None
    """The rest of the deployment itself, whatever the key."""
    key_rests: dict[int, Rest] = field(default_factory=dict)
    """Rests of single keys that hold for this deployment only."""
    refusals: dict[int, int] = field(default_factory=dict)
    """By key: rate-limit refusals in a row; those of one burst of requests count as one."""
    refused_at: dict[int, float] = field(default_factory=dict)
    """By key: when the last refusal that counted was reported."""
    in_flight: int = 0
    succeeded: int = 0
    failed: int = 0
    consecutive_failures: int = 0
    last_failure: str | None = None
    last_failure_at: float | None = None
    last_success_at: float | None = None
    refused_parameters: set[str] = field(default_factory=set)
    """Optional request fields that this model has rejected; they are left out from then on."""

    def record_success(self, key: int, now: float) -> None:
        """An answer that passed the checks, given to a key."""
        self.succeeded += 1
        self.consecutive_failures = 0
        self.refusals.pop(key, None)
        self.last_success_at = now

    def record_refusal(self, key: int, admitted_at: float, now: float) -> None:
        """A rate-limit refusal of a key, for an attempt that was admitted at the given time."""
        if admitted_at >= self.refused_at.get(key, admitted_at):
            self.refusals[key] = self.refusals.get(key, 0) + 1
            self.refused_at[key] = now

    def record_failure(self, failure: Failure, now: float) -> None:
        """A failed attempt. Only what counts against health feeds the count in a row."""
        self.failed += 1
        self.last_failure = failure.code
        self.last_failure_at = now
        if failure.verdict.counts:
            self.consecutive_failures += 1
        if failure.kind is FailureClass.PARAMETER_UNSUPPORTED and failure.param is not None and not failure.value_only:
            self.refused_parameters.add(failure.param)
