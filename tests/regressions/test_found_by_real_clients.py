"""What agents and SDKs found, with the requests that they really send."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from tests.support.fleet import fleet
from tests.support.raw import serving

MISSING = {"message": "Item with id 'rs_68' not found.", "type": "invalid_request_error", "param": "input"}
SAID = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hi."}]}
SAYING = {"role": "assistant", "content": "Hi."}
RESPONSE = {"id": "resp_1", "object": "response", "status": "completed", "model": "m", "output": [SAID]}


@asynccontextmanager
async def answering(answers: Sequence[tuple[int, Any]]) -> AsyncIterator[tuple[str, list[Any]]]:
    """A server with these answers, one after the other; its address, and the paths and bodies that it was sent."""
    received: list[Any] = []
    left = list(answers)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            if head.startswith("get "):
                # It is asked for its models, and has no list of them.
                writer.write(b"HTTP/1.1 404 X\r\ncontent-length: 0\r\n\r\n")
                continue
            size = int(head.split("content-length:")[1].split("\r\n")[0])
            received.append((head.split()[1], json.loads(await reader.readexactly(size))))
            status, document = left.pop(0)
            body = json.dumps(document).encode()
            told = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
            writer.write(told.encode() + body)

    async with serving(answer) as url:
        yield url, received


def routes(kind: str, url: str, model: str = "m") -> str:
    """One route, to one upstream."""
    return (
        "version: 1\nserver: {port: 0}\nupstreams:\n"
        f'  played: {{kind: simulated}}\n  one: {{kind: {kind}, base_url: "http://{url}", api_key: sk-1234567890}}\n'
        f"routes:\n  chat: {{chain: [one/{model}]}}\n"
    )


def test_an_item_that_an_account_does_not_keep_is_asked_about_once_more_without_its_id() -> None:
    """The model counted as gone, for everybody, or the path as one that is missing."""

    async def scenario() -> None:
        answers = [(404, {"error": MISSING}), (200, RESPONSE), (200, RESPONSE)]
        async with answering(answers) as (url, received), fleet(routes("openai", f"{url}/v1")) as running:
            body = {
                "model": "chat",
                "input": [{"type": "reasoning", "id": "rs_68", "summary": []}, {**SAID, "id": "msg_6"}],
            }
            assert 200 == (await running.request("POST", "/v1/responses", json=body)).status
            assert ["/v1/responses"] * 2 == [path for path, _ in received]
            assert [SAID] == received[1][1]["input"]
            # It says nothing of the next request.
            assert 200 == (await running.request("POST", "/v1/responses", json=body)).status
            assert 2 == len(received[2][1]["input"])

    asyncio.run(scenario())


def test_deepseek_is_asked_for_a_chat_completion_where_messages_miss_the_thoughts_of_others() -> None:
    """9router#2397: in chat a blank may stand for thoughts that another model has not shown."""
    missed = {"message": "The `content[].thinking` in the thinking mode must be passed back to the API."}
    said = {"role": "assistant", "content": "Done."}
    completion = {"id": "1", "model": "m", "choices": [{"index": 0, "message": said, "finish_reason": "stop"}]}
    call = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}
    messages = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "1"}]},
    ]

    async def scenario() -> None:
        answers = [(400, {"error": missed}), (200, completion)]
        async with answering(answers) as (url, received), fleet(routes("deepseek", url)) as running:
            seen = await running.request(
                "POST", "/v1/messages", json={"model": "chat", "max_tokens": 9, "messages": messages}
            )
            assert (200, [{"type": "text", "text": "Done."}]) == (seen.status, seen.json["content"])
            assert ["/anthropic/v1/messages", "/chat/completions"] == [path for path, _ in received]
            assert " " == received[1][1]["messages"][1]["reasoning_content"]

    asyncio.run(scenario())


def test_a_model_whose_name_tells_what_it_refuses_is_asked_but_once() -> None:
    completion = {"id": "1", "model": "m", "choices": [{"index": 0, "message": SAYING, "finish_reason": "stop"}]}

    async def scenario() -> None:
        async with answering([(200, completion)]) as (url, received):
            async with fleet(routes("openai", f"{url}/v1", "gpt-5-mini")) as running:
                seen = await running.chat(stream=False, max_tokens=9, temperature=0.2)
            assert (200, "temperature") == (seen.status, seen.headers["x-holdfast-dropped"])
            body = {name: value for name, value in received[0][1].items() if name != "messages"}
            assert {"model": "gpt-5-mini", "stream": False, "max_completion_tokens": 9} == body

    asyncio.run(scenario())


def test_a_model_is_not_asked_for_more_than_it_can_give() -> None:
    """Claude Code asks for 32,000 tokens, and gpt-4o refused each of its requests."""
    completion = {"id": "1", "model": "m", "choices": [{"index": 0, "message": SAYING, "finish_reason": "stop"}]}

    async def scenario() -> None:
        async with answering([(200, completion)]) as (url, received):
            told = routes("openai", f"{url}/v1").replace("api_key:", "models: {m: {max_output: 16384}}, api_key:")
            async with fleet(told) as running:
                body = {"model": "chat", "max_tokens": 32000, "messages": [{"role": "user", "content": "hi"}]}
                assert 200 == (await running.request("POST", "/v1/messages", json=body)).status
            assert 16384 == received[0][1]["max_completion_tokens"]

    asyncio.run(scenario())
