"""Anthropic's SDK, at each of its endpoints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anthropic

from proxy.core.wire import Wire
from tests.conformance.matrix.client import CITY, PIXEL, TOOLS, TRIP, Ask, Call, Heard

_QUESTION = "How is the river?"


class Messages:
    """Messages."""

    wire = Wire.MESSAGES
    only = None
    cannot: Mapping[str, str] = {"two_answers": "the language gives one answer at a time"}
    finishes: Mapping[str, str] = {
        "stop": "end_turn",
        "length": "max_tokens",
        "tools": "tool_use",
        "refusal": "refusal",
    }

    def __init__(self, url: str, *, streams: bool = False) -> None:
        self.name = f"messages{', stream' if streams else ''}"
        self.streams = streams
        self._client = anthropic.Anthropic(base_url=url, api_key="unused", max_retries=0)

    def ask(self, model: str, asked: Ask = Ask()) -> Heard:  # noqa: B008 - frozen
        body = {**_body(model, asked), "max_tokens": asked.cap or 2000}
        if asked.stop is not None:
            body["stop_sequences"] = [asked.stop]
        if asked.temperature is not None:
            body["extra_body"] = {"temperature": asked.temperature}
        if not self.streams:
            raw = self._client.messages.with_raw_response.create(**body)
            return _message(raw.headers, raw.parse())
        with self._client.messages.stream(**body) as stream:
            said = [event.text for event in stream if event.type == "text"]
            message = stream.get_final_message()
            heard = _message(stream.response.headers, message)
        assert heard.text == "".join(said)
        heard.pieces = len(said)
        return heard


class CountTokens:
    """The count of a prompt's tokens."""

    wire = Wire.COUNT_TOKENS
    only = None
    streams = False
    name = "count_tokens"
    cannot: Mapping[str, str] = dict.fromkeys(
        (
            "length",
            "stopped",
            "two_answers",
            "one_call",
            "thoughtful_tools",
            "moved",
            "structured",
            "reasoning",
            "refusal",
            "filtered",
            "parameter",
        ),
        "a number is asked for, not an answer",
    )
    finishes: Mapping[str, str] = {}

    def __init__(self, url: str) -> None:
        self._client = anthropic.Anthropic(base_url=url, api_key="unused", max_retries=0)

    def ask(self, model: str, asked: Ask = Ask()) -> Heard:  # noqa: B008 - frozen
        raw = self._client.messages.with_raw_response.count_tokens(**_body(model, asked))
        return Heard(raw.headers, usage=(raw.parse().input_tokens, 0))


def _body(model: str, asked: Ask) -> dict[str, Any]:
    content: Any = _QUESTION
    if asked.image:
        source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
        content = [{"type": "text", "text": _QUESTION}, {"type": "image", "source": source}]
    messages: list[Any] = [{"role": "user", "content": content}]
    if asked.answered is not None:
        messages += asked.answered.again
        results = [
            {"type": "tool_result", "tool_use_id": call.id, "content": f"{call.name} is fine"}
            for call in asked.answered.calls
        ]
        messages.append({"role": "user", "content": results})
    body: dict[str, Any] = {"model": model, "system": "Be brief.", "messages": messages}
    if asked.tools:
        body["tools"] = [{"name": name, "description": "Tells.", "input_schema": CITY} for name in TOOLS]
    if asked.schema:
        body["output_config"] = {"format": {"type": "json_schema", "schema": TRIP}}
    if asked.reasoning:
        body["thinking"] = {"type": "enabled", "budget_tokens": 1024}
    return body


def _message(headers: Mapping[str, str], answer: Any) -> Heard:
    assert ("message", "assistant") == (answer.type, answer.role)
    heard = Heard(headers, ids={answer.id}, model=answer.model, finish=answer.stop_reason)
    heard.stopped_by = answer.stop_sequence
    heard.usage = (answer.usage.input_tokens, answer.usage.output_tokens)
    for block in answer.content:
        if block.type == "text":
            heard.text += block.text
        elif block.type == "thinking":
            heard.reasoning += block.thinking
        elif block.type == "tool_use":
            heard.calls.append(Call(block.id, block.name, block.input))
    if answer.stop_reason == "refusal" and answer.stop_details is not None:
        heard.refusal = answer.stop_details.explanation or ""
    heard.again = [{"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in answer.content]}]
    return heard
