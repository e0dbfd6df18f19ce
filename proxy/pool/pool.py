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
from itertools import islice

from proxy.config.settings import Rules
from proxy.core.event import Happening
from proxy.core.failure import DEADLINE_EXCEEDED, Failure, FailureClass, Rests
from proxy.core.names import DeploymentId
from proxy.policies.breaker import BreakerState
from proxy.policies.concurrency import ConcurrencyLimit, LimitSettings
from proxy.pool.bookkeeping import begin_anew, book_failure, book_given_up, book_success
from proxy.pool.deployment import Deployment
from proxy.pool.guard import Guard
from proxy.pool.permit import SUCCEEDED, Outcome, Permit
from proxy.pool.rest import Rest
from proxy.pool.resting import next_key, rest_of, resting, set_rest
from proxy.pool.standing import FREE, Hold, Standing
from proxy.pool.succession import Change, Layout, another, change_rules, forget_keys, succeed
from proxy.pool.upstream import Upstream

_MOST_DEPLOYMENTS = 4096
"""Routes with globs make deployments out of names that clients choose; beyond it the oldest idle one goes."""
_LOOKED_AT = 16
"""The oldest idle records among which one without trouble is looked for; all of them would be too many to read."""
_NOTHING: tuple[Happening, ...] = ()
_CLOSED = BreakerState.CLOSED


