"""OpenAI's own types as judges of what is sent in their name."""

from __future__ import annotations

import json
import types
from collections.abc import Iterable
from typing import Annotated, Any, Required, Union, get_args, get_origin, get_type_hints

import typing_extensions
from openai.types.chat.completion_create_params import (
    CompletionCreateParamsNonStreaming,
    CompletionCreateParamsStreaming,
)
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from proxy.core.request import ModelRequest
from proxy.dialects.client_wire import Speaking
from proxy.streams.sse import EventFramer

EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
EXTENSIONS = frozenset({"reasoning_content"})
"""Members of chat messages that are no part of OpenAI's types: what DeepSeek and others take."""
MORE_OF_RESPONSE = frozenset({"store"})
"""Members of responses that OpenAI sends and its types leave out."""


def check_chat(chat: dict[str, Any]) -> None:
    """A chat completion's top level has the types of the API, and no member that it does not know."""
    params = CompletionCreateParamsStreaming if chat.get("stream") else CompletionCreateParamsNonStreaming
    TypeAdapter(params).validate_python(chat, strict=False)
    assert [] == list(unknown(chat, params, "chat"))


def check_response(response: dict[str, Any]) -> Response:
    """A response has the types of the API."""
    return Response.model_validate({name: value for name, value in response.items() if name not in MORE_OF_RESPONSE})


def events_of(stream: bytes) -> list[dict[str, Any]]:
    """The events of a stream, found good: named, numbered, and of the API's types."""
    events = []
    for event in EventFramer().feed(stream):
        if event.data is None:
            continue
        told = json.loads(event.data)
        assert event.raw.startswith(b"event: " + told["type"].encode() + b"\n")
        EVENT.validate_python(told)
        if "response" in told:
            check_response(told["response"])
        events.append(told)
    return events


def names_of(events: Iterable[dict[str, Any]]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events]


def speaking(request: ModelRequest) -> Speaking:
    return Speaking(request, "abc", 1_700_000_000)


def unknown(value: Any, kind: Any, place: str) -> Iterable[str]:
    """Members that a type does not know, and those of the wrong one in lists: validation alone passes over both."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in {Annotated, Required, typing_extensions.Required, typing_extensions.NotRequired}:
        return unknown(value, arguments[0], place)
    if origin in {Union, types.UnionType}:
        found = [list(unknown(value, each, place)) for each in arguments if _fits(value, each)]
        return min(found, key=len, default=[f"{place}: of none of its types"])
    if typing_extensions.is_typeddict(kind) and isinstance(value, dict):
        hints = get_type_hints(kind)
        told = [f"{place}.{name}" for name in value if name not in hints and name not in EXTENSIONS]
        for name in value.keys() & hints.keys():
            told += unknown(value[name], hints[name], f"{place}.{name}")
        return told
    if isinstance(value, list) and arguments:
        return [one for index, item in enumerate(value) for one in unknown(item, arguments[0], f"{place}[{index}]")]
    return []


def _fits(value: Any, kind: Any) -> bool:
    try:
        TypeAdapter(kind).validate_python(value)
    except ValueError:
        return False
    return True
