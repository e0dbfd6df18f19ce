"""When servers are asked about their models, and what becomes of their answers."""

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from proxy.config.settings import Settings, UpstreamSettings
from proxy.core.facts import Learned, ModelFacts
from proxy.core.names import DeploymentId
from proxy.dialects.live.question import Question, Reply
from proxy.health.learning import DAILY_S, OFTEN_S, SOON_S, Learning, is_asked, is_own
from proxy.pool.layout import layout_of
from proxy.pool.pool import Pool
from tests.support.fleet import settings_of

ROUTES = """\
version: 1
upstreams:
  local: {kind: ollama}
  router: {kind: openrouter, api_key: only-for-tests}
  openai: {kind: openai, api_key: only-for-tests}
  played: {kind: simulated}
  unused: {kind: vllm, base_url: "http://127.0.0.1:1/v1"}
routes:
  r: {chain: [local/m, router/a/b, openai/gpt-5, played/m]}
"""
LIST = {"data": [{"id": "a/b", "context_length": 1000}, {"id": "c/d", "context_length": 2000}]}


class Servers:
    """All servers, a clock, and what was learned from them."""

    def __init__(self, routes: str = ROUTES) -> None:
        self.settings = settings_of(routes)
        self.pool = Pool(*layout_of(self.settings), 0.0)
        self.now = 0.0
        self.answers: dict[str, Any] = {
            "/api/ps": {"models": [{"name": "m:latest", "context_length": 4096}]},
            "/api/show": {"capabilities": ["tools"]},
            "/models": LIST,
        }
        self.asked: list[tuple[str, str]] = []
        self.told: list[tuple[str, Mapping[str, Learned]]] = []
        self.doubts: set[str] = set()
        self.learning = Learning(
            self.settings, self.pool, self.ask, self.take, self.doubts, lambda: self.now, lambda: 0.5
        )

    async def ask(self, upstream: UpstreamSettings, question: Question) -> Reply | None:
        self.asked.append((upstream.name, question.path))
        answer = self.answers.get(question.path)
        return None if answer is None else Reply(200, msgspec.json.encode(answer))

    def take(self, upstream: str, told: Mapping[str, Learned]) -> None:
        self.told.append((upstream, told))
        self.learning._settings.upstreams[upstream].learn(told)

    async def at(self, now: float) -> list[tuple[str, str]]:
        """What is asked in the round of a moment."""
        self.now = now
        self.asked.clear()
        self.learning.go_round()
        for _ in range(10):
            await asyncio.sleep(0)
        return list(self.asked)

    def facts(self, upstream: str, model: str) -> ModelFacts:
        return self.learning._settings.upstreams[upstream].facts(model)


LOCAL = [("local", "/api/ps"), ("local", "/api/show")]
ROUTER = [("router", "/models")]


async def test_servers_of_ones_own_are_asked_often_and_others_once_a_day() -> None:
    servers = Servers()

    assert [*LOCAL, *ROUTER] == sorted(await servers.at(0.0))
    assert [] == await servers.at(OFTEN_S - 1)
    assert LOCAL == await servers.at(OFTEN_S)
    assert LOCAL == await servers.at(DAILY_S - 1)
    assert ROUTER == await servers.at(DAILY_S)


async def test_what_is_told_becomes_known() -> None:
    servers = Servers()
    await servers.at(0.0)

    assert (4096, True) == (servers.facts("local", "m").max_input, servers.facts("local", "m").tools)
    assert 1000 == servers.facts("router", "a/b").context
    assert {"local", "router"} == {name for name, _ in servers.told}
    assert [["a/b"]] == [list(told) for name, told in servers.told if name == "router"]


async def test_what_has_not_changed_is_not_told_again() -> None:
    servers = Servers()
    await servers.at(0.0)
    await servers.at(OFTEN_S)

    assert 2 == len(servers.told)


async def test_only_the_leader_asks() -> None:
    servers = Servers()
    servers.learning.leads = False
    assert [] == await servers.at(0.0)
    servers.learning.leads = True

    assert 3 == len(await servers.at(1.0))


async def test_a_doubt_has_a_server_of_ones_own_asked_soon() -> None:
    servers = Servers()
    await servers.at(0.0)
    servers.doubts |= {"local", "router", "gone"}

    assert [] == await servers.at(SOON_S - 1)
    assert LOCAL == await servers.at(SOON_S)
    assert [] == await servers.at(SOON_S + 1)
    assert set() == servers.doubts


async def test_a_model_that_was_not_loaded_and_has_answered_is_asked_about() -> None:
    servers = Servers()
    servers.answers["/api/ps"] = {"models": []}
    await servers.at(0.0)
    assert servers.facts("local", "m").max_input is None
    servers.answers["/api/ps"] = {"models": [{"name": "m", "context_length": 8192}]}
    servers.pool.deployment(DeploymentId("local", "m")).record_success(0, 20.0)

    assert LOCAL == await servers.at(21.0)
    assert 8192 == servers.facts("local", "m").max_input
    assert [] == await servers.at(60.0)


