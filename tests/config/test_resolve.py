import hashlib
from dataclasses import FrozenInstanceError, fields, is_dataclass

import pytest

from proxy.config.resolve import (
    DrainSettings,
    LogSettings,
    ModelFacts,
    PatienceSettings,
    RetrySettings,
    ServerSettings,
    Settings,
    Timeouts,
    find_route,
    nearest_route,
    resolve,
)
from proxy.policies.backoff import BackoffSettings
from proxy.policies.retry_budget import RetryBudgetSettings
from tests.config.checking import MINIMAL, check, found


def settings(text: str, **environ: str) -> Settings:
    loaded = check(text, environ)
    assert loaded.config is not None, found(loaded)
    return resolve(loaded.config, loaded.unconfigured)


def test_defaults() -> None:
    made = settings(MINIMAL)
    assert made.server == ServerSettings(
        "127.0.0.1", 8400, 32 * 1024**2, 1000, PatienceSettings(10, 30, 75, 60), DrainSettings(0, 60)
    )
    route = made.routes["chat"]
    assert route.deadline == 120
    assert route.last_resort is None
    (step,) = route.steps
    assert (step.upstream, step.model, step.unusable) == ("local", "m", None)
    assert step.timeouts == Timeouts(3, 30, 60, 15)
    assert step.retry == RetrySettings(3, 3, BackoffSettings(1, 2, 60))
    assert made.budget == RetryBudgetSettings(0.2, 3)
    assert made.clients is None
    assert made.admin_key is None
    assert made.log == LogSettings("auto", "info")
    upstream = made.upstreams["local"]
    assert (upstream.name, upstream.base_url, upstream.keys) == ("local", "http://127.0.0.1:11434/v1", ())


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
    assert made.routes["near"].last_resort == "Sorry."
    assert made.budget == RetryBudgetSettings(0.1, 1)


def test_upstreams() -> None:
    made = settings(
        """\
version: 1
upstreams:
  o: {kind: openai, base_url: "https://h/v1/", api_keys: [k1, k2], models: {m: {context: 10, quality: 90%}, n: {}}}
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
    assert o.models == {"m": ModelFacts(10, 0.9), "n": ModelFacts(None, None)}
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
