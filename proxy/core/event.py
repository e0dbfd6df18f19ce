"""Everything that the proxy tells of itself, as values.

Whoever acts emits one of these and knows nobody who listens; the log, the metrics and the event stream are listeners
(`telemetry/`). Times are seconds; `at` is the wall clock, for people. No event holds prompt text, a key, or an
upstream's raw message. Those that many requests emit are structs, which cost a tenth of a dataclass to make, and are
no business of the collector: nothing that they hold refers to them.
"""

from __future__ import annotations

from dataclasses import dataclass

from msgspec import Struct

from proxy.core.names import DeploymentId


class AttemptEnded(Struct, frozen=True, gc=False):
    """One call to one deployment is over, after `duration` seconds.

    `outcome` is `ok`, `cancelled` (the client left), `lost` (another attempt of its request was faster), or a failure's
    code.
    """

    deployment: DeploymentId
    outcome: str
    duration: float
    status: int | None = None
    """The upstream's HTTP status, where there was one."""
    cost: float | None = None
    """USD, where tokens and prices are known."""


class FailedOver(Struct, frozen=True, gc=False):
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
class RestCleared:
    """A rest ended before its time, because a probe or an operator said so."""

    deployment: DeploymentId
    key: int | None
    """As in `Rested`."""
    whole_upstream: bool
    cause: str
    """`probe`, `operator`, or `reload`: the key is no longer in the configuration."""


@dataclass(frozen=True, slots=True)
class BreakerChanged:
    """A deployment's breaker changed its state."""

    deployment: DeploymentId
    source: str
    """`closed`, `open` or `half_open`."""
    target: str
    cause: str
    """`consecutive_failures`, `error_rate`, `probe_failed`, `relapse`, `time`, `panic`, `probes_succeeded`,
    `operator`."""
    duration: float | None = None
    """Of an opening: the seconds until it may be tried again."""


@dataclass(frozen=True, slots=True)
class Ejected:
    """A deployment is left out for a while, because its siblings do far better."""

    deployment: DeploymentId
    route: str
    reason: str
    """`errors` or `latency`."""
    duration: float


@dataclass(frozen=True, slots=True)
class TrendChanged:
    """Where a deployment is heading: `errors` or `latency` while traffic is moved away, None when all is well again."""

    deployment: DeploymentId
    reason: str | None
    share: float
    """Of the traffic that is moved away, from 0 to 1."""


@dataclass(frozen=True, slots=True)
class RampStarted:
    """A deployment is back, and gets its traffic back gradually."""

    deployment: DeploymentId
    duration: float


@dataclass(frozen=True, slots=True)
class Recovered:
    """A deployment was stable for long enough after it came back."""

    deployment: DeploymentId
    duration: float
    """From its breaker's first opening to this moment."""


@dataclass(frozen=True, slots=True)
class ProbeEnded:
    """A test prompt was answered, or was not. `outcome` is `ok`, `cancelled`, or a failure's code."""

    deployment: DeploymentId
    outcome: str
    duration: float
    cause: str
    """`interval`, `suspicion` or `operator`."""


@dataclass(frozen=True, slots=True)
class Hedged:
    """A second attempt was started because the first was silent for too long."""

    route: str
    source: DeploymentId
    target: DeploymentId
    delay: float


@dataclass(frozen=True, slots=True)
class BudgetRefused:
    """An extra attempt was not made, because a budget was used up."""

    deployment: DeploymentId
    purpose: str
    """`retry`, `hedge` or `panic`."""


@dataclass(frozen=True, slots=True)
class Shed:
    """A request was refused, because every deployment that it could use was full and so was the queue."""

    route: str


class Degraded(Struct, frozen=True, gc=False):
    """A client got less than its route's first choice."""

    route: str
    deployment: DeploymentId | None
    """None for a last resort."""
    reason: str
    quality: float | None


@dataclass(frozen=True, slots=True)
class Controlled:
    """An operator changed something, or such a change reverted when its time was over."""

    deployment: DeploymentId | None
    """None for a change to all of them."""
    action: str
    """`open`, `close`, `reset`, `drain`, `enable`, `disable`, `weight`, `probe`, `revert`."""
    reason: str | None = None
    duration: float | None = None
    """Seconds until it reverts; None for lasting."""


@dataclass(frozen=True, slots=True)
class Reloaded:
    """The configuration was read again: another one is in force, or, because of errors in it, still the same one."""

    outcome: str
    """`ok`, or `refused`."""
    cause: str
    """`operator`, `signal` or `file`."""
    errors: int
    warnings: int
    message: str | None
    """The first error with its place, or what needs a restart."""
    duration: float
    reason: str | None = None
    """An operator's."""


@dataclass(frozen=True, slots=True)
class StoreTrouble:
    """What should survive a restart cannot be read or written; the proxy goes on without."""

    problem: str


@dataclass(frozen=True, slots=True)
class StoreRecovered:
    """State is kept again."""


@dataclass(frozen=True, slots=True)
class StreamInterrupted:
    """A stream broke after the client had seen some of it."""

    deployment: DeploymentId
    code: str


@dataclass(frozen=True, slots=True)
class ResumeEnded:
    """An attempt to go on with a broken stream elsewhere is over, or nobody was left for one."""

    route: str
    source: DeploymentId
    target: DeploymentId | None
    """None when nobody was left, or nothing may be tried."""
    cause: str
    """The code of the failure that broke the stream."""
    mode: str
    """`prefill`, `instruct`, `restart`, or `none`."""
    outcome: str
    """`continued`; `refused`, by the deployment or because its answer could not be joined; `failed`; `given_up`."""
    duration: float
    """Seconds since the break."""


@dataclass(frozen=True, slots=True)
class Resume:
    """One continuation of a stream elsewhere, as its request's record tells it."""

    source: DeploymentId
    target: DeploymentId
    cause: str
    mode: str


class RequestEnded(Struct, gc=False):
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
    attempts: tuple[AttemptEnded, ...] = ()
    resumes: tuple[Resume, ...] = ()
    duration: float = 0.0
    first_token: float | None = None
    waited_for_others: float = 0.0
    """Seconds that others took: the client for its body, the upstreams for attempts, and the waits between these. The
    rest of the duration is the proxy's own."""
    usage: bytes | None = None
    """The upstream's own JSON in which the token counts stand; listeners read it, off the request's path."""
    cost: float | None = None
    """USD, of all attempts whose cost is known; None where none's is."""
    degraded: str | None = None
    client_retry: int = 0
    """The client's SDK says that this is its n-th retry."""
    tags: str | None = None


Happening = (
    AttemptEnded
    | FailedOver
    | Rested
    | RestCleared
    | BreakerChanged
    | Ejected
    | TrendChanged
    | RampStarted
    | Recovered
    | ProbeEnded
    | Hedged
    | BudgetRefused
    | Shed
    | Degraded
    | Controlled
    | StreamInterrupted
    | ResumeEnded
    | Reloaded
    | StoreTrouble
    | StoreRecovered
    | RequestEnded
)
"""Any event."""
