"""Which event becomes which log line: its level, its name and its fields.

A field without a value is None here and absent in the line. Numbers carry their unit in the field's name. No field ever
holds prompt text, a key, or an upstream's own message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from logging import DEBUG, INFO, WARNING
from math import floor
from typing import Any, NamedTuple

from msgspec import Struct, to_builtins

from proxy.core.event import (
    AttemptEnded,
    BreakerChanged,
    BudgetRefused,
    Controlled,
    Degraded,
    Ejected,
    FailedOver,
    Hedged,
    ProbeEnded,
    RampStarted,
    Recovered,
    Reloaded,
    RequestEnded,
    RestCleared,
    Rested,
    Resume,
    ResumeEnded,
    Shed,
    StoreRecovered,
    StoreTrouble,
    StreamInterrupted,
    TrendChanged,
)
from proxy.core.names import DeploymentId
from proxy.telemetry.usage import read_usage

Fields = dict[str, Any]


class Line(NamedTuple):
    """How one type of event is told. The functions get an event of that type."""

    level: int | Callable[[Any], int]
    name: str
    fields: Callable[[Any], Fields]
    floods: bool = False
    """May come by the thousand: of equal lines, one a second is written."""


def request_level(record: RequestEnded) -> int:
    """How much a request's line matters."""
    return INFO if record.status < 500 else WARNING


class _Attempt(Struct, omit_defaults=True, gc=False):
    deployment: str
    outcome: str
    status: int | None
    ms: float
    cost_usd: float | None = None


class RequestLine(Struct, omit_defaults=True, gc=False):
    """The canonical line of one request, in the order of its fields."""

    ts: str
    level: str
    event: str
    request_id: str
    route: str
    model_asked: str
    upstream: str | None = None
    model: str | None = None
    status: int | None = None
    outcome: str | None = None
    flag: str | None = None
    stream: bool | None = None
    attempts: list[_Attempt] | None = None
    resumes: list[dict[str, str]] | None = None
    ttft_s: float | None = None
    duration_s: float | None = None
    overhead_s: float | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    cost_usd: float | None = None
    degraded: str | None = None
    client: str | None = None
    client_retry: int | None = None
    tags: str | None = None
    worker: int | None = None


def request_line(record: RequestEnded, ts: str = "", level: str = "", worker: int | None = None) -> RequestLine:
    """What is told of a request, at a time and a level, by which of several processes."""
    tokens = read_usage(record.usage)
    deployment, first_token, duration = record.deployment, record.first_token, record.duration
    overhead = duration - record.waited_for_others
    return RequestLine(
        ts,
        level,
        "request",
        record.request_id,
        record.route,
        record.model_asked,
        None if deployment is None else deployment.upstream,
        None if deployment is None else deployment.model,
        record.status,
        record.outcome,
        record.flag or None,
        record.stream,
        [_attempt(each) for each in record.attempts],
        _resumes(record.resumes) if record.resumes else None,
        None if first_token is None else _microseconds(first_token),
        _microseconds(duration),
        _microseconds(overhead) if overhead > 0 else 0.0,
        tokens.prompt,
        tokens.completion,
        None if record.cost is None else round(record.cost, 8),
        record.degraded,
        record.client,
        record.client_retry or None,
        record.tags,
        worker,
    )


def _attempt(attempt: AttemptEnded) -> _Attempt:
    return _Attempt(
        str(attempt.deployment),
        attempt.outcome,
        attempt.status,
        floor(attempt.duration * 10_000 + 0.5) / 10,
        None if attempt.cost is None else round(attempt.cost, 8),
    )


def _resumes(resumes: Iterable[Resume]) -> list[dict[str, str]]:
    return [
        {"from": str(each.source), "to": str(each.target), "cause": each.cause, "mode": each.mode} for each in resumes
    ]


def _microseconds(seconds: float) -> float:
    """To six digits. `round` is exact where a half has no exact form, and takes four times as long over it."""
    return floor(seconds * 1e6 + 0.5) / 1e6


def _request(record: RequestEnded) -> Fields:
    fields: Fields = to_builtins(request_line(record))
    return {name: value for name, value in fields.items() if name not in {"ts", "level", "event"}}


def _failover(event: FailedOver) -> Fields:
    return {
        "route": event.route,
        "source": str(event.source),
        "target": str(event.target),
        "reason": event.reason,
    }


def _resume_level(event: ResumeEnded) -> int:
    return INFO if event.outcome == "continued" else WARNING


def _resume(event: ResumeEnded) -> Fields:
    return {
        "route": event.route,
        "source": str(event.source),
        "target": _or_none(event.target),
        "cause": event.cause,
        "mode": event.mode,
        "outcome": event.outcome,
        "after_s": _rounded(event.duration, 6),
    }


def _hedge(event: Hedged) -> Fields:
    return {
        "route": event.route,
        "source": str(event.source),
        "target": str(event.target),
        "after_s": _rounded(event.delay),
    }


