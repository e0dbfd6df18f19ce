# ruff: noqa: E501 - a table of findings reads best with one row to a line
import pytest

from tests.config.checking import check, found

HEAD = "version: 1\nupstreams:\n  a: {kind: ollama}\n  b: {kind: ollama}\nroutes:\n"


def with_route(body: str, rest: str = "") -> str:
    return f"{HEAD}  r: {{{body}}}\n  other: {{chain: [b/x]}}\n{rest}"


def with_defaults(body: str) -> str:
    return f"{HEAD}  r: {{chain: [a/m, b/m]}}\ndefaults: {{{body}}}\n"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("max_concurrent: 0", "7:28 error: must be at least 1 [defaults.max_concurrent]"),
        ("max_concurrent: -3", "7:28 error: must be at least 1 [defaults.max_concurrent]"),
        ("max_concurrent: adaptve", "7:28 error: 'adaptve' is not a limit; write a number, `adaptive`, or {initial: 20, min: 1, max: 200} [defaults.max_concurrent]"),
        ("max_concurrent: true", "7:28 error: True is not a limit; write a number, `adaptive`, or {initial: 20, min: 1, max: 200} [defaults.max_concurrent]"),
        ("max_concurrent: 1.5", "7:28 error: 1.5 is not a limit; write a number, `adaptive`, or {initial: 20, min: 1, max: 200} [defaults.max_concurrent]"),
        ("max_concurrent: [3]", "7:28 error: expected a mapping (`key: value`), not a list [defaults.max_concurrent]"),
        ("max_concurrent: {maks: 3}", "7:29 error: unknown key 'maks'; known here: initial, min, max [defaults.max_concurrent]"),
        ("max_concurrent: {min: 0}", "7:34 error: must be at least 1 [defaults.max_concurrent.min]"),
        ("max_concurrent: {min: 9, max: 3}", "7:34 error: min 9 is more than max 3; the order is min, initial, max [defaults.max_concurrent.min]"),
        ("max_concurrent: {max: 10}", "7:34 error: initial 20 (the default) is more than max 10; the order is min, initial, max [defaults.max_concurrent.max]"),
        ("max_concurrent: {min: 30}", "7:34 error: min 30 is more than initial 20 (the default); the order is min, initial, max [defaults.max_concurrent.min]"),
        ("max_concurrent: {initial: 300}", "7:38 error: initial 300 is more than max 200 (the default); the order is min, initial, max [defaults.max_concurrent.initial]"),
        ("panic: 0", "7:19 error: 0 would be panic all the time; write `never` to switch it off [defaults.panic]"),
        ("panic: always", "7:19 error: 'always' is not a share; write a number from 0 to 1, a percentage, or `never` [defaults.panic]"),
        ("breaker: {consecutive: 0}", "7:35 error: must be at least 1 [defaults.breaker.consecutive]"),
        ("breaker: {error_rate: 0%}", "7:34 error: must be more than 0 [defaults.breaker.error_rate]"),
        ("breaker: {probes: 101}", "7:30 error: must be at most 100 [defaults.breaker.probes]"),
        ("breaker: {window: 500ms}", "7:30 error: window 500ms is shorter than 1s; so short a time says nothing [defaults.breaker.window]"),
        ("breaker: {open_for: 15m}", "7:32 error: open_for 15m is more than max_open_for 10m (the default); a breaker is open for one at first and the other at last [defaults.breaker.open_for]"),
        ("breaker: {max_open_for: 5s}", "7:36 error: open_for 1m (the default) is more than max_open_for 5s; a breaker is open for one at first and the other at last [defaults.breaker.max_open_for]"),
        ("health: {timeout: 40s}", "7:30 warning: timeout 40s is longer than interval 30s (the default), when the next question is due [defaults.health.timeout]"),
        ("health: {interval: 5s}", "7:31 warning: timeout 10s (the default) is longer than interval 5s, when the next question is due [defaults.health.interval]"),
        ("health: {interval: 10ms, timeout: 10ms}", "7:31 error: interval 10ms is shorter than 1s; each question is a request that somebody pays for [defaults.health.interval]"),
        ("health: {learn: maybe}", "7:28 error: 'maybe' is not true or false [defaults.health.learn]"),
        ("health: {probe: auot}", "7:28 error: 'auot' is not known here; did you mean 'auto'? one of: auto, always, suspect, never [defaults.health.probe]"),
        ("health: {prompt: 2+2?}", '7:29 warning: the answer must contain "ok", the default of expect; set `expect`, too [defaults.health.prompt]'),
        ("resume: offf", "7:20 error: 'offf' does not fit here; write `on`, `off`, or {modes: [prefill, instruct], hold: tools} [defaults.resume]"),
        ("resume: 0", "7:20 error: 0 does not fit here; write `on`, `off`, or {modes: [prefill, instruct], hold: tools} [defaults.resume]"),
        ("resume: [prefill]", "7:20 error: expected a mapping (`key: value`), not a list [defaults.resume]"),
        ("resume: {mode: [prefill]}", "7:21 error: unknown key 'mode'; did you mean 'modes'? [defaults.resume]"),
        ("resume: {modes: prefill}", "7:28 error: 'prefill' is not a list [defaults.resume.modes]"),
        ("resume: {modes: []}", "7:28 error: must not be empty [defaults.resume.modes]"),
        ("resume: {modes: [prefil]}", "7:29 error: 'prefil' is not known here; did you mean 'prefill'? one of: prefill, instruct, restart [defaults.resume.modes[0]]"),
        ("resume: {modes: [restart, prefill, restart]}", "7:47 error: restart stands here twice; the order is that of preference [defaults.resume.modes[2]]"),
        ("resume: {hold: tool}", "7:27 error: 'tool' is not known here; did you mean 'tools'? one of: tools, all, none [defaults.resume.hold]"),
        ("resume: {reasoning: twice}", "7:32 error: 'twice' is not known here; one of: once, again [defaults.resume.reasoning]"),
        ("resume: {instruction: ''}", "7:34 error: must not be empty [defaults.resume.instruction]"),
        (f"resume: {{instruction: '{'x' * 4001}'}}", "7:34 error: must not be longer than 4000 characters [defaults.resume.instruction]"),
        ("resume: {instruction: Go on.}", "7:34 warning: without `{tail}`, the last characters of what was said, the model is not told where to go on [defaults.resume.instruction]"),
        ("resume: {instruction: 'On: {tail}', modes: [prefill]}", "7:21 warning: never used: `modes` lacks instruct [defaults.resume.instruction]"),
        ("outlier: {latency_factor: 1}", "7:38 error: must be more than 1 [defaults.outlier.latency_factor]"),
    ],
)  # fmt: skip
def test_defaults(body: str, expected: str) -> None:
    assert found(check(with_defaults(body))) == [expected]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("chain: [{to: a/m, weight: 2}, b/m]", ["6:25 error: weight is for `strategy: weighted`; this route is sequential [routes.r.chain[0].weight]"]),
        ("strategy: parallel, chain: [{to: a/m, weight: 1}, b/m]", ["6:45 error: weight is for `strategy: weighted`; this route is parallel [routes.r.chain[0].weight]"]),
        ("strategy: weighted, chain: [{to: a/m, weight: 0}, {to: b/m, weight: 0}]", ["6:34 error: all weights are 0, so none can be drawn; 0 is for steps that only stand in for others [routes.r.chain]"]),
        ("strategy: weighted, chain: [{to: a/m, weight: 0}, b/m]", []),
        ("strategy: weightd, chain: [a/m, b/m]", ["6:17 error: 'weightd' is not known here; did you mean 'weighted'? one of: sequential, weighted, parallel [routes.r.strategy]"]),
        ("strategy: parallel, chain: [a/m, b/m]", []),
        ("strategy: parallel, chain: [a/m]", ["6:17 warning: parallel makes no difference: the chain leads to one deployment [routes.r.strategy]"]),
        ("hedge: {}, chain: [a/m, b/m]", []),
        ("hedge: {after: p95}, chain: [a/m]", ["6:7 warning: never starts: the chain leads to one deployment, and a hedge goes to another [routes.r.hedge]"]),
        ("hedge: {after: p95}, strategy: parallel, chain: [a/m, b/m]", ["6:7 error: hedge and `strategy: parallel`: all are called at once anyway; keep one of them [routes.r.hedge]"]),
        ("hedge: {after: 3m}, chain: [a/m, b/m]", ["6:22 warning: after 3m is longer than deadline 2m (the default), so a hedge never starts [routes.r.hedge.after]"]),
        ("hedge: {after: p49}, chain: [a/m, b/m]", ["6:22 error: 'p49' is no delay; write a percentile from p50 to p99, or a duration: 800ms, 2s [routes.r.hedge.after]"]),
        ("hedge: {after: 3}, chain: [a/m, b/m]", ["6:22 error: 3 is no delay; write a percentile from p50 to p99, or a duration: 800ms, 2s [routes.r.hedge.after]"]),
        ("hedge: {after: 0}, chain: [a/m, b/m]", ["6:22 error: 0 would double every request; write a percentile such as p95, or a duration [routes.r.hedge.after]"]),
        ("last_resort: {}, chain: [a/m, b/m]", ["6:20 error: there is nothing to answer with; write text: \"...\", or cached: 24h, or both [routes.r.last_resort]"]),
        ("last_resort: {cached: 1h}, chain: [a/m, b/m]", []),
        ("breaker: {open_for: 2m, max_open_for: 1m}, chain: [a/m, b/m]", ["6:27 error: open_for 2m is more than max_open_for 1m; a breaker is open for one at first and the other at last [routes.r.breaker.open_for]"]),
        ("recovery: {ramp: 20m}, chain: [a/m, b/m]", []),
        ("health: {learn: false}, chain: [a/m, {to: b/m, health: {learn: true}}]", [
            "6:16 error: learn is for defaults and upstreams: a server is asked once for all routes that lead to it [routes.r.health.learn]",
            "6:63 error: learn is for defaults and upstreams: a server is asked once for all routes that lead to it [routes.r.chain[1].health.learn]",
        ]),
        ("max_concurrent: {min: 3, max: 2}, chain: [{to: a/m, max_concurrent: {min: 5, max: 4}}, b/m]", [
            "6:29 error: min 3 is more than max 2; the order is min, initial, max [routes.r.max_concurrent.min]",
            "6:81 error: min 5 is more than max 4; the order is min, initial, max [routes.r.chain[0].max_concurrent.min]",
        ]),
    ],
)  # fmt: skip
def test_routes(body: str, expected: list[str]) -> None:
    assert found(check(with_route(body))) == expected


