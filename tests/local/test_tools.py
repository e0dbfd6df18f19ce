"""A model that calls a tool, on llama.cpp's server: the call arrives whole in every language, and its result too."""

from __future__ import annotations

import json
from typing import Any

import pytest
from anthropic import AsyncAnthropic
from openai import AsyncOpenAI

from tests.local.routes import HI, in_front_of
from tests.local.server import LocalServer

KINDS = ("llamacpp", "openai")
PARIS = {"city": "Paris"}
SCHEMA: dict[str, Any] = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
OPENAI: Any = [{"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}]
ANTHROPIC: Any = [{"name": "weather", "input_schema": SCHEMA}]
RESPONSES: Any = [{"type": "function", "name": "weather", "parameters": SCHEMA, "strict": False}]


@pytest.mark.parametrize("choice", ["auto", "required"])
@pytest.mark.parametrize("kind", KINDS)
async def test_chat(caller: LocalServer, kind: str, choice: Any) -> None:
    async with (
        in_front_of(caller.url, kind) as running,
        AsyncOpenAI(base_url=f"{running.url}/v1", api_key="unused", max_retries=0) as client,
    ):
        asked: dict[str, Any] = {"model": "chat", "tools": OPENAI, "tool_choice": choice}
        whole = await client.chat.completions.create(**asked, messages=HI)
        async with client.chat.completions.stream(**asked, messages=HI) as stream:
            streamed = await stream.get_final_completion()

        for answer in (whole, streamed):
            assert "tool_calls" == answer.choices[0].finish_reason
            [call] = answer.choices[0].message.tool_calls
            assert ("weather", PARIS) == (call.function.name, json.loads(call.function.arguments))

        result = {"role": "tool", "tool_call_id": call.id, "content": "sunny"}
        told = [*HI, whole.choices[0].message.model_dump(exclude_none=True), {**result, "tool_call_id": call.id}]
        assert (await client.chat.completions.create(**asked, messages=told)).choices[0].message.tool_calls
        assert ["local"] == [record.deployment.upstream for record in running.records[-1:]]


@pytest.mark.parametrize("kind", KINDS)
async def test_messages(caller: LocalServer, kind: str) -> None:
    async with (
        in_front_of(caller.url, kind) as running,
        AsyncAnthropic(base_url=running.url, api_key="unused", max_retries=0) as client,
    ):
        asked: dict[str, Any] = {"model": "chat", "tools": ANTHROPIC, "max_tokens": 100}
        whole = await client.messages.create(**asked, messages=HI)
        async with client.messages.stream(**asked, messages=HI) as stream:
            streamed = await stream.get_final_message()

        for message in (whole, streamed):
            assert "tool_use" == message.stop_reason
            [call] = message.content
            assert ("tool_use", "weather", PARIS) == (call.type, call.name, call.input)

        result = {"type": "tool_result", "tool_use_id": call.id, "content": "sunny"}
        told = [*HI, {"role": "assistant", "content": streamed.content}, {"role": "user", "content": [result]}]
        assert "tool_use" == (await client.messages.create(**asked, messages=told)).stop_reason
        assert ["local"] == [record.deployment.upstream for record in running.records[-1:]]


@pytest.mark.parametrize("kind", KINDS)
async def test_responses(caller: LocalServer, kind: str) -> None:
    """For the first of the kinds they are translated."""
    async with (
        in_front_of(caller.url, kind) as running,
        AsyncOpenAI(base_url=f"{running.url}/v1", api_key="unused", max_retries=0) as client,
    ):
        asked: dict[str, Any] = {"model": "chat", "tools": RESPONSES}
        whole = await client.responses.create(**asked, input="hi")
        events = [event async for event in await client.responses.create(**asked, input="hi", stream=True)]

        for response in (whole, events[-1].response):
            [call] = response.output
            assert ("weather", PARIS) == (call.name, json.loads(call.arguments))
        arguments = "".join(event.delta for event in events if event.type == "response.function_call_arguments.delta")
        assert PARIS == json.loads(arguments)

        result = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
        told = [*HI, call.model_dump(exclude_none=True), result]
        assert "weather" == (await client.responses.create(**asked, input=told)).output[0].name
        assert ["local"] == [record.deployment.upstream for record in running.records[-1:]]


async def test_the_sdks_own_stream_of_responses(caller: LocalServer) -> None:
    """It puts the answer together by indexes, which the server's own events lack."""
    async with (
        in_front_of(caller.url) as running,
        AsyncOpenAI(base_url=f"{running.url}/v1", api_key="unused", max_retries=0) as client,
    ):
        async with client.responses.stream(model="chat", input="hi", tools=RESPONSES) as stream:
            response = await stream.get_final_response()

        [call] = response.output
        assert ("weather", PARIS) == (call.name, json.loads(call.arguments))
