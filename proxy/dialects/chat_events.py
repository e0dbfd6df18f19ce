"""Chat completions and their events, as they are written where they are translated out of another language.

All events of a stream have one id, creation time and model, so most of their bytes are made once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from proxy.core.plain import count

DONE: Final = b"data: [DONE]\n\n"
MALFORMED: Final = b"data: malformed\n\n"
"""Stands for an event that could not be understood: the stream machine reads it as one."""

_encode = msgspec.json.Encoder().encode


def to_json(value: object) -> bytes:
    """JSON; halves of surrogate pairs, which strict encoders refuse, become escapes."""
    try:
        return _encode(value)
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":"), default=_inner).encode()


def _inner(raw: object) -> object:
    """JSON that stands in a value as it came."""
    if not isinstance(raw, msgspec.Raw):
        raise TypeError(type(raw))
    return json.loads(bytes(raw))


def usage_of(
    prompt: int,
    completion: int,
    *,
    cached: int | None = None,
    cache_write: int | None = None,
    thought: int | None = None,
) -> dict[str, Any]:
    """A usage on the chat wire: `prompt` counts what was `cached` and written to the cache, `completion` the thoughts.

    What the upstream did not tell is left out.
    """
    usage: dict[str, Any] = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
    details = {"cached_tokens": cached, "cache_write_tokens": cache_write}
    if known := {name: count for name, count in details.items() if count is not None}:
        usage["prompt_tokens_details"] = known
    if thought is not None:
        usage["completion_tokens_details"] = {"reasoning_tokens": thought}
    return usage


class ChatUsage(NamedTuple):
    """What a usage on the chat wire counts; what it does not tell is zero."""

    prompt: int
    """Tokens of the prompt, with those read from a cache and written to one."""
    completion: int
    total: int
    cached: int
    """Read from a cache."""
    written: int
    """Written to one."""
    thought: int | None
    """Among the completion; None if not told."""


def read_usage(usage: object) -> ChatUsage | None:
    """A usage, decoded; None if it is none. Never raises."""
    if not isinstance(usage, dict):
        return None
    read, said = usage.get("prompt_tokens_details"), usage.get("completion_tokens_details")
    read, said = read if isinstance(read, dict) else {}, said if isinstance(said, dict) else {}
    thought = said.get("reasoning_tokens")
    return ChatUsage(
        count(usage.get("prompt_tokens")),
        count(usage.get("completion_tokens")),
        count(usage.get("total_tokens")),
        count(read.get("cached_tokens") or usage.get("prompt_cache_hit_tokens")),  # the second is DeepSeek's
        count(read.get("cache_write_tokens")),
        None if thought is None else count(thought),
    )


def tool_call(id_: str, name: str, arguments: str) -> dict[str, Any]:
    """A whole call of a tool; `arguments` is JSON."""
    return {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}


def chat_completion(
    id_: str,
    created: int,
    model: str,
    message: Mapping[str, Any],
    finish_reason: str | None,
    usage: Mapping[str, Any] | None,
    logprobs: Mapping[str, Any] | None = None,
) -> bytes:
    """A whole answer of one choice. `message` is without its role."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": None, "refusal": None, **message},
        "logprobs": logprobs,
        "finish_reason": finish_reason,
    }
    answer = {"id": id_, "object": "chat.completion", "created": created, "model": model, "choices": [choice]}
    return to_json(answer if usage is None else {**answer, "usage": usage})


def error_event(error: bytes) -> bytes:
    """An upstream's error within a stream, as it came: a JSON object with a top-level `error`, on one line."""
    return b"data: " + error.replace(b"\n", b" ") + b"\n\n"