NOTHING_TO_GO_ON_WITH = "6:7 warning: never happens: the chain leads to one deployment, and a broken stream is finished on another [routes.r.resume]"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("resume: on, chain: [a/m]", [NOTHING_TO_GO_ON_WITH]),
        ("resume: true, chain: [a/m]", [NOTHING_TO_GO_ON_WITH]),
        ("resume: {hold: all}, chain: [a/m]", [NOTHING_TO_GO_ON_WITH]),
        ("resume: off, chain: [a/m]", []),
        ("resume: false, chain: [a/m]", []),
        ("resume: null, chain: [a/m]", []),
        ("resume: {hold: all}, chain: [a/m, b/m]", []),
        ("resume: {modes: [prefill, prefill], hold: al}, chain: [a/m, b/m]", ["6:49 error: 'al' is not known here; did you mean 'all'? one of: tools, all, none [routes.r.resume.hold]"]),
        ("resume: {modes: [prefill, prefill]}, chain: [a/m, b/m]", ["6:33 error: prefill stands here twice; the order is that of preference [routes.r.resume.modes[1]]"]),
        ("chain: [{to: a/m, resume: on}, b/m]", ["6:25 error: unknown key 'resume'; known here: timeout, retry, breaker, health, recovery, foresight, max_concurrent, to, weight, quality [routes.r.chain[0]]"]),
    ],
)  # fmt: skip
def test_resuming(body: str, expected: list[str]) -> None:
    assert expected == found(check(with_route(body)))


