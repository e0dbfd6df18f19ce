"""Anthropic's client through the proxy to llama.cpp's server, which speaks Messages itself."""

from __future__ import annotations

import anthropic
import pytest
from anthropic import AsyncAnthropic

from tests.local.routes import HI, LONG, counted, in_front_of
from tests.local.server import LocalServer

KINDS = ("llamacpp", "openai")
"""The first passes on Messages, the second is translated for."""


def client_of(url: str) -> AsyncAnthropic:
    return AsyncAnthropic(base_url=url, api_key="unused", max_retries=0)


@pytest.mark.parametrize("kind", KINDS)
async def test_an_answer(server: LocalServer, kind: str) -> None:
    async with in_front_of(server.url, kind) as running, client_of(running.url) as client:
        message = await client.messages.create(model="chat", messages=HI, max_tokens=5)

        assert [counted(5)] == [block.text for block in message.content]
        assert ("max_tokens", 5) == (message.stop_reason, message.usage.output_tokens)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_stream(server: LocalServer, kind: str) -> None:
    async with in_front_of(server.url, kind) as running, client_of(running.url) as client:
        async with client.messages.stream(model="chat", messages=HI, max_tokens=300, system="Count.") as stream:
            text = "".join([piece async for piece in stream.text_stream])
            message = await stream.get_final_message()

        assert (counted(300), counted(300)) == (text, message.content[0].text)
        assert ("max_tokens", 300) == (message.stop_reason, message.usage.output_tokens)


async def test_a_count_of_tokens_is_the_servers_own(server: LocalServer) -> None:
    async with in_front_of(server.url) as running, client_of(running.url) as client:
        counted_by_server = await client.messages.count_tokens(model="chat", messages=HI)

        assert 5 == counted_by_server.input_tokens


@pytest.mark.parametrize("kind", KINDS)
async def test_a_prompt_beyond_the_window_goes_to_the_next_step(server: LocalServer, kind: str) -> None:
    async with in_front_of(server.url, kind) as running, client_of(running.url) as client:
        message = await client.messages.create(model="chat", messages=LONG, max_tokens=5)

        assert message.stop_reason in {"end_turn", "max_tokens"}
        assert [1] == [len(record.attempts) - 1 for record in running.records]


@pytest.mark.parametrize("kind", KINDS)
async def test_where_no_step_is_left_the_error_is_anthropics(server: LocalServer, kind: str) -> None:
    async with in_front_of(server.url, kind) as running, client_of(running.url) as client:
        with pytest.raises(anthropic.BadRequestError) as raised:
            await client.messages.create(model="alone", messages=LONG, max_tokens=5)

        assert "invalid_request_error" == raised.value.body["error"]["type"]
