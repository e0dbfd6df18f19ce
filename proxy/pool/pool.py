"""The pool: all state about deployments, with one writer.

`standing` says when a deployment may next be tried, without changing anything. `admit` gives a *permit* for one attempt
and picks the key; the permit must be given back exactly once by `report`, with what became of the attempt. A cancelled
attempt reports `IGNORED`: it frees its place and blames nobody. Changes are returned as events for others to tell.

`rules` are those of the chain step by which the deployment is reached. What is kept away by what, in this order: an
operator's order, a rest of the deployment, rests of all its keys, the breaker, the limits of attempts at once.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal

from proxy.config.settings import Rules
from proxy.core.event import Happening, RestCleared, Rested
from proxy.core.failure import DEADLINE_EXCEEDED, Failure, FailureClass, Rests
from proxy.core.names import DeploymentId
from proxy.policies.breaker import BreakerState
from proxy.policies.concurrency import ConcurrencyLimit, LimitSettings
from proxy.policies.recent import RecentAnswers
from proxy.pool.deployment import Deployment
from proxy.pool.guard import Guard
from proxy.pool.rest import Rest, later, rest_for
from proxy.pool.standing import FREE, Hold, Standing
from proxy.pool.upstream import Upstream

_MOST_DEPLOYMENTS = 4096
"""Routes with globs make deployments out of names that clients choose; beyond it the oldest idle one goes."""
_NOTHING: tuple[Happening, ...] = ()

IGNORED: Final = "ignored"
SUCCEEDED: Final = "succeeded"
Outcome = Failure | Literal["ignored", "succeeded"]
"""What became of an attempt."""


class Permit:
    """The right to one attempt, with the key to use. Consumed by `report`.

    One is made for every attempt, so it has its rarely changed members in the class, not in each instance.
    """

    stream: bool = False
    good_at: float | None = None
    """When a stream's first content was in hand; other answers are good at their end."""
    probe: bool = False
    """A test prompt: its outcome counts, its duration does not."""
    lost: bool = False
    """Another attempt of the same request was faster."""
    events: Sequence[Happening] = _NOTHING
    """What its admission changed."""
    spent: bool = False

    def __init__(
        self,
        deployment: Deployment,
        upstream: Upstream,
        key: int,
        admitted_at: float,
        tickets: list[tuple[Guard, int]],
    ) -> None:
        """`tickets` are the guards that hear the outcome, and the period of each in which it counts."""
        self.deployment = deployment
        self.upstream = upstream
        self.key = key
        self.admitted_at = admitted_at
        self.tickets = tickets


