"""Choices in plain words: for error messages, reply headers and the `explain` command."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from proxy.core.errors import ClientError
from proxy.core.event import AttemptEnded
from proxy.core.failure import Failure, FailureClass
from proxy.core.names import DeploymentId
from proxy.pool.standing import Hold, Standing
from proxy.routing.next_move import GiveUp
from proxy.routing.plan import FORBIDDEN, Plan, PlannedStep

_STATUS = {
    "deadline_exceeded": 504,
    "rate_limit_exceeded": 429,
    "no_healthy_upstream": 503,
    "overloaded": 503,
    "upstream_error": 502,
}
_FOREIGN_TYPE = re.compile(r"[A-Z_]+|\w+Exception|upstream_error")
"""Types of errors in the words of Google's and Amazon's languages, and of our translations: none that clients know."""
_ADVICE = {
    "deadline_exceeded": "The request's deadline is over.",
    "rate_limit_exceeded": "Every usable deployment is rate limited.",
    "no_healthy_upstream": "No deployment of this route can be used now.",
    "overloaded": "Every deployment of this route that could answer is full, and so is the queue.",
    "upstream_error": "Every deployment of this route failed.",
}


def give_up_error(
    move: GiveUp, plan: Plan, ended: Sequence[AttemptEnded], standings: Sequence[Standing], now: float
) -> ClientError:
    """The error for a request that nobody answered: what was tried, and what to do."""
    parts = [f"{attempt.deployment} {attempt.outcome} after {attempt.duration * 1000:.0f} ms" for attempt in ended]
    asked = {attempt.deployment for attempt in ended}
    for step, standing in zip(plan.steps, standings, strict=True):
        if step.deployment not in asked and standing.hold is not None:
            parts.append(f"{step.deployment} {standing.words(now)}")
    parts.extend(f"{skipped.deployment} skipped: {skipped.reason}" for skipped in plan.skipped)
    advice = _ADVICE[move.code]
    if move.retry_after is not None:
        advice += f" Try again in {move.retry_after:.0f} s."
    message = f"{plan.route}: {', '.join(parts) or 'nothing was tried'}. {advice}"
    # A client that is told when to return may; otherwise trying again is what has just been done on its behalf.
    should_retry = None if move.retry_after is not None else False
    return ClientError(_STATUS[move.code], move.code, message, retry_after=move.retry_after, should_retry=should_retry)


def returned_error(failure: Failure) -> ClientError:
    """The error for a failure that is the caller's: the upstream's own words, in our shape."""
    status = failure.status if failure.status is not None and 400 <= failure.status < 500 else 400
    # llama.cpp calls it its own error that a text is too long, or an image.
    blamed = failure.error_type if failure.status is None or failure.status < 500 else None
    if blamed is not None and _FOREIGN_TYPE.fullmatch(blamed):
        blamed = None
    told = None if failure.error_code == str(failure.status) else failure.error_code
    code = "context_length_exceeded" if failure.kind is FailureClass.CONTEXT_TOO_LONG else told
    return ClientError(
        status,
        code,
        failure.message or "The upstream refused the request.",
        error_type=blamed or "invalid_request_error",
        param=failure.param,
        should_retry=False,
        outcome=failure.kind.value,
    )


class Explained(NamedTuple):
    """One step of a chain in the eyes of `explain`."""

    deployment: DeploymentId
    serves: bool
    """Whether a request would be sent there first."""
    usable: bool
    why: str
    breaker_opens: str = ""
    """At what its breaker opens."""
    window: int | None = None
    """Tokens of its window, where known: from the file, from the server itself, or from the catalogue."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Which deployment would serve, why each other would not, and what a failure would cost."""

    route: str
    deadline: float
    """Seconds."""
    steps: tuple[Explained, ...]
    if_all_fail: str
    if_it_breaks: str
    """What happens when a stream breaks after its beginning was shown."""

    def as_document(self) -> dict[str, object]:
        """The explanation as plain data, for JSON."""
        steps = [{**step._asdict(), "deployment": str(step.deployment)} for step in self.steps]
        return {
            "route": self.route,
            "deadline_s": self.deadline,
            "steps": steps,
            "if_all_fail": self.if_all_fail,
            "if_it_breaks": self.if_it_breaks,
        }


