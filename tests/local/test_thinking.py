"""A model that thinks, on llama.cpp's server: its thoughts stay thoughts in every language, and are not had twice."""

from __future__ import annotations

from typing import Any

import pytest
from anthropic import AsyncAnthropic
from openai import AsyncOpenAI

from tests.local.routes import HI, WHOLE, counted, in_front_of
from tests.local.server import LocalServer
from tests.local.test_breaks import TWO, said, streamed
from tests.support.fleet import fleet

THOUGHTS = " so let me see"
KINDS = ("llamacpp", "openai")


def thought(events: list[Any]) -> str:
    """The reasoning of a chat's events."""
    choices = [choice for event in events if event != "[DONE]" for choice in event.get("choices", ())]
    return "".join(choice["delta"].get("reasoning_content") or "" for choice in choices)


@pytest.mark.parametrize("kind", KINDS)
async def test_chat(thinker: LocalServer, kind: str) -> None:
    async with in_front_of(thinker.url, kind) as running:
        whole = await running.chat(stream=False, max_tokens=9)
        stream = await running.chat(max_tokens=9)

        message = whole.json["choices"][0]["message"]
        assert (THOUGHTS, counted(3)) == (message["reasoning_content"], message["content"])
        assert (THOUGHTS, counted(3)) == (thought(stream.events), stream.text)


@pytest.mark.parametrize("kind", KINDS)
async def test_messages(thinker: LocalServer, kind: str) -> None:
    async with (
        in_front_of(thinker.url, kind) as running,
        AsyncAnthropic(base_url=running.url, api_key="unused", max_retries=0) as client,
    ):
        asked: dict[str, Any] = {"model": "chat", "messages": HI, "max_tokens": 9}
        whole = await client.messages.create(**asked)
        async with client.messages.stream(**asked) as stream:
            streamed_whole = await stream.get_final_message()

        for message in (whole, streamed_whole):
            assert ["thinking", "text"] == [block.type for block in message.content]
            assert (THOUGHTS, counted(3)) == (message.content[0].thinking, message.content[1].text)


async def test_responses(thinker: LocalServer) -> None:
    async with (
        in_front_of(thinker.url) as running,
        AsyncOpenAI(base_url=f"{running.url}/v1", api_key="unused", max_retries=0) as client,
    ):
        response = await client.responses.create(model="chat", input="hi", max_output_tokens=9)

        assert ["reasoning", "message"] == [item.type for item in response.output]
        assert counted(3) == response.output_text


async def test_an_answer_is_gone_on_with_and_not_thought_about_again(
    mortal_thinker: LocalServer, thinker: LocalServer
) -> None:
    text = TWO.replace("FIRST", mortal_thinker.url).replace("KIND", "llamacpp").replace("SECOND", thinker.url)
    async with fleet(text) as running:
        events, _ = await streamed(running, mortal_thinker, "/v1/chat/completions", {"messages": HI})

        assert (THOUGHTS, WHOLE, "[DONE]") == (thought(events), said(events), events[-1])
        assert ["prefill"] == [each.mode for each in running.records[-1].resumes]


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/responses"])
async def test_so_it_is_in_every_language(mortal_thinker: LocalServer, thinker: LocalServer, path: str) -> None:
    text = TWO.replace("FIRST", mortal_thinker.url).replace("KIND", "llamacpp").replace("SECOND", thinker.url)
    async with fleet(text) as running:
        body = {"messages": HI, "max_tokens": 7000} if path == "/v1/messages" else {"input": "hi"}
        events, _ = await streamed(running, mortal_thinker, path, body)

        assert (THOUGHTS, WHOLE) == (_of(events, "thinking", "reasoning"), _of(events, "text", "output_text"))
        assert ["prefill"] == [each.mode for each in running.records[-1].resumes]


def _of(events: list[Any], block: str, item: str) -> str:
    """The deltas of one kind, in Messages or Responses."""
    of_messages = [event["delta"] for event in events if event["type"] == "content_block_delta"]
    of_responses = [event for event in events if event["type"].startswith(f"response.{item}")]
    return "".join(delta.get(block, "") for delta in of_messages) + "".join(
        event["delta"] for event in of_responses if event["type"].endswith(".delta")
    )
