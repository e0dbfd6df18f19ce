"""The pool as plain data, and back: what is still known after a restart.

Only durations are kept, never clock readings: a rest of 40 s that was saved 5 s ago has 35 s left, whatever the clocks
say, and what cannot be dated is taken as saved just now, which errs towards patience. Keys are told apart by marks that
do not give them away, so a rest follows its key when the list of keys is edited. Everything read back is checked; what
makes no sense is left out, since losing a rest costs one refused request, and inventing one costs an outage.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

from proxy.config.settings import Rules
from proxy.core.failure import FailureClass
from proxy.core.names import DeploymentId
from proxy.core.plain import count, seconds, text
from proxy.pool.deployment import Deployment, Ejection, Order, Weight
from proxy.pool.pool import Pool
from proxy.pool.rest import LONGEST, Rest

Document = dict[str, object]
Marks = Mapping[str, Sequence[str]]
"""By upstream: a mark of each of its keys, in their order."""

_BySlot = Mapping[int, str]
"""The marks of one upstream's keys."""

_RESTING = {FailureClass.RATE_LIMITED, FailureClass.QUOTA, FailureClass.CREDENTIAL, FailureClass.MODEL_GONE}


def name_of(deployment: DeploymentId) -> str:
    """The name under which a deployment's part is kept."""
    return f"deployment {deployment}"


def as_state(pool: Pool, marks: Marks, now: float, chosen: Iterable[Deployment]) -> dict[str, Document]:
    """What is worth keeping of some deployments and of their upstreams, by a name for each part."""
    state = {name_of(each.id): _deployment(each, _by_slot(pool, marks, each.id.upstream), now) for each in chosen}
    for name in {each.id.upstream for each in chosen}:
        state[f"upstream {name}"] = {
            "key_rests": _key_rests(pool.upstream(name).key_rests, _by_slot(pool, marks, name), now)
        }
    return state


def gist(each: Deployment) -> tuple[object, ...]:
    """What changes when something of a deployment is worth keeping anew; time alone does not change it."""
    guards = tuple((guard.breaker.period, guard.breaker.rejected, guard.returning) for guard in each.guards)
    held = (each.rest, tuple(each.key_rests.items()), each.order, each.weight, each.ejection)
    return (each.succeeded, each.failed, len(each.refused_parameters), guards, held)


def restore(
    pool: Pool,
    state: Mapping[str, tuple[Mapping[str, object], float]],
    marks: Marks,
    rules_of: Callable[[DeploymentId], Iterable[Rules]],
    now: float,
) -> None:
    """Take up what `as_state` told: each part with the seconds since then. `rules_of` tells a deployment's rules.

    Parts about upstreams and deployments that the configuration no longer knows are left out.
    """
    for name, (part, elapsed) in state.items():
        what, _, which = name.partition(" ")
        if what == "upstream" and which in marks:
            rests = pool.upstream(which).key_rests
            rests.update(_read_key_rests(part.get("key_rests"), _by_slot(pool, marks, which), elapsed, now))
        elif what == "deployment":
            upstream, _, model = which.partition("/")
            id_ = DeploymentId(upstream, model)
            rules = list(rules_of(id_))
            if upstream in marks and rules:
                by_slot = _by_slot(pool, marks, upstream)
                _restore_deployment(pool.deployment(id_), part, by_slot, rules, elapsed, now)


def _by_slot(pool: Pool, marks: Marks, upstream: str) -> _BySlot:
    return dict(zip(pool.upstream(upstream).slots, marks.get(upstream, ()), strict=False))


def _deployment(each: Deployment, marks: _BySlot, now: float) -> Document:
    document: Document = {
        "guards": [guard.as_state(now) for guard in each.guards],
        "key_rests": _key_rests(each.key_rests, marks, now),
        "succeeded": each.succeeded,
        "failed": each.failed,
        "consecutive_failures": each.consecutive_failures,
        "last_failure": each.last_failure,
        "since_failure": _since(each.last_failure_at, now),
        "since_success": _since(each.last_success_at, now),
        "refused_parameters": sorted(each.refused_parameters),
    }
    if each.rest is not None and each.rest.until > now:
        document["rest"] = _rest(each.rest, now)
    if each.order is not None:
        document["order"] = {"kind": each.order.kind, "reason": each.order.reason, "left": _left(each.order.until, now)}
    if each.weight is not None:
        left = _left(each.weight.until, now)
        document["weight"] = {"value": each.weight.value, "reason": each.weight.reason, "left": left}
    if each.ejection is not None and each.ejection.until > now:
        document["ejection"] = {"reason": each.ejection.reason, "left": _left(each.ejection.until, now)}
    return document


