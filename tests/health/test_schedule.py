"""The table of cases: who is probed now, and why."""

import pytest

from proxy.config.settings import HealthSettings
from proxy.core.failure import Failure, FailureClass
from proxy.core.names import DeploymentId
from proxy.health.schedule import jittered, why_probe
from proxy.pool.deployment import Deployment, Order
from proxy.pool.permit import Outcome, Permit
from proxy.pool.pool import Pool
from proxy.pool.rest import Rest
from tests.support.plans import guarded

ID = DeploymentId("a", "m")
RULES = guarded(consecutive=2, open_for=10.0, probes=1, close_after=2)
DOWN = Failure(FailureClass.OVERLOADED, "http_503")


def deployment(*outcomes: Outcome, at: float = 0.0) -> Deployment:
    pool = Pool({"a": 1}, [(ID, RULES)])
    for outcome in outcomes:
        permit = pool.admit(ID, RULES, at)
        assert isinstance(permit, Permit)
        pool.report(permit, outcome, at)
    return pool.deployment(ID)


def cause(
    deployment_: Deployment,
    now: float,
    probe: str = "auto",
    *,
    rest: Rest | None = None,
    probed_at: float = 0.0,
    free: bool = False,
) -> str | None:
    return why_probe(deployment_, HealthSettings(probe, interval=30.0), rest, probed_at, now, free=free)


@pytest.mark.parametrize(
    ("probe", "free", "expected"),
    [
        ("always", False, "interval"),
        ("auto", True, "interval"),
        ("auto", False, None),
        ("suspect", True, None),
        ("never", True, None),
    ],
)
def test_a_well_one_is_probed_on_the_interval_where_asking_is_wanted(
    probe: str, free: bool, expected: str | None
) -> None:
    assert cause(deployment(), 29.9, probe, free=free) is None
    assert expected == cause(deployment(), 30.0, probe, free=free)


def test_not_while_traffic_has_proved_it() -> None:
    proved = deployment("succeeded", at=20.0)

    assert cause(proved, 49.0, "always") is None
    assert "interval" == cause(proved, 50.0, "always")


@pytest.mark.parametrize("probe", ["always", "auto", "suspect"])
def test_an_open_breaker_is_probed_as_soon_as_its_time_is_over(probe: str) -> None:
    open_ = deployment(DOWN, DOWN)

    assert cause(open_, 9.9, probe) is None
    assert "suspicion" == cause(open_, 10.0, probe, probed_at=9.0)
    assert cause(open_, 10.0, "never") is None


def test_one_that_an_operator_has_opened_is_left_alone() -> None:
    forced = deployment()
    forced.guards[0].breaker.force_open(0.0, None)

    assert cause(forced, 1e6, "always") is None


def test_a_half_open_one_is_probed_when_there_is_a_place() -> None:
    half = deployment(DOWN, DOWN)
    admission = half.guards[0].breaker.admit(10.0)
    assert admission is not None
    assert cause(half, 11.0) is None

    half.guards[0].breaker.ignored(admission[0], 11.0)
    # What was asked said nothing: the next question waits for the interval.
    assert cause(half, 11.0, probed_at=10.0) is None
    assert "suspicion" == cause(half, 40.0, probed_at=10.0)


def test_a_first_success_calls_for_the_next_question_at_once() -> None:
    half = deployment(DOWN, DOWN)
    assert half.guards[0].breaker.admit(10.0) is not None
    half.guards[0].breaker.succeeded(half.guards[0].breaker.period, 10.5)
    half.last_success_at = 10.5

    assert "suspicion" == cause(half, 11.0, probed_at=10.0)


def test_names_that_clients_made_up_are_not_asked_about() -> None:
    gone = Rest(1e6, FailureClass.MODEL_GONE)
    made_up = why_probe(deployment(), HealthSettings(), gone, 0.0, 1e5, free=True, named=False)

    assert made_up is None


def test_failures_that_no_traffic_has_followed_are_suspicious() -> None:
    failed = deployment(DOWN, at=5.0)

    assert cause(failed, 34.0) is None
    assert "suspicion" == cause(failed, 35.0)
    assert cause(failed, 36.0, probed_at=35.0) is None


def test_lasting_rests_are_asked_about_rarely_and_short_ones_not_at_all() -> None:
    quota, limited = Rest(1e6, FailureClass.QUOTA), Rest(1e6, FailureClass.RATE_LIMITED)

    assert cause(deployment(), 299.0, rest=quota) is None
    assert "suspicion" == cause(deployment(), 300.0, rest=quota)
    assert cause(deployment(), 1e5, rest=limited) is None


def test_a_disabled_one_is_not_probed() -> None:
    disabled = deployment(DOWN, DOWN)
    disabled.order = Order("disable", 1e9, None)

    assert cause(disabled, 100.0, "always") is None


def test_jitter_is_a_fifth_either_way() -> None:
    assert pytest.approx([24.0, 30.0, 36.0]) == [jittered(30.0, roll) for roll in (0.0, 0.5, 1.0)]