async def test_who_tells_nothing_is_asked_less_and_less_often() -> None:
    servers = Servers()
    servers.answers.clear()
    times = [float(now) for now in range(0, 20_000, 10) if ("local", "/api/ps") in await servers.at(float(now))]

    assert [0, 30, 90, 210, 450, 930, 1890, 3810, 7410, 11010, 14610, 18210] == times
    servers.answers["/api/ps"] = {"models": []}
    assert LOCAL == await servers.at(30_000.0)
    assert LOCAL == await servers.at(30_000.0 + OFTEN_S)


async def test_who_does_not_answer_at_all_is_asked_one_question() -> None:
    servers = Servers()
    del servers.answers["/api/ps"]

    assert LOCAL[:1] == [each for each in await servers.at(0.0) if each[0] == "local"]


async def test_what_is_loaded_nobody_knows_of_a_server_that_is_silent() -> None:
    servers = Servers()
    await servers.at(0.0)
    servers.answers.clear()
    await servers.at(OFTEN_S)

    told = servers.settings.upstreams["local"].live["m"]
    assert (None, 4096) == (told.loaded, told.facts.max_input)


async def test_a_server_that_hangs_holds_up_nobody_else() -> None:
    servers, forever = Servers(), asyncio.Event()

    async def hang(upstream: UpstreamSettings, question: Question) -> Reply | None:
        if upstream.name == "local":
            await forever.wait()
        return await Servers.ask(servers, upstream, question)

    servers.learning._ask = hang

    assert ROUTER == await servers.at(0.0)
    assert [] == await servers.at(OFTEN_S)
    forever.set()
    assert LOCAL == await servers.at(OFTEN_S + 1)


async def test_another_configuration_has_servers_of_ones_own_asked_again() -> None:
    servers = Servers()
    await servers.at(0.0)
    servers.learning.follow(settings_of(ROUTES), servers.pool)

    assert LOCAL == await servers.at(SOON_S)


async def test_another_server_by_the_same_name_is_asked_at_once() -> None:
    servers = Servers()
    await servers.at(0.0)
    servers.learning.follow(settings_of(ROUTES.replace("ollama}", "ollama, base_url: 'http://b:1'}")), servers.pool)

    assert LOCAL == await servers.at(1.0)


async def test_an_answer_of_a_server_that_is_gone_is_not_heard() -> None:
    servers, answered = Servers(), asyncio.Event()

    async def late(upstream: UpstreamSettings, question: Question) -> Reply | None:
        if upstream.base_url != "http://b:1":
            await answered.wait()
        return await Servers.ask(servers, upstream, question)

    servers.learning._ask = late
    await servers.at(0.0)
    servers.learning.follow(settings_of(ROUTES.replace("ollama}", "ollama, base_url: 'http://b:1'}")), servers.pool)
    answered.set()
    await servers.at(1.0)

    assert [] == [name for name, _ in servers.told if name == "local"]
    await servers.at(2.0)
    assert ["local"] == [name for name, _ in servers.told if name == "local"]


async def test_behind_a_glob_is_heard_what_clients_may_ask_for() -> None:
    servers = Servers(ROUTES.replace("  r: {", '  "x-*": {').replace("router/a/b", '"router/*"'))
    servers.pool.deployment(DeploymentId("router", "e/f"))
    await servers.at(0.0)

    assert [["a/b", "c/d"]] == [list(told) for name, told in servers.told if name == "router"]


@pytest.mark.parametrize(
    ("written", "asked", "own"),
    [
        ("kind: ollama", True, True),
        ("kind: llamacpp, base_url: 'http://gpu:8080'", True, True),
        ("kind: openai, api_key: k", False, False),
        ("kind: openai, api_key: k, base_url: 'https://eu.api.openai.com/v1'", False, False),
        ("kind: openai, base_url: 'http://127.0.0.1:1234/v1'", True, True),
        ("kind: openai, base_url: 'https://gateway.example/v1'", True, False),
        ("kind: mistral, api_key: k", True, False),
        ("kind: mistral, api_key: k, health: {learn: false}", False, False),
        ("kind: mistral, api_key: '${UNSET}'", False, False),
        ("kind: deepseek, api_key: k", False, False),
        ("kind: simulated", False, False),
    ],
)
def test_who_is_asked(written: str, asked: bool, own: bool) -> None:
    made: Settings = settings_of(f"version: 1\nupstreams: {{u: {{{written}}}}}\nroutes: {{r: {{chain: [u/m]}}}}\n")
    upstream = made.upstreams["u"]

    assert (asked, own) == (is_asked(upstream), is_own(upstream))