def test_resuming_everywhere_says_nothing_about_a_route_that_cannot() -> None:
    assert [] == found(check(with_route("chain: [a/m]", "defaults: {resume: {hold: all}}\n")))


@pytest.mark.parametrize(
    ("far", "near", "expected"),
    [
        ("{modes: [prefill]}", "{instruction: '{tail}'}", ["6:16 warning: never used: `modes` lacks instruct [routes.r.resume.instruction]"]),
        ("{modes: [prefill]}", "{instruction: '{tail}', modes: [instruct]}", []),
        ("{modes: [prefill], instruction: '{tail}'}", "{modes: [instruct]}", []),
        ("{modes: [prefill], instruction: '{tail}'}", "{modes: [instruct], instruction: 'After {tail}'}", ["8:39 warning: never used: `modes` lacks instruct [defaults.resume.instruction]"]),
        ("{modes: [prefill], instruction: '{tail}'}", "off", ["8:39 warning: never used: `modes` lacks instruct [defaults.resume.instruction]"]),
        ("{instruction: '{tail}'}", "{modes: [prefill]}", []),
        ("off", "{instruction: '{tail}'}", []),
    ],
)  # fmt: skip
def test_an_instruction_is_used_wherever_a_mode_asks_for_it(far: str, near: str, expected: list[str]) -> None:
    text = with_route(f"resume: {near}, chain: [a/m, b/m]", f"defaults: {{resume: {far}}}\n")
    assert expected == found(check(text))


def test_an_instruction_may_be_as_long_as_the_page_says() -> None:
    longest = "{tail}".ljust(4000, ".")
    assert [] == found(check(with_defaults(f"resume: {{instruction: '{longest}'}}")))


def test_limits_of_upstreams() -> None:
    text = with_route("chain: [a/m, b/m]").replace("a: {kind: ollama}", "a: {kind: ollama, max_concurrent: {max: 5}}")
    assert found(check(text)) == [
        "3:43 error: initial 20 (the default) is more than max 5; the order is min, initial, max [upstreams.a.max_concurrent.max]"
    ]