def _rest(event: Rested) -> Fields:
    target = _resting(event.deployment, whole_upstream=event.whole_upstream)
    return {"target": target, "key": event.key, "reason": event.reason, "for_s": _rounded(event.duration)}


def _rest_cleared(event: RestCleared) -> Fields:
    target = _resting(event.deployment, whole_upstream=event.whole_upstream)
    return {"target": target, "key": event.key, "cause": event.cause}


def _resting(deployment: DeploymentId, *, whole_upstream: bool) -> str:
    return deployment.upstream if whole_upstream else str(deployment)


def _breaker_level(event: BreakerChanged) -> int:
    if event.target == "half_open" or event.cause == "panic":
        return DEBUG
    return WARNING if event.target == "open" else INFO


def _breaker(event: BreakerChanged) -> Fields:
    return {
        "deployment": str(event.deployment),
        "source": str(event.source),
        "target": str(event.target),
        "cause": event.cause,
        "for_s": _rounded(event.duration),
    }


def _ejected(event: Ejected) -> Fields:
    return {
        "deployment": str(event.deployment),
        "route": event.route,
        "reason": event.reason,
        "for_s": _rounded(event.duration),
    }


def _trend_level(event: TrendChanged) -> int:
    return INFO if event.reason is None else WARNING


def _trend(event: TrendChanged) -> Fields:
    return {"deployment": str(event.deployment), "reason": event.reason, "moved_ratio": _rounded(event.share)}


def _ramp(event: RampStarted) -> Fields:
    return {"deployment": str(event.deployment), "for_s": _rounded(event.duration)}


def _recovered(event: Recovered) -> Fields:
    return {"deployment": str(event.deployment), "after_s": _rounded(event.duration)}


def _probe_level(event: ProbeEnded) -> int:
    if event.outcome in {"ok", "cancelled"}:
        return DEBUG
    # That it is out is known by then; a probe only confirms it.
    return INFO if event.cause == "suspicion" else WARNING


def _probe(event: ProbeEnded) -> Fields:
    return {
        "deployment": str(event.deployment),
        "outcome": event.outcome,
        "cause": event.cause,
        "duration_s": _rounded(event.duration),
    }


def _budget(event: BudgetRefused) -> Fields:
    return {"upstream": event.deployment.upstream, "purpose": event.purpose}


def _shed(event: Shed) -> Fields:
    return {"route": event.route}


def _degraded(event: Degraded) -> Fields:
    return {
        "route": event.route,
        "deployment": _or_none(event.deployment),
        "reason": event.reason,
        "quality": event.quality,
    }


def _control(event: Controlled) -> Fields:
    return {
        "deployment": _or_none(event.deployment) or "all",
        "action": event.action,
        "reason": event.reason,
        "for_s": _rounded(event.duration),
    }


def _reload_level(event: Reloaded) -> int:
    return INFO if event.outcome == "ok" and event.message is None else WARNING


def _reload(event: Reloaded) -> Fields:
    return {
        "outcome": event.outcome,
        "cause": event.cause,
        "errors": event.errors or None,
        "warnings": event.warnings or None,
        "message": event.message,
        "reason": event.reason,
        "duration_s": _rounded(event.duration),
    }


def _interrupted(event: StreamInterrupted) -> Fields:
    return {"deployment": str(event.deployment), "code": event.code}


def _trouble(event: StoreTrouble) -> Fields:
    return {"problem": event.problem}


def _nothing(_event: StoreRecovered) -> Fields:
    return {}


def _or_none(deployment: DeploymentId | None) -> str | None:
    return None if deployment is None else str(deployment)


def _rounded(number: float | None, digits: int = 3) -> float | None:
    return None if number is None else round(number, digits)


LINES: dict[type, Line] = {
    RequestEnded: Line(request_level, "request", _request),
    FailedOver: Line(DEBUG, "failover", _failover),
    Hedged: Line(DEBUG, "hedge", _hedge),
    Degraded: Line(DEBUG, "degraded", _degraded),
    StreamInterrupted: Line(WARNING, "stream interrupted", _interrupted),
    ResumeEnded: Line(_resume_level, "resume", _resume),
    Rested: Line(WARNING, "rest", _rest),
    RestCleared: Line(INFO, "rest cleared", _rest_cleared),
    BreakerChanged: Line(_breaker_level, "breaker", _breaker),
    RampStarted: Line(INFO, "ramp", _ramp),
    Recovered: Line(INFO, "recovered", _recovered),
    Ejected: Line(WARNING, "ejected", _ejected),
    TrendChanged: Line(_trend_level, "trend", _trend),
    ProbeEnded: Line(_probe_level, "probe", _probe),
    BudgetRefused: Line(WARNING, "budget used up", _budget, floods=True),
    Shed: Line(WARNING, "shed", _shed, floods=True),
    Controlled: Line(INFO, "control", _control),
    Reloaded: Line(_reload_level, "reload", _reload),
    StoreTrouble: Line(WARNING, "state store trouble", _trouble),
    StoreRecovered: Line(INFO, "state store recovered", _nothing),
}
"""By the event's type. An attempt has no line of its own: its request's line tells it."""
