import hashlib
import re
from dataclasses import FrozenInstanceError, fields, is_dataclass
from pathlib import Path

import pytest

from proxy.config.resolve import find_route, nearest_route, resolve
from proxy.config.scalars import resolve_scalar
from proxy.config.schema_policies import (
    Backoff,
    Breaker,
    Budget,
    Foresight,
    Health,
    Outlier,
    Recovery,
    Retry,
    Section,
    Timers,
)
from proxy.config.settings import (
    DrainSettings,
    HealthSettings,
    LastResortSettings,
    LogSettings,
    PatienceSettings,
    RetrySettings,
    RouteSettings,
    Rules,
    ServerSettings,
    Settings,
    Timeouts,
)
from proxy.core.facts import Learned, ModelFacts, Price
from proxy.core.names import DeploymentId
from proxy.policies.backoff import BackoffSettings
from proxy.policies.breaker import BreakerSettings
from proxy.policies.concurrency import LimitSettings
from proxy.policies.hedge import HedgeSettings
from proxy.policies.outlier import OutlierSettings
from proxy.policies.retry_budget import RetryBudgetSettings
from proxy.policies.slow_start import RecoverySettings
from proxy.policies.trend import ForesightSettings
from proxy.streams.resume import DEFAULT_INSTRUCTION, HoldBack, ResumeMode, ResumeSettings
from proxy.worker.snapshot import pickled, unpickled
from tests.config.checking import MINIMAL, check, found
from tests.support.fleet import settings_of


def settings(text: str, **environ: str) -> Settings:
    loaded = check(text, environ)
    assert loaded.config is not None, found(loaded)
    return resolve(loaded.config, loaded.unconfigured)


def test_defaults() -> None:
    made = settings(MINIMAL)
    assert made.server == ServerSettings(
        "127.0.0.1", 8400, 32 * 1024**2, 1000, 100, PatienceSettings(10, 30, 75, 60), DrainSettings(0, 60)
    )
    route = made.routes["chat"]
    assert route.deadline == 120
    assert route.last_resort is None
    (step,) = route.steps
    assert (route.strategy, route.hedge, route.panic, route.degraded_below) == ("sequential", None, 0.5, 0.6)
    assert route.outlier == OutlierSettings()
    assert route.resume == ResumeSettings(
        (ResumeMode.PREFILL, ResumeMode.INSTRUCT, ResumeMode.RESTART), HoldBack.TOOLS, False, DEFAULT_INSTRUCTION
    )
    assert (step.upstream, step.model, step.unusable) == ("local", "m", None)
    assert (step.weight, step.quality) == (1, None)
    assert step.rules == Rules()
    assert step.health == HealthSettings("auto", 30, 10, "Reply with the word ok.", "ok")
    assert step.timeouts == Timeouts(3, 30, 60, 15)
    assert step.retry == RetrySettings(3, 3, BackoffSettings(1, 2, 60))
    assert made.budget == RetryBudgetSettings(0.2, 3)
    assert made.clients is None
    assert made.admin_key is None
    assert made.log == LogSettings("auto", "info")
    upstream = made.upstreams["local"]
    assert (upstream.name, upstream.base_url, upstream.keys) == ("local", "http://127.0.0.1:11434", ())
    assert (upstream.limit, upstream.budget) == (None, RetryBudgetSettings(0.2, 3))


def test_what_the_docstrings_say_is_the_default() -> None:
    built_in: list[tuple[type[Section], object]] = [
        (Timers, Timeouts()), (Backoff, BackoffSettings()), (Retry, RetrySettings()), (Budget, RetryBudgetSettings()),
        (Breaker, BreakerSettings()), (Health, HealthSettings()), (Recovery, RecoverySettings()),
        (Foresight, ForesightSettings()), (Outlier, OutlierSettings()),
    ]  # fmt: skip
    for section, settings_ in built_in:
        for name, field in section.model_fields.items():
            if match := re.search(r"Default (\S+)\.(?:\s|$)", field.description or ""):
                written = section.model_validate({name: resolve_scalar(match[1])})
                assert getattr(written, name) == getattr(settings_, name), (section, name)


