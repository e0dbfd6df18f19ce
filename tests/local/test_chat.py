"""Chat through the proxy with llama.cpp's own server behind it."""

from __future__ import annotations

import asyncio

import pytest
from openai import AsyncOpenAI

from proxy.core.event import RequestEnded
from proxy.telemetry.usage import read_usage
from tests.local.routes import HI, LONG, MODEL, counted, in_front_of
from tests.local.server import LocalServer


def tokens(record: RequestEnded) -> tuple[int | None, int | None]:
    """Of the prompt and of the answer, as the proxy wrote them down."""
    usage = read_usage(record.usage)
    return usage.prompt, usage.completion


KINDS = ("llamacpp", "openai", "vllm")


@pytest.mark.parametrize("kind", KINDS)
async def test_an_answer_comes_as_the_server_gave_it(server: LocalServer, kind: str) -> None:
    async with in_front_of(server.url, kind) as running:
        seen = await running.chat(stream=False, max_tokens=5)

        assert (200, counted(5), "length") == (seen.status, seen.text, seen.json["choices"][0]["finish_reason"])
        assert (5, 5) == (seen.json["usage"]["prompt_tokens"], seen.json["usage"]["completion_tokens"])
        assert 5 == seen.json["timings"]["predicted_n"]  # what only this server says passes, too
        assert [("local", "ok")] == seen.trail


@pytest.mark.parametrize("kind", KINDS)
async def test_a_stream_is_whole_and_tells_its_usage(server: LocalServer, kind: str) -> None:
    async with in_front_of(server.url, kind) as running:
        seen = await running.chat(max_tokens=300, stream_options={"include_usage": True})

        assert (counted(300), True) == (seen.text, seen.done)
        assert 300 == seen.events[-2]["usage"]["completion_tokens"]
        assert [("local", "ok")] == seen.trail
        assert [(5, 300)] == [tokens(record) for record in running.records]


async def test_usage_is_counted_where_the_client_asks_for_none(server: LocalServer) -> None:
    async with in_front_of(server.url) as running:
        seen = await running.chat(max_tokens=7)

        assert not [event for event in seen.events[:-1] if event.get("usage")]
        assert [(5, 7)] == [tokens(record) for record in running.records]


async def test_the_cap_is_understood_under_its_new_name(server: LocalServer) -> None:
    async with in_front_of(server.url) as running:
        seen = await running.chat(stream=False, max_completion_tokens=5)

        assert counted(5) == seen.text


@pytest.mark.parametrize("stream", [False, True])
async def test_the_official_sdk(server: LocalServer, stream: bool) -> None:
    async with (
        in_front_of(server.url) as running,
        AsyncOpenAI(base_url=f"{running.url}/v1", api_key="unused") as client,
    ):
        asked = {"model": "chat", "messages": HI, "max_tokens": 5}
        if stream:
            chunks = [chunk async for chunk in await client.chat.completions.create(**asked, stream=True)]
            text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
            finish = chunks[-1].choices[0].finish_reason
        else:
            answer = await client.chat.completions.create(**asked)
            text, finish = answer.choices[0].message.content, answer.choices[0].finish_reason

        assert (counted(5), "length") == (text, finish)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("kind", KINDS)
async def test_a_prompt_beyond_the_window_goes_to_the_next_step(server: LocalServer, kind: str, stream: bool) -> None:
    async with in_front_of(server.url, kind) as running:
        seen = await running.chat(stream=stream, messages=LONG)

        assert (200, [("local", "http_400"), ("backup", "ok")]) == (seen.status, seen.trail)


async def test_the_window_is_told_where_no_step_is_left(server: LocalServer) -> None:
    async with in_front_of(server.url) as running:
        seen = await running.chat("alone", messages=LONG)

        assert (400, "context_length_exceeded") == (seen.status, seen.error["code"])
        assert "available context size (1024 tokens)" in seen.error["message"]


