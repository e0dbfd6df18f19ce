"""What one request will try, in order, and until when.

A plan is made once, from the route and the client's wishes, and does not change. Whether a step can be used at this
moment is the pool's knowledge and is asked anew before each move.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from msgspec import Struct

from proxy.config.settings import (
    LastResortSettings,
    RetrySettings,
    RouteSettings,
    Rules,
    Settings,
    StepSettings,
    Timeouts,
)
from proxy.core.facts import ModelFacts
from proxy.core.names import DeploymentId
from proxy.core.request import ModelRequest
from proxy.policies.hedge import HedgeSettings
from proxy.routing.eligibility import Limits, Objection, limits_of, needs_of, objection, suits_all
from proxy.routing.sizes import Sizes
from proxy.streams.resume import ResumeSettings

FORBIDDEN: Final = "the request forbids fallbacks"
"""Why steps are left out of the plan of a client that wants only the first usable one."""


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One deployment that the request may be sent to."""

    deployment: DeploymentId
    timeouts: Timeouts
    retry: RetrySettings
    context: int | None
    """Tokens of its window, where known."""
    quality: float | None
    place: int
    """Where the step stands in the route's chain, from 0."""
    rules: Rules = field(default_factory=Rules)
    """What guards the deployment when it is reached by this step."""
    weight: float = 1.0
    """Its part of a weighted route's requests, in proportion to the other steps' weights."""


class Skipped(NamedTuple):
    """A step of the chain that this request leaves out, and why."""

    deployment: DeploymentId
    reason: str
    place: int
    """Where the step stands in the route's chain, from 0."""
    objection: Objection | None = None
    """What in the request speaks against it; None where it is left out for another reason."""


class Plan(Struct, frozen=True):
    """The steps of one request. `deadline` is in monotonic seconds."""

    route: str
    steps: tuple[PlannedStep, ...]
    skipped: tuple[Skipped, ...]
    deadline: float
    last_resort: LastResortSettings | None = None
    strategy: str = "sequential"
    """`sequential`, `weighted` or `parallel`."""
    panic: float | None = 0.5
    """The share of the chain out at once from which open breakers are tried early; None for never."""
    hedge: HedgeSettings | None = None
    patience: float = 120.0
    """Seconds from the request's arrival to its deadline."""
    route_patience: float = 120.0
    """The same as the route has it; the client may have wanted less."""
    resume: ResumeSettings | None = ResumeSettings()
    """How a broken stream is finished on another deployment; None for not at all."""
    mixed_dimensions: bool = False
    """Whether vectors of several lengths may come from one route."""

    def at(self, place: int) -> DeploymentId | None:
        """The deployment at a place of the route's chain."""
        places = {step.place: step.deployment for step in self.steps}
        places.update((skipped.place, skipped.deployment) for skipped in self.skipped)
        return places.get(place)


class Wishes(NamedTuple):
    """What the client asked for in headers."""

    timeout: float | None = None
    """Seconds; only ever shortens the route's deadline."""
    fallback: bool = True
    """False: only the first usable deployment is tried."""
    upstream: str | None = None
    """Only this upstream is tried."""
    explain: bool = False
    """The plan is wanted instead of an answer."""


class _Models(NamedTuple):
    """The deployments behind the steps of a route, for one name that was asked for, and what is known of them."""

    deployments: tuple[DeploymentId, ...]
    facts: tuple[ModelFacts, ...]
    limits: Limits | None


class Usual(NamedTuple):
    """What is planned for every request in which nothing speaks against a step."""

    steps: tuple[PlannedStep, ...]
    limits: Limits | None


_MOST_NAMES: Final = 1024
"""Names asked of globs whose models are remembered."""