def test_the_nearest_wins_key_by_key() -> None:
    made = settings(
        """\
version: 1
upstreams:
  u:
    kind: ollama
    timeout: {connect: 2s, first_token: 22s}
    retry: {attempts: 2, backoff: {initial: 2s}}
defaults:
  deadline: 90s
  timeout: {connect: 1s, first_token: 11s, idle: 11s}
  retry:
    attempts: 1
    patience: 1s
    backoff: {initial: 1s, multiplier: 3, max: 20s}
    budget: {ratio: 10%, min_per_second: 1}
routes:
  far: {chain: [u/m]}
  near:
    deadline: 80s
    timeout: {first_token: 33s}
    retry: {backoff: {multiplier: 4}}
    last_resort: {text: Sorry.}
    chain:
      - u/m
      - {to: u/n, timeout: {connect: 4s}, retry: {patience: 4s, backoff: {max: 40s}}}
"""
    )
    (far,) = made.routes["far"].steps
    assert far.timeouts == Timeouts(2, 22, 22, 11)
    assert far.retry == RetrySettings(2, 1, BackoffSettings(2, 3, 20))
    assert made.routes["far"].deadline == 90
    first, second = made.routes["near"].steps
    assert first.timeouts == Timeouts(2, 33, 33, 11)
    assert first.retry == RetrySettings(2, 1, BackoffSettings(2, 4, 20))
    assert second.timeouts == Timeouts(4, 33, 33, 11)
    assert second.retry == RetrySettings(2, 4, BackoffSettings(2, 4, 40))
    assert made.routes["near"].deadline == 80
    assert made.routes["near"].last_resort == LastResortSettings("Sorry.", None)
    assert made.budget == RetryBudgetSettings(0.1, 1)


def test_upstreams() -> None:
    made = settings(
        """\
version: 1
upstreams:
  o:
    kind: openai
    base_url: "https://h/v1/"
    api_keys: [k1, k2]
    models: {m: {context: 10, quality: 90%}, n: {prefill: false}, o: {}}
  s: {kind: simulated}
  x: {kind: openai, base_url: "${U}"}
  a: {kind: azure, base_url: "https://r.openai.azure.com", api_key: k}
routes: {r: {chain: [o/meta/llama, s/m, x/m, a/m]}}
clients: [{name: c, key: "12345678", routes: [r]}, {name: d, key: "abcdefgh"}]
admin: {key: secret-admin}
telemetry: {log: {format: json, level: debug}}
"""
    )
    o = made.upstreams["o"]
    assert (o.base_url, o.keys, o.kind.name) == ("https://h/v1", ("k1", "k2"), "openai")
    assert o.models == {"m": ModelFacts(10, quality=0.9), "n": ModelFacts(prefill=False), "o": ModelFacts()}
    assert made.upstreams["s"].base_url == ""
    assert made.upstreams["x"].unconfigured == "U is not set"
    assert made.upstreams["a"].base_url == "https://r.openai.azure.com/openai/v1"
    assert made.routes["r"].steps[0].model == "meta/llama"
    assert [step.unusable for step in made.routes["r"].steps] == [None, None, "U is not set", None]
    assert made.clients is not None
    assert made.clients[0].key_sha256 == hashlib.sha256(b"12345678").hexdigest()
    assert [client.routes for client in made.clients] == [("r",), None]
    assert made.admin_key == "secret-admin"
    assert made.log == LogSettings("json", "debug")
    for secret in ("k1", "k2", "12345678", "abcdefgh", "secret-admin", made.clients[0].key_sha256):
        assert secret not in repr(made)


FACTS = """\
version: 1
upstreams:
  o:
    kind: openai
    api_key: k
    models:
      gpt-4o: {vision: false, max_input: 1000, price: {input: 1, output: 2.5, cache_read: 0}}
      mine:
        {audio: true, documents: true, tools: true, structured: false, json_mode: true, reasoning: false, dimensions: 8}
  own: {kind: openai, base_url: "http://127.0.0.1:9000/v1"}
  eu: {kind: openai, base_url: "https://eu.api.openai.com/v1", api_key: k}
  gate: {kind: anthropic, base_url: "https://gateway.example/anthropic", api_key: k}
  local: {kind: vllm, base_url: "http://127.0.0.1:8000"}
routes: {r: {chain: [o/gpt-4o, own/gpt-4o, eu/gpt-4o, gate/claude-sonnet-4-5, local/gpt-4o]}}
"""


