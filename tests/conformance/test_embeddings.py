"""Embeddings: failover among equals, vectors of one length on each route, and probes that ask for vectors."""

import openai
import pytest
from openai import AsyncOpenAI

from proxy.simulator.wires import vectors
from tests.support.fleet import fleet

ROUTES = """\
version: 1
server: {port: 0}
upstreams:
  primary: {kind: simulated, health: {probe: always, interval: 1s}}
  backup: {kind: simulated}
defaults: {deadline: 10s, retry: {attempts: 1}}
routes:
  vectors: {chain: [primary/embedder, backup/embedder]}
"""


def client_of(url: str) -> AsyncOpenAI:
    return AsyncOpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0)


async def test_a_failure_is_hidden() -> None:
    async with fleet(ROUTES) as running, client_of(running.url) as client:
        first = await client.embeddings.create(model="vectors", input=["one", "two"])
        await running.simulator.inject("primary", "503")
        second = await client.embeddings.create(model="vectors", input=["one", "two"])

    assert 2 == len(first.data) == len(second.data)
    assert ["ok", "http_503", "ok"] == [attempt.outcome for record in running.records for attempt in record.attempts]


async def test_vectors_of_another_length_are_nobodys_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    async with fleet(ROUTES) as running, client_of(running.url) as client:
        await client.embeddings.create(model="vectors", input="one")
        monkeypatch.setattr(vectors, "_DIMENSIONS", 4)
        with pytest.raises(openai.InternalServerError) as error:
            await client.embeddings.create(model="vectors", input="one")
        assert "upstream_error" == error.value.code
        # Who asks for a length gets it from everybody.
        assert 4 == len((await client.embeddings.create(model="vectors", input="one", dimensions=4)).data[0].embedding)


async def test_a_route_of_chat_models_has_no_vectors() -> None:
    claude = '  claude: {kind: anthropic, base_url: "http://127.0.0.1:1", api_key: k}'
    routes = ROUTES.replace("defaults:", f"{claude}\ndefaults:")
    routes = routes.replace("routes:", "routes:\n  words: {chain: [claude/claude-sonnet-4-5]}")
    async with fleet(routes) as running, client_of(running.url) as client:
        with pytest.raises(openai.BadRequestError, match="no embeddings"):
            await client.embeddings.create(model="words", input="one")


async def test_a_probe_asks_for_vectors() -> None:
    async with fleet(ROUTES) as running, client_of(running.url) as client:
        await client.embeddings.create(model="vectors", input="one")
        seen = await running.request("POST", "/admin/v1/deployments/primary/embedder/probe", json={})
        asked = running.simulator.upstream("primary").requests

    assert 200 == seen.status
    assert "/v1/embeddings" == asked[-1].path
