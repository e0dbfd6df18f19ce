"""Chat completions and their events as those of the completions wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from proxy.core.errors import error_event
from proxy.dialects.chat_content import text_of
from proxy.dialects.chat_events import DONE, Chunk, read_chunks, to_json
from proxy.dialects.client_wire import Speaking
from proxy.dialects.lenient_json import converted, text_at
from proxy.dialects.sent_events import sent_events

_REASONS = frozenset({"stop", "length", "content_filter"})


class _Message(Struct):
    content: Any = None
    refusal: Any = None


class _Choice(Struct):
    index: int | None = None
    message: _Message | None = None
    finish_reason: str | None = None


class _Answer(Struct):
    choices: list[_Choice] | None = None
    model: str | None = None
    usage: Any = None


_decode = msgspec.json.Decoder(_Answer).decode


def from_chat(answer: bytes, speaking: Speaking) -> bytes:
    """A whole chat completion, found good, as a completion."""
    completion = converted(_decode, _Answer, answer) or _Answer()
    choices = [
        _choice(choice.index or place, _said(choice.message), _reason(choice.finish_reason) or "stop")
        for place, choice in enumerate(completion.choices or ())
    ]
    told = {**_head(speaking, completion.model), "choices": choices}
    return to_json({**told, "usage": completion.usage} if isinstance(completion.usage, dict) else told)


def _head(speaking: Speaking, model: str | None) -> dict[str, Any]:
    return {
        "id": f"cmpl-{speaking.id}",
        "object": "text_completion",
        "created": speaking.created,
        "model": model or speaking.request.model,
    }


def _choice(index: int, text: str, reason: str | None) -> dict[str, Any]:
    return {"text": text, "index": index, "logprobs": None, "finish_reason": reason}


def _said(message: _Message | None) -> str:
    """The text, or the refusal: a completion has no other place for it."""
    if message is None:
        return ""
    return text_of(message.content) or text_of(message.refusal)


def _reason(reason: str | None) -> str | None:
    """The finish reason, as far as this wire knows it."""
    if not reason:
        return None
    return "length" if reason == "model_length" else reason if reason in _REASONS else "stop"


class CompletionsEncoder:
    """Turns the chat events of one stream into events of the completions wire."""

    __slots__ = ("_head", "_speaking")

    def __init__(self, speaking: Speaking) -> None:
        self._speaking = speaking
        self._head: bytes | None = None
        """What all events begin with."""

    def feed(self, data: bytes) -> bytes:
        """As `Encoder.feed`."""
        out: list[bytes] = []
        for chunk in read_chunks(data):
            if isinstance(chunk, Chunk):
                self._take(chunk, out)
            else:
                out.append(DONE if chunk is None else chunk)
        return b"".join(out)

    def adopt(self, data: bytes) -> None:
        """As `Encoder.adopt`."""
        for event in sent_events(data):
            if self._head is None and text_at(event, "id"):
                told = {name: event[name] for name in ("id", "object", "created", "model") if name in event}
                self._head = b"data: " + to_json(told)[:-1]

    def error(self, message: str, code: str, *, reason: str, retryable: bool) -> bytes:
        """As `Encoder.error`."""
        return error_event(message, code, reason=reason, retryable=retryable)

    def _take(self, chunk: Chunk, out: list[bytes]) -> None:
        if self._head is None:
            self._head = b"data: " + to_json(_head(self._speaking, chunk.model))[:-1]
        for choice in chunk.choices or ():
            delta = choice.delta
            text = (text_of(delta.content) or delta.refusal or "") if delta is not None else ""
            reason = _reason(choice.finish_reason)
            # A role, a thought or a call is nothing that a completion could tell.
            if text or reason:
                out.append(
                    b'%b,"choices":[{"text":%b,"index":%d,"logprobs":null,"finish_reason":%b}]}\n\n'
                    % (self._head, to_json(text), choice.index, b'"%b"' % reason.encode() if reason else b"null")
                )
        if chunk.usage and self._speaking.request.include_usage:
            out.append(_usage(self._head, chunk.usage))


def _usage(head: bytes, usage: Mapping[str, Any]) -> bytes:
    return b'%b,"choices":[],"usage":%b}\n\n' % (head, to_json(usage))