def test_what_the_file_says_of_a_model_goes_above_the_catalogue_member_by_member() -> None:
    upstream = settings(FACTS).upstreams["o"]
    facts = upstream.facts("gpt-4o")

    assert (False, 1000, 128_000, 16_384, True) == (
        facts.vision,
        facts.max_input,
        facts.context,
        facts.max_output,
        facts.structured,
    )
    assert Price(1, 2.5, 0) == facts.price
    assert ModelFacts(
        audio=True, documents=True, tools=True, structured=False, json_mode=True, reasoning=False, dimensions=8
    ) == upstream.facts("mine")


def test_a_servers_own_names_say_nothing_but_a_providers_do() -> None:
    made = settings(FACTS).upstreams

    assert [None, 128_000, None] == [made[name].facts("gpt-4o").context for name in ("own", "eu", "local")]
    assert 200_000 == made["gate"].facts("claude-sonnet-4-5").context


def test_what_a_server_tells_stands_between_the_file_and_the_catalogue() -> None:
    upstream = settings_of(
        """\
version: 1
upstreams: {a: {kind: mistral, api_key: k, models: {mistral-large-latest: {context: 1000}}}}
routes: {r: {chain: [a/mistral-large-latest]}}
"""
    ).upstreams["a"]
    model = "mistral-large-latest"
    before = upstream.facts(model)
    told = ModelFacts(context=9, max_input=800, vision=False)

    assert {model} == upstream.learn({model: Learned(told)})
    facts = upstream.facts(model)
    assert (1000, 800, False) == (facts.context, facts.max_input, facts.vision)
    sources = upstream.sources(model)
    assert ("file", "server", "server") == tuple(sources[name] for name in ("context", "max_input", "vision"))
    assert set() == upstream.learn({model: Learned(told, loaded=True)})
    assert {model} == upstream.learn({})
    assert before == upstream.facts(model)


def test_what_a_server_tells_travels_with_the_settings() -> None:
    made = settings_of("version: 1\nupstreams: {a: {kind: ollama}}\nroutes: {r: {chain: [a/m]}}\n")
    made.upstreams["a"].learn({"m": Learned(ModelFacts(context=4096), listed=True, loaded=True, gpu=0.5)})
    there = unpickled(pickled(made))

    assert made.upstreams["a"].live == there.upstreams["a"].live
    assert (4096, True) == (there.upstreams["a"].facts("m").context, there.is_loaded(DeploymentId("a", "m")))
    assert made == there


@pytest.mark.parametrize(
    ("defaults", "own", "expected"),
    [("{}", "{}", True), ("{learn: false}", "{}", False), ("{learn: false}", "{learn: true}", True)],
)
def test_who_is_asked_about_models(defaults: str, own: str, expected: bool) -> None:
    text = f"version: 1\nupstreams: {{a: {{kind: ollama, health: {own}}}}}\nroutes: {{r: {{chain: [a/m]}}}}\n"
    made = settings_of(f"{text}defaults: {{health: {defaults}}}\n")

    assert expected == made.upstreams["a"].learns


def test_facts_are_remembered_but_not_without_end() -> None:
    upstream = settings(FACTS).upstreams["o"]
    first = upstream.facts("gpt-4o")

    assert first is upstream.facts("gpt-4o")
    for number in range(3000):
        assert ModelFacts() == upstream.facts(f"made-up-{number}")
    assert len(upstream._asked) <= 1024
    assert first == upstream.facts("gpt-4o")


DEMO = """\
version: 1
upstreams:
  o: {kind: openai, api_key: "${K:-}"}
  l: {kind: ollama}
  demo: {kind: simulated, only_without_keys: true}
  always: {kind: simulated}
routes: {r: {chain: [o/m, l/m, demo/m, always/m]}}
"""


def test_a_stand_in_serves_until_a_key_is_set() -> None:
    assert [step.unusable for step in settings(DEMO).routes["r"].steps] == ["K is not set", None, None, None]
    assert [step.unusable for step in settings(DEMO, K="k").routes["r"].steps] == [
        None, None, "stands aside: a real key is set", None,
    ]  # fmt: skip