def _restore_deployment(
    each: Deployment,
    part: Mapping[str, object],
    marks: _BySlot,
    rules: Sequence[Rules],
    elapsed: float,
    now: float,
) -> None:
    each.key_rests.update(_read_key_rests(part.get("key_rests"), marks, elapsed, now))
    each.rest = _read_rest(part.get("rest"), elapsed, now)
    each.succeeded, each.failed = count(part.get("succeeded")), count(part.get("failed"))
    each.consecutive_failures = count(part.get("consecutive_failures"))
    each.last_failure = text(part.get("last_failure"))
    each.last_failure_at = _ago(part.get("since_failure"), elapsed, now)
    each.last_success_at = _ago(part.get("since_success"), elapsed, now)
    refused = part.get("refused_parameters")
    if isinstance(refused, list):
        each.refused_parameters.update(name for name in refused[:64] if isinstance(name, str))
    order = part.get("order")
    if isinstance(order, Mapping) and (until := _until(order.get("left"), elapsed, now)) is not None:
        kind = order.get("kind")
        if kind == "drain" or kind == "disable":  # noqa: PLR1714 - so that the type is known
            each.order = Order(kind, until, text(order.get("reason")))
    weight = part.get("weight")
    if isinstance(weight, Mapping) and (until := _until(weight.get("left"), elapsed, now)) is not None:
        value = seconds(weight.get("value"))
        each.weight = None if value is None else Weight(value, until, text(weight.get("reason")))
    ejection = part.get("ejection")
    if isinstance(ejection, Mapping) and (left := seconds(ejection.get("left"))) is not None:
        each.ejection = Ejection(now + min(left, LONGEST) - elapsed, text(ejection.get("reason")) or "errors")
    _restore_guards(each, part.get("guards"), rules, elapsed, now)


def _restore_guards(each: Deployment, saved: object, rules: Sequence[Rules], elapsed: float, now: float) -> None:
    """Each set of rules takes up the state of its like; new rules that of the first, so no opening is forgotten."""
    known = [guard for guard in saved if isinstance(guard, Mapping)] if isinstance(saved, list) else []
    for set_of_rules in rules:
        guard = each.guard(set_of_rules, now)
        mark = guard.as_state(now)["rules"]
        state = next((state for state in known if state.get("rules") == mark), known[0] if known else None)
        if state is not None:
            guard.restore(state, elapsed, now)


def _key_rests(rests: Mapping[int, Rest], marks: _BySlot, now: float) -> Document:
    return {marks[slot]: _rest(rest, now) for slot, rest in rests.items() if rest.until > now and slot in marks}


def _read_key_rests(saved: object, marks: _BySlot, elapsed: float, now: float) -> dict[int, Rest]:
    if not isinstance(saved, Mapping):
        return {}
    found = {slot: _read_rest(saved.get(mark), elapsed, now) for slot, mark in marks.items()}
    return {slot: rest for slot, rest in found.items() if rest is not None}


def _rest(rest: Rest, now: float) -> Document:
    return {"kind": rest.kind.value, "left": rest.until - now}


def _read_rest(saved: object, elapsed: float, now: float) -> Rest | None:
    if not isinstance(saved, Mapping):
        return None
    left = seconds(saved.get("left"))
    kind = next((kind for kind in _RESTING if kind.value == saved.get("kind")), None)
    if left is None or kind is None or min(left, LONGEST) <= elapsed:
        return None
    return Rest(now + min(left, LONGEST) - elapsed, kind)


def _left(until: float, now: float) -> float | None:
    return None if math.isinf(until) else max(0.0, until - now)


def _until(left: object, elapsed: float, now: float) -> float | None:
    """The end of an order; None for one that is over, or makes no sense."""
    if left is None:
        return math.inf
    lasting = seconds(left)
    return now + lasting - elapsed if lasting is not None and lasting > elapsed else None


def _since(at: float | None, now: float) -> float | None:
    return None if at is None else now - at


def _ago(since: object, elapsed: float, now: float) -> float | None:
    passed = seconds(since)
    return None if passed is None else now - passed - elapsed