class Pool:
    """State of every deployment and of every upstream."""

    def __init__(
        self,
        key_counts: Mapping[str, int],
        named: Iterable[tuple[DeploymentId, Rules]] = (),
        limits: Mapping[str, LimitSettings] | None = None,
        now: float = 0.0,
        known: tuple[dict[str, Upstream], OrderedDict[DeploymentId, Deployment]] | None = None,
    ) -> None:
        """`key_counts` is the number of credentials of each upstream; `limits` are those of whole upstreams.

        `named` are the deployments that routes name outright; their records are never given up for others. `known` are
        records that it begins with; those that are missing are made.
        """
        self.hour = 0
        """Of the day, 0 to 23; set by whoever knows the time."""
        self._limits = dict(limits or {})
        self._upstreams, self._deployments = known or ({}, OrderedDict())
        for name, count in key_counts.items():
            if name not in self._upstreams:
                self._upstreams[name] = Upstream.with_keys(count, _limit(self._limits.get(name)))
        named = list(named)
        self._named = frozenset(id_ for id_, _ in named)
        for id_, rules in named:
            self.deployment(id_).guard(rules, now)

    def reconfigure(self, change: Change, now: float) -> tuple[Pool, Sequence[Happening]]:
        """The pool that another configuration asks for, and what changed with it.

        It has this one's records of all that stays. This one goes on for requests that began with it, and ends with the
        last of them: permits go back to the pool that gave them, or to the other one, which is the same.
        """
        upstreams: dict[str, Upstream] = {}
        deployments: OrderedDict[DeploymentId, Deployment] = OrderedDict()
        for id_, deployment in self._deployments.items():
            rules = change.rules_of(id_)
            if rules and id_.upstream in change.origins:
                change_rules(deployment, rules, now)
                deployments[id_] = deployment
            elif rules and deployment.ordered:
                deployments[id_] = another(deployment, rules, now)
        events: list[Happening] = []
        for name, origins in change.origins.items():
            before, wanted = self._upstreams[name], change.layout.limits.get(name)
            limit = before.limit if wanted == self._limits.get(name) else _limit(wanted)
            upstreams[name], gone = succeed(before, origins, limit)
            events += forget_keys(before, gone, [each for id_, each in deployments.items() if id_.upstream == name])
        following = self._like(change.layout, now, (upstreams, deployments))
        following.hour = self.hour
        return following, events

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

    def is_named(self, id: DeploymentId) -> bool:  # noqa: A002 - as above
        """Whether the configuration names the deployment, rather than a client by way of a glob."""
        return id in self._named

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
            rest = rest_of(upstream, deployment, now)
            if rest is not None:
                return Standing(rest.until, Hold.RESTS, rest)
        guard = deployment.guard(rules, now)
        breaker = guard.breaker
        if breaker.state is not _CLOSED and (usable_at := breaker.usable_at(now)) > now:
            hold = Hold.OPEN if breaker.state is BreakerState.OPEN else Hold.PROBING
            return Standing(usable_at, hold, early_at=breaker.early_at)
        if deployment.in_flight >= guard.limit.limit or (upstream.limit is not None and upstream.full):
            return Standing(now, Hold.FULL)
        if breaker.state is _CLOSED and not guard.returning and not guard.diverted and deployment.ejection is None:
            return FREE
        return _free(deployment, guard, now)

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
        if standing.hold is not None and not (early and standing.early_at <= now):
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

    def admit_free(self, id: DeploymentId, rules: Rules, now: float) -> Permit | None:  # noqa: A002 - as above
        """`admit`, for a deployment about which there is nothing to be said: its `standing` is `FREE`. Else None."""
        deployment = self._deployments.get(id)
        if deployment is None or deployment.order is not None or deployment.ejection is not None:
            return None
        upstream = self._upstreams[id.upstream]
        if upstream.key_rests or deployment.key_rests or deployment.rest is not None:
            return None
        guards = deployment.guards
        guard = guards[0] if guards and guards[0].rules is rules else deployment.guard(rules, now)
        breaker = guard.breaker
        if breaker.state is not _CLOSED or guard.returning or guard.diverted:
            return None
        if deployment.in_flight >= guard.limit.limit or (upstream.limit is not None and upstream.full):
            return None
        if id not in self._named:
            self._deployments.move_to_end(id)
        tickets = [(guard, breaker.period)]
        if len(guards) > 1:
            tickets += [(other, other.breaker.watch()) for other in guards if other is not guard]
        return self._permit(deployment, tickets, _NOTHING, now)

    def admit_probe(self, id: DeploymentId, now: float, *, early: bool = False) -> Permit | None:  # noqa: A002 - as above
        """A permit for a test prompt: past rests, limits and a drain, but past no breaker whose time has not come.

        `early` asks open breakers before their time, whenever a panic last did. None where an operator has disabled
        the deployment or opened its breaker, or where as many probes as are admitted are under way.
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
        permit.resting = resting(permit)
        return permit

    def first_content(self, permit: Permit, now: float) -> Sequence[Happening]:
        """A stream has content in hand. For a breaker that is half-open that is the proof that it waits for.

        Streams may last for minutes, and places for probes are few. If this one breaks later on, that counts then.
        """
        if permit.probe or all(guard.breaker.state is not BreakerState.HALF_OPEN for guard, _ in permit.tickets):
            return _NOTHING
        events: list[Happening] = []
        for number, (guard, period) in enumerate(permit.tickets):
            if guard.breaker.state is BreakerState.HALF_OPEN and period == guard.breaker.period:
                permit.proven = True
                events += guard.follow(guard.breaker.succeeded(period, now), now)
                permit.tickets[number] = (guard, guard.breaker.period)
        begin_anew(permit.deployment, events)
        return events

    def report(self, permit: Permit, outcome: Outcome, now: float, roll: float = 0.0) -> Sequence[Happening]:
        """Take the permit back with what became of its attempt; returns what that changed. `roll` is luck, 0 to 1."""
        if permit.spent:
            raise RuntimeError(f"the permit for {permit.deployment.id} was reported twice")
        permit.spent = True
        permit.deployment.in_flight -= 1
        permit.upstream.load.in_flight -= 1
        if outcome == SUCCEEDED:
            return book_success(permit, now, self.hour)
        # The request ran out of time, not the deployment: whether it would have answered nobody knows.
        if isinstance(outcome, Failure) and outcome.code != DEADLINE_EXCEEDED:
            return book_failure(permit, outcome, now, self.hour, roll)
        return book_given_up(permit, now)

    def count_rejected(self, id: DeploymentId, rules: Rules, now: float) -> None:  # noqa: A002 - as above
        """Count a request that a breaker kept away."""
        self.deployment(id).guard(rules, now).breaker.rejected += 1

    def note_headroom(self, permit: Permit, share: float, wait: float | None, now: float) -> Sequence[Happening]:
        """A good answer told how much of its key's rate limits is left (`share`), and whether to wait for more."""
        deployment = permit.deployment
        deployment.headroom, deployment.headroom_at = share, now
        if wait is None:
            return _NOTHING
        return set_rest(permit, Rests.KEY_HERE, Rest(now + wait, FailureClass.RATE_LIMITED), now)

    def _like(
        self, layout: Layout, now: float, known: tuple[dict[str, Upstream], OrderedDict[DeploymentId, Deployment]]
    ) -> Pool:
        """Another pool of the same kind."""
        return Pool(*layout, now, known)

    def _permit(
        self, deployment: Deployment, tickets: list[tuple[Guard, int]], events: Sequence[Happening], now: float
    ) -> Permit:
        upstream = self._upstreams[deployment.id.upstream]
        key = 0
        if len(upstream.slots) > 1:
            key = next_key(upstream, deployment, now)
            upstream.turn = key + 1
        upstream.load.in_flight += 1
        deployment.in_flight += 1
        return Permit(deployment, upstream, key, upstream.slots[key], now, tickets, events)

    def _forget_one(self) -> None:
        """Give up the record that was used longest ago: rather one without trouble, none with an operator's word."""
        idle = (
            each
            for id_, each in self._deployments.items()
            if each.in_flight == 0 and id_ not in self._named and not each.ordered
        )
        oldest = list(islice(idle, _LOOKED_AT))
        found = next((each for each in oldest if not each.troubled), oldest[0] if oldest else None)
        if found is not None:
            del self._deployments[found.id]


def _limit(settings: LimitSettings | None) -> ConcurrencyLimit | None:
    return None if settings is None else ConcurrencyLimit(settings)


def _free(deployment: Deployment, guard: Guard, now: float) -> Standing:
    """The standing of a deployment that nothing keeps away: how much of its traffic it should get."""
    if guard.breaker.state is not BreakerState.CLOSED:
        return Standing(now, doubtful=True)
    if deployment.ejection is not None and deployment.ejection.until > now:
        return Standing(now, share=0.0)
    if guard.returning or guard.diverted:
        return Standing(now, share=guard.share(now))
    return FREE