class ChatEvents:
    """Writes the events of one stream of one choice."""

    __slots__ = ("_choice", "_head")

    def __init__(self, id_: str, created: int, model: str) -> None:
        head = {"id": id_, "object": "chat.completion.chunk", "created": created, "model": model}
        self._head = b"data: " + to_json(head)[:-1]
        self._choice = self._head + b',"choices":[{"index":0,"delta":'

    def role(self) -> bytes:
        """The first event."""
        return self._choice + b'{"role":"assistant","content":""},"finish_reason":null}]}\n\n'

    def text(self, text: str) -> bytes:
        """A piece of the answer."""
        return self._choice + b'{"content":%b},"finish_reason":null}]}\n\n' % to_json(text)

    def reasoning(self, text: str) -> bytes:
        """A piece of the thoughts before it."""
        return self._choice + b'{"reasoning_content":%b},"finish_reason":null}]}\n\n' % to_json(text)

    def call(self, index: int, id_: str, name: str, arguments: str = "", **more: Any) -> bytes:
        """A call of a tool begins; `more` are further members, such as extensions."""
        return self.delta({"tool_calls": [{"index": index, **tool_call(id_, name, arguments), **more}]})

    def arguments(self, index: int, piece: str) -> bytes:
        """A piece of a call's arguments."""
        return (
            self._choice
            + b'{"tool_calls":[{"index":%d,"function":{"arguments":%b}}]},"finish_reason":null}]}\n\n'
            % (index, to_json(piece))
        )

    def delta(self, delta: Mapping[str, Any], logprobs: Mapping[str, Any] | None = None) -> bytes:
        """Anything else of the message, and how likely its tokens were."""
        told = b"" if logprobs is None else b',"logprobs":' + to_json(logprobs)
        return self._choice + to_json(delta) + told + b',"finish_reason":null}]}\n\n'

    def finish(self, reason: str, delta: Mapping[str, Any] | None = None) -> bytes:
        """The finish reason: `stop`, `length`, `tool_calls` or `content_filter`."""
        return self._choice + to_json(delta or {}) + b',"finish_reason":%b}]}\n\n' % to_json(reason)

    def usage(self, usage: Mapping[str, Any]) -> bytes:
        """The usage, as an event of its own. Whether the client sees it is decided elsewhere."""
        return self._head + b',"choices":[],"usage":%b}\n\n' % to_json(usage)


class CallPiece(msgspec.Struct):
    """A call of a tool, or a piece of one, as a delta carries it."""

    index: int = 0
    id: str | None = None
    function: CallPieceFunction | None = None


class CallPieceFunction(msgspec.Struct):
    """The function in it."""

    name: str | None = None
    arguments: str | None = None


class Delta(msgspec.Struct):
    """What one event adds to a message."""

    content: Any = None
    """A text; a list of parts from a few providers."""
    reasoning_content: str | None = None
    refusal: str | None = None
    tool_calls: Sequence[CallPiece] | None = None
    thinking_blocks: Any = None
    """An extension: thoughts with the signatures that Anthropic wants back with them."""


class ChunkChoice(msgspec.Struct):
    """What one event says of a choice."""

    index: int = 0
    delta: Delta | None = None
    finish_reason: str | None = None
    stop_reason: Any = None
    """An extension of vLLM's: the stop sequence that ended the answer, where one did."""


class Chunk(msgspec.Struct):
    """One event of a chat stream, as those read it who translate it into another language."""

    id: str | None = None
    model: str | None = None
    choices: Sequence[ChunkChoice] | None = None
    usage: dict[str, Any] | None = None


_decode = msgspec.json.Decoder(Chunk).decode


def read_chunks(data: bytes) -> list[Chunk | bytes | None]:
    """The events in a piece of a stream that was found good: chunks; comments as they came; None for `[DONE]`."""
    read: list[Chunk | bytes | None] = []
    for block in data.split(b"\n\n"):
        if block == b"data: [DONE]":
            read.append(None)
        elif block.startswith(b"data: {") and b"\n" not in block:
            read.append(_chunk(block[6:]))
        elif block:
            lines = [line.partition(b":")[2].strip() for line in block.split(b"\n") if line.startswith(b"data:")]
            read.append(_chunk(b"\n".join(lines)) if lines else block + b"\n\n")
    return read


def _chunk(data: bytes) -> Chunk:
    try:
        return _decode(data)
    except (ValueError, RecursionError):
        # Halves of surrogate pairs, or a member of another type than the wire has: as much as can be read.
        return _lenient(data)


def _lenient(data: bytes) -> Chunk:
    try:
        return msgspec.convert(_without_nulls(json.loads(data)), Chunk, strict=False)
    except (ValueError, RecursionError):
        return Chunk()


def _without_nulls(value: object) -> object:
    """A document without its null members: some upstreams send an index that is null, and mean the first."""
    if isinstance(value, dict):
        return {name: _without_nulls(member) for name, member in value.items() if member is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value
