"""What the official packages say of what is written: Anthropic's of answers and events, OpenAI's of requests."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import anthropic
import httpx2
from anthropic.types import Message, RawMessageStreamEvent
from msgspec import Raw
from openai.types.chat.completion_create_params import CompletionCreateParams
from pydantic import TypeAdapter

from proxy.core.request import ModelRequest
from proxy.dialects.client_wire import Speaking
from proxy.dialects.messages.wire import MESSAGES
from proxy.streams.sse import EventFramer

EXTENSIONS = {"cache_control", "reasoning_content", "thinking_blocks", "top_k"}
"""What is written although OpenAI's own wire does not have it."""
_MESSAGE = TypeAdapter[Message](Message)
_EVENT = TypeAdapter[RawMessageStreamEvent](RawMessageStreamEvent)
_CHAT = TypeAdapter[CompletionCreateParams](CompletionCreateParams)


def asking(body: Mapping[str, Any]) -> ModelRequest:
    """A client's request; what every one has is added."""
    its = {"model": "fast", "max_tokens": 100, "messages": [{"role": "user", "content": "Hi"}], **body}
    return MESSAGES.parse(json.dumps(its).encode())


def speaking(**body: Any) -> Speaking:
    """Who is answered."""
    return Speaking(asking(body), "x1", 1_700_000_000)


def chat_of(body: Mapping[str, Any], *, extensions: bool = True) -> dict[str, Any]:
    """The chat request of a client's request, found good by OpenAI's types."""
    fields = MESSAGES.to_chat(asking(body), extensions=extensions)
    assert all(isinstance(value, Raw) for value in fields.values())
    chat = {name: json.loads(bytes(value)) for name, value in fields.items()}
    unknown = {path.rsplit(".", 1)[-1] for path in _lost(chat, _CHAT.validate_python(chat))}
    assert unknown <= (EXTENSIONS if extensions else set())
    return chat


def message_of(answer: bytes) -> dict[str, Any]:
    """A message, found good by Anthropic's types, which also know all that is in it."""
    read = json.loads(answer)
    assert [] == list(_lost(read, _MESSAGE.validate_python(read).model_dump(exclude_unset=True)))
    return read


def events_of(stream: bytes) -> list[dict[str, Any]]:
    """The events of a stream, each found good: named as what it is, and one Anthropic's types know."""
    read = []
    for event in EventFramer().feed(stream):
        assert event.data is not None
        document = json.loads(event.data)
        assert event.raw.startswith(b"event: %b\n" % document["type"].encode())
        if document["type"] not in {"ping", "error"}:
            known = _EVENT.validate_python(document).model_dump(exclude_unset=True)
            assert [] == list(_lost(document, known))
        read.append(document)
    return read


def heard(stream: bytes) -> Message:
    """What Anthropic's client makes of a whole stream."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        answer = httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=stream)
        transport = httpx2.MockTransport(lambda _request: answer)
        with (
            anthropic.Anthropic(
                api_key="k", base_url="http://proxy", max_retries=0, http_client=httpx2.Client(transport=transport)
            ) as client,
            client.messages.stream(model="m", max_tokens=1, messages=[{"role": "user", "content": "Hi"}]) as reply,
        ):
            return reply.get_final_message()


def blocks_of(stream: bytes) -> list[dict[str, Any]]:
    """The blocks of a stream, put together by hand: fails unless one is open at a time and indices count up."""
    blocks: list[dict[str, Any]] = []
    is_open = False
    for event in events_of(stream):
        match event["type"]:
            case "content_block_start":
                assert not is_open and event["index"] == len(blocks)
                is_open = True
                blocks.append({**event["content_block"], "json": ""})
            case "content_block_delta":
                assert is_open and event["index"] == len(blocks) - 1
                for name, piece in event["delta"].items():
                    if name != "type":
                        its = "json" if name == "partial_json" else name
                        blocks[-1][its] += piece
            case "content_block_stop":
                assert is_open and event["index"] == len(blocks) - 1
                is_open = False
            case "message_delta" | "message_stop":
                assert not is_open
    return blocks


def _lost(given: Any, taken: Any, path: str = "") -> Iterator[str]:
    """Where something that was given is not in what was taken of it: types drop what they do not know."""
    if isinstance(given, dict):
        for name, value in given.items():
            if not isinstance(taken, Mapping) or name not in taken:
                yield f"{path}.{name}"
            else:
                yield from _lost(value, taken[name], f"{path}.{name}")
    elif isinstance(given, list) and isinstance(taken, Iterable):
        for index, (each, its) in enumerate(zip(given, taken, strict=True)):
            yield from _lost(each, its, f"{path}.{index}")
