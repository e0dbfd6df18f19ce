"""What one request will try, from the route and the client's wishes."""

import msgspec
import pytest

from proxy.config.settings import LastResortSettings
from proxy.core.chat import parse_chat
from proxy.core.facts import Learned, ModelFacts
from proxy.core.names import DeploymentId
from proxy.core.request import ModelRequest
from proxy.routing.plan import Plan, Planner, Skipped, Wishes, make_plan
from proxy.routing.sizes import Sizes
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


LIMITED = settings_of("""\
version: 1
upstreams:
  a: {kind: simulated, models: {m: {context: 1000}, blind: {vision: false}}}
  b: {kind: simulated, models: {m: {context: 4000}}}
  c: {kind: simulated}
routes:
  chat: {chain: [a/m, b/m, c/m]}
  weighted: {chain: [a/m, b/m, c/m], strategy: weighted}
  parallel: {chain: [a/m, b/m, c/m], strategy: parallel}
  small: {chain: [a/m, b/m]}
  "x-*": {chain: ["a/*", b/m]}
""")


def asked(content: object) -> ModelRequest:
    return parse_chat(msgspec.json.encode({"model": "chat", "messages": [{"role": "user", "content": content}]}))


SHORT, LONG, LONGEST = asked("Hello"), asked("abcd" * 2000), asked("abcd" * 9000)
IMAGE = asked([{"type": "image_url", "image_url": {"url": "https://h/i.png"}}])


def limited(route: str, model: str, request: ModelRequest | None, sizes: Sizes | None = None, **wishes: object) -> Plan:
    planner = Planner(LIMITED, sizes)
    planner.plan(LIMITED.routes[route], model, Wishes(), 0.0, SHORT)
    return planner.plan(LIMITED.routes[route], model, Wishes(**wishes), 0.0, request)  # type: ignore[arg-type]


@pytest.mark.parametrize("route", ["chat", "weighted", "parallel"])
def test_steps_that_cannot_serve_the_request_are_left_out(route: str) -> None:
    made = limited(route, route, LONG)

    assert (["b/m", "c/m"], [1, 2]) == (names(made), [step.place for step in made.steps])
    assert ["about 2,010 tokens do not fit 1,000"] == [skipped.reason for skipped in made.skipped]
    assert ["c/m"] == names(limited(route, route, LONGEST))
    assert ["a/m", "b/m", "c/m"] == names(limited(route, route, SHORT)) == names(limited(route, route, None))


def test_a_globs_steps_are_judged_by_the_model_that_was_asked_for() -> None:
    assert (["b/m"], "needs vision, which blind lacks") == (
        names(made := limited("x-*", "blind", IMAGE)),
        made.skipped[0].reason,
    )
    assert ["a/x-other", "b/m"] == names(limited("x-*", "x-other", IMAGE))


def test_the_first_that_can_serve_is_the_only_one_without_fallback() -> None:
    made = limited("chat", "chat", LONG, fallback=False)

    assert (["b/m"], ["a/m", "c/m"]) == (names(made), [str(skipped.deployment) for skipped in made.skipped])


def test_one_long_request_changes_nothing_for_the_next() -> None:
    planner = Planner(LIMITED)
    plans = [
        planner.plan(LIMITED.routes["chat"], "chat", Wishes(), 0.0, each) for each in (LONG, SHORT, LONGEST, SHORT)
    ]

    assert [2, 3, 1, 3] == [len(each.steps) for each in plans]


def test_nobody_may_be_left() -> None:
    made = limited("small", "small", LONGEST)

    assert ([], [1000, 4000]) == (names(made), [each.objection.window for each in made.skipped if each.objection])


def test_names_that_clients_make_up_are_not_remembered_without_end() -> None:
    planner = Planner(LIMITED)
    for number in range(3000):
        planner.plan(LIMITED.routes["x-*"], f"x-{number}", Wishes(), 0.0, SHORT)

    assert len(planner._models) <= 1024


def test_an_estimate_alone_refuses_nothing_that_may_fit() -> None:
    made = limited("small", "small", asked("abcd" * 4800))

    assert (["b/m"], ["a/m"]) == (names(made), [str(each.deployment) for each in made.skipped])
    taught = Sizes()
    taught.counted(DeploymentId("b", "m"), 1000, 1010)
    assert [] == names(limited("small", "small", asked("abcd" * 4800), taught))
    assert [] == names(limited("small", "small", asked("abcd" * 5600)))


def test_what_servers_tell_is_planned_with_once_the_planner_forgets() -> None:
    made = settings_of(ONE_SERVER)
    planner, upstream = Planner(made), made.upstreams["a"]

    def planned(request: ModelRequest) -> Plan:
        return planner.plan(made.routes["chat"], "chat", Wishes(), 0.0, request)

    assert ["a/m", "b/m"] == names(planned(LONG))
    upstream.learn({"m": Learned(ModelFacts(context=1000))})
    planner.forget()
    assert ["b/m"] == names(planned(LONG))
    assert [1000, None] == [step.context for step in planned(SHORT).steps]
    upstream.learn({"m": Learned(ModelFacts(context=100_000))})
    planner.forget()
    assert ["a/m", "b/m"] == names(planned(LONG))


ONE_SERVER = """\
version: 1
upstreams: {a: {kind: ollama}, b: {kind: simulated}}
routes: {chat: {chain: [a/m, b/m]}}
"""


def test_what_answers_taught_is_planned_with() -> None:
    sizes = Sizes()
    sizes.counted(DeploymentId("b", "m"), 1000, 2500)
    assert ["c/m"] == names(limited("chat", "chat", LONG, sizes))
    sizes.refused(DeploymentId("c", "m"), None, None, 512, 0.0)
    assert [] == names(limited("chat", "chat", LONG, sizes))
