"""The text that an answer says, for those who have to understand it: probes."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from proxy.streams.sse import EventFramer


class _Part(Struct, gc=False):
    text: str | None = None


class _Message(Struct, gc=False):
    content: str | list[_Part] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None


class _Choice(Struct, gc=False):
    message: _Message | None = None
    delta: _Message | None = None


class _Answer(Struct, gc=False):
    choices: list[_Choice] | None = None


_decode = msgspec.json.Decoder(_Answer).decode


def answer_text(body: bytes) -> str:
    """What all choices of a whole answer, or of one event, say; reasoning too, since a small question may end in it."""
    try:
        choices = _decode(body).choices or ()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    messages = (each for choice in choices if (each := choice.message or choice.delta) is not None)
    return "".join(_said(message) for message in messages)


def stream_text(stream: bytes) -> str:
    """The same of a whole stream of events."""
    return "".join(answer_text(event.data or b"") for event in EventFramer().feed(stream))


def _said(message: _Message) -> str:
    content = message.content
    if isinstance(content, list):
        content = "".join(part.text or "" for part in content)
    return "".join(part for part in (message.reasoning_content, message.reasoning, content) if part)