def test_an_empty_admin_key_is_none() -> None:
    assert settings(MINIMAL + 'admin: {key: "${A:-}"}\n').admin_key is None


ROUTES = MINIMAL + "".join(
    f"  '{name}': {{chain: [local/m]}}\n" for name in ("gpt-*", "gpt-4*", "gpt-4o", "*-mini", "Claude")
)


@pytest.mark.parametrize(
    ("asked", "route"),
    [("gpt-4o", "gpt-4o"), ("gpt-4.1", "gpt-4*"), ("gpt-5", "gpt-*"), ("o3-mini", "*-mini"), ("gpt-5-mini", "*-mini"),
     ("chat", "chat"), ("CHAT", None), ("", None), ("nothing", None), ("gpt-*", "gpt-*"), ("claude", None)],
)  # fmt: skip
def test_exact_names_first_then_the_longest_glob(asked: str, route: str | None) -> None:
    found_route = find_route(settings(ROUTES), asked)
    assert (found_route.name if found_route else None) == route


@pytest.mark.parametrize(
    ("asked", "near"),
    [("gpt4o", "gpt-4o"), ("claude", "Claude"), ("chta", "chat"), ("zzzzzz", None), ("x" * 10_000, None)],
)
def test_the_nearest_route(asked: str, near: str | None) -> None:
    assert nearest_route(settings(ROUTES), asked) == near


def test_settings_are_frozen_all_the_way_down() -> None:
    made = settings(MINIMAL)

    def visit(value: object) -> None:
        if is_dataclass(value):
            assert not hasattr(value, "__dict__")
            name = fields(value)[0].name
            with pytest.raises(FrozenInstanceError):
                setattr(value, name, None)
            for each in fields(value):
                visit(getattr(value, each.name))

    visit(made)
    visit(made.upstreams["local"])
    visit(made.routes["chat"].steps[0])
    with pytest.raises(TypeError):
        made.routes["x"] = made.routes["chat"]  # type: ignore[index]


def test_an_answer_that_is_not_streamed_has_a_timer_of_its_own() -> None:
    def timeouts(text: str) -> tuple[float, float]:
        (step,) = settings(MINIMAL + f"defaults: {{timeout: {text}}}\n").routes["chat"].steps
        return step.timeouts.first_token, step.timeouts.answer

    assert timeouts("{connect: 1s}") == (30, 60)
    assert timeouts("{first_token: 8s}") == (8, 8)
    assert timeouts("{answer: 90s}") == (30, 90)
    assert timeouts("{first_token: 8s, answer: 90s}") == (8, 90)


POLICIES = """\
version: 1
server: {max_waiting: 0}
upstreams:
  u:
    kind: ollama
    breaker: {open_for: 20s, probes: 1}
    health: {probe: always, expect: ""}
    max_concurrent: 8
    retry: {budget: {ratio: 10%}}
  v: {kind: ollama, max_concurrent: {max: 40}}
defaults:
  retry: {budget: {ratio: 30%, min_per_second: 1}}
  breaker: {consecutive: 3, open_for: 10s}
  health: {interval: 5s, timeout: 4s}
  recovery: {ramp: 0}
  foresight: {share: 0.5}
  max_concurrent: 50
  panic: never
  outlier: {error_gap: 30%, eject_for: 1m}
  degraded_below: 0.5
routes:
  far: {chain: [u/m, v/m]}
  near:
    breaker: {probes: 3, error_rate: 0.5}
    health: {timeout: 3s}
    foresight: {trend: false, adaptive: true}
    max_concurrent: adaptive
    panic: 80%
    outlier: {error_gap: 10%, latency_factor: 2.5, max_ejected: 0}
    degraded_below: 0
    strategy: weighted
    hedge: {after: 800ms, ratio: 10%}
    last_resort: {cached: 24h}
    chain:
      - {to: u/m, weight: 3, quality: 80%}
      - {to: v/m, recovery: {stable: 5s}, max_concurrent: {initial: 30, min: 2}, health: {prompt: Hi}}
"""


