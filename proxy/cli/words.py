"""Events and times in plain words. Whatever comes from elsewhere is shown so that it cannot move a cursor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from proxy.config.finding import printable

Event = Mapping[str, Any]

_CAUSES = {
    "consecutive_failures": "too many failures in a row",
    "error_rate": "too many failures",
    "probe_failed": "a probe failed",
    "relapse": "it failed again soon after it came back",
    "time": "its time is over",
    "panic": "too much of its chain is out",
    "probes_succeeded": "its probes were answered well",
    "operator": "by an operator",
    "restart": "as before the restart",
}
_DONE = {
    "open": "breaker opened by an operator",
    "close": "breaker closed by an operator",
    "reset": "reset by an operator: breakers, rests, orders",
    "drain": "drained by an operator: no new requests",
    "disable": "disabled by an operator: no requests, no probes",
    "enable": "enabled by an operator",
    "weight": "weight changed by an operator",
    "probe": "probe asked for by an operator",
    "revert": "reverted",
}


def span(seconds: float) -> str:
    """A span of time for people: `312 ms`, `4.2 s`, `12 min`, `3.5 h`, `12 d`."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    if seconds < 5970:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.0f} d"


def subject(event: Event) -> str:
    """Whom an event is about: a deployment, a route, or the proxy itself."""
    about = event.get("deployment") if event.get("event") not in {"RequestEnded", "Degraded"} else None
    return printable(str(about or event.get("route") or ("all" if event.get("event") == "Controlled" else "proxy")))


def words(event: Event) -> str:
    """What an event says, in words. An event of a newer version is shown as it is."""
    try:
        return printable(_WORDS[event["event"]](event))
    except (KeyError, TypeError, ValueError):
        rest = {name: value for name, value in event.items() if name not in {"event", "at", "deployment"}}
        return printable(", ".join(f"{name}={value}" for name, value in rest.items()))


def _attempt(event: Event) -> str:
    took = span(event["duration"])
    return f"answered in {took}" if event["outcome"] == "ok" else f"{event['outcome']} after {took}"


def _rested(event: Event) -> str:
    whom = "" if event["key"] is None else f"key {event['key'] + 1} "
    where = ", for every model of its upstream" if event["whole_upstream"] else ""
    return f"{whom}rests for {span(event['duration'])} ({event['reason']}){where}"


def _rest_cleared(event: Event) -> str:
    if event["cause"] == "reload":
        return f"the rest of key {event['key'] + 1} is over: the key is no longer configured"
    whose = "its rest" if event["key"] is None else f"the rest of key {event['key'] + 1}"
    return f"{whose} is over: {'an operator' if event['cause'] == 'operator' else 'a probe'} says so"


def _breaker(event: Event) -> str:
    cause = _CAUSES.get(event["cause"], event["cause"])
    lasting = f" for {span(event['duration'])}" if event["duration"] is not None else ""
    done = {"open": "breaker opened", "closed": "breaker closed", "half_open": "breaker half-open"}[event["target"]]
    return f"{done}{lasting}: {cause}"


def _trend(event: Event) -> str:
    if event["reason"] is None:
        return "its trend is good again"
    what = "its errors rise" if event["reason"] == "errors" else "it gets slower"
    return f"{what}: {event['share']:.0%} of its traffic is moved away"


def _probe(event: Event) -> str:
    took, why = span(event["duration"]), {"operator": "an operator"}.get(event["cause"], event["cause"])
    good = event["outcome"] == "ok"
    return f"probe answered in {took} ({why})" if good else f"probe failed after {took}: {event['outcome']} ({why})"


def _degraded(event: Event) -> str:
    whom = event["deployment"] or "the last resort"
    quality = f", quality {event['quality']:g}" if event["quality"] is not None else ""
    return f"answered by {whom}, below its first choice ({event['reason']}{quality})"


def _controlled(event: Event) -> str:
    lasting = f" for {span(event['duration'])}" if event["duration"] is not None else ""
    reason = f" ({event['reason']})" if event["reason"] else ""
    return f"{_DONE.get(event['action'], event['action'])}{lasting}{reason}"


def _request(event: Event) -> str:
    by = f" by {event['deployment']}" if event["deployment"] else ""
    tries = len(event.get("attempts") or ())
    more = f", {tries} attempts" if tries > 1 else ""
    good = event["outcome"] == "ok"
    what = f"answered{by} in" if good else f"{event['status']} {event['outcome']}{by} after"
    return f"{what} {span(event['duration'])}{more}"


def _resume(event: Event) -> str:
    broke = f"{event['source']} broke off ({event['cause']})"
    if event["outcome"] == "given_up":
        return f"{broke}, and nobody could go on"
    done = {"continued": "went on", "refused": "could not go on", "failed": "failed to go on"}[event["outcome"]]
    return f"{broke}; {event['target']} {done} by {event['mode']} after {span(event['duration'])}"


def _reloaded(event: Event) -> str:
    if event["outcome"] != "ok":
        return f"the new configuration was refused, nothing has changed: {event['message']}"
    note = f" ({event['message']})" if event.get("message") else ""
    return f"another configuration is in force{note}"


_WORDS: dict[str, Callable[[Event], str]] = {
    "AttemptEnded": _attempt,
    "FailedOver": lambda event: f"went on from {event['source']} to {event['target']} ({event['reason']})",
    "Rested": _rested,
    "RestCleared": _rest_cleared,
    "BreakerChanged": _breaker,
    "Ejected": lambda event: f"left out for {span(event['duration'])}: its siblings do far better ({event['reason']})",
    "TrendChanged": _trend,
    "RampStarted": lambda event: f"is back, and gets all its traffic back within {span(event['duration'])}",
    "Recovered": lambda event: f"is well again, {span(event['duration'])} after its trouble began",
    "ProbeEnded": _probe,
    "Hedged": lambda event: f"asked {event['target']}, too: {event['source']} was silent for {span(event['delay'])}",
    "BudgetRefused": lambda event: f"no {event['purpose']}: a budget is used up",
    "Shed": lambda _event: "refused a request: every deployment is full, and so is the queue",
    "Degraded": _degraded,
    "Controlled": _controlled,
    "Reloaded": _reloaded,
    "StoreTrouble": lambda event: f"state is not kept: {event['problem']}",
    "StoreRecovered": lambda _event: "state is kept again",
    "StreamInterrupted": lambda event: f"a stream broke off ({event['code']})",
    "ResumeEnded": _resume,
    "RequestEnded": _request,
}