def explain(
    plan: Plan, standings: Sequence[Standing], now: float, down: Iterable[str] = (), breakers: Sequence[str] = ()
) -> Explanation:
    """Explain a plan. `down` names upstreams or deployments that are to be taken as failing.

    `breakers` says at what the breaker of each step opens.
    """
    out = set(down)
    steps: list[Explained] = []
    served = False
    for step, standing in zip(plan.steps, standings, strict=True):
        name = step.deployment
        limits = (
            f"up to {step.retry.attempts} tries, first token within {step.timeouts.first_token:g} s, "
            f"then at most {step.timeouts.idle:g} s of silence"
        )
        if out & {name.upstream, str(name)}:
            steps.append(Explained(name, serves=False, usable=False, why="taken as down"))
        elif standing.hold is not None:
            steps.append(Explained(name, serves=False, usable=False, why=standing.words(now)))
        else:
            first = not served and standing.share > 0
            part = f" for {standing.share:.0%} of its requests" if 0 < standing.share < 1 else ""
            why = f"serves{part}; {limits}" if first else f"next if the one before fails; {limits}"
            steps.append(Explained(name, serves=first, usable=True, why=why))
            served = served or standing.share == 1
    steps = [step._replace(window=planned.context) for step, planned in zip(steps, plan.steps, strict=True)]
    if breakers:
        steps = [step._replace(breaker_opens=opens) for step, opens in zip(steps, breakers, strict=True)]
    steps.extend(
        Explained(skipped.deployment, serves=False, usable=False, why=skipped.reason) for skipped in plan.skipped
    )
    end = "the last resort answers" if plan.last_resort else "the client gets an error that says what was tried"
    return Explanation(plan.route, plan.deadline - now, tuple(steps), end, _if_it_breaks(plan, steps))


def _if_it_breaks(plan: Plan, steps: Iterable[Explained]) -> str:
    if plan.resume is not None and len({step.deployment for step in steps if step.usable}) > 1:
        *others, last = plan.resume.modes
        modes = f"{', '.join(others)} or {last}" if others else last
        return f"a broken stream is continued on the next deployment ({modes})"
    if any(skipped.reason == FORBIDDEN for skipped in plan.skipped):
        why = FORBIDDEN
    elif len({step.deployment for step in plan.steps}) < 2:
        why = "there is no other deployment"
    elif plan.resume is None:
        why = "resume is off"
    else:
        why = "no other deployment can be used now"
    return f"a broken stream ends with an error ({why})"


_PASSED_OVER = {
    Hold.OPEN.value: "has an open breaker",
    Hold.PROBING.value: "has a half-open breaker",
    Hold.OFF.value: "is switched off",
    Hold.FULL.value: "is full",
    "spared": "is spared",
}
"""By the cause for which a step was passed over; every other cause is that of a rest."""


def reason(
    plan: Plan,
    answered_by: PlannedStep,
    ended: Sequence[AttemptEnded],
    passed_over: Mapping[int, str],
    hedge_delay: float | None = None,
) -> str:
    """Why this deployment answered, in a few words, for `x-holdfast-reason`.

    `passed_over` says which places of the chain could not be used, and why; `hedge_delay` after how many seconds of
    silence a second attempt was started.
    """
    if (
        len(ended) <= 1
        and answered_by.place == 0
        and plan.strategy == "sequential"
        and hedge_delay is None
        and (not ended or ended[0].outcome == "ok")
    ):
        return "first choice"
    failed = [attempt for attempt in ended if attempt.outcome not in {"ok", "cancelled", "lost"}]
    for attempt in reversed(failed):
        if attempt.deployment != answered_by.deployment:
            return f"failover from {attempt.deployment} ({attempt.outcome})"
    if failed:
        return f"retry after {failed[-1].outcome}"
    if hedge_delay is not None and any(attempt.outcome == "lost" for attempt in ended):
        return f"faster of two, hedged after {hedge_delay * 1000:.0f} ms"
    if plan.strategy == "parallel":
        return "first good answer of a parallel route"
    if plan.strategy == "weighted" and answered_by is plan.steps[0]:
        return "drawn by weight"
    for place in range(answered_by.place):
        if place in passed_over:
            cause = passed_over[place]
            return f"{plan.at(place)} {_PASSED_OVER.get(cause, f'rests ({cause})')}"
    before = [skipped for skipped in plan.skipped if skipped.place < answered_by.place]
    return f"{before[0].deployment} is skipped: {before[0].reason}" if before else "first choice"


class Degradation(NamedTuple):
    """How an answer is below its route's first choice: why, and how good it is (0 to 1, where known)."""

    reason: str
    quality: float | None

    def __str__(self) -> str:
        """The value of `x-holdfast-degraded`."""
        return f"reason={self.reason}" + (f";quality={self.quality:g}" if self.quality is not None else "")


def degradation(plan: Plan, answered_by: PlannedStep, ended: Sequence[AttemptEnded]) -> Degradation | None:
    """How far an answer is below the route's first choice; None if it is that.

    The steps of a weighted or parallel route are equals, so that none of them is below the others, unless it is said to
    be of less quality than the best of them, or has no weight.
    """
    if plan.strategy == "sequential":
        if answered_by.place == 0:
            return None
    else:
        best = max((step.quality for step in plan.steps if step.quality is not None), default=0.0)
        worse = answered_by.quality is not None and answered_by.quality < best
        if not worse and (plan.strategy == "parallel" or answered_by.weight > 0):
            return None
    failed = any(attempt.outcome not in {"ok", "cancelled", "lost"} for attempt in ended)
    if failed:
        why = "failover"
    elif plan.strategy != "sequential":
        why = "lower_quality"
    elif any(skipped.place == 0 for skipped in plan.skipped):
        why = "first_choice_skipped"
    elif any(attempt.outcome == "lost" for attempt in ended):
        why = "hedged"
    else:
        why = "first_choice_out"
    return Degradation(why, answered_by.quality)
