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
from proxy.policies.breaker import BreakerState
from proxy.pool.deployment import Deployment
from proxy.pool.rest import Rest

Cause = Literal["interval", "suspicion", "operator"]

_JITTER = 0.2
_RARELY = 10
"""Intervals between two probes of what rests."""
_LASTING = {FailureClass.QUOTA, FailureClass.CREDENTIAL, FailureClass.MODEL_GONE}


def why_probe(
    deployment: Deployment, settings: HealthSettings, rest: Rest | None, probed_at: float, now: float, *, free: bool
) -> Cause | None:
    """Why to probe now; None for no probe. `rest` is what keeps the deployment away, `probed_at` the last probe's time.

    `free` says that asking costs nothing. Intervals are those of `settings`, in seconds; the caller adds the jitter.
    """
    if settings.probe == "never" or (deployment.order is not None and deployment.order.kind == "disable"):
        return None
    if rest is not None:
        due = rest.kind in _LASTING and now >= probed_at + _RARELY * settings.interval
        return "suspicion" if due else None
    states = [guard.breaker for guard in deployment.guards]
    if any(breaker.state is not BreakerState.CLOSED and breaker.usable_at(now) <= now for breaker in states):
        return "suspicion"
    if any(breaker.state is BreakerState.OPEN for breaker in states) or now < probed_at + settings.interval:
        return None
    failed_at = deployment.last_failure_at
    if deployment.consecutive_failures and failed_at is not None and now >= failed_at + settings.interval:
        return "suspicion"
    always = settings.probe == "always" or (settings.probe == "auto" and free)
    proved = deployment.last_success_at is not None and now < deployment.last_success_at + settings.interval
    return "interval" if always and not proved else None


def jittered(interval: float, roll: float) -> float:
    """An interval, up to a fifth shorter or longer, so that many proxies do not ask at once. `roll` is luck, 0 to 1."""
    return interval * (1 - _JITTER + 2 * _JITTER * roll)
