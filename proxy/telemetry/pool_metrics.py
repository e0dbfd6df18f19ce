"""How each deployment is at the moment when somebody looks, as Prometheus' text.

It is written here and not through the library's collectors, which take four times as long for the two dozen series of
each deployment: the page is made on the event loop, and requests wait for it.

Only deployments that the configuration names have series. Those that come from globs have names that clients made up.
What is not known (a share of no answers, the age of what has not happened yet) has no series either.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, NamedTuple, TypeVar, get_args

from proxy.core.names import DeploymentId
from proxy.policies.breaker import BreakerState
from proxy.pool.budgets import Budgets
from proxy.pool.pool import Pool
from proxy.pool.snapshot import BreakerPicture, DeploymentPicture, Status, picture

_Picture = TypeVar("_Picture")

Loaded = Callable[[DeploymentId], bool | None]
"""Whether a deployment's model is in the memory of its server; None where that is not known."""

_STATES = [state.value for state in BreakerState]
_STATUSES: tuple[str, ...] = get_args(Status)


class _Seen(NamedTuple):
    labels: str
    """As they stand in the text, without braces."""
    deployment: DeploymentPicture
    breaker: BreakerPicture | None
    """Of several, the one that is least closed."""


class _Row(NamedTuple, Generic[_Picture]):
    """One metric: its name without prefix, its help, and how to read it (None where nothing is known)."""

    name: str
    help_text: str
    read: Callable[[_Picture], float | None]


def _open_remaining(breaker: BreakerPicture) -> float:
    if breaker.state != BreakerState.OPEN:
        return 0.0
    # Without an end it is open for as long as an operator wants it.
    return math.inf if breaker.open_for_s is None else breaker.open_for_s


def _share(deployment: DeploymentPicture) -> float:
    if deployment.ejected is not None:
        return 0.0
    return min((breaker.share for breaker in deployment.breakers), default=1.0)


_BREAKER_ROWS: tuple[_Row[BreakerPicture], ...] = (
    _Row("breaker_distance_ratio", "To opening: 1 is nothing wrong, 0 is open", lambda seen: seen.distance),
    _Row("breaker_error_rate_ratio", "Failures within the breaker's window", lambda seen: seen.error_rate),
    _Row("breaker_open_remaining_seconds", "Until the breaker may be tried; 0 if not open", _open_remaining),
)
_ROWS: tuple[_Row[DeploymentPicture], ...] = (
    _Row(
        "breaker_rejected_total",
        "Requests that the breaker kept away",
        lambda seen: sum(breaker.rejected for breaker in seen.breakers),
    ),
    _Row("deployment_attempts_total", "Attempts that ended well or badly", lambda seen: seen.attempts),
    _Row("deployment_succeeded_total", "Attempts that ended well", lambda seen: seen.succeeded),
    _Row("deployment_failed_total", "Attempts that ended badly", lambda seen: seen.failed),
    _Row("deployment_last_success_age_seconds", "Since the last good answer", lambda seen: seen.since_success_s),
    _Row("deployment_last_failure_age_seconds", "Since the last failure", lambda seen: seen.since_failure_s),
    _Row("deployment_success_ratio", "Good answers among the last 100", lambda seen: seen.success_share),
    _Row("deployment_in_flight_attempts", "Attempts under way", lambda seen: seen.in_flight),
    _Row("deployment_concurrency_limit", "Attempts that may be under way", lambda seen: seen.limit),
    _Row("deployment_share_ratio", "Of its normal traffic that it is given", _share),
    _Row("deployment_resting_keys", "Keys that rest", lambda seen: seen.keys_resting),
    _Row("rate_limit_headroom_ratio", "What is left of the rate limits, if told", lambda seen: seen.headroom),
)


class PoolMetrics:
    """The part of the page that shows the pool."""

    def __init__(
        self,
        pool: Pool,
        budgets: Budgets,
        named: Iterable[DeploymentId],
        clock: Callable[[], float],
        is_loaded: Loaded = lambda _: None,
    ) -> None:
        """`named` are the deployments to show, `clock` is the pool's."""
        self._pool = pool
        self._budgets = budgets
        # Several routes may name one deployment, but no series may stand twice on the page.
        self._labels = {
            id_: f'upstream="{_escaped(id_.upstream)}",model="{_escaped(id_.model)}"' for id_ in dict.fromkeys(named)
        }
        self._clock = clock
        self._is_loaded = is_loaded

    def render(self) -> bytes:
        """Prometheus' text, of this moment."""
        now = self._clock()
        seen = [self._see(id_, labels, now) for id_, labels in self._labels.items()]
        deployments = [(labels, deployment) for labels, deployment, _ in seen]
        breakers = [(labels, breaker) for labels, _, breaker in seen if breaker is not None]
        lines: list[str] = [
            *_head("breaker_state", "1 for the breaker's state"),
            *_one_of("breaker_state", "state", _STATES, ((labels, breaker.state) for labels, breaker in breakers)),
            *_head("deployment_status", "1 for the deployment's status"),
            *_one_of("deployment_status", "status", _STATUSES, ((labels, each.status) for labels, each in deployments)),
        ]
        for name, help_text, read_breaker in _BREAKER_ROWS:
            lines += _head(name, help_text)
            lines += _series(name, ((labels, read_breaker(breaker)) for labels, breaker in breakers))
        for name, help_text, read in _ROWS:
            lines += _head(name, help_text)
            lines += _series(name, ((labels, read(deployment)) for labels, deployment in deployments))
        lines += _head("model_loaded", "Whether its server has the model in memory, if told")
        told = ((labels, self._is_loaded(id_)) for id_, labels in self._labels.items())
        lines += _series("model_loaded", ((labels, None if is_ is None else int(is_)) for labels, is_ in told))
        name = "upstream_retry_budget_remaining_ratio"
        lines += _head(name, "What is left of the upstream's own budget of extra attempts")
        left = self._budgets.remaining_of(now)
        lines += _series(name, ((f'upstream="{_escaped(upstream)}"', share) for upstream, share in left.items()))
        return "".join(f"{line}\n" for line in lines).encode()

    def _see(self, id_: DeploymentId, labels: str, now: float) -> _Seen:
        deployment = picture(self._pool, id_, now)
        return _Seen(labels, deployment, max(deployment.breakers, key=_openness, default=None))


def _openness(breaker: BreakerPicture) -> tuple[int, float, float]:
    rank = (BreakerState.CLOSED, BreakerState.HALF_OPEN, BreakerState.OPEN).index(BreakerState(breaker.state))
    return rank, _open_remaining(breaker), -breaker.distance


def _head(name: str, help_text: str) -> tuple[str, str]:
    kind = "counter" if name.endswith("_total") else "gauge"
    return f"# HELP holdfast_{name} {help_text}", f"# TYPE holdfast_{name} {kind}"


def _one_of(name: str, label: str, words: Iterable[str], values: Iterable[tuple[str, str]]) -> Iterator[str]:
    for labels, value in values:
        for word in words:
            yield f'holdfast_{name}{{{labels},{label}="{word}"}} {int(word == value)}'


def _series(name: str, values: Iterable[tuple[str, float | None]]) -> Iterator[str]:
    for labels, value in values:
        if value is not None:
            yield f"holdfast_{name}{{{labels}}} {'+Inf' if value == math.inf else value}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
