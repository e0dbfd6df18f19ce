"""What servers tell of their models decides, and is shown: a whole proxy in front of servers that are asked."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from proxy.simulator.server import Simulator
from proxy.simulator.upstream import SimulatedUpstream
from tests.support.fleet import Fleet, fleet, until
from tests.support.virtual_time import run_virtual

ROUTES = """\
version: 1
server: {port: 0}
upstreams:
  own: {kind: KIND, base_url: "ADDRESS", health: {probe: never}}
  backup: {kind: simulated}
routes:
  chat: {chain: [own/m, backup/m]}
"""
WINDOW = 400
LONG = [{"role": "user", "content": "one two three four " * 200}]


@asynccontextmanager
async def running(
    kind: str, routes: str = ROUTES, window: int | None = WINDOW, file: Path | None = None
) -> AsyncIterator[tuple[Fleet, SimulatedUpstream]]:
    """A proxy in front of a server of a kind, and that server."""
    async with Simulator(["own"], tokens_per_second=0, first_token_delay=0) as outside:
        own = outside.upstream("own")
        own.voice.models, own.voice.context_window = ("m",), window
        address = own.base_url.removesuffix("/v1") if kind == "ollama" else own.base_url
        async with fleet(routes.replace("KIND", kind).replace("ADDRESS", address), file=file) as made:
            yield made, own


def questions(own: SimulatedUpstream) -> list[str]:
    return [request.path for request in own.requests if "chat" not in request.path]


async def shown(made: Fleet) -> Any:
    return (await made.request("GET", "/admin/v1/deployments/own/m")).json["model"]


KINDS = {
    "ollama": (["/api/ps", "/api/show"], True, "max_input"),
    "llamacpp": (["/props"], True, "max_input"),
    "vllm": (["/v1/models"], True, "context"),
    "openai": (["/v1/models"], None, "context"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_prompt_that_does_not_fit_goes_elsewhere_at_once(kind: str) -> None:
    asked, loaded, window = KINDS[kind]

    async def scenario() -> None:
        async with running(kind) as (made, own):
            await until(lambda: "m" in made.proxy.settings.upstreams["own"].live)
            short, long = await made.chat(), await made.chat(messages=LONG)

            assert ([("own", "ok")], [("backup", "ok")]) == (short.trail, long.trail)
            assert asked == questions(own)
            model = await shown(made)
            assert (loaded, {"is": WINDOW, "from": "server"}) == (model["loaded"], model["facts"][window])
            gauge = 'holdfast_model_loaded{upstream="own",model="m"} 1'
            assert (loaded is True) == (gauge in (await made.request("GET", "/metrics")).body.decode())
            plan = (await made.chat(headers={"x-holdfast-explain": "true"})).json
            assert [WINDOW, None] == [step["window"] for step in plan["steps"]]

    run_virtual(scenario())


@pytest.mark.parametrize(("kind", "answered_by"), [("llamacpp", "own"), ("ollama", "own"), ("vllm", "backup")])
def test_a_high_cap_counts_where_the_server_would_refuse_it(kind: str, answered_by: str) -> None:
    async def scenario() -> None:
        async with running(kind) as (made, _):
            await until(lambda: "m" in made.proxy.settings.upstreams["own"].live)

            assert [(answered_by, "ok")] == (await made.chat(max_tokens=4000)).trail

    run_virtual(scenario())


def test_a_window_that_has_changed_is_found_out() -> None:
    async def scenario() -> None:
        async with running("llamacpp") as (made, own):
            upstream = made.proxy.settings.upstreams["own"]
            await until(lambda: upstream.facts("m").max_input == WINDOW)
            assert [("backup", "ok")] == (await made.chat(messages=LONG)).trail
            own.voice.context_window = 10 * WINDOW
            await until(lambda: upstream.facts("m").max_input == 10 * WINDOW, patience=300)

            assert [("own", "ok")] == (await made.chat(messages=LONG)).trail

    run_virtual(scenario())


def test_a_refusal_has_the_server_asked_soon() -> None:
    async def scenario() -> None:
        async with running("vllm", window=100_000) as (made, own):
            clock = asyncio.get_running_loop().time
            upstream = made.proxy.settings.upstreams["own"]
            await until(lambda: upstream.facts("m").context == 100_000)
            own.voice.context_window = WINDOW
            started = clock()
            assert [("own", "http_400"), ("backup", "ok")] == (await made.chat(messages=LONG)).trail
            await until(lambda: upstream.facts("m").context == WINDOW)

            assert clock() - started < 15

    run_virtual(scenario())


def test_the_files_word_counts() -> None:
    routes = ROUTES.replace("health:", "models: {m: {context: 100_000}}, health:").replace("100_000", "100000")

    async def scenario() -> None:
        async with running("vllm", routes) as (made, own):
            await until(lambda: "m" in made.proxy.settings.upstreams["own"].live)
            own.voice.context_window = None

            assert [("own", "ok")] == (await made.chat(messages=LONG)).trail
            assert {"is": 100_000, "from": "file"} == (await shown(made))["facts"]["context"]

    run_virtual(scenario())


def test_a_server_that_shall_not_be_asked_is_not() -> None:
    async def scenario() -> None:
        async with running("vllm", ROUTES.replace("probe: never", "learn: false")) as (made, own):
            await asyncio.sleep(600)
            assert [] == questions(own)
            assert {"loaded": None, "listed": None, "slots": None, "gpu": None, "facts": {}} == await shown(made)

    run_virtual(scenario())


def test_what_was_learned_outlives_a_reload(tmp_path: Path) -> None:
    file = tmp_path / "routes.yaml"

    async def scenario() -> None:
        async with running("vllm", file=file) as (made, own):
            await until(lambda: "m" in made.proxy.settings.upstreams["own"].live)
            before = made.proxy.settings
            file.write_text(file.read_text() + "defaults: {deadline: 50s}\n")
            await made.proxy.reload("operator")

            assert before is not made.proxy.settings
            assert [("backup", "ok")] == (await made.chat(messages=LONG)).trail
            await until(lambda: len(questions(own)) == 2)

    run_virtual(scenario())


def test_a_server_that_does_not_tell_is_used_all_the_same() -> None:
    async def scenario() -> None:
        async with running("vllm") as (made, own):
            await own.inject("503")
            made.proxy.settings.upstreams["own"].live.clear()
            await asyncio.sleep(100)
            await own.inject(None)

            assert [("own", "ok")] == (await made.chat()).trail

    run_virtual(scenario())


def test_a_model_that_the_server_does_not_list_is_shown_as_such() -> None:
    async def scenario() -> None:
        async with running("vllm", window=None) as (made, own):
            own.voice.models = ("other",)
            await until(lambda: "m" in made.proxy.settings.upstreams["own"].live)
            assert (False, False) == ((model := await shown(made))["listed"], model["loaded"])
            assert [("own", "ok")] == (await made.chat()).trail

    run_virtual(scenario())