def test_policies_of_a_step_are_the_nearest_key_by_key() -> None:
    made = settings(POLICIES)
    first, second = made.routes["far"].steps
    assert first.rules == Rules(
        BreakerSettings(consecutive=3, open_for=20, probes=1),
        LimitSettings(50, 50, 50),
        RecoverySettings(0, 60),
        ForesightSettings(True, 0.5, False),
    )
    assert first.health == HealthSettings("always", 5, 4, expect="")
    assert second.rules.breaker == BreakerSettings(consecutive=3, open_for=10)
    assert second.health == HealthSettings("auto", 5, 4)
    first, second = made.routes["near"].steps
    assert first.rules == Rules(
        BreakerSettings(consecutive=3, error_rate=0.5, open_for=20, probes=3),
        LimitSettings(20, 1, 200),
        RecoverySettings(0, 60),
        ForesightSettings(False, 0.5, True),
    )
    assert (first.weight, first.quality) == (3, 0.8)
    assert first.health == HealthSettings("always", 5, 3, expect="")
    assert second.rules.limit == LimitSettings(30, 2, 200)
    assert second.rules.recovery == RecoverySettings(0, 5)
    assert second.health == HealthSettings("auto", 5, 3, "Hi")
    assert (second.weight, second.quality) == (1, None)


def test_policies_of_a_route() -> None:
    made = settings(POLICIES)
    far, near = made.routes["far"], made.routes["near"]
    assert (far.strategy, far.hedge, far.panic, far.degraded_below) == ("sequential", None, None, 0.5)
    assert far.outlier == OutlierSettings(0.3, 5, 20, 60, 0.5)
    assert (near.strategy, near.panic, near.degraded_below) == ("weighted", 0.8, 0)
    assert near.outlier == OutlierSettings(0.1, 2.5, 20, 60, 0)
    assert near.hedge == HedgeSettings(None, 0.8, 0.1)
    assert near.last_resort == LastResortSettings(None, 86400)


def resume(far: str, near: str = "{}") -> ResumeSettings | None:
    """What holds for a route that says `near`, where defaults say `far`."""
    text = MINIMAL.replace("{chain: [local/m]}", f"{{chain: [local/m, local/n], resume: {near}}}")
    return settings(f"{text}defaults: {{resume: {far}}}\n").routes["chat"].resume


def test_every_word_of_resuming() -> None:
    for word in ("prefill", "instruct", "restart"):
        assert ResumeSettings(modes=(ResumeMode(word),)) == resume(f"{{modes: [{word}]}}")
    for word in ("tools", "all", "none"):
        assert ResumeSettings(hold=HoldBack(word)) == resume(f"{{hold: {word}}}")
    assert ResumeSettings(reasoning_again=True) == resume("{reasoning: again}")
    assert ResumeSettings(reasoning_again=False) == resume("{reasoning: once}")
    assert ResumeSettings(instruction="After {tail}") == resume("{instruction: 'After {tail}'}")


@pytest.mark.parametrize("form", ["on", "true", "'on'", "null", "{}", "{modes: [prefill, instruct, restart]}"])
def test_resuming_is_on(form: str) -> None:
    assert ResumeSettings() == resume(form, "null")


@pytest.mark.parametrize("form", ["off", "false", "'off'"])
def test_resuming_is_off(form: str) -> None:
    assert resume(form, "null") is None
    assert resume("{hold: all}", form) is None
    assert ResumeSettings() == resume(form, "on")
    assert ResumeSettings(hold=HoldBack.NONE) == resume(form, "{hold: none}")


def test_resuming_is_the_nearest_key_by_key() -> None:
    far = "{modes: [restart, prefill], hold: all, reasoning: again, instruction: 'Far {tail}'}"
    modes = (ResumeMode.RESTART, ResumeMode.PREFILL)

    assert ResumeSettings(modes, HoldBack.ALL, True, "Far {tail}") == resume(far, "on")
    assert ResumeSettings(modes, HoldBack.NONE, True, "Far {tail}") == resume(far, "{hold: none}")
    assert ResumeSettings((ResumeMode.INSTRUCT,), HoldBack.ALL, False, "Near {tail}") == resume(
        far, "{modes: [instruct], reasoning: once, instruction: 'Near {tail}'}"
    )


