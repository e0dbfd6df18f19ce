"""What is told of a request besides its answer: to its client in headers, and to everybody else in its record.

The engine and the fast path tell it by the same functions, so that it cannot be two things.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from proxy.core.errors import ClientError
from proxy.core.event import Degraded, Happening, RequestEnded
from proxy.core.names import DeploymentId
from proxy.execution.run import JsonAnswer, Run
from proxy.routing.explain import degradation, reason
from proxy.routing.plan import PlannedStep
from proxy.server.flags import FLAGS, RESUMED
from proxy.server.wire import safe, safe_name, trail


class Teller(Protocol):
    """Who tells."""

    @property
    def emit(self) -> Callable[[Happening], None]:
        """Tells everybody who listens."""

    @property
    def clock(self) -> Callable[[], float]:
        """The loop's, in seconds."""


def tell(
    teller: Teller,
    run: Run,
    step: PlannedStep | None,
    record: RequestEnded,
    running: tuple[DeploymentId, float] | None = None,
) -> dict[str, str]:
    """What every answer tells, and the record with it: who answered, after which attempts, and why this one.

    `step` is None for the last resort; `running` is a stream's attempt that has content, and the seconds until then.
    """
    headers = {
        "x-holdfast-route": safe_name(run.plan.route),
        "x-holdfast-attempts": str(len(run.ended) + (running is not None)),
        "x-holdfast-trail": trail(run.ended, running),
        "server-timing": _timing(run, teller.clock()),
    }
    if step is None:
        return headers
    record.deployment = step.deployment
    headers["x-holdfast-upstream"] = step.deployment.upstream
    headers["x-holdfast-model"] = safe_name(step.deployment.model)
    headers["x-holdfast-reason"] = safe_name(reason(run.plan, step, run.ended, run.passed_over, run.hedge_delay))
    less = degradation(run.plan, step, run.ended)
    if less is not None:
        record.degraded = headers["x-holdfast-degraded"] = str(less)
        teller.emit(Degraded(run.plan.route, step.deployment, less.reason, less.quality))
    return headers


def tell_json(teller: Teller, run: Run, answer: JsonAnswer, record: RequestEnded) -> dict[str, str]:
    """What a whole answer tells, and the record with it."""
    record.status, record.usage = 200, answer.usage
    headers = tell(teller, run, run.current, record)
    if answer.headers:
        headers |= answer.headers
    if answer.dropped:
        headers["x-holdfast-dropped"] = safe(", ".join(answer.dropped))
    if (cost := run.cost) is not None:
        headers["x-holdfast-cost"] = f"{cost:.8f}"
    headers["content-type"] = "application/json"
    return headers


def tell_error(error: ClientError, run: Run, now: float) -> None:
    """Add to an error what every reply tells. `now` is on the loop's clock."""
    error.told = {"x-holdfast-route": safe(run.plan.route), "x-holdfast-attempts": str(len(run.ended))}
    if run.ended:
        last = run.ended[-1].deployment
        error.told["x-holdfast-upstream"] = last.upstream
        error.told["x-holdfast-model"] = safe(last.model)
        error.told["x-holdfast-trail"] = trail(run.ended)
        error.told["server-timing"] = _timing(run, now)
    error.told["x-holdfast-reason"] = error.outcome


def note_run(record: RequestEnded, run: Run) -> None:
    """Note in a record what is asked for in a run."""
    record.client, record.route = run.client, run.plan.route
    record.model_asked, record.stream = run.request.model, run.request.stream
    record.waited_for_others = run.body_took


def sum_up(record: RequestEnded, run: Run) -> None:
    """Note in a record what came of a run."""
    record.attempts, record.cost = tuple(run.ended), run.cost
    for attempt in run.ended:
        record.waited_for_others += attempt.duration
    record.waited_for_others += run.waited
    record.first_token = run.answered - run.started if run.answered is not None else None


def close(teller: Teller, record: RequestEnded, since: float) -> None:
    """Tell a record, now that its request is over, which came at a moment of the loop's clock."""
    record.duration = teller.clock() - since
    record.flag = FLAGS.get(record.outcome, RESUMED if record.resumes else "")
    teller.emit(record)


def _timing(run: Run, now: float) -> str:
    total = (now - run.started) * 1000
    waited = run.waited * 1000
    # Attempts that were lost ran beside the one that won.
    upstream = 0.0
    for attempt in run.ended:
        if attempt.outcome != "lost":
            upstream += attempt.duration * 1000
    if run.answered is not None and run.current is not None:
        upstream = max(upstream, (run.answered - run.started) * 1000 - waited)
    overhead = max(0.0, total - waited - upstream)
    return f"upstream;dur={upstream:.1f}, wait;dur={waited:.1f}, overhead;dur={overhead:.1f}"
