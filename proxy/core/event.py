"""Everything that the proxy tells of itself, as values.

Whoever acts emits one of these and knows nobody who listens; the log, the metrics and the event stream are listeners
(`telemetry/`). Times are seconds; `at` is the wall clock, for people. No event holds prompt text, a key, or an
upstream's raw message.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from proxy.core.names import DeploymentId


@dataclass(frozen=True, slots=True)
class AttemptEnded:
    """One call to one deployment is over. `outcome` is `ok`, `cancelled`, or a failure's code."""

    deployment: DeploymentId
    outcome: str
    duration: float
    status: int | None = None
    """The upstream's HTTP status, where there was one."""


@dataclass(frozen=True, slots=True)
class FailedOver:
    """A request went on from one deployment to another."""

    route: str
    source: DeploymentId
    target: DeploymentId
    reason: str


@dataclass(frozen=True, slots=True)
class Rested:
    """A deployment, or a key of its upstream, takes no requests for a while."""

    deployment: DeploymentId
    key: int | None
    """Which key of the pool, counted from 0; None when the deployment itself rests."""
    whole_upstream: bool
    reason: str
    duration: float


@dataclass(frozen=True, slots=True)
class RetryRefused:
    """The retry budget was used up, so a deployment was not tried again."""

    deployment: DeploymentId


@dataclass(frozen=True, slots=True)
class StreamInterrupted:
    """A stream broke after the client had seen some of it."""

    deployment: DeploymentId
    code: str


@dataclass(slots=True)
class RequestEnded:
    """One client request is over: the canonical record, and the fields of its log line."""

    request_id: str
    route: str
    """The route's name as configured; `_unknown` for a model that no route serves."""
    model_asked: str
    stream: bool
    status: int = 0
    outcome: str = "ok"
    """`ok`, `client_left`, or the code of the error that the client got."""
    flag: str = ""
    """Two or three letters for the eye, in the manner of Envoy's response flags: see docs/operations.md."""
    client: str | None = None
    deployment: DeploymentId | None = None
    attempts: tuple[AttemptEnded, ...] = field(default=())
    duration: float = 0.0
    first_token: float | None = None
    waited_for_others: float = 0.0
    """Seconds that others took: the client for its body, the upstreams for attempts, and the waits between these. The
    rest of the duration is the proxy's own."""
    usage: bytes | None = None
    """The upstream's own JSON in which the token counts stand; listeners read it, off the request's path."""
    degraded: str | None = None
    client_retry: int = 0
    """The client's SDK says that this is its n-th retry."""
    tags: str | None = None


Happening = AttemptEnded | FailedOver | Rested | RetryRefused | StreamInterrupted | RequestEnded
"""Any event."""
