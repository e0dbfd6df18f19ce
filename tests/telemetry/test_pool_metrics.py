"""The pool as Prometheus sees it: what is known at the moment of looking, and nothing made up."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import pytest

from proxy.config.settings import Rules
from proxy.core.failure import Failure, FailureClass
from proxy.core.names import DeploymentId
from proxy.policies.breaker import BreakerSettings
from proxy.policies.concurrency import LimitSettings
from proxy.policies.retry_budget import RetryBudgetSettings
from proxy.pool.budgets import Budgets
from proxy.pool.deployment import Ejection
from proxy.pool.permit import SUCCEEDED, Permit
from proxy.pool.pool import Pool
from proxy.telemetry.metrics import Metrics
from tests.telemetry.test_metrics import check_page, samples

A, B = DeploymentId("openai", "gpt-4o"), DeploymentId("claude", "sonnet")
RULES = Rules(BreakerSettings(consecutive=4, minimum_requests=4, open_for=60.0), LimitSettings(5, 5, 5))
BROKEN = Failure(FailureClass.OVERLOADED, "http_503", "", status=503)


@dataclass
class World:
    """A pool with its page."""

    pool: Pool = field(default_factory=lambda: Pool({"openai": 2, "claude": 1}, [(A, RULES), (B, RULES)]))
    budgets: Budgets = field(
        default_factory=lambda: Budgets(RetryBudgetSettings(), {"openai": RetryBudgetSettings(0.0, 1.0)})
    )
    metrics: Metrics = field(default_factory=Metrics)
    now: float = 1000.0

    def __post_init__(self) -> None:
        self.metrics.watch_pool(self.pool, self.budgets, [A, B, A], lambda: self.now)

    def attempt(self, outcome: Failure | str, id_: DeploymentId = A, rules: Rules = RULES) -> None:
        permit = self.pool.admit(id_, rules, self.now)
        assert isinstance(permit, Permit)
        self.pool.report(permit, outcome, self.now)  # type: ignore[arg-type]

    def read(self, name: str, id_: DeploymentId = A, **more: str) -> float | None:
        labels = {"upstream": id_.upstream, "model": id_.model, **more}
        return samples(self.metrics).get(
            (f"holdfast_{name}", *(f"{label}={value}" for label, value in sorted(labels.items())))
        )

    def one(self, name: str, label: str, words: tuple[str, ...], id_: DeploymentId = A) -> str:
        """The word that is 1, where the others are 0."""
        values = {word: self.read(name, id_, **{label: word}) for word in words}
        assert sorted(values.values(), key=float) == [0, 0, 1]  # type: ignore[arg-type]
        return next(word for word, value in values.items() if value)

    def state(self) -> str:
        return self.one("breaker_state", "state", ("closed", "open", "half_open"))

    def status(self) -> str:
        return self.one("deployment_status", "status", ("available", "degraded", "unavailable"))


@pytest.fixture
def world() -> World:
    return World()


def test_untouched(world: World) -> None:
    assert ("closed", "available") == (world.state(), world.status())
    assert (1, 0, 0) == (
        world.read("breaker_distance_ratio"),
        world.read("breaker_open_remaining_seconds"),
        world.read("breaker_rejected_total"),
    )
    assert (0, 0, 0) == tuple(world.read(f"deployment_{what}_total") for what in ("attempts", "failed", "succeeded"))
    assert (0, 5, 1, 0) == tuple(
        world.read(f"deployment_{what}")
        for what in ("in_flight_attempts", "concurrency_limit", "share_ratio", "resting_keys")
    )


def test_what_is_not_known_has_no_series(world: World) -> None:
    for name in (
        "breaker_error_rate_ratio",
        "deployment_last_success_age_seconds",
        "deployment_last_failure_age_seconds",
        "deployment_success_ratio",
        "rate_limit_headroom_ratio",
    ):
        assert world.read(name) is None, name


def test_answers_and_failures(world: World) -> None:
    for outcome in (SUCCEEDED, SUCCEEDED, SUCCEEDED, BROKEN):
        world.attempt(outcome)
        world.now += 1
    world.pool.deployment(A).headroom = 0.25

    assert (4, 1, 3) == tuple(world.read(f"deployment_{what}_total") for what in ("attempts", "failed", "succeeded"))
    assert (2, 1) == tuple(world.read(f"deployment_last_{what}_age_seconds") for what in ("success", "failure"))
    assert (0.75, 0.25, 0.25) == (
        world.read("deployment_success_ratio"),
        world.read("breaker_error_rate_ratio"),
        world.read("rate_limit_headroom_ratio"),
    )
    assert 0 < (world.read("breaker_distance_ratio") or 0) < 1
    assert "degraded" == world.status()


def test_an_open_breaker(world: World) -> None:
    for _ in range(4):
        world.attempt(BROKEN)
    world.pool.count_rejected(A, RULES, world.now)
    world.now += 10

    assert ("open", "unavailable") == (world.state(), world.status())
    assert (0, 50, 1) == (
        world.read("breaker_distance_ratio"),
        world.read("breaker_open_remaining_seconds"),
        world.read("breaker_rejected_total"),
    )
    world.now += 51
    assert isinstance(world.pool.admit(A, RULES, world.now), Permit)
    assert ("half_open", 1) == (world.state(), world.read("deployment_in_flight_attempts"))


def test_a_breaker_that_only_an_operator_closes(world: World) -> None:
    world.pool.deployment(A).guards[0].breaker.force_open(world.now, None)

    assert math.inf == world.read("breaker_open_remaining_seconds")


def test_of_several_breakers_the_least_closed_counts(world: World) -> None:
    lenient = replace(RULES, breaker=replace(RULES.breaker, consecutive=50, minimum_requests=50))
    world.pool.deployment(A).guard(lenient, world.now)
    for _ in range(4):
        world.attempt(BROKEN)

    assert ("open", 0) == (world.state(), world.read("breaker_distance_ratio"))


def test_an_ejected_deployment_is_given_nothing(world: World) -> None:
    world.pool.deployment(A).ejection = Ejection(world.now + 30, "latency")

    assert (0, 1) == (world.read("deployment_share_ratio"), world.read("deployment_share_ratio", B))


def test_resting_keys(world: World) -> None:
    world.attempt(Failure(FailureClass.RATE_LIMITED, "http_429", "", status=429, wait=30.0))

    assert (1, 0) == (world.read("deployment_resting_keys"), world.read("deployment_resting_keys", B))


def test_only_deployments_that_the_configuration_names_have_series(world: World) -> None:
    world.attempt(SUCCEEDED, DeploymentId("openai", "made-up"))

    assert b"made-up" not in world.metrics.render()


def test_each_upstreams_own_budget(world: World) -> None:
    name = ("holdfast_upstream_retry_budget_remaining_ratio", "upstream=openai")
    before = samples(world.metrics)[name]
    for _ in range(5):
        assert world.budgets.withdraw("openai", world.now)

    assert (1, 0.5) == (before, samples(world.metrics)[name])


def test_the_page_keeps_to_what_promtool_checks(world: World) -> None:
    world.attempt(SUCCEEDED)
    world.attempt(BROKEN)
    world.pool.deployment(A).headroom = 0.25
    check_page(world.metrics.render().decode())


def test_what_is_loaded_is_shown_where_it_is_known(world: World) -> None:
    known: dict[DeploymentId, bool] = {}
    world.metrics.watch_pool(world.pool, world.budgets, [A, B], lambda: 1.0, known.get)
    assert (None, None) == (world.read("model_loaded"), world.read("model_loaded", B))
    known |= {A: True, B: False}

    assert (1, 0) == (world.read("model_loaded"), world.read("model_loaded", B))
    check_page(world.metrics.render().decode())


def test_names_are_escaped() -> None:
    odd = DeploymentId("openai", 'a"b\\c')
    pool = Pool({"openai": 1}, [(odd, RULES)])
    metrics = Metrics()
    metrics.watch_pool(pool, Budgets(RetryBudgetSettings()), [odd], lambda: 1.0)

    assert 1 == samples(metrics)["holdfast_deployment_share_ratio", 'model=a"b\\c', "upstream=openai"]
