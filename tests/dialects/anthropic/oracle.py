"""Anthropic's and OpenAI's own types as judges, and the few words in which the tests ask."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from anthropic.types import RawMessageStreamEvent
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming, MessageCreateParamsStreaming
from msgspec import Raw
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import TypeAdapter

from proxy.core.facts import ModelFacts
from proxy.core.failure import Failure
from proxy.dialects.anthropic.dialect import ANTHROPIC
from proxy.dialects.dialect import NO_FACTS, ChatAsked, Outgoing, Reading

READING = Reading("claude-asked", "chatcmpl-own", 1_700_000_000)
OLD = "claude-sonnet-4-20250514"
MODEL = "claude-sonnet-4-5"
NEW = "claude-opus-5"

_STREAMED: TypeAdapter[Any] = TypeAdapter(MessageCreateParamsStreaming)
_WHOLE: TypeAdapter[Any] = TypeAdapter(MessageCreateParamsNonStreaming)
_EVENT: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)
_SAMPLING = {"temperature", "top_p", "top_k"}
"""The SDK has them no more, since the newest version of the API refuses them; the one that is asked for takes them."""


def raw_fields(body: Mapping[str, object]) -> dict[str, Raw]:
    """The top level of a chat request, as the dialect gets it."""
    return {name: Raw(json.dumps(value).encode()) for name, value in body.items()}


def outgoing(
    *,
    model: str = MODEL,
    facts: ModelFacts = NO_FACTS,
    without: Iterable[str] = (),
    options: Mapping[str, str | int | float | bool] | None = None,
    **body: object,
) -> Outgoing:
    """What is written of a chat request; the SDK's types have judged it."""
    body = {"model": "route", "messages": [user("hi")], **body}
    asked = ChatAsked(raw_fields(body), model, body.get("stream") is True, tuple(without), facts, options or {})
    written = ANTHROPIC.write(asked)
    check_request(json.loads(b"".join(bytes(piece) for piece in written.body)))
    return written


def ask(**chat: Any) -> dict[str, Any]:
    """The body of that request."""
    return body_of(outgoing(**chat))


def body_of(written: Outgoing) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(b"".join(bytes(piece) for piece in written.body))
    return found


def check_request(body: Mapping[str, Any]) -> None:
    """A request is as the SDK's types want it, and has no key that they do not know."""
    known = {name: value for name, value in body.items() if name not in _SAMPLING}
    judged = (_STREAMED if body.get("stream") else _WHOLE).validate_python(known)
    assert known == _listed(judged)


def user(content: object) -> dict[str, object]:
    return {"role": "user", "content": content}


def assistant(content: object = None, *calls: dict[str, object], **more: object) -> dict[str, object]:
    message = {"role": "assistant", "content": content, **more}
    return {**message, "tool_calls": list(calls)} if calls else message


def call(id_: str, name: str = "look", arguments: str = "{}") -> dict[str, object]:
    return {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}


def result(id_: str, content: object = "done") -> dict[str, object]:
    return {"role": "tool", "tool_call_id": id_, "content": content}


def tool(name: str = "look", parameters: object = None, **more: object) -> dict[str, object]:
    function: dict[str, object] = {"name": name, **more}
    return {"type": "function", "function": function if parameters is None else {**function, "parameters": parameters}}


def text(content: str) -> dict[str, object]:
    return {"type": "text", "text": content}


# Answers.


def answer(*content: Mapping[str, object], stop_reason: str | None = "end_turn", **more: object) -> dict[str, Any]:
    """A whole answer of Messages."""
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-answering",
        "content": list(content),
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": {"input_tokens": 10, "output_tokens": 5},
        **more,
    }


def read(body: object, reading: Reading = READING) -> dict[str, Any]:
    """The chat completion of a whole answer; OpenAI's types have judged it."""
    found = ANTHROPIC.read(json.dumps(body).encode(), reading)
    assert not isinstance(found, Failure), found
    ChatCompletion.model_validate_json(found)
    completion: dict[str, Any] = json.loads(found)
    return completion


def message_of(body: object, reading: Reading = READING) -> dict[str, Any]:
    message: dict[str, Any] = read(body, reading)["choices"][0]["message"]
    return message


# Streams.


def event(type_: str, *, judged: bool = True, **members: object) -> bytes:
    """One event, in the upstream's bytes; unless told otherwise the SDK's types have judged it."""
    value = {"type": type_, **members}
    if judged:
        _EVENT.validate_python(value)
    return f"event: {type_}\ndata: {json.dumps(value)}\n\n".encode()


def start(**usage: int) -> bytes:
    message = answer(stop_reason=None, usage={"input_tokens": 10, "output_tokens": 1, **usage})
    return event("message_start", message=message)


def block_start(index: int, **block: object) -> bytes:
    return event("content_block_start", index=index, content_block=block)


def delta(index: int, **members: object) -> bytes:
    return event("content_block_delta", index=index, delta=members)


def block_stop(index: int) -> bytes:
    return event("content_block_stop", index=index)


def block(index: int, begin: Mapping[str, object], *deltas: Mapping[str, object]) -> bytes:
    """A whole block."""
    return block_start(index, **begin) + b"".join(delta(index, **each) for each in deltas) + block_stop(index)


def text_block(index: int, *pieces: str) -> bytes:
    return block(index, {"type": "text", "text": ""}, *({"type": "text_delta", "text": piece} for piece in pieces))


def call_block(index: int, id_: str, name: str, *pieces: str) -> bytes:
    begin = {"type": "tool_use", "id": id_, "name": name, "input": {}}
    return block(index, begin, *({"type": "input_json_delta", "partial_json": piece} for piece in pieces))


def stop(stop_reason: str = "end_turn", details: object = None, **usage: object) -> bytes:
    told = {"stop_reason": stop_reason, "stop_sequence": None, "stop_details": details}
    return event("message_delta", delta=told, usage={"output_tokens": 5, **usage}) + event("message_stop")


def translated(*pieces: bytes, reading: Reading = READING) -> bytes:
    """All chat events of a stream, its end included."""
    translator = ANTHROPIC.translator(reading)
    return b"".join([translator.feed(piece) for piece in pieces]) + translator.end()


def chunks(*pieces: bytes, reading: Reading = READING) -> list[dict[str, Any]]:
    """The chat events of a whole stream; OpenAI's types have judged them, and the stream is finished."""
    return list(_chunks(translated(*pieces, reading=reading)))


def deltas(*pieces: bytes, reading: Reading = READING) -> list[dict[str, Any]]:
    """What the events add to the message, without the role and the end."""
    found = [chunk["choices"][0]["delta"] for chunk in chunks(*pieces, reading=reading) if chunk["choices"]]
    return [each for each in found if each and "role" not in each]


def finish_of(*pieces: bytes, reading: Reading = READING) -> str:
    (found,) = [
        chunk["choices"][0]["finish_reason"]
        for chunk in chunks(*pieces, reading=reading)
        if chunk["choices"] and chunk["choices"][0]["finish_reason"]
    ]
    return str(found)


def _chunks(out: bytes) -> Iterator[dict[str, Any]]:
    *blocks, done, nothing = out.split(b"\n\n")
    assert (b"data: [DONE]", b"") == (done, nothing)
    for each in blocks:
        assert each.startswith(b"data: ")
        ChatCompletionChunk.model_validate_json(each[6:])
        yield json.loads(each[6:])


def _listed(value: Any) -> Any:
    """What the types have read, which is lazy where they say Iterable."""
    if isinstance(value, Mapping):
        return {name: _listed(each) for name, each in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        return [_listed(each) for each in value]
    return value
