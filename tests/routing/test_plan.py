"""What one request will try, from the route and the client's wishes."""

from proxy.config.settings import LastResortSettings
from proxy.core.names import DeploymentId
from proxy.routing.plan import Plan, Planner, Skipped, Wishes, make_plan
from proxy.streams.resume import HoldBack, ResumeSettings
from tests.support.fleet import settings_of

ROUTES = """\
version: 1
upstreams:
  a: {kind: simulated, models: {m: {context: 8000, quality: 0.9, prefill: false}}}
  b: {kind: simulated}
  c: {kind: openai, api_key: "${UNSET}"}
routes:
  chat: {chain: [a/m, c/m, b/m], deadline: 30s, last_resort: {text: Sorry.}}
  "x-*": {chain: ["a/*", b/fixed], resume: {hold: all}}
  plain: {chain: [a/m, b/m], resume: off}
  weighted: {chain: [a/m, b/m], strategy: weighted, panic: 80%, hedge: {after: 2s}, deadline: 40s}
"""
SETTINGS = settings_of(ROUTES)


def plan(route: str, model: str, wishes: Wishes = Wishes()) -> Plan:  # noqa: B008 - it is frozen
    return make_plan(SETTINGS, SETTINGS.routes[route], model, wishes, 100.0)


def names(made: Plan) -> list[str]:
    return [str(step.deployment) for step in made.steps]


def test_steps_in_order_without_those_that_cannot_be_used() -> None:
    made = plan("chat", "chat")

    assert ["a/m", "b/m"] == names(made)
    assert (Skipped(DeploymentId("c", "m"), "UNSET is not set", 1),) == made.skipped
    assert [0, 2] == [step.place for step in made.steps]
    assert (130.0, LastResortSettings("Sorry."), 8000, 0.9) == (
        made.deadline,
        made.last_resort,
        made.steps[0].context,
        made.steps[0].quality,
    )
    assert ["a/m", "c/m", "b/m", "None"] == [str(made.at(place)) for place in range(4)]


def test_a_glob_takes_the_name_that_was_asked_for() -> None:
    assert ["a/x-large", "b/fixed"] == names(plan("x-*", "x-large"))


def test_a_timeout_only_ever_shortens() -> None:
    assert 105.0 == plan("chat", "chat", Wishes(timeout=5)).deadline
    assert 130.0 == plan("chat", "chat", Wishes(timeout=500)).deadline


def test_without_fallback_only_the_first_usable_is_left() -> None:
    made = plan("chat", "chat", Wishes(fallback=False))

    assert ["a/m"] == names(made)
    assert "the request forbids fallbacks" == made.skipped[-1].reason


def test_what_is_known_of_the_model_is_planned_with_it() -> None:
    assert [(8000, 0.9), (None, None)] == [(step.context, step.quality) for step in plan("chat", "chat").steps]


def test_broken_streams_are_finished_as_the_route_says() -> None:
    assert ResumeSettings() == plan("chat", "chat").resume
    assert ResumeSettings(hold=HoldBack.ALL) == plan("x-*", "x-large").resume
    assert plan("plain", "plain").resume is None


def test_without_fallback_broken_streams_are_not_finished_elsewhere() -> None:
    assert plan("chat", "chat", Wishes(fallback=False)).resume is None


def test_everything_of_the_route_is_in_the_plan() -> None:
    route = SETTINGS.routes["weighted"]
    made = make_plan(SETTINGS, route, "weighted", Wishes(timeout=5), 100.0)

    assert ("weighted", "weighted", 0.8, route.hedge, 5.0, 40.0) == (
        made.route, made.strategy, made.panic, made.hedge, made.patience, made.route_patience,
    )  # fmt: skip
    assert route.hedge is not None


def test_a_pin_leaves_one_upstream() -> None:
    assert ["b/m"] == names(plan("chat", "chat", Wishes(upstream="b")))
    assert [] == names(plan("chat", "chat", Wishes(upstream="c")))


MANY = """\
version: 1
upstreams:
  a: {kind: simulated, models: {m: {context: 1000, quality: 0.5}}}
  b: {kind: simulated}
  gone: {kind: openai, api_key: "${UNSET}"}
routes:
  chat: {chain: [a/m, b/m], deadline: 30s}
  weighted: {chain: [{to: a/m, weight: 3}, b/m], strategy: weighted}
  parallel: {chain: [a/m, b/m], strategy: parallel}
  "g-*": {chain: ["a/*", b/m]}
  less: {chain: [a/m, gone/m, b/m]}
"""


def test_a_planner_plans_as_if_it_knew_nothing() -> None:
    """Whatever it was asked before: other names, wishes, routes and times."""
    made = settings_of(MANY)
    planner = Planner(made)
    wishes = [Wishes(), Wishes(timeout=3), Wishes(fallback=False), Wishes(upstream="b"), Wishes(explain=True)]
    for now in (1.0, 2.0):
        for route in made.routes.values():
            for model in ("chat", "g-1", "g-2"):
                for wish in (*wishes, *reversed(wishes)):
                    assert make_plan(made, route, model, wish, now) == planner.plan(route, model, wish, now)
