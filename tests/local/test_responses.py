"""OpenAI's Responses through the proxy to llama.cpp's server, which speaks them itself, in a way of its own."""

from __future__ import annotations

import pytest
from openai import AsyncOpenAI

from tests.local.routes import HI, LONG, counted, in_front_of
from tests.local.server import LocalServer

KINDS = ("llamacpp", "openai")
"""For the first they are translated, the second passes them on."""


def client_of(url: str) -> AsyncOpenAI:
    return AsyncOpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0)


@pytest.mark.parametrize("kind", KINDS)
async def test_an_answer(server: LocalServer, kind: str) -> None:
    async with in_front_of(server.url, kind) as running, client_of(running.url) as client:
        response = await client.responses.create(model="chat", input="hi", max_output_tokens=5)

        assert counted(5) == response.output_text
        assert 5 == response.usage.output_tokens


@pytest.mark.parametrize("kind", KINDS)
async def test_a_stream(server: LocalServer, kind: str) -> None:
    async with in_front_of(server.url, kind) as running, client_of(running.url) as client:
        events = [
            event
            async for event in await client.responses.create(
                model="chat", input=HI, max_output_tokens=300, stream=True, instructions="Count."
            )
        ]

        assert counted(300) == "".join(event.delta for event in events if event.type == "response.output_text.delta")
        assert "response.created" == events[0].type
        assert events[-1].type in {"response.completed", "response.incomplete"}
        assert 300 == events[-1].response.usage.output_tokens


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("kind", KINDS)
async def test_a_prompt_beyond_the_window_goes_to_the_next_step(server: LocalServer, kind: str, stream: bool) -> None:
    async with in_front_of(server.url, kind) as running:
        body = {"model": "chat", "input": LONG, "max_output_tokens": 5, "stream": stream}
        seen = await running.request("POST", "/v1/responses", json=body)

        assert (200, [("local", "http_400"), ("backup", "ok")]) == (seen.status, seen.trail)


async def test_what_the_servers_own_would_leave_out_is_heeded(server: LocalServer) -> None:
    """Its responses know no structured output, call what reached its cap completed, and refuse foreign thoughts."""
    place = {"type": "object", "properties": {"city": {"enum": ["Paris"]}}, "required": ["city"]}
    form = {"format": {"type": "json_schema", "name": "place", "schema": place, "strict": True}}
    thoughts = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "abc"}
    async with in_front_of(server.url) as running, client_of(running.url) as client:
        bound = await client.responses.create(model="alone", input="hi", text=form)
        cut = await client.responses.create(model="alone", input="hi", max_output_tokens=3)
        again = await client.responses.create(model="alone", input=[*HI, thoughts, *HI], max_output_tokens=3)

        assert '{"city":"Paris"}' == "".join(bound.output_text.split())
        assert ("incomplete", "max_output_tokens") == (cut.status, cut.incomplete_details.reason)
        assert counted(3) == again.output_text
