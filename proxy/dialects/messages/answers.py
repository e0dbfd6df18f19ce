"""A chat completion as a message of Anthropic's, and what a stream's end says too: why it ended, and what it cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from proxy.core.errors import ClientError
from proxy.dialects.chat_content import text_of, thoughts_in
from proxy.dialects.chat_events import read_usage, to_json
from proxy.dialects.client_wire import Speaking
from proxy.dialects.lenient_json import arguments_object, converted
from proxy.dialects.messages.counting import estimate
from proxy.dialects.messages.names import client_names, tool_use_id
from proxy.dialects.messages.shapes import decoded, given

_STOP_REASONS: Final = {
    "stop": "end_turn",
    "length": "max_tokens",
    "model_length": "max_tokens",  # Mistral
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}


class _Function(Struct):
    name: str | None = None
    arguments: Any = None


class _Call(Struct):
    id: str | None = None
    function: _Function | None = None


class _Message(Struct):
    content: Any = None
    reasoning_content: Any = None
    reasoning: Any = None
    thinking_blocks: Any = None
    refusal: Any = None
    tool_calls: Sequence[_Call] | None = None
    function_call: _Function | None = None


class _Choice(Struct):
    message: _Message | None = None
    finish_reason: str | None = None
    stop_reason: Any = None


class _Answer(Struct):
    choices: Sequence[_Choice] | None = None
    model: Any = None
    usage: Any = None


_decode = msgspec.json.Decoder(_Answer).decode


def message(answer: bytes, speaking: Speaking) -> bytes:
    """A whole chat completion, found good, as a message."""
    read = converted(_decode, _Answer, answer, strict=False) or _Answer()
    choice = read.choices[0] if read.choices else _Choice()
    said = choice.message or _Message()
    content = _thoughts(said) + _texts(said.content, said.refusal) + _calls(said, speaking)
    called = any(block["type"] == "tool_use" for block in content)
    reason, sequence = stop_reason(choice.finish_reason, choice.stop_reason, speaking, called=called)
    refusal = said.refusal if isinstance(said.refusal, str) and said.refusal else None
    if refusal is not None:
        reason = "refusal"
    body = {
        "id": f"msg_{speaking.id}",
        "type": "message",
        "role": "assistant",
        "model": read.model if isinstance(read.model, str) and read.model else speaking.request.model,
        "content": content,
        "stop_reason": reason,
        "stop_sequence": sequence,
        "usage": usage_of_chat(read.usage) or estimated_usage(speaking, len(answer)),
    }
    if reason == "refusal":
        body["stop_details"] = refusal_details(refusal)
    return to_json(body)


def stop_reason(reason: str | None, matched: Any, speaking: Speaking, *, called: bool) -> tuple[str, str | None]:
    """Why an answer ended, and the stop sequence where one did it.

    `reason` is chat's finish reason, and `matched` what vLLM tells beside it. Calls of tools are to be answered even
    where an upstream says that all was said.
    """
    its = _STOP_REASONS.get(reason or "", "end_turn")
    if its == "end_turn" and called:
        return "tool_use", None
    if its == "end_turn" and isinstance(matched, str) and matched in _sequences(speaking):
        return "stop_sequence", matched
    return its, None


def usage_of_chat(usage: object) -> dict[str, Any] | None:
    """Chat's usage in Anthropic's terms; None if there is none.

    Its `input_tokens` leave out what was read from a cache or written to one, which chat's prompt counts with the rest
    (ogx#6415).
    """
    counted = read_usage(usage)
    if counted is None:
        return None
    told: dict[str, Any] = {
        "input_tokens": max(0, counted.prompt - counted.cached - counted.written),
        "cache_creation_input_tokens": counted.written,
        "cache_read_input_tokens": counted.cached,
        "output_tokens": counted.completion,
    }
    if counted.thought is not None:
        told["output_tokens_details"] = {"thinking_tokens": counted.thought}
    return told


def estimated_usage(speaking: Speaking, said: int) -> dict[str, Any]:
    """What the wire demands where the upstream tells nothing; `said` counts the characters of the answer."""
    try:
        asked = estimate(speaking.request)
    except ClientError:
        asked = 0
    return {"input_tokens": asked, "output_tokens": said // 4}


def refusal_details(explanation: str | None) -> dict[str, Any]:
    """What goes with the stop reason `refusal`."""
    return {"type": "refusal", "category": None, "explanation": explanation}


def thoughts_of(blocks: object) -> list[dict[str, Any]]:
    """The blocks of thoughts in the extension `thinking_blocks`, as far as they are any."""
    found = []
    for its in _parts(blocks):
        if its.get("type") == "redacted_thinking" and isinstance(its.get("data"), str):
            found.append({"type": "redacted_thinking", "data": its["data"]})
        elif its.get("type") == "thinking":
            told = {name: text_of(its.get(name)) for name in ("thinking", "signature")}
            found.append({"type": "thinking", **told})
    return found


def _parts(content: object) -> list[Mapping[str, Any]]:
    return [part for part in content if isinstance(part, Mapping)] if isinstance(content, list) else []


def _thoughts(said: _Message) -> list[dict[str, Any]]:
    if blocks := thoughts_of(said.thinking_blocks):
        return blocks
    thinking = text_of(said.reasoning_content) or text_of(said.reasoning) or thoughts_in(said.content)
    return [{"type": "thinking", "thinking": thinking, "signature": ""}] if thinking else []


def _texts(content: object, refusal: object) -> list[dict[str, Any]]:
    said = text_of(content) or text_of(refusal)
    return [{"type": "text", "text": said}] if said else []


def _calls(said: _Message, speaking: Speaking) -> list[dict[str, Any]]:
    calls = list(said.tool_calls or ())
    if said.function_call is not None:
        calls.append(_Call(function=said.function_call))
    if not calls:
        return []
    names = client_names(speaking.request.fields)
    blocks = []
    for index, call in enumerate(calls):
        function = call.function or _Function()
        name = function.name or ""
        blocks.append(
            {
                "type": "tool_use",
                "id": tool_use_id(call.id or f"toolu_{speaking.id}{index}"),
                "name": names.get(name, name),
                "input": arguments_object(function.arguments),
            }
        )
    return blocks


def _sequences(speaking: Speaking) -> list[str]:
    raw = given(speaking.request.fields, "stop_sequences")
    try:
        return [] if raw is None else decoded(raw, list[str], "stop_sequences")
    except ClientError:
        return []  # whether they were any was the upstream's to say
