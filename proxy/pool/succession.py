"""What becomes of the pool's records when the configuration changes.

What is the same server under the same name keeps its record, and so all that is known of it. Its keys keep their slots,
so a rest follows its key; what rested because of a key that is gone is forgotten. A server at another address, or of
another kind, is another one: only what operators ordered by its name is kept. Whoever is under way keeps the records
with which it set out: nothing here ends a permit, and every permit still counts where it was given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from proxy.config.settings import Rules
from proxy.core.event import RestCleared
from proxy.core.names import DeploymentId
from proxy.policies.concurrency import ConcurrencyLimit, LimitSettings
from proxy.pool.deployment import Deployment
from proxy.pool.guard import Guard
from proxy.pool.upstream import Upstream

_MOST_FORMER = 8
"""Sets of rules that a deployment remembers after they have gone; requests that go by them do not last for long."""


class Layout(NamedTuple):
    """What a configuration asks of the pool."""

    key_counts: Mapping[str, int]
    """Credentials of each upstream."""
    named: Sequence[tuple[DeploymentId, Rules]] = ()
    """Deployments that routes name outright."""
    limits: Mapping[str, LimitSettings] = {}
    """Of whole upstreams."""


class Change(NamedTuple):
    """How a configuration follows from the one before."""

    layout: Layout
    origins: Mapping[str, Sequence[int | None]]
    """By upstream that is still the same server: the place of each of its keys in the list before; None for a new one.
    Having no key counts as a key of its own."""
    rules_of: Callable[[DeploymentId], Sequence[Rules]]
    """The rules of all steps that lead to a deployment; none where no step does."""


def succeed(
    upstream: Upstream, origins: Sequence[int | None], limit: ConcurrencyLimit | None
) -> tuple[Upstream, Sequence[int]]:
    """An upstream with another list of keys and perhaps another limit, and the places of the keys that are gone.

    Load and rests stay in common with the record before, which those who are under way go on with.
    """
    slots: list[int] = []
    for origin in origins:
        if origin is None:
            slots.append(upstream.load.slots_given)
            upstream.load.slots_given += 1
        else:
            slots.append(upstream.slots[origin])
    gone = [key for key, slot in enumerate(upstream.slots) if slot not in slots]
    if not gone and tuple(slots) == upstream.slots and limit is upstream.limit:
        return upstream, ()
    return Upstream(tuple(slots), limit, upstream.key_rests, upstream.load, turn=0), gone


def forget_keys(upstream: Upstream, gone: Sequence[int], deployments: Iterable[Deployment]) -> list[RestCleared]:
    """Forget why keys rested that are gone; `upstream` is the record that had them, `gone` are their places."""
    events: list[RestCleared] = []
    everywhere = {key for key in gone if upstream.key_rests.pop(upstream.slots[key], None) is not None}
    for deployment in deployments:
        for key in gone:
            slot = upstream.slots[key]
            deployment.refusals.pop(slot, None)
            deployment.refused_at.pop(slot, None)
            if deployment.key_rests.pop(slot, None) is not None:
                events.append(RestCleared(deployment.id, key, False, "reload"))
            if key in everywhere:
                everywhere.remove(key)
                events.append(RestCleared(deployment.id, key, True, "reload"))
    return events


def another(deployment: Deployment, wanted: Iterable[Rules], now: float) -> Deployment:
    """A record for another server under the same name: what operators said of the name still holds."""
    record = Deployment(deployment.id, order=deployment.order, weight=deployment.weight)
    forced = next((guard.breaker for guard in deployment.guards if guard.breaker.forced), None)
    for rules in wanted:
        guard = record.guard(rules, now)
        if forced is not None:
            guard.breaker.restore(forced.as_state(now), 0.0, now)
    return record


def change_rules(deployment: Deployment, wanted: Iterable[Rules], now: float) -> None:
    """Let a deployment go by other sets of rules.

    A guard whose rules are still wanted stays as it is. One whose rules are not goes by new ones, if there are any that
    nobody goes by; so what it knows is not lost. Guards that are left over end, and new rules that are left over get a
    guard that knows of the first one's opening.
    """
    missing = list(dict.fromkeys(wanted))
    free: list[Guard] = []
    for guard in list(deployment.guards):
        same = next((rules for rules in missing if rules == guard.rules), None)
        if same is None:
            free.append(guard)
        else:
            # The very object, so that finding the guard is a matter of identity again.
            guard.rules = same
            missing.remove(same)
    former = [each for each in deployment.former if each[0] not in missing]
    while missing and free:
        rules = missing.pop(0)
        guard = next((each for each in free if each.rules.breaker == rules.breaker), free[0])
        free.remove(guard)
        former.append((guard.rules, guard))
        guard.change_rules(rules, now)
    first = deployment.guards[0] if deployment.guards else None
    for guard in free:
        deployment.guards.remove(guard)
    for rules in missing:
        guard = deployment.guard(rules, now)
        if first is not None:
            guard.restore(first.as_state(now), 0.0, now)
    heir = deployment.guards[0] if deployment.guards else None
    if heir is not None:
        former += [(guard.rules, heir) for guard in free]
        # Whoever took over may have ended since.
        former = [(rules, guard if guard in deployment.guards else heir) for rules, guard in former]
    deployment.former = former[-_MOST_FORMER:]
