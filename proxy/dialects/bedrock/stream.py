"""The stream of Converse: binary messages with an event each, ended by `messageStop` and then `metadata`."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from proxy.dialects.bedrock.answer import MALFORMED_OUTPUT, Usage, finish_reason, hidden_thought, signed_thought
from proxy.dialects.bedrock.frames import Frame, FrameReader
from proxy.dialects.chat_events import DONE, MALFORMED, ChatEvents, error_event, to_json
from proxy.dialects.dialect import Reading
from proxy.dialects.lenient_json import decoded_or_none


class _ToolStart(Struct, gc=False, rename="camel"):
    tool_use_id: str = ""
    name: str = ""
    type: str | None = None


class _Start(Struct, gc=False, rename="camel"):
    tool_use: _ToolStart | None = None


class _ToolPiece(Struct, gc=False):
    input: str = ""


class _ReasoningPiece(Struct, gc=False, rename="camel"):
    text: str | None = None
    signature: str | None = None
    redacted_content: str | None = None


class _Delta(Struct, gc=False, rename="camel"):
    text: str | None = None
    tool_use: _ToolPiece | None = None
    reasoning_content: _ReasoningPiece | None = None


class _Event(Struct, gc=False, rename="camel"):
    """The payload of any event; which members it has depends on the event's type."""

    start: _Start | None = None
    delta: _Delta | None = None
    stop_reason: str | None = None
    usage: Usage | None = None
    message: str | None = None
    """Of an exception."""


_decode = msgspec.json.Decoder(_Event).decode


class BedrockTranslator:
    """Turns one stream into chat events; see `dialect.py: Translator`."""

    __slots__ = (
        "_calls", "_ended", "_events", "_filled", "_frames", "_in_call", "_reading", "_started", "_stopped", "_thought"
    )  # fmt: skip

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._events = ChatEvents(reading.id, reading.created, reading.model)
        self._frames = FrameReader()
        self._calls = 0
        self._in_call = False
        self._filled = False
        """The call that is being told has arguments."""
        self._thought: dict[str, Any] = {}
        self._started = self._stopped = self._ended = False

    def feed(self, data: bytes) -> bytes:
        """The events that these bytes complete."""
        if self._ended:
            return b""
        events = [self._frame(frame) for frame in self._frames.feed(data)]
        if self._frames.corrupt and not self._ended:
            events.append(self._end_with(MALFORMED))
        return b"".join(events)

    def end(self) -> bytes:
        """The end, if all that is missing is the usage."""
        return self._end_with(DONE) if self._stopped and not self._ended else b""

    def _end_with(self, event: bytes) -> bytes:
        self._ended = True
        return event

    def _frame(self, frame: Frame) -> bytes:
        if self._ended:
            return b""
        kind = frame.headers.get(":message-type")
        if kind != "event":
            return self._end_with(_exception(frame))
        name = frame.headers.get(":event-type", "")
        event = decoded_or_none(_decode, frame.payload)
        if event is None:
            return self._end_with(MALFORMED)
        if self._started:
            return self._event(name, event)
        self._started = True
        return self._events.role() + self._event(name, event)

    def _event(self, name: str, event: _Event) -> bytes:
        if name == "contentBlockDelta":
            return b"" if event.delta is None else self._delta(event.delta)
        if name == "contentBlockStart":
            use = event.start.tool_use if event.start is not None else None
            return b"" if use is None or use.type is not None else self._call(use)
        if name == "contentBlockStop":
            return self._block_stop()
        if name == "messageStop":
            return self._stop(event.stop_reason or "")
        if name == "metadata" and self._stopped:
            told = b"" if event.usage is None else self._events.usage(event.usage.on_chat())
            return self._end_with(told + DONE)
        return b""

    def _delta(self, delta: _Delta) -> bytes:
        if delta.text is not None:
            return self._events.text(delta.text) if delta.text else b""
        if delta.tool_use is not None:
            piece = delta.tool_use.input
            if not self._in_call or not piece:
                return b""
            self._filled = True
            return self._events.arguments(self._calls - 1, piece)
        return b"" if delta.reasoning_content is None else self._think(delta.reasoning_content)

    def _think(self, piece: _ReasoningPiece) -> bytes:
        if piece.redacted_content is not None:
            return self._events.delta({"thinking_blocks": [hidden_thought(piece.redacted_content)]})
        if piece.signature:
            self._thought["signature"] = self._thought.get("signature", "") + piece.signature
        if not piece.text:
            return b""
        self._thought.setdefault("text", []).append(piece.text)
        return self._events.reasoning(piece.text)

    def _call(self, use: _ToolStart) -> bytes:
        self._in_call, self._filled = True, False
        self._calls += 1
        name = self._reading.names.get(use.name, use.name)
        return self._events.call(self._calls - 1, use.tool_use_id, name)

    def _block_stop(self) -> bytes:
        written = b""
        if self._in_call and not self._filled:
            written = self._events.arguments(self._calls - 1, "{}")
        if signature := self._thought.get("signature"):
            # Whole, so that whoever sends it back need not put it together.
            block = signed_thought("".join(self._thought.get("text", ())), signature)
            written += self._events.delta({"thinking_blocks": [block]})
        self._in_call = False
        self._thought = {}
        return written

    def _stop(self, stop_reason: str) -> bytes:
        if stop_reason.startswith(MALFORMED_OUTPUT):
            return self._end_with(_error(stop_reason, "the model's output was of no use"))
        self._stopped = True
        return self._events.finish(finish_reason(stop_reason, called=self._calls > 0))


def _exception(frame: Frame) -> bytes:
    headers = frame.headers
    event = decoded_or_none(_decode, frame.payload)
    message = headers.get(":error-message") or (event.message if event is not None else "") or ""
    return _error(headers.get(":exception-type") or headers.get(":error-code") or "unknown", message)


def _error(type_: str, message: str) -> bytes:
    return error_event(to_json({"error": {"type": type_, "message": message}}))
