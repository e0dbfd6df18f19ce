"""Wire shapes: how an answer, an error or a model list is spelled as JSON and as server-sent events."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest
from typing import Any, TypeAlias

from proxy.simulator.answers import Answer, Choice

Document: TypeAlias = dict[str, Any]
Spelling: TypeAlias = "Callable[[str], bytes]"
"""Makes one event's bytes out of its data."""

JSON_TYPE = {"Content-Type": "application/json"}
SSE_TYPE = {"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache"}
HTML_TYPE = {"Content-Type": "text/html; charset=utf-8"}
DONE = "[DONE]"

_FRAGMENT = 12  # characters of a piece of tool arguments


def dumps(value: object) -> str:
    """Compact JSON in plain characters, as providers send it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def encoded(text: str) -> bytes:
    """UTF-8; a lone surrogate that a request smuggled in becomes a question mark."""
    return text.encode("utf-8", "replace")


def error(message: str, kind: str, code: str | int | None = None, param: str | None = None) -> Document:
    """An error in OpenAI's shape."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def stream_error(upstream: str, code: str | int = "server_error") -> Document:
    """The error that the faults send inside a 200."""
    return error(f"Simulated fault: {upstream} had an error while answering.", "server_error", code)


def model_list(models: Sequence[str], created: int) -> Document:
    """The answer of `GET /v1/models`."""
    rows = [{"id": name, "object": "model", "created": created, "owned_by": "simulator"} for name in models]
    return {"object": "list", "data": rows}


def completion(answer: Answer) -> Document:
    """The JSON answer."""
    return {
        "id": answer.id,
        "object": "chat.completion",
        "created": answer.created,
        "model": answer.model,
        "choices": [_message(index, choice) for index, choice in enumerate(answer.choices)],
        "usage": dict(answer.usage),
        "system_fingerprint": "fp_simulated",
    }


def _message(index: int, choice: Choice) -> Document:
    message: Document = {"role": "assistant", "content": "".join(choice.tokens), "refusal": None}
    if choice.reasoning:
        message["reasoning_content"] = "".join(choice.reasoning)
    if choice.tool_calls:
        message["content"] = None
        message["tool_calls"] = [
            {"id": mark, "type": "function", "function": {"name": call.name, "arguments": dumps(call.arguments)}}
            for mark, call in choice.tool_calls
        ]
    return {"index": index, "message": message, "logprobs": None, "finish_reason": choice.finish_reason}


def chunk(answer: Answer, choices: list[Document], *, include_usage: bool, usage: object = None) -> Document:
    """One chunk of a stream; with `include_usage` every chunk has the key, null but in the last."""
    shape: Document = {
        "id": answer.id,
        "object": "chat.completion.chunk",
        "created": answer.created,
        "model": answer.model,
        "system_fingerprint": "fp_simulated",
        "choices": choices,
    }
    return {**shape, "usage": usage} if include_usage else shape


def choice_delta(index: int, delta: Document, finish_reason: str | None = None) -> Document:
    """The item of `choices` in a chunk."""
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


def roles(answer: Answer) -> Iterator[Document]:
    """The first chunk of each choice: a role, no content yet."""
    for index, choice in enumerate(answer.choices):
        content = None if choice.tool_calls else ""
        yield choice_delta(index, {"role": "assistant", "content": content, "refusal": None})


def deltas(answer: Answer) -> Iterator[Document]:
    """The chunks with content, the choices taking turns."""
    turns = zip_longest(*(_choice_deltas(index, choice) for index, choice in enumerate(answer.choices)))
    for turn in turns:
        yield from (delta for delta in turn if delta is not None)


def _choice_deltas(index: int, choice: Choice) -> Iterator[Document]:
    for word in choice.reasoning:
        yield choice_delta(index, {"reasoning_content": word})
    for word in choice.tokens:
        yield choice_delta(index, {"content": word})
    for number, (mark, call) in enumerate(choice.tool_calls):
        opening = {"index": number, "id": mark, "type": "function", "function": {"name": call.name, "arguments": ""}}
        yield choice_delta(index, {"tool_calls": [opening]})
        text = dumps(call.arguments)
        for start in range(0, len(text), _FRAGMENT):
            fragment = {"index": number, "function": {"arguments": text[start : start + _FRAGMENT]}}
            yield choice_delta(index, {"tool_calls": [fragment]})


# Spellings: the same event in the ways that the SSE standard allows.


def sse(data: str) -> bytes:
    """One event as everybody writes it."""
    return encoded(f"data: {data}\n\n")


def sse_crlf(data: str) -> bytes:
    """One event with CRLF line ends."""
    return encoded(f"data: {data}\r\n\r\n")


def sse_cr(data: str) -> bytes:
    """One event with bare CR line ends."""
    return encoded(f"data: {data}\r\r")


def sse_comments(data: str) -> bytes:
    """One event after a comment, with the fields that nobody needs, and without the space after `data:`."""
    return encoded(f": keep-alive\n\n:\nid: 7\nretry: 3000\nevent: message\ndata:{data}\nunknown: field\n\n")


def sse_multiline(data: str) -> bytes:
    """One event whose JSON is spread over several data lines."""
    text = data if data == DONE else json.dumps(json.loads(data), ensure_ascii=False, indent=1)
    return encoded("".join(f"data: {line}\n" for line in text.split("\n")) + "\n")


def sse_surrogates(data: str) -> bytes:
    """One event whose lone surrogates are JSON escapes, as servers write them that count in UTF-16 units."""
    return sse(re.sub("[\ud800-\udfff]", lambda found: f"\\u{ord(found[0]):04x}", data))