@pytest.mark.parametrize(
    ("value", "expected"), [("false", None), ("off", None), ("true", ResumeSettings()), ("on", ResumeSettings())]
)
def test_resuming_by_a_variable(value: str, expected: ResumeSettings | None) -> None:
    assert expected == settings(f"{MINIMAL}defaults:\n  resume: ${{R}}\n", R=value).routes["chat"].resume


def test_limits_and_budgets_of_upstreams() -> None:
    made = settings(POLICIES)
    assert made.server.max_waiting == 0
    assert made.budget == RetryBudgetSettings(0.3, 1)
    assert made.upstreams["u"].limit == LimitSettings(8, 8, 8)
    assert made.upstreams["u"].budget == RetryBudgetSettings(0.1, 1)
    assert made.upstreams["v"].limit == LimitSettings(20, 1, 40)
    assert made.upstreams["v"].budget == RetryBudgetSettings(0.3, 1)


def test_equal_rules_are_one_object() -> None:
    made = settings(
        """\
version: 1
upstreams: {u: {kind: ollama}, v: {kind: ollama}}
routes:
  a: {chain: [u/m, v/m]}
  b: {chain: [u/m], breaker: {consecutive: 5}, max_concurrent: 100}
  c: {chain: [u/m], breaker: {consecutive: 4}}
"""
    )
    a, b, c = (made.routes[name].steps[0].rules for name in "abc")
    assert a is b is made.routes["a"].steps[1].rules
    assert a == Rules()
    assert hash(a) == hash(Rules())
    assert c != a


@pytest.mark.parametrize(
    ("hedge", "expected"),
    [("{}", (0.95, None, 0.05)), ("{after: p50}", (0.5, None, 0.05)), ("{after: p99, ratio: 1}", (0.99, None, 1)),
     ("{after: 2s}", (None, 2, 0.05))],
)  # fmt: skip
def test_hedges(hedge: str, expected: tuple[float | None, float | None, float]) -> None:
    made = settings(MINIMAL.replace("[local/m]", f"[local/m, local/n], hedge: {hedge}"))
    assert made.routes["chat"].hedge == HedgeSettings(*expected)


def test_numbers_from_variables() -> None:
    made = settings(
        MINIMAL + "defaults:\n  max_concurrent: ${N}\n  panic: ${P}\n  breaker:\n    consecutive: ${N}\n",
        N="7",
        P="0.9",
    )
    rules = made.routes["chat"].steps[0].rules
    assert (rules.limit, rules.breaker.consecutive) == (LimitSettings(7, 7, 7), 7)
    assert made.routes["chat"].panic == 0.9
    assert settings(MINIMAL + 'defaults: {panic: "${P}"}\n', P="never").routes["chat"].panic is None


@pytest.mark.parametrize(
    ("state", "folder", "expected"),
    [("", "/etc/h", "/etc/h/holdfast.db"), ("state: {}", "/etc/h", "/etc/h/holdfast.db"),
     ("state: null", "/etc/h", None), ("state: {path: /var/x.db}", "/etc/h", "/var/x.db"),
     ("state: {path: /var/x.db}", None, "/var/x.db"), ("state: {path: ./s/x.db}", "/etc/h", "/etc/h/s/x.db"),
     ("state: {path: x.db}", None, None), ("", None, None)],
)  # fmt: skip
def test_where_state_is_kept(state: str, folder: str | None, expected: str | None) -> None:
    loaded = check(f"{MINIMAL}{state}\n")
    assert loaded.config is not None, found(loaded)
    made = resolve(loaded.config, loaded.unconfigured, Path(folder) if folder else None)
    assert made.state_path == (Path(expected) if expected else None)


def test_the_settings_have_the_defaults_of_the_file() -> None:
    made = settings(MINIMAL).routes["chat"]
    assert made == RouteSettings("chat", made.steps, 120)


@pytest.mark.parametrize(("written", "meant"), [("", True), ("server: {front_lane: false}\n", False)])
def test_the_front_lane_is_on_unless_it_is_switched_off(written: str, meant: bool) -> None:
    assert meant is settings(MINIMAL + written).server.front_lane
