"""What a client has been told by events on OpenAI's chat wire, read only when there is a need to know."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Raw, Struct

from proxy.dialects.openai_shapes import NULL
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
    tool_calls: Any = None
    function_call: Any = None
    refusal: Any = None
    audio: Any = None


class _Choice(Struct, gc=False):
    index: int = 0
    delta: _Delta | None = None
    logprobs: Any = None


class _Chunk(Struct, gc=False):
    choices: list[_Choice] | None = None


class Part(Struct, gc=False):
    """A part of a content that is a list; Mistral sends its reasoning so."""

    type: str = ""
    text: str = ""
    thinking: Any = None


_decode = msgspec.json.Decoder(_Chunk).decode
_decode_all = msgspec.json.Decoder(list[_Chunk]).decode
_decode_part = msgspec.json.Decoder(Part).decode
_decode_top = msgspec.json.Decoder(dict[str, Raw]).decode


def condense(block: bytes, said: Said) -> None:
    """Read whole events into what was said. They were checked before they were sent, so all of them can be read."""
    datas = _datas(block)
    if datas and not said.identity:
        said.identity = identity_of(datas[0])
    texts: list[str] = []
    for choice in _all_choices(datas):
        delta = choice.delta
        if delta is None:
            continue
        if isinstance(delta.content, list):
            _add_parts(delta.content, texts, said)
        elif delta.content:
            texts.append(delta.content)
        if delta.reasoning_content or delta.reasoning:
            said.reasoning += len(delta.reasoning_content or delta.reasoning or "")
            said.pieces += not delta.content
        if delta.tool_calls or delta.refusal or choice.logprobs or delta.function_call or delta.audio:
            said.others.update(name for name in _OTHERS if getattr(delta, name))
            if choice.logprobs:
                said.others.add("logprobs")
    said.pieces += len(texts)
    said.add("".join(texts))


def _datas(block: bytes) -> list[bytes]:
    """The data of all events but the terminal marker."""
    lines = block.removesuffix(b"\n\n").split(b"\n\n")
    if not all(line.startswith(b"data: {") and b"\n" not in line for line in lines):
        # Comments, names, several lines: seldom, and not worth a second way to read them.
        lines = [b"data: " + event.data for event in EventFramer().feed(block) if event.data is not None]
    return [line[6:] for line in lines if line != b"data: [DONE]"]


def _all_choices(datas: list[bytes]) -> Iterator[_Choice]:
    try:
        # As one document: this is the pass that every healthy stream of some length goes through.
        chunks = _decode_all(b"[" + b",".join(datas) + b"]")
    except (ValueError, RecursionError):
        for data in datas:
            yield from _choices(data)
        return
    for chunk in chunks:
        yield from chunk.choices or ()


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
    delta = _Delta(**{name: members.get(name) for name in _OTHERS})
    for name in ("content", *REASONING):
        if isinstance(members.get(name), str):
            setattr(delta, name, members[name])
    return _Choice(choice.get("index") or 0, delta, choice.get("logprobs"))


def _add_parts(parts: list[Raw], texts: list[str], said: Said) -> None:
    """Content that is a list of parts."""
    for part in map(_decode_part, parts):
        if part.text:
            texts.append(part.text)
        said.reasoning += len(str(part.thinking or ""))
        if part.type not in {"text", "thinking"}:
            said.others.add("parts")
