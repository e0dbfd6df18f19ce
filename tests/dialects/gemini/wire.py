"""Asking and answering in Gemini's language, with the official packages' types as the judge of every shape."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from google.genai import types
from msgspec import Raw
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from proxy.core.facts import ModelFacts
from proxy.core.failure import Failure
from proxy.core.request import top_level
from proxy.dialects.dialect import NO_FACTS, ChatAsked, Outgoing, Reading
from proxy.dialects.gemini.dialect import GEMINI

MODEL = "gemini-3.8-flash"
OLD = "gemini-2.5-flash"
READING = Reading(MODEL, "chatcmpl-abc", 1_700_000_000)
HI = [{"role": "user", "content": "Hi"}]
SIGNATURE = "c2lnbmVk"

_MEMBERS: Mapping[str, Any] = {
    "contents": types.Content,
    "systemInstruction": types.Content,
    "tools": types.Tool,
    "toolConfig": types.ToolConfig,
    "generationConfig": types.GenerationConfig,
}


def asking(
    messages: object = HI,
    model: str = MODEL,
    *,
    stream: bool = False,
    without: tuple[str, ...] = (),
    facts: ModelFacts = NO_FACTS,
    options: Mapping[str, str | int | float | bool] | None = None,
    **fields: object,
) -> ChatAsked:
    body = json.dumps({"model": "route", "messages": messages, **fields}).encode()
    read: dict[str, Raw] = top_level(body)
    return ChatAsked(read, model, stream, without, facts, options or {})


def outgoing(messages: object = HI, model: str = MODEL, **more: Any) -> Outgoing:
    """What is sent, with a body that Google's own package takes for a request."""
    written = GEMINI.write(asking(messages, model, **more))
    check_request(json.loads(b"".join(written.body)))
    return written


def sent(messages: object = HI, model: str = MODEL, **more: Any) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(b"".join(outgoing(messages, model, **more).body))
    return body


def contents(*messages: object, model: str = MODEL) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = sent(list(messages), model)["contents"]
    return found


def check_request(body: Mapping[str, Any]) -> None:
    """Raise unless each member is one of Google's, unknown ones within included."""
    assert set(body) <= set(_MEMBERS)
    for name, value in body.items():
        for item in value if isinstance(value, list) else [value]:
            _MEMBERS[name].model_validate(item)
    for content in body["contents"]:
        assert content["role"] in {"user", "model"}
        assert content["parts"]


def event(*parts: object, finish: str | None = None, message: str | None = None, **more: object) -> dict[str, Any]:
    """An answer, or an event of its stream."""
    candidate: dict[str, Any] = {"content": {"parts": list(parts), "role": "model"}, "index": 0}
    if finish is not None:
        candidate["finishReason"] = finish
    if message is not None:
        candidate["finishMessage"] = message
    response = {"candidates": [candidate], **more}
    types.GenerateContentResponse.model_validate(response)
    return response


def call(name: str, args: object = None, **more: object) -> dict[str, Any]:
    members = {key: more.pop(key) for key in ("id",) if key in more}
    return {"functionCall": {"name": name, "args": args or {}, **members}, **more}


def usage(prompt: int, said: int, **more: int) -> dict[str, int]:
    return {"promptTokenCount": prompt, "candidatesTokenCount": said, **more}


def stream(*events: object, end: str = "\r\n") -> bytes:
    return b"".join(f"data: {json.dumps(item)}{end}{end}".encode() for item in events)


def translated(data: bytes, reading: Reading = READING) -> bytes:
    translator = GEMINI.translator(reading)
    return translator.feed(data) + translator.end()


def chat_events(data: bytes) -> list[Any]:
    """Chat events, decoded; every chunk is one to OpenAI's package, too."""
    found: list[Any] = []
    for block in data.decode().split("\n\n")[:-1]:
        assert block.startswith("data: ") and "\n" not in block
        if block == "data: [DONE]":
            found.append("[DONE]")
            continue
        document = json.loads(block[6:])
        if "error" not in document:
            ChatCompletionChunk.model_validate(document)
        found.append(document)
    return found


def told(*events: object, reading: Reading = READING) -> list[Any]:
    return chat_events(translated(stream(*events), reading))


def deltas(events: list[Any]) -> list[tuple[dict[str, Any], str | None]]:
    """What the chunks say, with their finish reasons."""
    choices = [item["choices"][0] for item in events if isinstance(item, dict) and item.get("choices")]
    return [(choice["delta"], choice["finish_reason"]) for choice in choices]


def completion(response: object, reading: Reading = READING) -> dict[str, Any]:
    """An answer as a chat completion that OpenAI's package takes."""
    body = GEMINI.read(json.dumps(response).encode(), reading)
    assert not isinstance(body, Failure)
    document: dict[str, Any] = json.loads(body)
    ChatCompletion.model_validate(document)
    return document