class Planner:
    """Makes the plans of one configuration. Routes without globs have their steps worked out once."""

    __slots__ = ("_models", "_settings", "_sizes", "_usual")

    def __init__(self, settings: Settings, sizes: Sizes | None = None) -> None:
        """`sizes` is what answers have taught about lengths."""
        self._settings = settings
        self._sizes = Sizes() if sizes is None else sizes
        self._usual: dict[str, Usual] = {}
        self._models: dict[tuple[str, str], _Models] = {}

    def plan(
        self,
        route: RouteSettings,
        model_asked: str,
        wishes: Wishes,
        now: float,
        request: ModelRequest | None = None,
    ) -> Plan:
        """The plan for one request that asked for `model_asked`, arriving `now` (monotonic seconds).

        Steps that cannot serve the `request` are left out; without it none is.
        """
        usual = self._usual.get(route.name) if wishes.fallback and wishes.upstream is None else None
        if usual is not None and (request is None or self.suits(usual, request)):
            return plan_of(route, usual.steps, (), wishes, now)
        return self._work_out(route, model_asked, wishes, now, request)

    def usual(self, route: str) -> Usual | None:
        """The steps of nearly all requests for a route, once they are worked out; None where each has its own."""
        return self._usual.get(route)

    def suits(self, usual: Usual, request: ModelRequest) -> bool:
        """Whether it is sure that all of these steps can serve the request."""
        limits, sizes = usual.limits, self._sizes
        if limits is None and sizes.smallest is None:
            return True
        return suits_all(request, limits, sizes.smallest, sizes.largest_ratio)

    def forget(self) -> None:
        """Work out the steps anew: other facts are known of models."""
        self._usual.clear()
        self._models.clear()

    def _work_out(
        self, route: RouteSettings, model_asked: str, wishes: Wishes, now: float, request: ModelRequest | None
    ) -> Plan:
        models = self._models_of(route, model_asked)
        objections = self._objections(models, now, request)
        steps: list[PlannedStep] = []
        skipped: list[Skipped] = []
        for place, (step, deployment) in enumerate(zip(route.steps, models.deployments, strict=True)):
            reason = step.unusable
            if reason is None and wishes.upstream not in {None, step.upstream}:
                reason = f"the request is pinned to {wishes.upstream}"
            barred = objections.get(place) if reason is None else None
            if barred is not None:
                reason = barred.reason
            if reason is None and not wishes.fallback and steps:
                reason = FORBIDDEN
            if reason is None:
                steps.append(_planned(step, deployment, models.facts[place], place))
            else:
                skipped.append(Skipped(deployment, reason, place, barred))
        if not steps and (doubtful := _largest_doubtful(skipped)) is not None:
            # An estimate alone must not refuse what may fit: the upstream counts, and says if it does not.
            skipped.remove(doubtful)
            place = doubtful.place
            steps.append(_planned(route.steps[place], doubtful.deployment, models.facts[place], place))
        if not skipped and all("*" not in step.model for step in route.steps):
            self._usual[route.name] = Usual(tuple(steps), models.limits)
        return plan_of(route, tuple(steps), tuple(skipped), wishes, now)

    def _objections(self, models: _Models, now: float, request: ModelRequest | None) -> dict[int, Objection]:
        """What speaks against steps, by their places."""
        if request is None or suits_all(request, models.limits, self._sizes.smallest, self._sizes.largest_ratio):
            return {}
        needs = needs_of(request)
        found: dict[int, Objection] = {}
        for place, (deployment, facts) in enumerate(zip(models.deployments, models.facts, strict=True)):
            against = objection(needs, facts, deployment, self._sizes.of(deployment, now))
            if against is not None:
                found[place] = against
        return found

    def _models_of(self, route: RouteSettings, model_asked: str) -> _Models:
        known = self._models.get((route.name, model_asked))
        if known is None:
            named = tuple(DeploymentId(step.upstream, step.model.replace("*", model_asked)) for step in route.steps)
            facts = tuple(self._settings.upstreams[each.upstream].facts(each.model) for each in named)
            known = _Models(named, facts, limits_of(facts))
            if len(self._models) >= _MOST_NAMES:
                self._models.clear()
            self._models[route.name, model_asked] = known
        return known


def make_plan(settings: Settings, route: RouteSettings, model_asked: str, wishes: Wishes, now: float) -> Plan:
    """As `Planner.plan`, for those who make one plan."""
    return Planner(settings).plan(route, model_asked, wishes, now)


def plan_of(
    route: RouteSettings, steps: tuple[PlannedStep, ...], skipped: tuple[Skipped, ...], wishes: Wishes, now: float
) -> Plan:
    """The plan of a request that arrives `now` (monotonic seconds), for these steps of its route."""
    patience = route.deadline if wishes.timeout is None else min(route.deadline, wishes.timeout)
    return Plan(
        route.name,
        steps,
        skipped,
        now + patience,
        route.last_resort,
        route.strategy,
        route.panic,
        route.hedge,
        patience,
        route.deadline,
        # A wish for no fallback is obeyed in every phase, also after the first token.
        route.resume if wishes.fallback else None,
        route.mixed_dimensions,
    )


def _largest_doubtful(skipped: Iterable[Skipped]) -> Skipped | None:
    """Of the steps that a request may fit after all, that with the largest window."""
    near = [each for each in skipped if each.objection is not None and each.objection.doubtful]
    return max(near, key=lambda each: each.objection.window if each.objection else 0, default=None)


def _planned(step: StepSettings, deployment: DeploymentId, facts: ModelFacts, place: int) -> PlannedStep:
    return PlannedStep(
        deployment,
        step.timeouts,
        step.retry,
        context=facts.max_input if facts.context is None else facts.context,
        quality=step.quality if step.quality is not None else facts.quality,
        place=place,
        rules=step.rules,
        weight=step.weight,
    )
