"""What a client has been told by events on OpenAI's chat wire, read only when there is a need to know."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from msgspec import Raw, Struct

from proxy.dialects.openai_shapes import NULL, is_filled
from proxy.streams.sse import EventFramer
from proxy.streams.transcript import Said

IDENTITY = ("id", "created", "model", "system_fingerprint")
"""What all events of one stream have in common."""
REASONING = ("reasoning_content", "reasoning")
"""Where deltas carry reasoning text."""
_OTHERS = ("tool_calls", "function_call", "refusal", "audio")


class _Delta(Struct, gc=False):
    content: str | list[Raw] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: Raw = NULL
    function_call: Raw = NULL
    refusal: Raw = NULL
    audio: Raw = NULL


class _Choice(Struct, gc=False):
    index: int = 0
    delta: _Delta | None = None
    logprobs: Raw = NULL


class _Chunk(Struct, gc=False):
    choices: list[_Choice] | None = None


class Part(Struct, gc=False):
    """A part of a content that is a list; Mistral sends its reasoning so."""

    type: str = ""
    text: str = ""
    thinking: Any = None


_decode = msgspec.json.Decoder(_Chunk).decode
_decode_part = msgspec.json.Decoder(Part).decode
_decode_top = msgspec.json.Decoder(dict[str, Raw]).decode


def condense(block: bytes, said: Said) -> None:
    """Read whole events into what was said. They were checked before they were sent, so all of them can be read."""
    for event in EventFramer().feed(block):
        if event.data is None or event.data == b"[DONE]":
            continue
        if not said.identity:
            said.identity = identity_of(event.data)
        for choice in _choices(event.data):
            if choice.delta is not None:
                _add(choice.delta, said)
            if is_filled(choice.logprobs):
                said.others.add("logprobs")


def identity_of(data: bytes) -> dict[str, bytes]:
    """The members of an event that all events of its stream share."""
    try:
        members = _decode_top(data)
    except (ValueError, RecursionError):
        return {}
    return {name: bytes(members[name]) for name in IDENTITY if name in members and members[name] != NULL}


def text_of(content: str | list[Any]) -> str:
    """The text of a delta's content, whether it is a text or a list of parts."""
    if isinstance(content, str):
        return content
    return "".join(_decode_part(part).text for part in content)


def _choices(data: bytes) -> list[_Choice]:
    try:
        return _decode(data).choices or []
    except (ValueError, RecursionError):
        pass
    try:
        # Halves of surrogate pairs, which a strict decoder refuses; both halves of one may still come together.
        return [_lenient(choice) for choice in json.loads(data).get("choices") or []]
    except (ValueError, RecursionError, AttributeError):
        return []


def _lenient(choice: dict[str, Any]) -> _Choice:
    members = choice.get("delta") or {}
    delta = _Delta()
    for name in ("content", *REASONING):
        if isinstance(members.get(name), str):
            setattr(delta, name, members[name])
    for name in _OTHERS:
        setattr(delta, name, _raw(members.get(name)))
    return _Choice(choice.get("index") or 0, delta, _raw(choice.get("logprobs")))


def _raw(value: object) -> Raw:
    return Raw(json.dumps(value).encode())


def _add(delta: _Delta, said: Said) -> None:
    reasoning = delta.reasoning_content or delta.reasoning
    if isinstance(delta.content, list):
        parts = [_decode_part(part) for part in delta.content]
        text = "".join(part.text for part in parts)
        if any(part.thinking is not None for part in parts):
            reasoning = reasoning or str([part.thinking for part in parts])
        if any(part.type not in {"text", "thinking"} for part in parts):
            said.others.add("parts")
    else:
        text = delta.content or ""
    if text:
        said.add(text)
    if reasoning:
        said.reasoning += len(reasoning)
    said.pieces += bool(text or reasoning)
    for name in _OTHERS:
        if is_filled(getattr(delta, name)):
            said.others.add(name)
