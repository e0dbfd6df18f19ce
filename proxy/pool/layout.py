"""From settings to what they ask of the pool, and from one configuration to the next."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from proxy.config.settings import Rules, Settings, StepSettings, UpstreamSettings
from proxy.core.names import DeploymentId
from proxy.policies.retry_budget import RetryBudgetSettings
from proxy.pool.succession import Change, Layout


def layout_of(settings: Settings) -> Layout:
    """What a configuration asks of the pool."""
    return Layout(
        {name: len(upstream.keys) for name, upstream in settings.upstreams.items()},
        [(id_, step.rules) for id_, step in named_steps(settings)],
        {name: upstream.limit for name, upstream in settings.upstreams.items() if upstream.limit is not None},
    )


def budgets_of(
    settings: Settings,
) -> tuple[RetryBudgetSettings, Mapping[str, RetryBudgetSettings], Mapping[str, float]]:
    """The settings of all budgets: over all traffic, of upstreams, and of hedges of routes."""
    return (
        settings.budget,
        {name: upstream.budget for name, upstream in settings.upstreams.items()},
        {name: route.hedge.ratio for name, route in settings.routes.items() if route.hedge is not None},
    )


def named_steps(settings: Settings) -> list[tuple[DeploymentId, StepSettings]]:
    """The steps that may be taken and name their deployment outright."""
    steps = (step for route in settings.routes.values() for step in route.steps)
    usable = (step for step in steps if step.unusable is None and "*" not in step.model)
    return [(DeploymentId(step.upstream, step.model), step) for step in usable]


def rules_in(settings: Settings) -> Callable[[DeploymentId], Sequence[Rules]]:
    """What tells the rules of all steps that lead to a deployment; none where no step does."""
    # Asked for thousands of deployments that clients have made up, while requests wait.
    named: dict[DeploymentId, list[Rules]] = {}
    for id_, step in named_steps(settings):
        named.setdefault(id_, []).append(step.rules)
    steps = (step for route in settings.routes.values() for step in route.steps)
    globs = [step for step in steps if step.unusable is None and "*" in step.model]

    def rules_of(id_: DeploymentId) -> Sequence[Rules]:
        return [*named.get(id_, ()), *(step.rules for step in globs if step.serves(id_))]

    return rules_of


def change_between(before: Settings, after: Settings) -> Change:
    """How one configuration follows from another."""
    origins = {
        name: _origins(before.upstreams[name], upstream)
        for name, upstream in after.upstreams.items()
        if name in before.upstreams and _is_same(before.upstreams[name], upstream)
    }
    return Change(layout_of(after), origins, rules_in(after))


def _is_same(before: UpstreamSettings, after: UpstreamSettings) -> bool:
    return (before.kind.name, before.base_url) == (after.kind.name, after.base_url)


def _origins(before: UpstreamSettings, after: UpstreamSettings) -> Sequence[int | None]:
    known = before.keys or ("",)
    return [known.index(key) if key in known else None for key in after.keys or ("",)]
