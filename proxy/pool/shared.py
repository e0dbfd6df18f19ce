"""The pool of one of several processes on one host: what all of them know, and limits that hold for all together.

Theory of operation
-------------------

*What was seen* is told. Each process books the outcome of its own attempts at once, and tells the others, which book it
as if they had made the attempt (`elsewhere.py`): at the time at which it happened, since all read the same clock. So
windows, percentiles, trends, adaptive limits and rests come out the same everywhere, a moment later.

*What was decided* is told as a state. A breaker moves for its own process's outcomes, and all others go where it stands
now (`GuardTwin`); of two moves the later one holds. What others have seen moves no breaker, or each process would tell
of one opening; only the leader looks, after it has heard, whether all that was counted together calls for one
(`judge`).

*What is under way* is counted in places that all see (`Places`), since it must hold at every moment: attempts of a
deployment and of an upstream, and the few that a half-open breaker admits. Whoever wants a place counts itself in first
and adds up then, so two at the same moment may both be refused, never both be admitted. Each time that a breaker opens
it has places of its own, as an attempt of an earlier time says nothing any more.

Nothing here is used where one process serves alone.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Protocol

from proxy.config.settings import Rules
from proxy.core.event import Happening, RestCleared
from proxy.core.failure import Failure
from proxy.core.names import DeploymentId
from proxy.policies.breaker import NO_PERIOD, BreakerState
from proxy.pool.deployment import Deployment, Ejection
from proxy.pool.elsewhere import (
    as_if_here,
    take_up_end_of_rest,
    take_up_guards,
    take_up_outcome,
    take_up_rejected,
    told_outcome,
)
from proxy.pool.guard import Guard, mark
from proxy.pool.permit import SUCCEEDED, Outcome, Permit
from proxy.pool.pool import Pool
from proxy.pool.standing import FREE, Hold, Standing
from proxy.pool.succession import Layout
from proxy.pool.upstream import Upstream

Known = tuple[dict[str, Upstream], OrderedDict[DeploymentId, Deployment]]
Tell = Callable[..., None]
"""Told to the others: the kind, and what belongs to it; `at_once` for what cannot wait."""

_CLOSED: Final = BreakerState.CLOSED
_LITTLE_LEFT: Final = 0.5
"""Of a rate limit: from there on the others are told."""
_MOST_KNOWN: Final = 512
"""Deployments of globs that a process which joins is told of."""


class Places(Protocol):
    """What the host has under way, by name."""

    def take(self, name: str) -> tuple[int | None, int]:
        """Count one more: what to give to `free`, and how many there are with it."""

    def free(self, place: int | None) -> None:
        """Count one less."""

    def total(self, name: str) -> int:
        """How many there are."""


class SharedPool(Pool):
    """See above. `rules_of` tells the rules of all steps that lead to a deployment."""

    def __init__(
        self,
        layout: Layout,
        now: float,
        known: Known | None,
        places: Places,
        tell: Tell,
        rules_of: Callable[[DeploymentId], Iterable[Rules]],
    ) -> None:
        self._places = places
        self._tell = tell
        self._rules_of = rules_of
        self._counted = False
        """Whether what is under way has just been counted, with a place for the attempt that is to be admitted."""
        self._touched: dict[DeploymentId, None] = {}
        """Deployments of which something was heard since `judge`."""
        super().__init__(*layout, now, known)

    def follow(self, rules_of: Callable[[DeploymentId], Iterable[Rules]]) -> None:
        """Go by another configuration's rules."""
        self._rules_of = rules_of

    def known(self) -> Known:
        """What a process that joins has to know: all that the file names, and of the rest what was used last."""
        others = [id_ for id_ in self._deployments if id_ not in self._named]
        left_out = set(others[:-_MOST_KNOWN])
        kept = OrderedDict(
            (id_, each) for id_, each in self._deployments.items() if id_ not in left_out or each.ordered
        )
        return self._upstreams, kept

    # What the host has under way.

    def count(self) -> None:
        """Look at what the host has under way, for those who show it."""
        for deployment in self._deployments.values():
            deployment.in_flight = self._places.total(_name(deployment.id))
        for name, upstream in self._upstreams.items():
            upstream.load.in_flight = self._places.total(name)

    def standing(self, id: DeploymentId, rules: Rules, now: float) -> Standing:  # noqa: A002 - as in Pool
        """As of one process, by what the host has under way."""
        deployment = self._deployments.get(id)
        if deployment is None or self._counted:
            return super().standing(id, rules, now)
        self._look(deployment)
        standing = super().standing(id, rules, now)
        if standing.doubtful and self._is_tried(deployment.guard(rules, now)):
            return Standing(math.inf, Hold.PROBING)
        return standing

    def admit(
        self,
        id: DeploymentId,  # noqa: A002 - as in Pool
        rules: Rules,
        now: float,
        *,
        early: bool = False,
    ) -> Permit | Standing:
        """As of one process, within the limits of the host."""
        deployment, upstream = self.deployment(id), self._upstreams[id.upstream]
        guard = deployment.guard(rules, now)
        places: list[int | None] = []
        refused = self._take(places, deployment, upstream, guard, now)
        if refused is not None:
            self._free(places)
            return refused
        self._counted = True
        try:
            admitted = super().admit(id, rules, now, early=early)
        finally:
            self._counted = False
        if not isinstance(admitted, Permit):
            self._free(places)
            return admitted
        admitted.places = places
        if admitted.events:
            self._tell_guards(deployment)
        return admitted

    def admit_free(self, id: DeploymentId, rules: Rules, now: float) -> Permit | None:  # noqa: A002 - as above
        """As of one process, within the limits of the host."""
        if self.standing(id, rules, now) is not FREE:
            return None
        admitted = self.admit(id, rules, now)
        return admitted if isinstance(admitted, Permit) else None

    def admit_probe(self, id: DeploymentId, now: float, *, early: bool = False) -> Permit | None:  # noqa: A002 - as above
        """As of one process, within the places that half-open breakers of the host have."""
        deployment = self.deployment(id)
        breaking: dict[int, int | None] = {}
        full = False
        for number, guard in enumerate(deployment.guards):
            if guard.breaker.state is not _CLOSED:
                breaking[number], taken = self._places.take(_episode(guard))
                guard.breaker.probing = taken - 1
                full |= taken > guard.rules.breaker.probes
        permit = None if full else super().admit_probe(id, now, early=early)
        if permit is None:
            self._free(breaking.values())
            return None
        places = [self._places.take(_name(id))[0], self._places.take(id.upstream)[0]]
        for number, place in breaking.items():
            if permit.tickets[number][1] == NO_PERIOD:
                self._places.free(place)
            else:
                places.append(place)
        permit.places = places
        if permit.events:
            self._tell_guards(deployment)
        return permit

    def first_content(self, permit: Permit, now: float) -> Sequence[Happening]:
        """As of one process. An attempt that has proved what a breaker waited for gives its place there back."""
        before = permit.proven
        events = super().first_content(permit, now)
        if permit.proven and not before:
            self._free(permit.places[2:])
            permit.places = permit.places[:2]
            self._tell_guards(permit.deployment)
        return events

    def report(self, permit: Permit, outcome: Outcome, now: float, roll: float = 0.0) -> Sequence[Happening]:
        """As of one process; the others are told."""
        half_open = len(permit.places) > 2
        events = super().report(permit, outcome, now, roll)
        self._free(permit.places)
        permit.places = ()
        if outcome == SUCCEEDED or isinstance(outcome, Failure):
            self._tell("outcome", *permit.deployment.id, told_outcome(permit, outcome, now))
        if events or half_open:
            self._tell_guards(permit.deployment)
        for event in events:
            if isinstance(event, RestCleared):
                self._tell("unrest", *permit.deployment.id, event.key, event.whole_upstream, at_once=True)
        return events

    def note_headroom(self, permit: Permit, share: float, wait: float | None, now: float) -> Sequence[Happening]:
        """As of one process; the others are told where it matters."""
        known = permit.deployment.headroom
        events = super().note_headroom(permit, share, wait, now)
        if wait is not None or share < _LITTLE_LEFT or (known is not None and known < _LITTLE_LEFT):
            self._tell("headroom", *permit.deployment.id, permit.key, share, wait, now, at_once=wait is not None)
        return events

    def count_rejected(self, id: DeploymentId, rules: Rules, now: float) -> None:  # noqa: A002 - as above
        """As of one process; the others are told."""
        super().count_rejected(id, rules, now)
        self._tell("rejected", *id, mark(rules))

    def tell_ejection(self, id_: DeploymentId) -> None:
        """Tell the others that a deployment was left out, which the leader decides."""
        deployment = self.find(id_)
        if deployment is not None and deployment.ejection is not None:
            self._tell("ejected", *id_, *deployment.ejection, at_once=True)

    # What the others have told.

    def hear(self, kind: str, upstream: str, model: str, *said: Any) -> None:
        """Take up one message of another process. What this configuration does not know is left out."""
        deployment = self._known_as(DeploymentId(upstream, model), said[0][-1] if kind == "outcome" else 0.0)
        if deployment is None:
            return
        match kind:
            case "outcome":
                self._touched[deployment.id] = None
                take_up_outcome(deployment, self._upstreams[upstream], self.hour, *said)
            case "guards":
                take_up_guards(deployment, *said)
            case "unrest":
                key, everywhere = said
                take_up_end_of_rest(deployment, self._upstreams[upstream], key, everywhere=everywhere)
            case "headroom":
                key, share, wait, now = said
                super().note_headroom(as_if_here(deployment, self._upstreams[upstream], key, now), share, wait, now)
            case "rejected":
                take_up_rejected(deployment, *said)
            case "ejected":
                deployment.ejection = Ejection(*said)
            case _:
                raise ValueError(kind)

    def judge(self, now: float, roll: float) -> list[Happening]:
        """The leader's: whether what was heard calls for a breaker to open. The others are told."""
        events: list[Happening] = []
        for id_ in self._touched:
            deployment = self.find(id_)
            if deployment is None:
                continue
            opened = [event for guard in deployment.guards for event in guard.judge(now, roll)]
            if opened:
                self._tell_guards(deployment)
                events += opened
        self._touched.clear()
        return events

    def leave_it(self) -> Sequence[Happening]:
        """The others': what was heard calls for nothing here."""
        self._touched.clear()
        return ()

    def _known_as(self, id_: DeploymentId, now: float) -> Deployment | None:
        """The record of a deployment, with all its guards; None where no route leads to it. What is heard of a guard
        that was not there must be no older than `now`."""
        found = self._deployments.get(id_)
        if found is not None and found.guards:
            return found
        rules = list(self._rules_of(id_)) if id_.upstream in self._upstreams else []
        if not rules:
            return None
        found = self.deployment(id_)
        for each in rules:
            found.guard(each, now)
        return found

    # Small things.

    def _like(self, layout: Layout, now: float, known: Known) -> Pool:
        return SharedPool(layout, now, known, self._places, self._tell, self._rules_of)

    def _look(self, deployment: Deployment) -> None:
        places = self._places
        deployment.in_flight = places.total(_name(deployment.id))
        upstream = self._upstreams[deployment.id.upstream]
        upstream.load.in_flight = places.total(deployment.id.upstream)
        for guard in deployment.guards:
            if guard.breaker.state is not _CLOSED:
                guard.breaker.probing = places.total(_episode(guard))

    def _is_tried(self, guard: Guard) -> bool:
        """Whether others try a breaker already, of which nothing has been heard yet."""
        return self._places.total(_episode(guard)) >= guard.rules.breaker.probes

    def _take(
        self, places: list[int | None], deployment: Deployment, upstream: Upstream, guard: Guard, now: float
    ) -> Standing | None:
        """Count an attempt in, and say what forbids it if it is one too many. `places` gets what was taken."""
        place, taken = self._places.take(_name(deployment.id))
        places.append(place)
        deployment.in_flight = max(0, taken - 1)
        place, of_upstream = self._places.take(deployment.id.upstream)
        places.append(place)
        upstream.load.in_flight = max(0, of_upstream - 1)
        if taken > guard.limit.limit or (upstream.limit is not None and of_upstream > upstream.limit.limit):
            return Standing(now, Hold.FULL)
        if guard.breaker.state is not _CLOSED:
            place, trying = self._places.take(_episode(guard))
            places.append(place)
            guard.breaker.probing = max(0, trying - 1)
            if trying > guard.rules.breaker.probes:
                return Standing(math.inf, Hold.PROBING)
        return None

    def _free(self, places: Iterable[int | None]) -> None:
        for place in places:
            self._places.free(place)

    def _tell_guards(self, deployment: Deployment) -> None:
        self._tell("guards", *deployment.id, [guard.twin() for guard in deployment.guards], at_once=True)


def _name(id_: DeploymentId) -> str:
    return f"{id_.upstream}/{id_.model}"


def _episode(guard: Guard) -> str:
    return f"{guard.id} {mark(guard.rules)} {guard.breaker.episode}"
