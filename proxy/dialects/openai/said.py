"""What a client has been told by events on OpenAI's chat wire, read only when there is a need to know."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from proxy.dialects.chat_content import text_of
from proxy.streams.sse import EventFramer
from proxy.streams.transcript import UNREADABLE, Said

IDENTITY: Final[tuple[str, ...]] = ("id", "created", "model", "system_fingerprint")
"""What all events of one stream have in common."""
REASONING: Final = ("reasoning_content", "reasoning")
"""Where deltas carry reasoning text."""
_EMPTY: Final = (b"null", b'""', b"0")
_MOST_IDENTITY: Final = 1024
"""Bytes of one of these members; a longer one is no name of anything."""


class _Delta(Struct, gc=False):
    content: Any = None
    reasoning_content: Any = None
    reasoning: Any = None
    tool_calls: Any = None
    function_call: Any = None
    refusal: Any = None
    audio: Any = None


class _Choice(Struct, gc=False):
    index: int | None = None
    delta: _Delta | None = None
    logprobs: Any = None


class _Chunk(Struct, gc=False):
    choices: list[_Choice] | None = None


_decode = msgspec.json.Decoder(_Chunk).decode
_decode_all = msgspec.json.Decoder(list[_Chunk]).decode
_decode_top = msgspec.json.Decoder(dict[str, Raw]).decode


def condense(block: bytes, said: Said) -> None:
    """Read whole events into what was said. What cannot be read, or is not text, is noted among the others."""
    datas = _datas(block)
    if not said.identity:
        said.identity = next(filter(None, map(identity_of, datas)), {})
    texts: list[str] = []
    for choice in _all_choices(datas, said):
        delta = choice.delta
        if delta is None:
            continue
        if delta.content:
            if choice.index:
                said.others.add(UNREADABLE)  # one answer was asked for, and this is a second one
            if isinstance(delta.content, str):
                texts.append(delta.content)
            else:
                _add_parts(delta.content, texts, said)
        thoughts = delta.reasoning_content or delta.reasoning
        if thoughts:
            said.reasoning += len(str(thoughts))
            said.thoughts += 1
        if delta.tool_calls or delta.refusal or choice.logprobs or delta.function_call or delta.audio:
            said.others.update(_others(choice, delta))
    said.pieces += len(texts)
    said.add("".join(texts))


def identity_of(data: bytes) -> dict[str, bytes]:
    """The members of an event that all events of its stream share; empty if it has no name of its own.

    Azure's first event has none: it tells the results of a filter, with an empty id.
    """
    try:
        members = _decode_top(data)
    except (ValueError, RecursionError):
        return {}
    told: dict[str, bytes] = {name: bytes(members[name]) for name in IDENTITY if name in members}
    told = {name: raw for name, raw in told.items() if raw not in _EMPTY and len(raw) <= _MOST_IDENTITY}
    return told if "id" in told else {}


def calls_something(calls: object) -> bool:
    """Whether decoded tool calls, or a function call of old, carry a name or a piece of arguments."""
    if isinstance(calls, list):
        return any(map(calls_something, calls))
    if not isinstance(calls, dict):
        return False
    return any(calls.get(name) for name in ("id", "name", "arguments")) or calls_something(calls.get("function"))


def _datas(block: bytes) -> list[bytes]:
    """The data of all events but the terminal marker."""
    lines = block.removesuffix(b"\n\n").split(b"\n\n")
    if not all(line.startswith(b"data: {") and b"\n" not in line for line in lines):
        # Comments, names, several lines: seldom, and not worth a second way to read them.
        lines = [b"data: " + event.data for event in EventFramer().feed(block) if event.data is not None]
    return [line[6:] for line in lines if line != b"data: [DONE]"]


def _all_choices(datas: list[bytes], said: Said) -> Iterator[_Choice]:
    try:
        # As one document: this is the pass that every healthy stream of some length goes through.
        chunks = _decode_all(b"[" + b",".join(datas) + b"]")
    except (ValueError, RecursionError):
        for data in datas:
            yield from _choices(data, said)
        return
    for chunk in chunks:
        yield from chunk.choices or ()


def _choices(data: bytes, said: Said) -> list[_Choice]:
    try:
        return _decode(data).choices or []
    except (ValueError, RecursionError):
        pass
    try:
        # Halves of surrogate pairs, which a strict decoder refuses; both halves of one may still come together.
        return [_lenient(choice) for choice in json.loads(data).get("choices") or ()]
    except (ValueError, RecursionError, AttributeError, TypeError):
        said.others.add(UNREADABLE)
        return []


def _lenient(choice: dict[str, Any]) -> _Choice:
    members = choice.get("delta") or {}
    delta = _Delta(**{name: members.get(name) for name in _Delta.__struct_fields__})
    return _Choice(choice.get("index"), delta, choice.get("logprobs"))


def _add_parts(parts: object, texts: list[str], said: Said) -> None:
    """Content that is a list of parts: text, and thoughts, as Mistral sends them."""
    for part in parts if isinstance(parts, list) else [parts]:
        members = part if isinstance(part, dict) else {}
        kind, text = members.get("type"), text_of([members])
        if kind == "thinking":
            said.reasoning += len(str(members.get("thinking")))
            said.thoughts += 1
        elif text:
            texts.append(text)
        elif kind != "text":
            said.others.add("parts")


def _others(choice: _Choice, delta: _Delta) -> Iterator[str]:
    for name in ("tool_calls", "function_call"):
        if calls_something(getattr(delta, name)):
            yield name
    for name in ("refusal", "audio"):
        if getattr(delta, name):
            yield name
    if isinstance(choice.logprobs, dict) and any(choice.logprobs.values()):
        yield "logprobs"
