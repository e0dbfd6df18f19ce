"""The pool: all state about deployments, with one writer.

`standing` says when a deployment may next be tried, without changing anything. `admit` gives a *permit* for one attempt
and picks the key; the permit must be given back exactly once by `report`, with what became of the attempt. A cancelled
attempt reports `IGNORED`: it frees its place and blames nobody. Changes are returned as events for others to tell.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from proxy.core.event import Rested
from proxy.core.failure import DEADLINE_EXCEEDED, Failure, FailureClass, Rests
from proxy.core.names import DeploymentId
from proxy.pool.deployment import Deployment, Rest, rest_for

_MOST_DEPLOYMENTS = 4096
"""Routes with globs make deployments out of names that clients choose; beyond it the oldest idle one goes."""

IGNORED: Final = "ignored"
SUCCEEDED: Final = "succeeded"
Outcome = Failure | Literal["ignored", "succeeded"]
"""What became of an attempt."""


class Standing(NamedTuple):
    """When a deployment may next be tried (monotonic seconds, now or later), and what it waits for."""

    usable_at: float
    rest: Rest | None


@dataclass(slots=True)
class Permit:
    """The right to one attempt, with the key to use. Consumed by `report`."""

    deployment: Deployment
    key: int
    admitted_at: float
    spent: bool = False


class Pool:
    """State of every deployment and of every upstream's keys."""

    def __init__(self, key_counts: Mapping[str, int], named: Iterable[DeploymentId] = ()) -> None:
        """`key_counts` is the number of credentials of each upstream; an upstream without any counts as one.

        `named` are the deployments that routes name outright; their records are never given up for others.
        """
        self._named = frozenset(named)
        self._keys = {name: max(1, count) for name, count in key_counts.items()}
        self._key_rests: dict[str, dict[int, Rest]] = {name: {} for name in key_counts}
        self._turns: dict[str, int] = dict.fromkeys(key_counts, 0)
        self._deployments: OrderedDict[DeploymentId, Deployment] = OrderedDict()

    def deployment(self, id: DeploymentId) -> Deployment:  # noqa: A002 - the word for it, here and in Deployment
        """The record of a deployment, made when first asked for."""
        found = self._deployments.get(id)
        if found is None:
            if len(self._deployments) >= _MOST_DEPLOYMENTS:
                self._forget_one()
            found = self._deployments[id] = Deployment(id)
        elif id not in self._named:
            self._deployments.move_to_end(id)
        return found

    def find(self, id: DeploymentId) -> Deployment | None:  # noqa: A002 - as above
        """The record of a deployment, if there is one."""
        return self._deployments.get(id)

    def deployments(self) -> list[Deployment]:
        """All records, for those who show them."""
        return list(self._deployments.values())

    def standing(self, id: DeploymentId, now: float) -> Standing:  # noqa: A002 - as above
        """When the deployment may next be tried, and why not now."""
        deployment = self._deployments.get(id)
        if deployment is not None and deployment.rest is not None and deployment.rest.until > now:
            return Standing(deployment.rest.until, deployment.rest)
        soonest: Rest | None = None
        for key in range(self._keys[id.upstream]):
            rest = self._key_rest(id.upstream, deployment, key, now)
            if rest is None:
                return Standing(now, None)
            if soonest is None or rest.until < soonest.until:
                soonest = rest
        assert soonest is not None  # noqa: S101 - an upstream has at least one key
        return Standing(soonest.until, soonest)

    def admit(self, id: DeploymentId, now: float) -> Permit | Rest:  # noqa: A002 - as above
        """A permit with the next key whose turn it is, or the rest that forbids the attempt."""
        standing = self.standing(id, now)
        if standing.rest is not None:
            return standing.rest
        deployment = self.deployment(id)
        count = self._keys[id.upstream]
        turn = self._turns[id.upstream]
        key = next(
            key
            for key in ((turn + step) % count for step in range(count))
            if self._key_rest(id.upstream, deployment, key, now) is None
        )
        self._turns[id.upstream] = key + 1
        deployment.in_flight += 1
        return Permit(deployment, key, now)

    def report(self, permit: Permit, outcome: Outcome, now: float) -> list[Rested]:
        """Take the permit back with what became of its attempt; returns the rests that it caused."""
        if permit.spent:
            raise RuntimeError(f"the permit for {permit.deployment.id} was reported twice")
        permit.spent = True
        deployment = permit.deployment
        deployment.in_flight -= 1
        if outcome == SUCCEEDED:
            deployment.record_success(permit.key, now)
        elif isinstance(outcome, Failure):
            if outcome.code == DEADLINE_EXCEEDED:
                # The request ran out of time, not the deployment: whether it would have answered nobody knows.
                return []
            deployment.record_failure(outcome, now)
            return self._rest(permit, outcome, now)
        return []

    def _rest(self, permit: Permit, failure: Failure, now: float) -> list[Rested]:
        deployment = permit.deployment
        if failure.kind is FailureClass.RATE_LIMITED:
            deployment.record_refusal(permit.key, permit.admitted_at, now)
        scope = failure.verdict.rests
        if scope is Rests.NOTHING:
            return []
        rest = rest_for(failure, now, deployment.refusals.get(permit.key, 1))
        rests = self._key_rests[deployment.id.upstream] if scope is Rests.KEY else deployment.key_rests
        known = deployment.rest if scope is Rests.DEPLOYMENT else rests.get(permit.key)
        if known is not None and known.until >= rest.until:
            # A late report of an earlier attempt does not shorten what is known by now.
            return []
        if scope is Rests.DEPLOYMENT:
            deployment.rest = rest
        else:
            rests[permit.key] = rest
        key = None if scope is Rests.DEPLOYMENT else permit.key
        return [Rested(deployment.id, key, scope is Rests.KEY, rest.reason, rest.until - now)]

    def _key_rest(self, upstream: str, deployment: Deployment | None, key: int, now: float) -> Rest | None:
        """The later of a key's rests that still hold, for the whole upstream and for this deployment."""
        rest = self._key_rests[upstream].get(key)
        if rest is not None and rest.until <= now:
            rest = None
        here = deployment.key_rests.get(key) if deployment is not None else None
        if here is not None and here.until > now and (rest is None or here.until > rest.until):
            return here
        return rest

    def _forget_one(self) -> None:
        """Give up the record that was used longest ago. If it rested, one more refusal will tell that again."""
        for id_, deployment in self._deployments.items():
            if deployment.in_flight == 0 and id_ not in self._named:
                del self._deployments[id_]
                return