class Pool:
    """State of every deployment and of every upstream."""

    def __init__(
        self,
        key_counts: Mapping[str, int],
        named: Iterable[tuple[DeploymentId, Rules]] = (),
        limits: Mapping[str, LimitSettings] | None = None,
    ) -> None:
        """`key_counts` is the number of credentials of each upstream; `limits` are those of whole upstreams.

        `named` are the deployments that routes name outright; their records are never given up for others.
        """
        self.hour = 0
        """Of the day, 0 to 23; set by whoever knows the time."""
        self._upstreams = {name: Upstream(max(1, count)) for name, count in key_counts.items()}
        for name, settings in (limits or {}).items():
            self._upstreams[name].limit = ConcurrencyLimit(settings)
        self._deployments: OrderedDict[DeploymentId, Deployment] = OrderedDict()
        named = list(named)
        self._named = frozenset(id_ for id_, _ in named)
        for id_, rules in named:
            self.deployment(id_).guard(rules, 0.0)

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

    def upstream(self, name: str) -> Upstream:
        """The record of an upstream of the configuration."""
        return self._upstreams[name]

    def standing(self, id: DeploymentId, rules: Rules, now: float) -> Standing:  # noqa: A002 - as above
        """When the deployment may next be tried, and why not now."""
        deployment = self._deployments.get(id)
        upstream = self._upstreams[id.upstream]
        if deployment is None:
            deployment = Deployment(id)
        elif deployment.order is not None and deployment.order.until > now:
            return Standing(deployment.order.until, Hold.OFF)
        if upstream.key_rests or deployment.key_rests or deployment.rest is not None:
            rest = self._rest_of(upstream, deployment, now)
            if rest is not None:
                return Standing(rest.until, Hold.RESTS, rest)
        guard = deployment.guard(rules, now)
        breaker = guard.breaker
        if breaker.state is not BreakerState.CLOSED:
            usable_at = breaker.usable_at(now)
            if usable_at > now:
                hold = Hold.OPEN if breaker.state is BreakerState.OPEN else Hold.PROBING
                return Standing(usable_at, hold, forced=breaker.forced)
        if deployment.in_flight >= guard.limit.limit or upstream.full:
            return Standing(now, Hold.FULL)
        if deployment.ejection is not None and deployment.ejection.until > now:
            return Standing(now, share=0.0)
        if guard.returning or guard.diverted:
            return Standing(now, share=guard.share(now))
        return FREE

    def admit(
        self,
        id: DeploymentId,  # noqa: A002 - as above
        rules: Rules,
        now: float,
        *,
        early: bool = False,
    ) -> Permit | Standing:
        """A permit with the next key whose turn it is, or what forbids the attempt.

        `early` is for a panic: an open breaker that no operator has opened may be tried before its time.
        """
        standing = self.standing(id, rules, now)
        if standing.hold is not None and not (early and standing.hold is Hold.OPEN):
            return standing
        deployment = self.deployment(id)
        guard = deployment.guard(rules, now)
        admission = guard.breaker.admit(now, early=early)
        if admission is None:
            return standing
        period, change = admission
        tickets = [(guard, period)]
        if len(deployment.guards) > 1:
            tickets += [(other, other.breaker.watch()) for other in deployment.guards if other is not guard]
        events = guard.follow(change, now) if change is not None else _NOTHING
        return self._permit(deployment, tickets, events, now)

    def admit_probe(self, id: DeploymentId, now: float, *, early: bool = False) -> Permit | None:  # noqa: A002 - as above
        """A permit for a test prompt: past rests, limits and a drain, but past no breaker whose time has not come.

        `early` asks open breakers before their time. None where an operator has disabled the deployment or opened its
        breaker, or where as many probes as are admitted are under way.
        """
        deployment = self.deployment(id)
        if deployment.order is not None and deployment.order.until > now and deployment.order.kind == "disable":
            return None
        tickets: list[tuple[Guard, int]] = []
        events: list[Happening] = []
        admitted = not deployment.guards
        for guard in deployment.guards:
            admission = guard.breaker.admit(now, early=early)
            if admission is None:
                tickets.append((guard, guard.breaker.watch()))
                continue
            admitted = True
            period, change = admission
            tickets.append((guard, period))
            events += guard.follow(change, now)
        if not admitted:
            return None
        permit = self._permit(deployment, tickets, events, now)
        permit.probe = True
        return permit

    def report(self, permit: Permit, outcome: Outcome, now: float, roll: float = 0.0) -> Sequence[Happening]:
        """Take the permit back with what became of its attempt; returns what that changed. `roll` is luck, 0 to 1."""
        if permit.spent:
            raise RuntimeError(f"the permit for {permit.deployment.id} was reported twice")
        permit.spent = True
        permit.deployment.in_flight -= 1
        permit.upstream.in_flight -= 1
        if outcome == SUCCEEDED:
            return self._succeeded(permit, now)
        # The request ran out of time, not the deployment: whether it would have answered nobody knows.
        if isinstance(outcome, Failure) and outcome.code != DEADLINE_EXCEEDED:
            return self._failed(permit, outcome, now, roll)
        for guard, period in permit.tickets:
            guard.breaker.ignored(period)
        return _NOTHING

    def count_rejected(self, id: DeploymentId, rules: Rules, now: float) -> None:  # noqa: A002 - as above
        """Count a request that a breaker kept away."""
        self.deployment(id).guard(rules, now).breaker.rejected += 1

    def told(self, permit: Permit, share: float, wait: float | None, now: float) -> Sequence[Happening]:
        """A good answer told how much of its key's rate limits is left (`share`), and whether to wait for more."""
        deployment = permit.deployment
        deployment.headroom = share
        if wait is None:
            return _NOTHING
        return self._set_rest(permit, Rests.KEY_HERE, Rest(now + wait, FailureClass.RATE_LIMITED), now)

    def clear_rests(self, id: DeploymentId, cause: str, key: int | None = None) -> list[Happening]:  # noqa: A002
        """End the rests of a deployment and of its keys, or of one key of them; `cause` is who says so."""
        deployment, upstream = self.deployment(id), self._upstreams[id.upstream]
        events: list[Happening] = []
        if deployment.rest is not None:
            deployment.rest = None
            events.append(RestCleared(id, None, False, cause))
        for rests, everywhere in ((deployment.key_rests, False), (upstream.key_rests, True)):
            for each in [each for each in rests if key is None or each == key]:
                del rests[each]
                events.append(RestCleared(id, each, everywhere, cause))
        return events

    def _permit(
        self, deployment: Deployment, tickets: list[tuple[Guard, int]], events: Sequence[Happening], now: float
    ) -> Permit:
        key = self._next_key(deployment, now)
        upstream = self._upstreams[deployment.id.upstream]
        upstream.turn = key + 1
        upstream.in_flight += 1
        deployment.in_flight += 1
        permit = Permit(deployment, upstream, key, now, tickets)
        if events:
            permit.events = events
        return permit

    def _succeeded(self, permit: Permit, now: float) -> Sequence[Happening]:
        deployment, upstream = permit.deployment, permit.upstream
        deployment.record_success(permit.key, now)
        good_at = now if permit.good_at is None else permit.good_at
        seconds: float | None = None
        if not permit.probe:
            seconds = good_at - permit.admitted_at
            deployment.streams = permit.stream
            deployment.recent.record(True, permit.stream, seconds, now - permit.admitted_at)
        if upstream.limit is not None:
            upstream.limit.succeeded(upstream.in_flight + 1)
        events: list[Happening] | None = None
        for guard, period in permit.tickets:
            told = guard.succeeded(
                period, seconds, now, self.hour, stream=permit.stream, in_flight=deployment.in_flight + 1
            )
            if told:
                events = [*(events or ()), *told]
                # It is back: what it did before its outage says nothing about it now.
                deployment.recent = RecentAnswers()
        if permit.probe:
            return [*(events or ()), *self.clear_rests(deployment.id, "probe", permit.key)]
        return events or _NOTHING

    def _failed(self, permit: Permit, failure: Failure, now: float, roll: float) -> Sequence[Happening]:
        deployment, upstream = permit.deployment, permit.upstream
        deployment.record_failure(failure, now)
        if failure.verdict.counts and not permit.probe:
            deployment.recent.record(False, permit.stream, None, now - permit.admitted_at)
        if upstream.limit is not None and failure.kind in {FailureClass.OVERLOADED, FailureClass.RATE_LIMITED}:
            upstream.limit.overloaded(now)
        events: list[Happening] = []
        for guard, period in permit.tickets:
            events += guard.failed(period, failure, now, self.hour, roll, stream=permit.stream)
        return [*events, *self._rest(permit, failure, now)]

    def _rest(self, permit: Permit, failure: Failure, now: float) -> Sequence[Rested]:
        deployment = permit.deployment
        if failure.kind is FailureClass.RATE_LIMITED:
            deployment.record_refusal(permit.key, permit.admitted_at, now)
        scope = failure.verdict.rests
        if scope is Rests.NOTHING:
            return ()
        return self._set_rest(permit, scope, rest_for(failure, now, deployment.refusals.get(permit.key, 1)), now)

    def _set_rest(self, permit: Permit, scope: Rests, rest: Rest, now: float) -> Sequence[Rested]:
        deployment = permit.deployment
        rests = permit.upstream.key_rests if scope is Rests.KEY else deployment.key_rests
        known = deployment.rest if scope is Rests.DEPLOYMENT else rests.get(permit.key)
        if known is not None and known.until >= rest.until:
            # A late report of an earlier attempt does not shorten what is known by now.
            return ()
        if scope is Rests.DEPLOYMENT:
            deployment.rest = rest
        else:
            rests[permit.key] = rest
        key = None if scope is Rests.DEPLOYMENT else permit.key
        return [Rested(deployment.id, key, scope is Rests.KEY, rest.reason, rest.until - now)]

    def _rest_of(self, upstream: Upstream, deployment: Deployment, now: float) -> Rest | None:
        """The rest that keeps every key away, the one that ends first; None where a key is free."""
        if deployment.rest is not None and deployment.rest.until > now:
            return deployment.rest
        soonest: Rest | None = None
        for key in range(upstream.keys):
            rest = later(upstream.key_rests.get(key), deployment.key_rests.get(key), now)
            if rest is None:
                return None
            if soonest is None or rest.until < soonest.until:
                soonest = rest
        return soonest

    def _next_key(self, deployment: Deployment, now: float) -> int:
        """The next key whose turn it is; if all of them rest, the one that will be free first."""
        upstream = self._upstreams[deployment.id.upstream]
        count = upstream.keys
        if count == 1:
            return 0
        free_at: dict[int, float] = {}
        for step in range(count):
            key = (upstream.turn + step) % count
            rest = later(upstream.key_rests.get(key), deployment.key_rests.get(key), now)
            if rest is None:
                return key
            free_at[key] = rest.until
        return min(free_at, key=lambda key: free_at[key])

    def _forget_one(self) -> None:
        """Give up the record that was used longest ago. If it rested, one more refusal will tell that again."""
        for id_, deployment in self._deployments.items():
            if deployment.in_flight == 0 and id_ not in self._named:
                del self._deployments[id_]
                return