def test_the_nearer_of_two_is_to_blame() -> None:
    text = with_route("breaker: {open_for: 3m}, chain: [a/m, b/m]", "defaults: {breaker: {max_open_for: 2m}}\n")
    assert found(check(text)) == [
        "6:27 error: open_for 3m is more than max_open_for 2m; a breaker is open for one at first and the other at last [routes.r.breaker.open_for]"
    ]


@pytest.mark.parametrize(
    ("routes", "expected"),
    [
        ("  r: {chain: [a/m]}\n  s: {chain: [a/m, b/m], health: {probe: never}}\n",
         ["7:34 warning: a/m is asked as step 1 of route r says, which comes first; other `health` does not count [routes.s.health]"]),
        ("  r: {chain: [{to: a/m, health: {probe: never}}]}\n  s: {chain: [b/m, a/m]}\n", []),
        ("  r: {chain: [{to: a/m, health: {probe: never}}]}\n  s: {chain: [b/m, {to: a/m, health: {probe: auto}}]}\n",
         ["7:38 warning: a/m is asked as step 1 of route r says, which comes first; other `health` does not count [routes.s.chain[1].health]"]),
        ("  r: {chain: [b/m, a/m], health: {probe: never}}\n  s: {chain: [{to: a/m, health: {probe: never}}, b/n]}\n", []),
        ("  r: {chain: [a/m, b/m]}\n  s: {chain: [a/n], health: {probe: never}}\n", []),
        ("  r: {chain: [b/m, a/m], health: {probe: never}}\n  s: {chain: [a/m], health: {}}\n  t: {chain: [a/m, b/m]}\n", []),
        ("  r: {chain: [a/m], health: {probe: always}}\n  s: {chain: [a/m, b/m]}\n  t: {chain: [a/m], health: {probe: never}}\ndefaults: {health: {probe: suspect}}\n",
         ["8:29 warning: a/m is asked as step 1 of route r says, which comes first; other `health` does not count [routes.t.health]"]),
    ],
)  # fmt: skip
def test_health_belongs_to_the_deployment(routes: str, expected: list[str]) -> None:
    assert found(check(HEAD + routes)) == expected


def test_health_of_the_upstream_is_said_by_each_of_its_steps() -> None:
    head = HEAD.replace("a: {kind: ollama}", "a: {kind: ollama, health: {probe: always}}")
    assert found(check(f"{head}  r: {{chain: [a/m, b/m]}}\n  s: {{chain: [a/m]}}\n")) == []
    routes = "  r: {chain: [a/m, b/m], health: {probe: never}}\n  s: {chain: [a/m]}\n"
    assert found(check(head + routes)) == [
        "7:15 warning: a/m is asked as step 1 of route r says, which comes first; other `health` does not count [routes.s.chain[0]]"
    ]


@pytest.mark.parametrize(
    "body",
    [
        "chain: [a/m, b/m], health: {prompt: 2+2?, expect: '4'}",
        "chain: [a/m, b/m], health: {prompt: Say ok., expect: ok}",
        "chain: [{to: a/m, health: {prompt: 2+2?}}, {to: b/m, health: {prompt: 2+2?}}], health: {expect: ''}",
        "chain: [a/m, b/m], health: {prompt: Reply with the word ok.}",
    ],
)
def test_a_prompt_with_what_is_expected(body: str) -> None:
    assert found(check(with_route(body))) == []


@pytest.mark.parametrize(
    ("server", "expected"),
    [
        ("max_waiting: 9, max_concurrent: 8", "8:23 warning: max_waiting 9 is more than max_concurrent 8; those that wait count among the requests in flight [server.max_waiting]"),
        ("max_concurrent: 8", "8:26 warning: max_waiting 100 (the default) is more than max_concurrent 8; those that wait count among the requests in flight [server.max_concurrent]"),
        ("max_waiting: 1001", "8:23 warning: max_waiting 1001 is more than max_concurrent 1000 (the default); those that wait count among the requests in flight [server.max_waiting]"),
        ("max_waiting: 8, max_concurrent: 8", None),
    ],
)  # fmt: skip
def test_places_to_wait_are_places_in_flight(server: str, expected: str | None) -> None:
    seen = found(check(with_route("chain: [a/m, b/m]", f"server: {{{server}}}\n")))
    assert seen == ([expected] if expected else [])


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (
            "state: {path: data/}",
            ["8:15 error: this names a folder; add the name of a file, such as holdfast.db [state.path]"],
        ),
        (
            'state: {path: "a\\nb"}',
            ["8:15 error: a line break or another character that no file name should have [state.path]"],
        ),
        ("state: {path: ''}", ["8:15 error: must not be empty [state.path]"]),
        ("state: {path: data/x.db}", []),
        ("state: null", []),
        ("state:", []),
    ],
)
def test_state(state: str, expected: list[str]) -> None:
    assert found(check(with_route("chain: [a/m, b/m]", f"{state}\n"))) == expected
