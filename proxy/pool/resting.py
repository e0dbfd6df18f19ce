"""Rests at work: what keeps a deployment's keys away, which key is next, and what begins or ends a rest."""

from __future__ import annotations

from collections.abc import Sequence

from proxy.core.event import Happening, RestCleared, Rested
from proxy.core.failure import Failure, FailureClass, Rests
from proxy.pool.deployment import Deployment
from proxy.pool.permit import Permit
from proxy.pool.rest import Rest, later, rest_for
from proxy.pool.upstream import Upstream


def rest_of(upstream: Upstream, deployment: Deployment, now: float) -> Rest | None:
    """The rest that keeps every key away, the one that ends first; None where a key is free."""
    if deployment.rest is not None and deployment.rest.until > now:
        return deployment.rest
    soonest: Rest | None = None
    for slot in upstream.slots:
        rest = later(upstream.key_rests.get(slot), deployment.key_rests.get(slot), now)
        if rest is None:
            return None
        if soonest is None or rest.until < soonest.until:
            soonest = rest
    return soonest


def next_key(upstream: Upstream, deployment: Deployment, now: float) -> int:
    """The next key whose turn it is; if all of them rest, the one that will be free first."""
    count = len(upstream.slots)
    if count == 1:
        return 0
    free_at: dict[int, float] = {}
    for step in range(count):
        key = (upstream.turn + step) % count
        slot = upstream.slots[key]
        rest = later(upstream.key_rests.get(slot), deployment.key_rests.get(slot), now)
        if rest is None:
            return key
        free_at[key] = rest.until
    return min(free_at, key=lambda key: free_at[key])


def begin_rest(permit: Permit, failure: Failure, now: float) -> Sequence[Rested]:
    """The rest that a failure calls for, if it calls for one."""
    deployment = permit.deployment
    if failure.kind is FailureClass.RATE_LIMITED:
        deployment.record_refusal(permit.slot, permit.admitted_at, now)
    scope = failure.verdict.rests
    if scope is Rests.NOTHING:
        return ()
    return set_rest(permit, scope, rest_for(failure, now, deployment.refusals.get(permit.slot, 1)), now)


def set_rest(permit: Permit, scope: Rests, rest: Rest, now: float) -> Sequence[Rested]:
    """Let a permit's deployment or key rest, unless it is known to rest for longer."""
    deployment = permit.deployment
    rests = permit.upstream.key_rests if scope is Rests.KEY else deployment.key_rests
    known = deployment.rest if scope is Rests.DEPLOYMENT else rests.get(permit.slot)
    if known is not None and known.until >= rest.until:
        # A late report of an earlier attempt does not shorten what is known by now.
        return ()
    if scope is Rests.DEPLOYMENT:
        deployment.rest = rest
    else:
        rests[permit.slot] = rest
    key = None if scope is Rests.DEPLOYMENT else permit.key
    return [Rested(deployment.id, key, scope is Rests.KEY, rest.reason, rest.until - now)]


def resting(permit: Permit) -> list[tuple[dict[int, Rest] | None, Rest]]:
    """The rests that hold for a permit's deployment and key, with the place of each key's."""
    deployment = permit.deployment
    places = (deployment.key_rests, permit.upstream.key_rests)
    found: list[tuple[dict[int, Rest] | None, Rest]] = [
        (place, place[permit.slot]) for place in places if permit.slot in place
    ]
    return found if deployment.rest is None else [*found, (None, deployment.rest)]


def end_rests(permit: Permit) -> list[Happening]:
    """End the rests that held when a probe set out. What has begun since is known better."""
    deployment, key, slot = permit.deployment, permit.key, permit.slot
    events: list[Happening] = []
    for place, rest in permit.resting:
        if place is None and deployment.rest is rest:
            deployment.rest = None
            events.append(RestCleared(deployment.id, None, False, "probe"))
        elif place is not None and place.get(slot) is rest:
            del place[slot]
            events.append(RestCleared(deployment.id, key, place is permit.upstream.key_rests, "probe"))
    return events


def clear_rests(upstream: Upstream, deployment: Deployment) -> list[Happening]:
    """End every rest of a deployment and of its keys, because an operator says so."""
    events: list[Happening] = []
    if deployment.rest is not None:
        deployment.rest = None
        events.append(RestCleared(deployment.id, None, False, "operator"))
    for rests, everywhere in ((deployment.key_rests, False), (upstream.key_rests, True)):
        keys = (key for key, slot in enumerate(upstream.slots) if slot in rests)
        events += [RestCleared(deployment.id, key, everywhere, "operator") for key in keys]
        rests.clear()
    return events
