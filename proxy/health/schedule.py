"""Whether a deployment should be asked a test prompt now, and why: a pure decision.

`probe` says how eager to be: *always* asks on the interval, unless live traffic has proved the deployment within it;
*suspect* asks only a deployment that is in doubt; *auto* is always where asking costs nothing, and suspect elsewhere;
*never* leaves it to traffic.

In doubt is: a breaker that is half-open, or open with its time over (then the probe is the half-open attempt); failures
in a row, after which no traffic has come for an interval to tell more; a rest that may end before its time because
somebody topped up an account or installed a model. The last is asked about rarely, since the upstream has said clearly
what it thinks.
"""

from __future__ import annotations

from typing import Literal

from proxy.config.settings import HealthSettings
from proxy.core.failure import FailureClass
from proxy.policies.breaker import Breaker, BreakerState
from proxy.pool.deployment import Deployment
from proxy.pool.rest import Rest

Cause = Literal["interval", "suspicion", "operator"]

_JITTER = 0.2
_RARELY = 10
"""Intervals between two probes of what rests."""
_LASTING = {FailureClass.QUOTA, FailureClass.CREDENTIAL, FailureClass.MODEL_GONE}


def why_probe(
    deployment: Deployment,
    settings: HealthSettings,
    rest: Rest | None,
    probed_at: float,
    now: float,
    *,
    free: bool,
    named: bool = True,
) -> Cause | None:
    """Why to probe now; None for no probe. `rest` is what keeps the deployment away, `probed_at` the last probe's time.

    `free` says that asking costs nothing; `named` that the configuration names the deployment, so that it is meant to
    exist. Intervals are those of `settings`, in seconds; the caller adds the jitter.
    """
    if settings.probe == "never" or (deployment.order is not None and deployment.order.kind == "disable"):
        return None
    if rest is not None:
        real = named or deployment.last_success_at is not None
        due = real and rest.kind in _LASTING and now >= probed_at + _RARELY * settings.interval
        return "suspicion" if due else None
    breakers = [guard.breaker for guard in deployment.guards]
    if any(_wants_proof(breaker, deployment.last_success_at, now) for breaker in breakers):
        return "suspicion"
    if any(breaker.state is BreakerState.OPEN for breaker in breakers) or now < probed_at + settings.interval:
        return None
    if any(breaker.state is BreakerState.HALF_OPEN and breaker.usable_at(now) <= now for breaker in breakers):
        return "suspicion"
    failed_at = deployment.last_failure_at
    if deployment.consecutive_failures and failed_at is not None and now >= failed_at + settings.interval:
        return "suspicion"
    always = settings.probe == "always" or (settings.probe == "auto" and free)
    proved = deployment.last_served_at is not None and now < deployment.last_served_at + settings.interval
    return "interval" if always and not proved else None


def _wants_proof(breaker: Breaker, last_success_at: float | None, now: float) -> bool:
    """Whether a breaker should be asked at once: its time is over, or a first success calls for the next one.

    One that is half-open and has learned nothing, since the answer said nothing about it, is asked on the interval.
    """
    if breaker.state is BreakerState.CLOSED or breaker.usable_at(now) > now:
        return False
    if breaker.state is BreakerState.OPEN:
        return True
    return last_success_at is not None and last_success_at >= breaker.changed_at


def jittered(interval: float, roll: float) -> float:
    """An interval, up to a fifth shorter or longer, so that many proxies do not ask at once. `roll` is luck, 0 to 1."""
    return interval * (1 - _JITTER + 2 * _JITTER * roll)