async def test_a_window_that_an_error_named_is_remembered(server: LocalServer) -> None:
    async with in_front_of(server.url) as running:
        await running.chat(stream=False, messages=LONG)
        seen = await running.chat(stream=False, messages=LONG)

        assert [("backup", "ok")] == seen.trail


async def test_an_answer_ends_where_the_window_does(server: LocalServer) -> None:
    async with in_front_of(server.url) as running:
        seen = await running.chat()

        assert ("length", True) == (seen.events[-2]["choices"][0]["finish_reason"], seen.done)
        assert counted(1019) == seen.text


async def test_a_broken_request_is_the_clients_fault(server: LocalServer) -> None:
    async with in_front_of(server.url) as running:
        seen = await running.chat(stream=False, temperature="hot")

        assert (400, [("local", "http_400")]) == (seen.status, seen.trail)


async def test_an_image_goes_to_the_next_step_and_is_no_fault_of_the_servers(server: LocalServer) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    async with in_front_of(server.url) as running:
        for _ in range(6):
            seen = await running.chat(messages=[{"role": "user", "content": [image]}])

            assert (200, [("local", "http_500"), ("backup", "ok")]) == (seen.status, seen.trail)

        assert [("local", "ok")] == (await running.chat(max_tokens=3)).trail


PARTS = {
    "image": ("http_500", {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}),
    "sound": ("http_500", {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}),
    "file": ("http_400", {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBERg=="}}),
}


@pytest.mark.parametrize("part", PARTS)
async def test_what_the_model_cannot_take_goes_to_the_next_step(server: LocalServer, part: str) -> None:
    outcome, content = PARTS[part]
    async with in_front_of(server.url) as running:
        seen = await running.chat(messages=[{"role": "user", "content": [content]}])

        assert (200, [("local", outcome), ("backup", "ok")]) == (seen.status, seen.trail)


async def test_a_tool_of_another_kind_goes_to_the_next_step(server: LocalServer) -> None:
    async with in_front_of(server.url) as running:
        seen = await running.chat(tools=[{"type": "custom", "custom": {"name": "run"}}])

        assert (200, [("local", "http_500"), ("backup", "ok")]) == (seen.status, seen.trail)


async def test_structured_output(server: LocalServer) -> None:
    """The server's grammar leaves a model no other words, even one that only counts."""
    schema = {"type": "object", "properties": {"city": {"enum": ["Paris"]}}, "required": ["city"]}
    wanted = {"type": "json_schema", "json_schema": {"name": "place", "strict": True, "schema": schema}}
    async with in_front_of(server.url) as running:
        seen = await running.chat(response_format=wanted)

        assert '{"city":"Paris"}' == "".join(seen.text.split())


async def test_log_probabilities(server: LocalServer) -> None:
    async with in_front_of(server.url) as running:
        seen = await running.chat(stream=False, max_tokens=2, logprobs=True, top_logprobs=2)

        assert [" 1", " 2"] == [each["token"] for each in seen.json["choices"][0]["logprobs"]["content"]]


async def test_a_text_completion(server: LocalServer) -> None:
    async with in_front_of(server.url) as running:
        body = {"model": "chat", "prompt": " 41", "max_tokens": 3}
        seen = await running.request("POST", "/v1/completions", json=body)

        assert (200, " 42 43 44") == (seen.status, seen.json["choices"][0]["text"])


async def test_more_requests_than_the_server_has_places_for_are_all_answered(server: LocalServer) -> None:
    async with in_front_of(server.url) as running:
        seen = await asyncio.gather(*(running.chat(max_tokens=100) for _ in range(12)))

        assert [(counted(100), [("local", "ok")])] * 12 == [(each.text, each.trail) for each in seen]


async def test_models_are_the_routes(server: LocalServer) -> None:
    async with (
        in_front_of(server.url) as running,
        AsyncOpenAI(base_url=f"{running.url}/v1", api_key="unused") as client,
        AsyncOpenAI(base_url=f"{server.url}/v1", api_key="unused") as direct,
    ):
        assert {"chat", "alone"} == {model.id async for model in client.models.list()}
        assert [MODEL] == [model.id async for model in direct.models.list()]
