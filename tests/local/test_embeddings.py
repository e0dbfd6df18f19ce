"""Embeddings through the proxy to llama.cpp's server."""

from __future__ import annotations

import pytest
from openai import AsyncOpenAI

from tests.local.counting import WIDTH
from tests.local.routes import in_front_of
from tests.local.server import LocalServer

KINDS = ("llamacpp", "openai")


@pytest.mark.parametrize("kind", KINDS)
async def test_vectors_come_as_the_server_gave_them(embedder: LocalServer, kind: str) -> None:
    async with (
        in_front_of(embedder.url, kind) as running,
        AsyncOpenAI(base_url=f"{running.url}/v1", api_key="unused") as client,
        AsyncOpenAI(base_url=f"{embedder.url}/v1", api_key="unused") as direct,
    ):
        asked = {"input": ["one", "two"]}
        through = await client.embeddings.create(model="alone", **asked)
        plain = await direct.embeddings.create(model="any", **asked)

        assert [WIDTH, WIDTH] == [len(each.embedding) for each in through.data]
        assert [each.embedding for each in plain.data] == [each.embedding for each in through.data]
        assert (6, 6) == (through.usage.prompt_tokens, through.usage.total_tokens)


async def test_a_server_without_embeddings_is_left_for_the_next_step_and_goes_on_with_its_chats(
    server: LocalServer,
) -> None:
    async with in_front_of(server.url) as running:
        for _ in range(6):
            seen = await running.request("POST", "/v1/embeddings", json={"model": "chat", "input": "hi"})

            assert (200, [("local", "http_501"), ("backup", "ok")]) == (seen.status, seen.trail)

        assert [("local", "ok")] == (await running.chat(max_tokens=3)).trail


async def test_where_no_step_is_left_the_servers_words_are_told(server: LocalServer) -> None:
    async with in_front_of(server.url) as running:
        seen = await running.request("POST", "/v1/embeddings", json={"model": "alone", "input": "hi"})

        assert 400 == seen.status
        assert "Start it with `--embeddings`" in seen.error["message"]


async def test_a_text_beyond_its_batch_goes_to_the_next_step_and_is_no_fault_of_the_servers(
    embedder: LocalServer,
) -> None:
    async with in_front_of(embedder.url) as running:
        asked = {"model": "chat", "dimensions": WIDTH}  # those of the simulated step are as many as are asked for
        for _ in range(6):
            seen = await running.request("POST", "/v1/embeddings", json={**asked, "input": "w" * 700})

            assert (200, [("local", "http_500"), ("backup", "ok")]) == (seen.status, seen.trail)

        seen = await running.request("POST", "/v1/embeddings", json={**asked, "input": "hi"})
        assert [("local", "ok")] == seen.trail
